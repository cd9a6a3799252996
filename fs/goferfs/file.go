package goferfs

import (
	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A file is a regular file.
type file struct{ node }

// TruncatesAtOpen implements vfs.Truncator: opening and truncating is one round trip.
func (*file) TruncatesAtOpen() {}

// Open implements vfs.Inode.
func (f *file) Open(c vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	mode := wire.OpenRead
	if flags.Writable() {
		mode = wire.OpenWrite
	}
	if flags&linux.O_TRUNC != 0 { // even if it is opened for reading
		mode = wire.OpenWrite | wire.OpenTruncate
	}
	if mode != wire.OpenRead && f.fs.readOnly {
		return nil, linux.EROFS
	}
	d := f.bytes()
	if err := d.open(c, mode); err != nil {
		return nil, err
	}
	return &openFile{d}, nil
}

// An openFile is an open regular file. It uses whichever descriptor the file has at
// the moment, so that all who have it open see the same bytes.
type openFile struct{ d *data }

// Close implements vfs.File.
func (f *openFile) Close(vfs.Ctx) { f.d.close() }

// Read implements vfs.File: the host writes into the guest's memory.
func (f *openFile) Read(c vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	fd, err := f.d.use(c, false)
	if err != nil {
		return 0, err
	}
	defer fd.DecRef()
	f.d.n.touched()
	m := mover{call: readAt, fd: fd.fd, off: off}
	n, err := dst.Each(arch.Write, m.move)
	if err == linux.EFAULT {
		// At the end of the file the buffer does not matter.
		if a, statErr := fd.attr(); statErr == nil && uint64(off) >= a.Size {
			return 0, nil
		}
	}
	return n, err
}

// touched notes that reading will set the access time on the host, as relatime does:
// if it is not after the last change.
func (n *node) touched() {
	if n.look.Load() {
		return
	}
	n.mu.Lock()
	a := &n.attr
	due := !after(a.Atime, a.Mtime) || !after(a.Atime, a.Ctime)
	n.mu.Unlock()
	if due {
		n.look.Store(true)
	}
}

// after reports whether t is later than u.
func after(t, u wire.Time) bool { return t.Sec > u.Sec || t.Sec == u.Sec && t.Nsec > u.Nsec }

// Write implements vfs.File.
func (f *openFile) Write(c vfs.Ctx, src usermem.Seq, off int64) (int64, error) {
	if n, _, wrote, err := f.d.n.writeLater(src, off); wrote {
		return n, err
	}
	fd, err := f.d.use(c, true)
	if err != nil {
		return 0, err
	}
	defer fd.DecRef()
	// After the write, for it is then that who asks must be told to look.
	defer f.d.n.wrote()
	m := mover{call: writeAt, fd: fd.fd, off: off, freed: f.d.n.fs.freed}
	n, err := src.Each(arch.Read, m.move)
	f.d.n.fs.later.grew(n)
	return n, err
}

// Append implements vfs.Appender: the host finds the end, and moves the descriptor's
// position there, which nothing else uses.
func (f *openFile) Append(c vfs.Ctx, src usermem.Seq) (n, end int64, err error) {
	n, end, wrote, err := f.d.n.writeLater(src, -1)
	if wrote {
		return n, end, err
	}
	fd, err := f.d.use(c, true)
	if err != nil {
		return 0, 0, err
	}
	defer fd.DecRef()
	defer f.d.n.wrote()
	f.d.appending.Lock()
	defer f.d.appending.Unlock()
	m := mover{call: appendTo, fd: fd.fd, freed: f.d.n.fs.freed}
	n, err = src.Each(arch.Read, m.move)
	f.d.n.fs.later.grew(n)
	if err != nil {
		return n, 0, err
	}
	end, err = unix.Seek(fd.fd, 0, unix.SEEK_CUR)
	return n, end, err
}

// A mover moves bytes between guest memory and a host file.
type mover struct {
	call func(fd int, p [][]byte, off int64) (int, error)
	fd   int
	off  int64 // in the file; moves along

	freed func() bool // there may be room now where there was none; may be nil
}

// move moves all of p, by as many host calls as that takes. It stops at a short count;
// progress wins over an error.
func (m *mover) move(p [][]byte) (int64, error) {
	total := int64(0)
	for len(p) > 0 {
		part := p[:min(len(p), linux.IOV_MAX)]
		want := 0
		for _, b := range part {
			want += len(b)
		}
		n, err := m.call(m.fd, part, m.off)
		if err == unix.EINTR || (err == unix.ENOSPC || err == unix.EDQUOT) && m.freed != nil && m.freed() {
			continue
		}
		if err != nil {
			if total > 0 {
				return total, nil
			}
			return 0, err
		}
		total += int64(n)
		m.off += int64(n)
		if n < want {
			break
		}
		p = p[len(part):]
	}
	return total, nil
}

func readAt(fd int, p [][]byte, off int64) (int, error) {
	if len(p) == 1 {
		return unix.Pread(fd, p[0], off)
	}
	return unix.Preadv(fd, p, off)
}

func writeAt(fd int, p [][]byte, off int64) (int, error) {
	if len(p) == 1 {
		return unix.Pwrite(fd, p[0], off)
	}
	return unix.Pwritev(fd, p, off)
}

func appendTo(fd int, p [][]byte, _ int64) (int, error) {
	return unix.Pwritev2(fd, p, -1, unix.RWF_APPEND)
}

// Sync implements vfs.Syncer.
func (f *openFile) Sync(c vfs.Ctx, dataOnly bool) error {
	// All that was put off, for its own changes may depend on others.
	if err := f.d.n.fs.settle(done(c)); err != nil {
		return err
	}
	fd, err := f.d.use(c, false)
	if err != nil {
		if why := f.d.n.takeFailure(); why != nil {
			return why
		}
		return err
	}
	defer fd.DecRef()
	if err := syncFile(fd, dataOnly); err != nil {
		return err
	}
	return f.d.n.takeFailure()
}

// syncFile is fsync(2), or fdatasync(2).
func syncFile(fd *descriptor, dataOnly bool) error {
	for {
		var err error
		if dataOnly {
			err = unix.Fdatasync(fd.fd)
		} else {
			err = unix.Fsync(fd.fd)
		}
		if err != unix.EINTR {
			return err
		}
	}
}

// Mmap implements vfs.Mapper.
func (f *openFile) Mmap(c vfs.Ctx, s vfs.MapSpec) (mm.Mappable, error) {
	fd, err := f.d.use(c, false)
	if err != nil {
		return nil, err
	}
	defer fd.DecRef()
	if (s.Exec || s.Access.Has(arch.Exec)) && !f.d.executable() {
		return nil, linux.EPERM
	}
	return f.d, nil
}

// Allocate implements vfs.Allocater.
func (f *openFile) Allocate(c vfs.Ctx, mode uint32, off, n int64) error {
	if err := vfs.CheckGrowth(c, mode, off+n); err != nil {
		return err
	}
	fd, err := f.d.use(c, true)
	if err != nil {
		return err
	}
	defer fd.DecRef()
	defer f.d.n.wrote()
	f.d.n.fs.later.grew(n)
	for {
		err := unix.Fallocate(fd.fd, mode, off, n)
		if err == unix.EINTR {
			continue
		}
		if err == nil && mode&(unix.FALLOC_FL_COLLAPSE_RANGE|unix.FALLOC_FL_INSERT_RANGE) != 0 {
			f.d.Invalidate(f.d, uint64(off)&^arch.PageMask, lastPage, true)
		}
		return err
	}
}

// Seek implements vfs.Seeker: the host knows where the holes are.
func (f *openFile) Seek(c vfs.Ctx, cur, off int64, whence int) (int64, error) {
	switch whence {
	case unix.SEEK_SET:
		cur = 0
	case unix.SEEK_CUR:
	case unix.SEEK_END:
		a, err := f.d.n.Attr(c)
		if err != nil {
			return 0, err
		}
		cur = a.Size
	case unix.SEEK_DATA, unix.SEEK_HOLE:
		if off < 0 {
			return 0, linux.ENXIO
		}
		fd, err := f.d.use(c, false)
		if err != nil {
			return 0, err
		}
		defer fd.DecRef()
		f.d.appending.Lock() // it moves the descriptor's position
		defer f.d.appending.Unlock()
		return unix.Seek(fd.fd, off, whence)
	default:
		return 0, linux.EINVAL
	}
	if pos := cur + off; pos >= 0 {
		return pos, nil
	}
	if off > 0 {
		return 0, linux.EOVERFLOW
	}
	return 0, linux.EINVAL
}
