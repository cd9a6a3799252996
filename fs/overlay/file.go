package overlay

import (
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Open implements vfs.Inode: opening for writing copies up.
func (n *node) Open(c vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	if n.kind == linux.S_IFDIR {
		return &openDir{n: n}, nil
	}
	if flags&linux.O_ACCMODE != linux.O_RDONLY || flags&linux.O_TRUNC != 0 {
		size := int64(-1)
		if flags&linux.O_TRUNC != 0 {
			size = 0
		}
		if err := n.raise(c, size); err != nil {
			return nil, err
		}
	}
	u := n.up()
	real := u
	if u == nil {
		real = n.lower[0].Inode
	}
	// It is vfs that truncates, as the overlay is no vfs.Truncator, and sees to what becomes
	// of the set-ID bits. The upper layer, if it is one, would lose them before.
	f, err := real.Open(c, flags&^linux.O_TRUNC)
	if err != nil {
		return nil, err
	}
	return &file{File: f, n: n, upper: u != nil}, nil
}

// A file is an open regular file. One that was opened for reading in a lower layer goes
// on in the upper one once the file is copied up.
type file struct {
	vfs.File // what it was opened on
	n        *node
	upper    bool // File is in the upper layer

	mu    sync.Mutex
	later vfs.File // opened on the copy; protected by mu
}

// now is the file that counts now.
func (f *file) now(c vfs.Ctx) vfs.File {
	if f.upper || f.n.upper.Load() == nil {
		return f.File
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.later == nil {
		x, err := f.n.up().Open(c, linux.O_RDONLY)
		if err != nil {
			return f.File
		}
		f.later = x
	}
	return f.later
}

// Read implements vfs.File.
func (f *file) Read(c vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	return f.now(c).Read(c, dst, off)
}

// Close implements vfs.File.
func (f *file) Close(c vfs.Ctx) {
	f.File.Close(c)
	if f.later != nil {
		f.later.Close(c)
	}
}

// Append implements vfs.Appender.
func (f *file) Append(c vfs.Ctx, src usermem.Seq) (n, end int64, err error) {
	if x, ok := f.File.(vfs.Appender); ok {
		return x.Append(c, src)
	}
	a, err := f.n.Attr(c)
	if err != nil {
		return 0, 0, err
	}
	n, err = f.File.Write(c, src, a.Size)
	return n, a.Size + n, err
}

// Mmap implements vfs.Mapper.
func (f *file) Mmap(c vfs.Ctx, s vfs.MapSpec) (mm.Mappable, error) {
	x, ok := f.now(c).(vfs.Mapper)
	if !ok {
		return nil, linux.ENODEV
	}
	return x.Mmap(c, s)
}

// Seek implements vfs.Seeker.
func (f *file) Seek(c vfs.Ctx, cur, off int64, whence int) (int64, error) {
	if x, ok := f.now(c).(vfs.Seeker); ok {
		return x.Seek(c, cur, off, whence)
	}
	if whence < linux.SEEK_END {
		return vfs.SeekBySize(cur, off, whence, 0)
	}
	a, err := f.n.Attr(c)
	if err != nil {
		return 0, err
	}
	return vfs.SeekBySize(cur, off, whence, a.Size)
}

// Allocate implements vfs.Allocater.
func (f *file) Allocate(c vfs.Ctx, mode uint32, off, n int64) error {
	x, ok := f.File.(vfs.Allocater)
	if !ok {
		return linux.EOPNOTSUPP
	}
	return x.Allocate(c, mode, off, n)
}

// Ioctl implements vfs.Control.
func (f *file) Ioctl(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	x, ok := f.now(c).(vfs.Control)
	if !ok {
		return 0, linux.ENOTTY
	}
	return x.Ioctl(c, m, cmd, arg)
}

// Sync implements vfs.Syncer.
func (f *file) Sync(c vfs.Ctx, dataOnly bool) error {
	if x, ok := f.File.(vfs.Syncer); ok {
		return x.Sync(c, dataOnly)
	}
	return nil
}

// Flush implements vfs.Flusher.
func (f *file) Flush(c vfs.Ctx) error {
	if x, ok := f.File.(vfs.Flusher); ok {
		return x.Flush(c)
	}
	return nil
}

// SetFlags implements vfs.FlagSetter.
func (f *file) SetFlags(c vfs.Ctx, flags linux.OpenFlags) error {
	if x, ok := f.File.(vfs.FlagSetter); ok {
		return x.SetFlags(c, flags)
	}
	return nil
}
