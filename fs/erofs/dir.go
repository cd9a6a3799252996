package erofs

import (
	"bytes"
	"encoding/binary"
	"sort"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A dir is a directory: blocks of names in the order of their bytes, over all of them.
type dir struct{ file }

// A block is one of them: records of 12 bytes (number u64, where its name is u16, type u8),
// and the names behind these.
type block []byte

const recordSize = 12

// block reads block i: EUCLEAN if it is none.
func (d *dir) block(c vfs.Ctx, i uint64) (block, error) {
	b := make(block, min(d.size-i*blockSize, blockSize))
	if _, err := d.m.readFile(c, &d.inode, usermem.FromBytes(b), i*blockSize); err != nil {
		return nil, err
	}
	if len(b) < recordSize {
		return nil, linux.EUCLEAN
	}
	if at := b.nameAt(0); at == 0 || at%recordSize != 0 || at > len(b) {
		return nil, linux.EUCLEAN
	}
	for k := range b.len() {
		if b.nameAt(k) > b.nameEnd(k) {
			return nil, linux.EUCLEAN
		}
	}
	return b, nil
}

func (d *dir) blocks() uint64 { return (d.size + blockSize - 1) / blockSize }

// len is how many names there are.
func (b block) len() int { return b.nameAt(0) / recordSize }

func (b block) record(k int) []byte { return b[k*recordSize:][:recordSize] }
func (b block) nameAt(k int) int    { return int(binary.LittleEndian.Uint16(b.record(k)[8:])) }

func (b block) nameEnd(k int) int {
	if k+1 < b.len() {
		return b.nameAt(k + 1)
	}
	return len(b)
}

// name is name k. Behind the last of a block there may be zeros.
func (b block) name(k int) []byte {
	name := b[b.nameAt(k):b.nameEnd(k)]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return name
}

func (b block) nid(k int) uint64 { return binary.LittleEndian.Uint64(b.record(k)) }

// kind is the type of what name k names, as DT_*.
func (b block) kind(k int) uint8 {
	kinds := [...]linux.FileMode{0, linux.S_IFREG, linux.S_IFDIR, linux.S_IFCHR, linux.S_IFBLK, linux.S_IFIFO, linux.S_IFSOCK, linux.S_IFLNK}
	if t := int(b.record(k)[10]); t < len(kinds) {
		return kinds[t].DirentType()
	}
	return 0
}

// Lookup implements vfs.Dir.
func (d *dir) Lookup(c vfs.Ctx, name string) (vfs.Inode, error) {
	want := []byte(name)
	for lo, hi := uint64(0), d.blocks(); lo < hi; {
		mid := lo + (hi-lo)/2
		b, err := d.block(c, mid)
		if err != nil {
			return nil, err
		}
		k := sort.Search(b.len(), func(k int) bool { return bytes.Compare(b.name(k), want) >= 0 })
		switch {
		case k < b.len() && bytes.Equal(b.name(k), want):
			return d.m.node(c, b.nid(k))
		case k == b.len():
			lo = mid + 1
		case k == 0:
			hi = mid
		default:
			return nil, linux.ENOENT
		}
	}
	return nil, linux.ENOENT
}

// Open implements vfs.Inode.
func (d *dir) Open(vfs.Ctx, linux.OpenFlags) (vfs.File, error) { return openDir{d}, nil }

// An openDir is an open directory. The offset of an entry is its block's number and its
// own there.
type openDir struct{ d *dir }

const blockShift = 16

// Read implements vfs.File.
func (openDir) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EISDIR }

// Write implements vfs.File.
func (openDir) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EBADF }

// Close implements vfs.File.
func (openDir) Close(vfs.Ctx) {}

// List implements vfs.Lister.
func (o openDir) List(c vfs.Ctx, off int64, f func(vfs.Dirent) bool) error {
	at := uint64(off - vfs.FirstEntry)
	first := int(at & (1<<blockShift - 1))
	for i := at >> blockShift; i < o.d.blocks(); i, first = i+1, 0 {
		b, err := o.d.block(c, i)
		if err != nil {
			return err
		}
		for k := first; k < b.len(); k++ {
			name := string(b.name(k))
			if name == "." || name == ".." || name == "" {
				continue
			}
			next := vfs.FirstEntry + int64(i<<blockShift) + int64(k+1)
			if !f(vfs.Dirent{Name: name, Ino: b.nid(k), Type: b.kind(k), Next: next}) {
				return nil
			}
		}
	}
	return nil
}
