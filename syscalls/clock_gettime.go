package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// cpuClock finds the processor time that clock names; nil if it names none:
// the caller's own, or (a negative number) that of the process or thread in it.
func cpuClock(t *kernel.Task, clock linux.ClockID) *kernel.CPUClock {
	switch {
	case clock == linux.CLOCK_PROCESS_CPUTIME_ID:
		return &kernel.CPUClock{Group: t.ThreadGroup()}
	case clock == linux.CLOCK_THREAD_CPUTIME_ID:
		return &kernel.CPUClock{Group: t.ThreadGroup(), Task: t}
	case clock >= 0:
		return nil
	}
	kind := clock & linux.CPUCLOCK_CLOCK_MASK
	if kind == 3 { // CLOCKFD: a device of its own
		return nil
	}
	pid := ^int32(clock >> 3)
	c := &kernel.CPUClock{User: kind == linux.CPUCLOCK_VIRT}
	if clock&linux.CPUCLOCK_PERTHREAD_MASK != 0 {
		x, err := taskOf(t, pid)
		if err != nil || x.ThreadGroup() != t.ThreadGroup() {
			return nil
		}
		c.Group, c.Task = x.ThreadGroup(), x
		return c
	}
	g, err := groupOf(t, pid)
	if err != nil || pid != 0 && g.PID().In(t.PIDNamespace()) != pid {
		return nil
	}
	c.Group = g
	return c
}

// readClock tells the time of any clock.
func readClock(t *kernel.Task, clock linux.ClockID) (int64, error) {
	if now, ok := t.Kernel().Clocks.Read(clock); ok {
		return now + t.TimeOffset(clock), nil
	}
	if c := cpuClock(t, clock); c != nil {
		return c.Now(), nil
	}
	return 0, linux.EINVAL
}

// clockGettime implements clock_gettime(2).
func clockGettime(t *kernel.Task, clock linux.ClockID, out usermem.Ptr[linux.Timespec]) (int, error) {
	now, err := readClock(t, clock)
	if err != nil {
		return 0, err
	}
	ts := linux.NsecToTimespec(now)
	return 0, out.Store(t, &ts)
}

// clockGetres implements clock_getres(2).
func clockGetres(t *kernel.Task, clock linux.ClockID, out usermem.Ptr[linux.Timespec]) (int, error) {
	if _, err := readClock(t, clock); err != nil {
		return 0, err
	}
	if out == 0 {
		return 0, nil
	}
	ts := linux.NsecToTimespec(ktime.Resolution(clock))
	return 0, out.Store(t, &ts)
}

// clockSettime implements clock_settime(2), which it refuses: the clock is the host's, and nobody in a
// sandbox has CAP_SYS_TIME there.
func clockSettime(t *kernel.Task, clock linux.ClockID, in usermem.Ptr[linux.Timespec]) (int, error) {
	if clock != linux.CLOCK_REALTIME {
		return 0, linux.EINVAL
	}
	ts, err := in.Load(t)
	if err != nil {
		return 0, err
	}
	if !ts.Valid() {
		return 0, linux.EINVAL
	}
	return 0, linux.EPERM
}

// settimeofday implements settimeofday(2), as clockSettime.
func settimeofday(t *kernel.Task, tv usermem.Ptr[linux.Timeval], tz usermem.Ptr[linux.Timezone]) (int, error) {
	if tv != 0 {
		v, err := tv.Load(t)
		if err != nil {
			return 0, err
		}
		if v.Usec < 0 || v.Usec >= 1e6 || v.Sec < 0 {
			return 0, linux.EINVAL
		}
	}
	if tz != 0 {
		if _, err := tz.Load(t); err != nil {
			return 0, err
		}
	}
	return 0, linux.EPERM
}

// gettimeofday implements gettimeofday(2).
func gettimeofday(t *kernel.Task, tv usermem.Ptr[linux.Timeval], tz usermem.Ptr[linux.Timezone]) (int, error) {
	if tv != 0 {
		v := t.Now().Timeval()
		if err := tv.Store(t, &v); err != nil {
			return 0, err
		}
	}
	if tz != 0 {
		return 0, tz.Store(t, &linux.Timezone{})
	}
	return 0, nil
}

// timeCall implements time(2).
func timeCall(t *kernel.Task, out usermem.Ptr[int64]) (int64, error) {
	now := t.Now().Sec
	if out != 0 {
		if err := out.Store(t, &now); err != nil {
			return 0, err
		}
	}
	return now, nil
}

// adjtimex implements adjtimex(2): the clock is the host's and can be looked at.
func adjtimex(t *kernel.Task, p usermem.Ptr[linux.Timex]) (int, error) {
	return clockAdjtime(t, linux.CLOCK_REALTIME, p)
}

// clockAdjtime implements clock_adjtime(2), as adjtimex.
func clockAdjtime(t *kernel.Task, clock linux.ClockID, p usermem.Ptr[linux.Timex]) (int, error) {
	const timeError, readOnly = 5, 0xa001 // TIME_ERROR, ADJ_OFFSET_SS_READ
	const unsynchronised = 0x40           // STA_UNSYNC
	if clock != linux.CLOCK_REALTIME {
		if _, ok := t.Kernel().Clocks.Read(clock); ok {
			return 0, linux.EOPNOTSUPP
		}
		return 0, linux.EINVAL
	}
	x, err := p.Load(t)
	if err != nil {
		return 0, err
	}
	if x.Modes != 0 && x.Modes != readOnly {
		return 0, linux.EPERM
	}
	x = linux.Timex{
		Maxerror: 16_000_000, Esterror: 16_000_000, Status: unsynchronised, Constant: 2,
		Precision: 1, Tolerance: 32_768_000, Time: t.Now().Timeval(), Tick: 10_000,
	}
	if err := p.Store(t, &x); err != nil {
		return 0, err
	}
	return timeError, nil
}
