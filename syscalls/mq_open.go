package syscalls

import (
	"garrison/fs/mqueue"
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// mqOpen is mq_open(2).
func mqOpen(t *kernel.Task, p pathname, flags linux.OpenFlags, mode linux.FileMode, attr usermem.Ptr[mqueue.Attr]) (kernel.FD, error) {
	var c vfs.Ctx = t
	if attr != 0 {
		a, err := attr.Load(t)
		if err != nil {
			return 0, err
		}
		if flags&linux.O_CREAT != 0 {
			if err := mqueue.CheckAttr(t, &a, t.Limit(limits.MsgQueue)); err != nil {
				return 0, err
			}
			c = mqueue.With(t, a)
		}
	}
	at, err := mqAt(t, p)
	if err != nil {
		return 0, err
	}
	defer at.Start.Drop()
	const known = linux.O_ACCMODE | linux.O_CREAT | linux.O_EXCL | linux.O_NONBLOCK
	d, err := vfs.Open(c, at, vfs.OpenSpec{Flags: flags & known, Mode: mode})
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return t.NewFD(linux.O_CLOEXEC, d)
}

func mqAt(t *kernel.Task, p pathname) (vfs.At, error) {
	name, err := p.load(t)
	if err != nil {
		return vfs.At{}, err
	}
	return mqueue.At(t, name)
}

// mqUnlink is mq_unlink(2).
func mqUnlink(t *kernel.Task, p pathname) (int, error) {
	at, err := mqAt(t, p)
	if err != nil {
		return 0, err
	}
	defer at.Start.Drop()
	return 0, vfs.Unlink(t, at)
}

// mqFile is the queue that fd is open on, and its description, held: EBADF.
func mqFile(t *kernel.Task, fd kernel.FD) (*mqueue.Queue, *vfs.FileDescription, error) {
	d, err := t.File(fd)
	if err != nil {
		return nil, nil, err
	}
	f, ok := d.File().(*mqueue.File)
	if !ok {
		d.Release(t)
		return nil, nil, linux.EBADF
	}
	return f.Queue(), d, nil
}

// mqDeadline is an absolute time of CLOCK_REALTIME; none if p is 0.
func mqDeadline(t *kernel.Task, p usermem.Ptr[linux.Timespec]) (d ktime.Deadline, err error) {
	if p == 0 {
		return d, nil
	}
	ts, err := p.Load(t)
	if err != nil {
		return d, err
	}
	if !ts.Valid() {
		return d, linux.EINVAL
	}
	return ktime.Deadline{Clock: &t.Kernel().Clocks.Realtime, At: ts.Nano()}, nil
}

// mqTimedsend is mq_timedsend(2).
func mqTimedsend(t *kernel.Task, fd kernel.FD, buf address, n size, prio uint32, limit usermem.Ptr[linux.Timespec]) (int, error) {
	if prio >= mqueue.PrioMax {
		return 0, linux.EINVAL
	}
	dl, err := mqDeadline(t, limit)
	if err != nil {
		return 0, err
	}
	q, d, err := mqFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	if !d.Flags().Writable() {
		return 0, linux.EBADF
	}
	if int64(n) < 0 || int64(n) > q.Limits().MsgSize {
		return 0, linux.EMSGSIZE
	}
	m := mqueue.Message{Prio: prio, Text: make([]byte, n)}
	if _, err := t.CopyIn(m.Text, buf.Addr()); err != nil {
		return 0, err
	}
	for {
		err := q.Send(t, m)
		if err != linux.EAGAIN || d.NonBlocking() {
			return 0, err
		}
		if err := t.BlockUntil(d, wait.Writable, dl); err != nil {
			return 0, err
		}
	}
}

// mqTimedreceive is mq_timedreceive(2).
func mqTimedreceive(t *kernel.Task, fd kernel.FD, buf address, n size, prio usermem.Ptr[uint32], limit usermem.Ptr[linux.Timespec]) (int, error) {
	dl, err := mqDeadline(t, limit)
	if err != nil {
		return 0, err
	}
	q, d, err := mqFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	if !d.Flags().Readable() {
		return 0, linux.EBADF
	}
	for {
		m, err := q.Receive(t, uint64(n))
		if err == nil {
			if _, err := t.CopyOut(buf.Addr(), m.Text); err != nil {
				return 0, err
			}
			if prio != 0 {
				if err := prio.Store(t, &m.Prio); err != nil {
					return 0, err
				}
			}
			return len(m.Text), nil
		}
		if err != linux.EAGAIN || d.NonBlocking() {
			return 0, err
		}
		q.Receiving(1)
		err = t.BlockUntil(d, wait.Readable, dl)
		q.Receiving(-1)
		if err != nil {
			return 0, err
		}
	}
}

// mqNotify is mq_notify(2). SIGEV_THREAD, which glibc does with a netlink socket of
// its own, is not to be had.
func mqNotify(t *kernel.Task, fd kernel.FD, p usermem.Ptr[linux.Sigevent]) (int, error) {
	var e *linux.Sigevent
	if p != 0 {
		v, err := p.Load(t)
		if err != nil {
			return 0, err
		}
		switch v.Notify {
		case linux.SIGEV_NONE:
		case linux.SIGEV_SIGNAL:
			if v.Signo < 0 || v.Signo > 64 {
				return 0, linux.EINVAL
			}
		default:
			return 0, linux.EINVAL
		}
		e = &v
	}
	q, d, err := mqFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return 0, q.Notify(t, e)
}

// mqGetsetattr is mq_getsetattr(2).
func mqGetsetattr(t *kernel.Task, fd kernel.FD, next, old usermem.Ptr[mqueue.Attr]) (int, error) {
	var want mqueue.Attr
	if next != 0 {
		var err error
		if want, err = next.Load(t); err != nil {
			return 0, err
		}
		if want.Flags&^int64(linux.O_NONBLOCK) != 0 {
			return 0, linux.EINVAL
		}
	}
	q, d, err := mqFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	now := q.Limits()
	if d.NonBlocking() {
		now.Flags = int64(linux.O_NONBLOCK)
	}
	if next != 0 {
		if err := d.SetNonBlocking(t, want.Flags != 0); err != nil {
			return 0, err
		}
	}
	if old != 0 {
		return 0, old.Store(t, &now)
	}
	return 0, nil
}
