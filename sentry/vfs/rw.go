package vfs

import (
	"math"
	"time"

	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// Read is read(2).
func (d *FileDescription) Read(c Ctx, dst usermem.Seq) (int64, error) {
	return d.ReadWith(c, dst, -1, 0)
}

// ReadAt is pread(2). EINVAL for a negative offset, ESPIPE.
func (d *FileDescription) ReadAt(c Ctx, dst usermem.Seq, off int64) (int64, error) {
	if off < 0 {
		return 0, linux.EINVAL
	}
	return d.ReadWith(c, dst, off, 0)
}

// ReadWith is preadv2(2): off -1 is the file offset, flags are RWF_*. It waits if it
// has to. The offset is locked while a file with offsets is read (which never waits),
// so that two readers share out the file; guest memory is touched under that lock, as
// on Linux.
func (d *FileDescription) ReadWith(c Ctx, dst usermem.Seq, off int64, flags int) (int64, error) {
	f := d.Flags()
	switch {
	case f&linux.O_PATH != 0:
		return 0, linux.EBADF
	case off >= 0 && d.stream:
		return 0, linux.ESPIPE
	case !f.Readable():
		return 0, linux.EBADF
	}
	now := f&linux.O_NONBLOCK != 0 || flags&linux.RWF_NOWAIT != 0
	if d.stream || off >= 0 {
		return d.read(c, dst, off, now)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.read(c, dst, d.off.Load(), now)
	d.off.Add(n)
	return n, err
}

func (d *FileDescription) read(c Ctx, dst usermem.Seq, off int64, now bool) (int64, error) {
	if off > 0 && off+dst.Len() < 0 {
		return 0, linux.EINVAL
	}
	for {
		n, err := d.file.Read(c, dst, off)
		if err == linux.EAGAIN && !now && d.object != nil {
			if err = d.wait(c, wait.Readable|wait.RdHup, false); err == nil {
				continue
			}
		}
		if n > 0 {
			d.path.touch(c, d.Flags())
			d.path.notify(linux.IN_ACCESS)
		}
		return n, err
	}
}

// wait waits until the file may be ready for e; EAGAIN when its own time is up.
func (d *FileDescription) wait(c Ctx, e wait.Events, write bool) error {
	limit := time.Duration(0)
	if x, ok := d.file.(Timeouter); ok {
		limit = x.Timeout(write)
	}
	if limit == 0 {
		return c.Block(d.ObjectFor(c), e)
	}
	switch err := c.BlockFor(d.ObjectFor(c), e, limit); err {
	case linux.ETIMEDOUT:
		return linux.EAGAIN
	case linux.ERESTARTSYS:
		return linux.EINTR // begun anew, it would wait for longer (signal(7))
	default:
		return err
	}
}

// Write is write(2). EPIPE comes with SIGPIPE, EFBIG at RLIMIT_FSIZE with SIGXFSZ.
func (d *FileDescription) Write(c Ctx, src usermem.Seq) (int64, error) {
	return d.WriteWith(c, src, -1, 0)
}

// WriteAt is pwrite(2). EINVAL for a negative offset, ESPIPE. As on Linux, O_APPEND
// wins over the offset.
func (d *FileDescription) WriteAt(c Ctx, src usermem.Seq, off int64) (int64, error) {
	if off < 0 {
		return 0, linux.EINVAL
	}
	return d.WriteWith(c, src, off, 0)
}

// WriteWith is pwritev2(2): off -1 is the file offset, flags are RWF_*.
func (d *FileDescription) WriteWith(c Ctx, src usermem.Seq, off int64, flags int) (int64, error) {
	f := d.Flags()
	switch {
	case f&linux.O_PATH != 0:
		return 0, linux.EBADF
	case off >= 0 && d.stream:
		return 0, linux.ESPIPE
	case !f.Writable():
		return 0, linux.EBADF
	}
	w := writing{d: d, c: c, now: f&linux.O_NONBLOCK != 0 || flags&linux.RWF_NOWAIT != 0, off: off}
	w.append = !d.stream && (f&linux.O_APPEND != 0 && flags&linux.RWF_NOAPPEND == 0 || flags&linux.RWF_APPEND != 0)
	w.regular = d.path.d.typ == linux.S_IFREG
	if !d.stream && off < 0 {
		d.mu.Lock()
		w.off = d.off.Load()
	}
	n, err := w.run(src)
	if !d.stream && off < 0 {
		d.off.Store(w.off)
		d.mu.Unlock()
	}
	if err == linux.EPIPE {
		if x, ok := d.file.(Piper); !ok || x.SignalsPipe() {
			c.Raise(linux.SIGPIPE)
		}
		if n > 0 {
			err = nil
		}
	}
	if n > 0 {
		d.path.notify(linux.IN_MODIFY)
		err = d.syncWritten(c, f, flags)
	}
	return n, err
}

// syncWritten writes back what O_SYNC and its like ask for.
func (d *FileDescription) syncWritten(c Ctx, f linux.OpenFlags, flags int) error {
	switch {
	case f&linux.O_SYNC == linux.O_SYNC || flags&linux.RWF_SYNC != 0:
		return d.Sync(c, false)
	case f&linux.O_DSYNC != 0 || flags&linux.RWF_DSYNC != 0:
		return d.Sync(c, true)
	}
	return nil
}

// writing is one write(2) under way.
type writing struct {
	d       *FileDescription
	c       Ctx
	off     int64 // where the next byte goes
	now     bool
	append  bool
	regular bool
}

// run writes src, all of it if the caller may wait. Progress wins over an error, but
// for EPIPE, with which both are returned.
func (w *writing) run(src usermem.Seq) (total int64, err error) {
	if w.regular {
		if src, err = w.prepare(src); err != nil {
			return 0, err
		}
	}
	want := src.Len()
	for {
		n, err := w.once(src)
		total += n
		switch {
		case err == linux.EAGAIN && !w.now && w.d.object != nil:
			if err = w.d.wait(w.c, wait.Writable, true); err == nil {
				continue
			}
			fallthrough
		case err != nil:
			if total > 0 && err != linux.EPIPE {
				err = nil
			}
			return total, err
		case total >= want || n == 0:
			return total, nil
		case w.now && w.d.stream:
			return total, nil
		}
		src = src.Skip(n)
	}
}

func (w *writing) once(src usermem.Seq) (int64, error) {
	if w.append {
		if x, ok := w.d.file.(Appender); ok {
			n, end, err := x.Append(w.c, src)
			if n > 0 {
				w.off = end
			}
			return n, err
		}
		a, err := w.d.Attr(w.c)
		if err != nil {
			return 0, err
		}
		w.off = a.Size
	}
	n, err := w.d.file.Write(w.c, src, w.off)
	if n > 0 {
		w.off += n
	}
	return n, err
}

// prepare checks the limits on a regular file's size, cuts src to them, and takes the
// set-id bits away.
func (w *writing) prepare(src usermem.Seq) (usermem.Seq, error) {
	n := src.Len()
	if n == 0 {
		return src, nil
	}
	if w.off+n < 0 && !w.append {
		return src, linux.EINVAL
	}
	limit := w.c.Limit(limits.FSize)
	a, err := w.d.Attr(w.c)
	if err != nil {
		return src, err
	}
	if limit != limits.Infinity {
		off := w.off
		if w.append {
			off = a.Size
		}
		if uint64(off) >= limit {
			w.c.Raise(linux.SIGXFSZ)
			return src, linux.EFBIG
		}
		if uint64(n) > limit-uint64(off) {
			src = src.Take(int64(limit - uint64(off)))
		}
	}
	if a.Mode&(linux.S_ISUID|linux.S_ISGID) != 0 {
		if mode, ok := killPrivileges(w.c, &a); ok {
			return src, w.d.path.d.node.SetAttr(w.c, &Attr{Mode: mode}, SetMode)
		}
	}
	return src, nil
}

// Seek is lseek(2).
func (d *FileDescription) Seek(c Ctx, off int64, whence int) (int64, error) {
	if d.IsPath() {
		return 0, linux.EBADF
	}
	if whence < linux.SEEK_SET || whence > linux.SEEK_HOLE {
		return 0, linux.EINVAL
	}
	if _, ok := d.file.(Seeker); d.stream && !ok {
		return 0, linux.ESPIPE
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.seek(c, off, whence)
	if err == nil {
		d.off.Store(n)
	}
	return n, err
}

// seek is where lseek(2) leads. d.mu is held.
func (d *FileDescription) seek(c Ctx, off int64, whence int) (int64, error) {
	if x, ok := d.file.(Seeker); ok {
		return x.Seek(c, d.off.Load(), off, whence)
	}
	size := int64(0)
	if whence >= linux.SEEK_END {
		if d.path.IsDir() {
			if whence > linux.SEEK_END {
				return 0, linux.EINVAL
			}
			size = math.MaxInt64
		} else {
			a, err := d.Attr(c)
			if err != nil {
				return 0, err
			}
			size = a.Size
		}
	}
	return SeekBySize(d.off.Load(), off, whence, size)
}

// SeekBySize is lseek(2) in a file of size bytes without holes.
func SeekBySize(cur, off int64, whence int, size int64) (int64, error) {
	base := int64(0)
	switch whence {
	case linux.SEEK_CUR:
		base = cur
	case linux.SEEK_END:
		base = size
	case linux.SEEK_DATA, linux.SEEK_HOLE:
		if off < 0 || off >= size {
			return 0, linux.ENXIO
		}
		if whence == linux.SEEK_HOLE {
			return size, nil
		}
		return off, nil
	}
	n := base + off
	if off > 0 && n < base {
		return 0, linux.EOVERFLOW
	}
	if n < 0 {
		return 0, linux.EINVAL
	}
	return n, nil
}

// List is getdents(2): it calls f for each entry from the offset on, "." and ".."
// first, until f returns false, and leaves the offset at the entry that did not fit.
// f is called with the offset locked: it must not touch guest memory.
func (d *FileDescription) List(c Ctx, f func(Dirent) bool) error {
	if d.IsPath() {
		return linux.EBADF
	}
	x, ok := d.file.(Lister)
	if !ok {
		return linux.ENOTDIR
	}
	if d.path.d.deleted.Load() {
		return linux.ENOENT
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for off := d.off.Load(); off < FirstEntry; off = d.off.Add(1) {
		e := Dirent{Name: ".", Type: linux.DT_DIR, Next: off + 1}
		node := d.path.d
		if off == 1 {
			e.Name = ".."
			if up := node.place.Load().parent; up != nil && node != d.path.mnt.root {
				node = up
			}
		}
		a, err := node.node.Attr(c)
		if err != nil {
			return err
		}
		if e.Ino = a.Ino; !f(e) {
			return nil
		}
	}
	err := x.List(c, d.off.Load(), func(e Dirent) bool {
		if !f(e) {
			return false
		}
		d.off.Store(e.Next)
		return true
	})
	d.path.touch(c, d.Flags())
	d.path.notify(linux.IN_ACCESS)
	return err
}

// Truncate is ftruncate(2). EINVAL if it is no regular file open for writing.
func (d *FileDescription) Truncate(c Ctx, size int64) error {
	f := d.Flags()
	switch {
	case f&linux.O_PATH != 0:
		return linux.EBADF
	case size < 0, d.path.d.typ != linux.S_IFREG, !f.Writable():
		return linux.EINVAL
	}
	if err := checkSize(c, size); err != nil {
		return err
	}
	if err := truncate(c, d.path.d.node, size); err != nil {
		return err
	}
	d.path.notify(linux.IN_MODIFY)
	return nil
}

func checkSize(c Ctx, size int64) error {
	if limit := c.Limit(limits.FSize); uint64(size) > limit {
		c.Raise(linux.SIGXFSZ)
		return linux.EFBIG
	}
	return nil
}

// truncate sets a file's size, and takes its set-id bits away.
func truncate(c Ctx, node Inode, size int64) error {
	a, err := node.Attr(c)
	if err != nil {
		return err
	}
	set, mask := Attr{Size: size}, SetSize
	if mode, ok := killPrivileges(c, &a); ok {
		set.Mode, mask = mode, mask|SetMode
	}
	return node.SetAttr(c, &set, mask)
}

// Allocate is fallocate(2).
func (d *FileDescription) Allocate(c Ctx, mode uint32, off, n int64) error {
	switch {
	case d.IsPath() || !d.Flags().Writable():
		return linux.EBADF
	case off < 0 || n <= 0:
		return linux.EINVAL
	case !validAllocate(mode):
		return linux.EOPNOTSUPP
	case d.stream:
		return linux.ESPIPE
	case d.path.IsDir():
		return linux.EISDIR
	case d.path.d.typ != linux.S_IFREG:
		return linux.ENODEV
	case off+n < 0:
		return linux.EFBIG
	}
	x, ok := d.file.(Allocater)
	if !ok {
		return linux.EOPNOTSUPP
	}
	if mode&linux.FALLOC_FL_KEEP_SIZE == 0 {
		if err := checkSize(c, off+n); err != nil {
			return err
		}
	}
	err := x.Allocate(c, mode, off, n)
	if err == nil {
		d.path.notify(linux.IN_MODIFY)
	}
	return err
}

// validAllocate reports whether mode is a combination that fallocate(2) knows.
func validAllocate(mode uint32) bool {
	const keep, punch, zero = linux.FALLOC_FL_KEEP_SIZE, linux.FALLOC_FL_PUNCH_HOLE, linux.FALLOC_FL_ZERO_RANGE
	switch mode {
	case 0, keep, punch | keep, zero, zero | keep, linux.FALLOC_FL_COLLAPSE_RANGE, linux.FALLOC_FL_INSERT_RANGE,
		linux.FALLOC_FL_UNSHARE_RANGE, linux.FALLOC_FL_UNSHARE_RANGE | keep:
		return true
	}
	return false
}

// Sync is fsync(2) or fdatasync(2). EINVAL for what can't be written back.
func (d *FileDescription) Sync(c Ctx, dataOnly bool) error {
	if d.IsPath() {
		return linux.EBADF
	}
	if x, ok := d.file.(Syncer); ok {
		return x.Sync(c, dataOnly)
	}
	switch d.path.d.typ {
	case linux.S_IFREG, linux.S_IFDIR:
		return nil
	}
	return linux.EINVAL
}
