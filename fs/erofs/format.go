package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// What an image consists of is described in the kernel's
// Documentation/filesystems/erofs.rst. All numbers are little-endian.
const (
	magic       = 0xe0f5e1e2
	superOffset = 1024
	superSize   = 128

	// An inode is found by its number: they are in slots of this size.
	slotSize     = 32
	compactSize  = 32
	extendedSize = 64

	// blockSize is that of all images here, the largest that Linux mounts: blocks of
	// files can be mapped as they are.
	blockSize = arch.PageSize
)

// Features of which who does not know them must not read the image.
const (
	featureChunks = 0x4 // files may be in chunks
	featureKnown  = featureChunks
)

// A super is the superblock.
type super struct {
	root   uint64 // the root's number
	inodes uint64
	built  linux.Timespec // when: the time of compact inodes
	blocks uint64
	meta   uint64 // where inodes begin, in bytes,
	xattrs uint64 // and the attributes that several share
}

// summed is the feature of images that have a checksum of the superblock and what is
// behind it in its block.
const summed = 0x1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseSuper reads the superblock, and what is behind it in its block. The error says
// what is wrong with it.
func parseSuper(b []byte) (s super, err error) {
	le := binary.LittleEndian
	if le.Uint32(b) != magic {
		return s, fmt.Errorf("no EROFS image: magic %#x", le.Uint32(b))
	}
	if bits := b[12]; bits != arch.PageShift {
		return s, fmt.Errorf("EROFS image with blocks of 2^%d bytes: only those of %d are read", bits, blockSize)
	}
	if unknown := le.Uint32(b[80:]) &^ featureKnown; unknown != 0 {
		return s, fmt.Errorf("EROFS image with features %#x, such as compression, that are not read", unknown)
	}
	if n := le.Uint16(b[86:]); n != 0 {
		return s, fmt.Errorf("EROFS image on %d more devices", n)
	}
	if dir := b[90]; dir != 0 {
		return s, fmt.Errorf("EROFS image with directory blocks of 2^%d blocks", dir)
	}
	if le.Uint32(b[8:])&summed != 0 {
		rest := crc32.Update(crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, make([]byte, 4)), castagnoli, b[8:])
		if ^rest != le.Uint32(b[4:]) {
			return s, errors.New("EROFS image with a superblock whose checksum is wrong")
		}
	}
	return super{
		root:   uint64(le.Uint16(b[14:])),
		inodes: le.Uint64(b[16:]),
		built:  linux.Timespec{Sec: int64(le.Uint64(b[24:])), Nsec: int64(le.Uint32(b[32:]))},
		blocks: uint64(le.Uint32(b[36:])),
		meta:   uint64(le.Uint32(b[40:])) * blockSize,
		xattrs: uint64(le.Uint32(b[44:])) * blockSize,
	}, nil
}

// How a file's bytes lie in the image.
const (
	flatPlain  = 0 // in blocks one behind the other
	flatInline = 2 // likewise, but for the last, which is behind the inode
	chunked    = 4 // in chunks, whose places are behind the inode
)

// An inode is what the image says of a file.
type inode struct {
	nid    uint64
	mode   linux.FileMode
	nlink  uint32
	uid    uint32
	gid    uint32
	size   uint64
	mtime  linux.Timespec
	layout uint16
	place  uint32 // of the first block, or a device's number, or how long chunks are
	xattrs uint64 // where its extended attributes are, in bytes
	tail   uint64 // what comes behind those
}

// hasXattrs reports whether there are any extended attributes.
func (n *inode) hasXattrs() bool { return n.tail > n.xattrs }

// parse reads the inode in b, of slot nid at byte at; b has extendedSize bytes, or fewer
// at the end of the image. EUCLEAN.
func (s *super) parse(b []byte, nid, at uint64) (*inode, error) {
	le := binary.LittleEndian
	if len(b) < compactSize {
		return nil, linux.EUCLEAN
	}
	format, names := le.Uint16(b), uint64(le.Uint16(b[2:]))
	n := &inode{nid: nid, mode: linux.FileMode(le.Uint16(b[4:])), layout: format >> 1 & 7, place: le.Uint32(b[16:])}
	if format&1 == 0 {
		n.nlink, n.size = uint32(le.Uint16(b[6:])), uint64(le.Uint32(b[8:]))
		n.uid, n.gid = uint32(le.Uint16(b[24:])), uint32(le.Uint16(b[26:]))
		n.mtime, n.xattrs = s.built, at+compactSize
	} else {
		if len(b) < extendedSize {
			return nil, linux.EUCLEAN
		}
		n.nlink, n.size = le.Uint32(b[44:]), le.Uint64(b[8:])
		n.uid, n.gid = le.Uint32(b[24:]), le.Uint32(b[28:])
		n.mtime = linux.Timespec{Sec: int64(le.Uint64(b[32:])), Nsec: int64(le.Uint32(b[40:]))}
		n.xattrs = at + extendedSize
	}
	n.tail = n.xattrs
	if names > 0 {
		n.tail += xattrHeader + (names-1)*4
	}
	switch {
	case n.size > maxSize, n.mtime.Nsec >= 1e9:
		return nil, linux.EUCLEAN
	case n.mode.IsRegular() || n.mode.IsDir() || n.mode.IsSymlink():
		if n.layout != flatPlain && n.layout != flatInline && n.layout != chunked {
			return nil, linux.EOPNOTSUPP // compressed
		}
	}
	return n, nil
}

// maxSize is more than any image can have of one file, and sums with it don't overflow.
const maxSize = 1 << 60

// rdev is the device's number, which Linux keeps in 32 bits: 12 of major and 20 of minor.
func (n *inode) rdev() uint64 {
	return linux.Makedev(n.place>>8&0xfff, n.place&0xff|n.place>>12&^uint32(0xff))
}

// chunkBits is how long chunks are, and unit how much the place of one takes: with
// indexes set, that is a record whose last four bytes are the place.
func (n *inode) chunks() (bits uint, unit uint64) {
	const length, indexes = 0x1f, 0x20
	unit = 4
	if n.place&indexes != 0 {
		unit = 8
	}
	return arch.PageShift + uint(n.place&length), unit
}
