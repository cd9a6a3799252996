package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A source is where an image is.
type source interface {
	// readAt fills dst with what is there from off on, or says how far it came: EIO if
	// there is no more.
	readAt(c vfs.Ctx, dst usermem.Seq, off uint64) (int64, error)
	// pages is the host file whose bytes are those of the image, to be mapped; nil if
	// there is none.
	pages() *hostFile
	// close gives the source up.
	close()
}

// A hostFile is an image that is a file of the host's.
type hostFile struct {
	fd      int
	refs    atomic.Int32
	version mm.Version
}

// settling is how long ago a file must have changed for its times to tell the next change.
const settling = time.Minute

// openHost takes fd over, a regular file open for reading.
func openHost(fd int) (*hostFile, uint64, error) {
	h := &hostFile{fd: fd}
	h.refs.Store(1)
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fs)); err != nil {
		return nil, 0, err
	}
	if fs.Flags&unix.ST_NOEXEC != 0 {
		return nil, 0, errors.New("EROFS image on a filesystem that is mounted noexec: its programs could not run")
	}
	if changed := time.Unix(st.Ctim.Unix()); time.Since(changed) > settling {
		h.version = mm.Version{Dev: st.Dev, Ino: st.Ino, Size: uint64(st.Size), Changed: changed.UnixNano()}
	}
	return h, uint64(st.Size), nil
}

// FD implements platform.File.
func (h *hostFile) FD() int { return h.fd }

// IncRef implements mm.HostFile.
func (h *hostFile) IncRef() { h.refs.Add(1) }

// DecRef implements mm.HostFile.
func (h *hostFile) DecRef() {
	if h.refs.Add(-1) == 0 {
		unix.Close(h.fd)
	}
}

func (h *hostFile) pages() *hostFile { return h }
func (h *hostFile) close()           { h.DecRef() }

func (h *hostFile) readAt(_ vfs.Ctx, dst usermem.Seq, off uint64) (int64, error) {
	return fill(dst, func(part usermem.Seq, done int64) (int64, error) {
		n, err := part.Each(arch.Write, func(p [][]byte) (int64, error) {
			n, err := unix.Preadv(h.fd, p[:min(len(p), linux.IOV_MAX)], int64(off)+done)
			return int64(max(n, 0)), err
		})
		if err == linux.EINTR {
			return 0, nil
		}
		if n == 0 && err == nil {
			err = linux.EIO // somebody has shortened it
		}
		return n, err
	})
}

// A guestFile is an image that is a file of the guest's, or on a block device of his. He
// may change it at any time: what is read of it is believed only as far as it was read.
type guestFile struct{ d *vfs.FileDescription }

func (g guestFile) pages() *hostFile { return nil }
func (g guestFile) close()           { g.d.DecRef() }

func (g guestFile) readAt(c vfs.Ctx, dst usermem.Seq, off uint64) (int64, error) {
	return fill(dst, func(part usermem.Seq, done int64) (int64, error) {
		n, err := g.d.ReadAt(c, part, int64(off)+done)
		if n == 0 && err == nil {
			err = linux.EIO
		}
		return n, err
	})
}

// fill calls f for what is left of dst, until that is nothing or there is an error.
func fill(dst usermem.Seq, f func(part usermem.Seq, done int64) (int64, error)) (done int64, err error) {
	for dst.Len() > 0 {
		n, err := f(dst, done)
		done += n
		if err != nil {
			return done, err
		}
		dst = dst.Skip(n)
	}
	return done, nil
}

// An image is one filesystem.
type image struct {
	super
	from source
	size uint64 // of the image
	mem  *memfile.File
	pool *memfile.Pool // of what can't be mapped as it is

	mu    sync.Mutex
	nodes map[uint64]node // protected by mu: those in use, by number
}

// newImage reads the superblock of an image of size bytes. It takes from over, unless
// there is an error, which says what is wrong.
func newImage(c vfs.Ctx, from source, size uint64, mem *memfile.File) (*image, error) {
	m := &image{from: from, size: size, mem: mem, nodes: map[uint64]node{}}
	b, err := m.read(c, superOffset, blockSize-superOffset)
	if err == linux.EUCLEAN {
		return nil, fmt.Errorf("no EROFS image: it has %d bytes", size)
	}
	if err != nil {
		return nil, err
	}
	if m.super, err = parseSuper(b); err != nil {
		return nil, err
	}
	m.pool = mem.NewPool()
	return m, nil
}

// read reads n bytes of the image at off. EUCLEAN if they are not within it.
func (m *image) read(c vfs.Ctx, off, n uint64) ([]byte, error) {
	if off > m.size || n > m.size-off {
		return nil, linux.EUCLEAN
	}
	b := make([]byte, n)
	_, err := m.from.readAt(c, usermem.FromBytes(b), off)
	return b, err
}

// inode reads inode nid.
func (m *image) inode(c vfs.Ctx, nid uint64) (*inode, error) {
	if m.meta >= m.size || nid >= (m.size-m.meta)/slotSize {
		return nil, linux.EUCLEAN
	}
	at := m.meta + nid*slotSize
	b, err := m.read(c, at, min(extendedSize, m.size-at))
	if err != nil {
		return nil, err
	}
	return m.parse(b, nid, at)
}

// A run is a part of a file that lies together in the image, or is a hole.
type run struct {
	at, n uint64
	hole  bool
}

// find is the run of n's bytes from off on, which is less than the size. EUCLEAN.
func (m *image) find(c vfs.Ctx, n *inode, off uint64) (r run, err error) {
	left := n.size - off
	switch last := (n.size - 1) &^ (blockSize - 1); {
	case n.layout == chunked:
		if r, err = m.chunk(c, n, off); err != nil {
			return r, err
		}
	case n.layout == flatInline && off >= last:
		r = run{at: n.tail + off - last, n: left}
	case n.layout == flatInline:
		r = run{at: uint64(n.place)*blockSize + off, n: last - off}
	default:
		r = run{at: uint64(n.place)*blockSize + off, n: left}
	}
	r.n = min(r.n, left)
	if !r.hole && (r.at > m.size || r.n > m.size-r.at) {
		return run{}, linux.EUCLEAN
	}
	return r, nil
}

// chunk is what there is from off on of the chunk that this is in.
func (m *image) chunk(c vfs.Ctx, n *inode, off uint64) (run, error) {
	const none = 0xffffffff
	bits, unit := n.chunks()
	if bits >= 60 {
		return run{}, linux.EUCLEAN
	}
	places := (n.tail + unit - 1) &^ (unit - 1)
	b, err := m.read(c, places+off>>bits*unit, unit)
	if err != nil {
		return run{}, err
	}
	within := off & (1<<bits - 1)
	place := binary.LittleEndian.Uint32(b[unit-4:])
	if place == none {
		return run{n: 1<<bits - within, hole: true}, nil
	}
	return run{at: uint64(place)*blockSize + within, n: 1<<bits - within}, nil
}

// readFile fills dst with what n has from off on, which together is not beyond its end,
// or says how far it came.
func (m *image) readFile(c vfs.Ctx, n *inode, dst usermem.Seq, off uint64) (int64, error) {
	return fill(dst, func(part usermem.Seq, done int64) (int64, error) {
		r, err := m.find(c, n, off+uint64(done))
		if err != nil {
			return 0, err
		}
		part = part.Take(int64(r.n))
		if r.hole {
			n, err := part.CopyOut(zeros[:min(part.Len(), int64(len(zeros)))])
			return int64(n), err
		}
		return m.from.readAt(c, part, r.at)
	})
}

var zeros [64 << 10]byte
