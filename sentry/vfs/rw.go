package vfs

import (
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
	if flags&Asked == 0 {
		if err := d.AskRead(c); err != nil {
			return 0, err
		}
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

// Asked is a flag of ReadWith for who has called AskRead before, as it holds locks by now.
const Asked = 1 << 30

// AskRead asks those who may forbid it whether c may read: EPERM. It may wait, with no lock
// held.
func (d *FileDescription) AskRead(c Ctx) error { return d.ask(c, linux.FAN_ACCESS_PERM) }

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
			d.notify(c, linux.FAN_ACCESS)
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
	// Devices do not end where they are written.
	w.append = !d.stream && d.path.d.typ != linux.S_IFBLK && (f&linux.O_APPEND != 0 && flags&linux.RWF_NOAPPEND == 0 || flags&linux.RWF_APPEND != 0)
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
	if n > 0 && w.kept != 0 {
		keepSetIDs(c, d.path.d.node, w.kept)
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
		d.notify(c, linux.FAN_MODIFY)
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
	kept    linux.FileMode // the mode of a file that keeps its set-id bits, or 0
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

// attr is the file's attributes, the size only if it is needed, limited or not.
func (w *writing) attr(limited bool) (Attr, error) {
	if _, ok := w.d.file.(Statter); ok || limited && w.append {
		return w.d.Attr(w.c)
	}
	return BasicAttr(w.c, w.d.path.d.node)
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
	a, err := w.attr(limit != limits.Infinity)
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
	if a.Mode&0o111 != 0 && !w.d.stripped.Swap(true) {
		stripCaps(w.c, w.d.path.d.node)
	}
	if a.Mode&(linux.S_ISUID|linux.S_ISGID) != 0 {
		if mode, ok := killPrivileges(w.c, &a); ok {
			return src, w.d.path.d.node.SetAttr(w.c, &Attr{Mode: mode}, SetMode)
		}
		w.kept = a.Mode.Perm()
	}
	return src, nil
}
