package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// nanosleep implements nanosleep(2).
func nanosleep(t *kernel.Task, in, left usermem.Ptr[linux.Timespec]) (int, error) {
	ts, err := in.Load(t)
	if err != nil {
		return 0, err
	}
	if !ts.Valid() {
		return 0, linux.EINVAL
	}
	return 0, sleepUntil(t, ktime.After(&t.Kernel().Clocks.Monotonic, ts.Nano()), left)
}

// sleepUntil sleeps; interrupted, it stores what is left and, if no handler runs,
// goes on towards the same moment.
func sleepUntil(t *kernel.Task, d ktime.Deadline, left usermem.Ptr[linux.Timespec]) error {
	err := t.Sleep(d)
	if err != linux.ERESTARTSYS {
		return err
	}
	if left != 0 {
		ts := linux.NsecToTimespec(d.Left())
		if err := left.Store(t, &ts); err != nil {
			return err
		}
	}
	return t.SetRestart(func(t *kernel.Task) (uint64, error) { return 0, sleepUntil(t, d, left) })
}

// clockNanosleep implements clock_nanosleep(2).
func clockNanosleep(t *kernel.Task, clock linux.ClockID, flags int32, in, left usermem.Ptr[linux.Timespec]) (int, error) {
	if clock == linux.CLOCK_THREAD_CPUTIME_ID {
		return 0, linux.EOPNOTSUPP
	}
	c := t.Kernel().Clocks.Clock(clock)
	cpu := cpuClock(t, clock)
	if c == nil && cpu == nil {
		if _, ok := t.Kernel().Clocks.Read(clock); ok {
			return 0, linux.EOPNOTSUPP
		}
		return 0, linux.EINVAL
	}
	ts, err := in.Load(t)
	if err != nil {
		return 0, err
	}
	if !ts.Valid() {
		return 0, linux.EINVAL
	}
	if clock == linux.CLOCK_TAI {
		return 0, linux.EOPNOTSUPP
	}
	if flags&linux.TIMER_ABSTIME != 0 {
		left = 0
	}
	if cpu != nil {
		return 0, cpuSleep(t, cpu, flags&linux.TIMER_ABSTIME != 0, ts.Nano(), left)
	}
	if flags&linux.TIMER_ABSTIME != 0 {
		err := t.Sleep(ktime.Deadline{Clock: c, At: ts.Nano() - t.TimeOffset(clock)})
		if err == linux.ERESTARTSYS {
			err = linux.ERESTARTNOHAND
		}
		return 0, err
	}
	if clock == linux.CLOCK_REALTIME { // a time to wait does not change with the clock
		c = &t.Kernel().Clocks.Monotonic
	}
	return 0, sleepUntil(t, ktime.After(c, ts.Nano()), left)
}

// cpuSleep sleeps until others have used the processor time asked for. Of the
// caller's own thread it would be for ever: EINVAL.
func cpuSleep(t *kernel.Task, c *kernel.CPUClock, absolute bool, n int64, left usermem.Ptr[linux.Timespec]) error {
	if c.Task == t {
		return linux.EINVAL
	}
	at := n
	if !absolute {
		at += c.Now()
	}
	a := c.Alarm(at)
	defer a.Stop()
	err := t.Block(a, wait.Readable)
	if err != linux.ERESTARTSYS {
		return err
	}
	if absolute {
		return linux.ERESTARTNOHAND
	}
	if left != 0 {
		ts := linux.NsecToTimespec(max(at-c.Now(), 0))
		if err := left.Store(t, &ts); err != nil {
			return err
		}
	}
	return t.SetRestart(func(t *kernel.Task) (uint64, error) { return 0, cpuSleep(t, c, true, at, left) })
}
