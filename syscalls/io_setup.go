package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/aio"
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// An aioContext is an aio_context_t: where the ring is.
type aioContext uint64

// find is the context: EINVAL. The ring tells its number, so that one whose ring is
// gone is not found.
func (a aioContext) find(t *kernel.Task) (*aio.Context, error) {
	id, err := usermem.Ptr[uint32](a).Load(t)
	if err != nil {
		return nil, linux.EINVAL
	}
	c := aio.Find(t.Space(), arch.Addr(a), id)
	if c == nil {
		return nil, linux.EINVAL
	}
	return c, nil
}

// ioSetup implements io_setup(2).
func ioSetup(t *kernel.Task, n uint32, out usermem.Ptr[uint64]) (int, error) {
	old, err := out.Load(t)
	if err != nil {
		return 0, err
	}
	if old != 0 || n == 0 {
		return 0, linux.EINVAL
	}
	k := t.Kernel()
	files := k.VFS.MemFiles()
	if files == nil {
		return 0, linux.ENOMEM
	}
	c, err := aio.New(t, aio.Spec{System: &k.AIO, Files: files, Space: t.Space(), Requests: n, CPUs: k.CPUs()})
	if err != nil {
		return 0, err
	}
	a := uint64(c.Addr())
	if err := out.Store(t, &a); err != nil {
		c.Destroy(t.Space())
		return 0, err
	}
	return 0, nil
}

// ioDestroy implements io_destroy(2).
func ioDestroy(t *kernel.Task, a aioContext) (int, error) {
	c, err := a.find(t)
	if err != nil {
		return 0, err
	}
	return 0, c.Destroy(t.Space())
}

// ioCancel implements io_cancel(2). As on Linux, the event goes to the ring and
// nothing to the result.
func ioCancel(t *kernel.Task, a aioContext, at usermem.Ptr[linux.IOCB], _ address) (int, error) {
	cb, err := at.Load(t)
	if err != nil {
		return 0, err
	}
	if cb.Key != 0 {
		return 0, linux.EINVAL
	}
	c, err := a.find(t)
	if err != nil {
		return 0, err
	}
	return 0, c.Cancel(uint64(at))
}

// aioLimit is the time-out of io_getevents(2), which may be any: one in the past
// is over.
func aioLimit(t *kernel.Task, p usermem.Ptr[linux.Timespec]) (l waitLimit, err error) {
	if p == 0 {
		return l, nil
	}
	ts, err := p.Load(t)
	if err != nil {
		return l, err
	}
	return limitIn(t, max(ts.Nano(), 0)), nil
}

// collect does the work of io_getevents(2) and io_pgetevents(2): EINTR.
func collect(t *kernel.Task, a aioContext, atLeast, n int64, to usermem.Ptr[linux.IOEvent], l waitLimit) (int, error) {
	c, err := a.find(t)
	if err != nil {
		return 0, err
	}
	if atLeast < 0 || atLeast > n {
		return 0, linux.EINVAL
	}
	got := int64(0)
	for {
		more, err := c.Collect(t, to.At(int(got)), uint32(min(n-got, int64(c.Room()))))
		got += int64(more)
		if got >= atLeast || l.now && err == nil {
			return int(got), errUnless(got > 0, err)
		}
		if err == nil {
			err = waitFor(t, c, l.deadline)
		}
		switch {
		case err == linux.ETIMEDOUT:
			l.now = true // what came last counts
		case err != nil:
			return int(got), errUnless(got > 0, err)
		}
	}
}

func errUnless(progress bool, err error) error {
	if progress {
		return nil
	}
	return err
}

// waitFor waits for completions: EINTR, ETIMEDOUT.
func waitFor(t *kernel.Task, c *aio.Context, d ktime.Deadline) error {
	err := t.BlockUntil(c, wait.Readable, d)
	if err == linux.ERESTARTSYS {
		err = linux.EINTR
	}
	return err
}

// ioGetevents implements io_getevents(2).
func ioGetevents(t *kernel.Task, a aioContext, atLeast, n int64, to usermem.Ptr[linux.IOEvent], timeout usermem.Ptr[linux.Timespec]) (int, error) {
	l, err := aioLimit(t, timeout)
	if err != nil {
		return 0, err
	}
	return collect(t, a, atLeast, n, to, l)
}

// ioPgetevents implements io_pgetevents(2).
func ioPgetevents(t *kernel.Task, a aioContext, atLeast, n int64, to usermem.Ptr[linux.IOEvent], timeout usermem.Ptr[linux.Timespec], set usermem.Ptr[linux.AIOSigset]) (int, error) {
	l, err := aioLimit(t, timeout)
	if err != nil {
		return 0, err
	}
	if set != 0 {
		s, err := set.Load(t)
		if err != nil {
			return 0, err
		}
		if err := swapMask(t, usermem.Ptr[linux.SigSet](s.Mask), s.Size); err != nil {
			return 0, err
		}
	}
	got, err := collect(t, a, atLeast, n, to, l)
	if err == linux.EINTR {
		err = linux.ERESTARTNOHAND
	}
	return got, err
}
