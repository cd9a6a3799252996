package syscalls

import (
	"time"

	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A polled is one file that poll(2) or select(2) watches.
type polled struct {
	wait.Watch
	file   *vfs.FileDescription // held; nil if there is none
	object wait.Object
}

// A poller asks many files at once.
type poller struct {
	t *kernel.Task
	// want tells which file entry i is about and which events of it count; fd
	// negative is none.
	want func(i int) (fd kernel.FD, mask wait.Events)
	// got is told what entry i has; it reports whether that ends the wait.
	got func(i int, r wait.Events) bool
	n   int
}

// pollErrors is what is reported without being asked for.
const pollErrors = wait.Err | wait.Hup | wait.Nval

// ask looks at every file once and counts those that end the wait.
func (p *poller) ask() (ready int) {
	for i := range p.n {
		fd, mask := p.want(i)
		r := wait.Events(0)
		if fd >= 0 {
			d, err := p.t.File(fd)
			if err != nil {
				r = wait.Nval
			} else {
				r = d.ObjectFor(p.t).Ready(mask|pollErrors) & (mask | pollErrors)
				d.Release(p.t)
			}
		}
		if p.got(i, r) {
			ready++
		}
	}
	return ready
}

// run waits until files are ready and counts them; 0 at the deadline; ERESTARTSYS.
// A deadline that has passed means: don't wait.
func (p *poller) run(d ktime.Deadline, now bool) (int, error) {
	// Without a watch first: what is ready costs no more than asking.
	if n := p.ask(); n > 0 || now {
		return n, nil
	}
	ws := make([]polled, p.n)
	defer p.unwatch(ws)
	for i := range ws {
		p.watch(i, &ws[i])
	}
	var err error
	for {
		ready := 0
		for i := range ws {
			_, mask := p.want(i)
			r := wait.Events(0)
			if w := &ws[i]; w.object != nil {
				r = w.object.Ready(mask|pollErrors) & (mask | pollErrors)
			}
			if p.got(i, r) {
				ready++
			}
		}
		// What has become ready counts, whatever else ended the sleep.
		switch {
		case ready > 0:
			return ready, nil
		case err == linux.ETIMEDOUT:
			return 0, nil
		case err != nil:
			return 0, err
		}
		err = p.t.BlockWatched(d)
	}
}

// watch begins to watch the file of entry i. One that was closed a moment ago is no
// longer there: it is not waited for.
func (p *poller) watch(i int, w *polled) {
	fd, mask := p.want(i)
	if fd < 0 {
		return
	}
	d, err := p.t.File(fd)
	if err != nil {
		return
	}
	w.file, w.object = d, d.ObjectFor(p.t)
	w.Mask, w.To = mask|pollErrors, p.t
	w.object.Watch(&w.Watch)
}

func (p *poller) unwatch(ws []polled) {
	for i := range ws {
		if w := &ws[i]; w.file != nil {
			w.object.Unwatch(&w.Watch)
			w.file.Release(p.t)
		}
	}
}

// fewFDs is how many descriptors poll takes without allocating.
const fewFDs = 8

// pollFDs does the work of poll(2) and ppoll(2).
func pollFDs(t *kernel.Task, at usermem.Ptr[linux.Pollfd], n uint32, d ktime.Deadline, now bool) (int, error) {
	if uint64(n) > t.Limit(limits.NOFile) {
		return 0, linux.EINVAL
	}
	var few [fewFDs]linux.Pollfd
	fds := few[:min(n, fewFDs)]
	if n > fewFDs {
		fds = make([]linux.Pollfd, n)
	}
	for i := range fds {
		var err error
		if fds[i], err = at.At(i).Load(t); err != nil {
			return 0, err
		}
	}
	p := poller{
		t: t, n: len(fds),
		want: func(i int) (kernel.FD, wait.Events) {
			return kernel.FD(fds[i].FD), wait.Events(uint16(fds[i].Events))
		},
		got: func(i int, r wait.Events) bool { fds[i].Revents = int16(r); return r != 0 },
	}
	ready, err := p.run(d, now)
	if err != nil {
		return 0, err
	}
	// Only revents belongs to the kernel: another thread may write the rest.
	for i := range fds {
		const offset = 6
		r := fds[i].Revents
		if _, err := t.CopyOut(at.At(i).Addr()+arch.Addr(offset), usermem.AsBytes(&r)); err != nil {
			return 0, err
		}
	}
	return ready, nil
}

// deadlineIn is the deadline d from now on the monotonic clock.
func deadlineIn(t *kernel.Task, d time.Duration) ktime.Deadline {
	return ktime.After(&t.Kernel().Clocks.Monotonic, int64(d))
}

// poll implements poll(2).
func poll(t *kernel.Task, fds usermem.Ptr[linux.Pollfd], n uint32, timeout int32) (int, error) {
	var d ktime.Deadline
	if timeout > 0 {
		d = deadlineIn(t, time.Duration(timeout)*time.Millisecond)
	}
	return pollUntil(t, fds, n, d, timeout == 0)
}

// pollUntil polls; interrupted by what runs no handler, it goes on towards the same
// moment.
func pollUntil(t *kernel.Task, fds usermem.Ptr[linux.Pollfd], n uint32, d ktime.Deadline, now bool) (int, error) {
	ready, err := pollFDs(t, fds, n, d, now)
	if err == linux.ERESTARTSYS {
		return 0, t.SetRestart(func(t *kernel.Task) (uint64, error) {
			n, err := pollUntil(t, fds, n, d, now)
			return uint64(n), err
		})
	}
	return ready, err
}

// A waitLimit is the time-out of ppoll(2), pselect(2) and their like, which tell the
// caller how much of it is left.
type waitLimit struct {
	deadline ktime.Deadline
	now      bool // it is over at once
}

// loadLimit reads a time-out: EINVAL. 0 waits for ever.
func loadLimit(t *kernel.Task, p usermem.Ptr[linux.Timespec]) (l waitLimit, err error) {
	if p == 0 {
		return l, nil
	}
	ts, err := p.Load(t)
	if err != nil {
		return l, err
	}
	if !ts.Valid() {
		return l, linux.EINVAL
	}
	return limitIn(t, ts.Nano()), nil
}

func limitIn(t *kernel.Task, ns int64) waitLimit {
	return waitLimit{deadline: deadlineIn(t, time.Duration(ns)), now: ns == 0}
}

// left is what remains, for the caller.
func (l waitLimit) left() linux.Timespec {
	if l.now {
		return linux.Timespec{}
	}
	return linux.NsecToTimespec(l.deadline.Left())
}

// swapMask blocks the signals of set during the present call, if set is not 0:
// EINVAL, EFAULT.
func swapMask(t *kernel.Task, set usermem.Ptr[linux.SigSet], n uint64) error {
	if set == 0 {
		return nil
	}
	if n != linux.SigSetSize {
		return linux.EINVAL
	}
	s, err := set.Load(t)
	if err != nil {
		return err
	}
	t.SwapMask(s)
	return nil
}

// ppoll implements ppoll(2). As on Linux, a failure to store the time that is left is
// no error.
func ppoll(t *kernel.Task, fds usermem.Ptr[linux.Pollfd], n uint32, timeout usermem.Ptr[linux.Timespec], set usermem.Ptr[linux.SigSet], setSize uint64) (int, error) {
	l, err := loadLimit(t, timeout)
	if err != nil {
		return 0, err
	}
	if err := swapMask(t, set, setSize); err != nil {
		return 0, err
	}
	ready, err := pollFDs(t, fds, n, l.deadline, l.now)
	if err == linux.ERESTARTSYS {
		err = linux.ERESTARTNOHAND
	}
	if timeout != 0 {
		ts := l.left()
		timeout.Store(t, &ts)
	}
	return ready, err
}
