package syscalls

import (
	"time"

	"garrison/fs/epoll"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// epollCreate implements epoll_create(2).
func epollCreate(t *kernel.Task, n int32) (kernel.FD, error) {
	if n <= 0 {
		return 0, linux.EINVAL
	}
	return epollCreate1(t, 0)
}

// epollCreate1 implements epoll_create1(2).
func epollCreate1(t *kernel.Task, flags linux.OpenFlags) (kernel.FD, error) {
	if flags&^linux.EPOLL_CLOEXEC != 0 {
		return 0, linux.EINVAL
	}
	return newAnon(t, epoll.New(), "[eventpoll]", flags)
}

// newAnon gives a descriptor to a file without a name. O_CLOEXEC and O_NONBLOCK of
// flags count.
func newAnon(t *kernel.Task, f vfs.File, class string, flags linux.OpenFlags) (kernel.FD, error) {
	d := t.Kernel().VFS.NewAnon(t, f, class, linux.O_RDWR|flags&linux.O_NONBLOCK)
	defer d.Release(t)
	return t.NewFD(flags, d)
}

// epollOf is the epoll instance of fd, held by its description: EBADF, EINVAL.
func epollOf(t *kernel.Task, fd kernel.FD) (*epoll.Epoll, *vfs.FileDescription, error) {
	d, err := t.File(fd)
	if err != nil {
		return nil, nil, err
	}
	ep, ok := d.File().(*epoll.Epoll)
	if !ok {
		d.Release(t)
		return nil, nil, linux.EINVAL
	}
	return ep, d, nil
}

// epollCtl implements epoll_ctl(2).
func epollCtl(t *kernel.Task, epfd kernel.FD, op int32, fd kernel.FD, p usermem.Ptr[linux.EpollEvent]) (int, error) {
	var e linux.EpollEvent
	if op != linux.EPOLL_CTL_DEL {
		var err error
		if e, err = p.Load(t); err != nil {
			return 0, err
		}
	}
	ed, err := t.File(epfd)
	if err != nil {
		return 0, err
	}
	defer ed.Release(t)
	d, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	if !d.Pollable() {
		return 0, linux.EPERM
	}
	if e.Events&linux.EPOLLWAKEUP != 0 && !t.Creds().Capable(auth.CapBlockSuspend) {
		e.Events &^= linux.EPOLLWAKEUP
	}
	ep, ok := ed.File().(*epoll.Epoll)
	if !ok {
		return 0, linux.EINVAL
	}
	switch op {
	case linux.EPOLL_CTL_ADD:
		return 0, ep.Add(t, fd, d, e)
	case linux.EPOLL_CTL_MOD:
		return 0, ep.Modify(fd, d, e)
	case linux.EPOLL_CTL_DEL:
		if ed == d {
			return 0, linux.EINVAL
		}
		return 0, ep.Delete(fd, d)
	}
	return 0, linux.EINVAL
}

// fewEvents is how many events epoll_wait collects without allocating.
const fewEvents = 16

// epollEvents does the work of epoll_wait(2) and its like.
func epollEvents(t *kernel.Task, epfd kernel.FD, out usermem.Ptr[linux.EpollEvent], n int32, l waitLimit) (int, error) {
	if n <= 0 || n > linux.EP_MAX_EVENTS {
		return 0, linux.EINVAL
	}
	ep, d, err := epollOf(t, epfd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	var few [fewEvents]linux.EpollEvent
	events := few[:min(n, fewEvents)]
	for {
		if int(n) > len(events) {
			if more := min(int(n), ep.Len()); more > len(events) {
				events = make([]linux.EpollEvent, more)
			}
		}
		if k := ep.Collect(events); k > 0 {
			return k, out.StoreSlice(t, events[:k])
		}
		if l.now {
			return 0, nil
		}
		switch err := t.BlockUntil(ep.Sleepers(), wait.Readable, l.deadline); err {
		case nil:
		case linux.ETIMEDOUT:
			l.now = true // what came with the last moment still counts
		default:
			ep.PassOn()
			return 0, linux.EINTR
		}
	}
}

// millis is a time-out in milliseconds; negative waits for ever.
func millis(t *kernel.Task, ms int32) waitLimit {
	if ms < 0 {
		return waitLimit{}
	}
	return limitIn(t, int64(ms)*int64(time.Millisecond))
}

// epollWait implements epoll_wait(2).
func epollWait(t *kernel.Task, epfd kernel.FD, out usermem.Ptr[linux.EpollEvent], n, timeout int32) (int, error) {
	return epollEvents(t, epfd, out, n, millis(t, timeout))
}

// epollPwait implements epoll_pwait(2).
func epollPwait(t *kernel.Task, epfd kernel.FD, out usermem.Ptr[linux.EpollEvent], n, timeout int32, set usermem.Ptr[linux.SigSet], setSize uint64) (int, error) {
	if err := swapMask(t, set, setSize); err != nil {
		return 0, err
	}
	return epollEvents(t, epfd, out, n, millis(t, timeout))
}

// epollPwait2 implements epoll_pwait2(2).
func epollPwait2(t *kernel.Task, epfd kernel.FD, out usermem.Ptr[linux.EpollEvent], n int32, timeout usermem.Ptr[linux.Timespec], set usermem.Ptr[linux.SigSet], setSize uint64) (int, error) {
	l, err := loadLimit(t, timeout)
	if err != nil {
		return 0, err
	}
	if err := swapMask(t, set, setSize); err != nil {
		return 0, err
	}
	return epollEvents(t, epfd, out, n, l)
}
