package syscalls

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// nrOpen is /proc/sys/fs/nr_open: what RLIMIT_NOFILE can't exceed.
const nrOpen = 1 << 20

// getrlimit implements getrlimit(2).
func getrlimit(t *kernel.Task, k int32, out usermem.Ptr[limits.Limit]) (int, error) {
	if uint32(k) >= uint32(limits.Count) {
		return 0, linux.EINVAL
	}
	l := t.ThreadGroup().Limits().Get(limits.Kind(k))
	return 0, out.Store(t, &l)
}

// setrlimit implements setrlimit(2).
func setrlimit(t *kernel.Task, k int32, in usermem.Ptr[limits.Limit]) (int, error) {
	return prlimit64(t, 0, k, in, 0)
}

// prlimit64 implements prlimit(2).
func prlimit64(t *kernel.Task, pid, k int32, in, out usermem.Ptr[limits.Limit]) (int, error) {
	var l limits.Limit
	var err error
	if in != 0 {
		if l, err = in.Load(t); err != nil {
			return 0, err
		}
	}
	x, err := taskOf(t, pid)
	if err != nil {
		return 0, err
	}
	if x.ThreadGroup() != t.ThreadGroup() && !mayLimit(t, x) {
		return 0, linux.EPERM
	}
	if uint32(k) >= uint32(limits.Count) {
		return 0, linux.EINVAL
	}
	kind, set := limits.Kind(k), x.ThreadGroup().Limits()
	old := set.Get(kind)
	if in != 0 {
		switch {
		case l.Cur > l.Max:
			return 0, linux.EINVAL
		case kind == limits.NOFile && l.Max > nrOpen:
			return 0, linux.EPERM
		case l.Max > old.Max && !t.Creds().Capable(auth.CapSysResource):
			return 0, linux.EPERM
		}
		set.Set(kind, l)
		if kind == limits.CPU {
			x.ThreadGroup().WatchCPULimit()
		}
	}
	if out != 0 {
		return 0, out.Store(t, &old)
	}
	return 0, nil
}

// mayLimit is check_prlimit_permission: the same user all over, or CAP_SYS_RESOURCE.
func mayLimit(t, x *kernel.Task) bool {
	c, o := t.Creds(), x.Creds()
	return c.RUID == o.EUID && c.RUID == o.SUID && c.RUID == o.RUID &&
		c.RGID == o.EGID && c.RGID == o.SGID && c.RGID == o.RGID ||
		c.HasCapIn(o.UserNS, auth.CapSysResource)
}

// getrusage implements getrusage(2).
func getrusage(t *kernel.Task, who int32, out usermem.Ptr[linux.Rusage]) (int, error) {
	var r linux.Rusage
	if who == linux.RUSAGE_SELF || who == linux.RUSAGE_THREAD {
		s := t.Space()
		st := s.Stats(true)
		t.ThreadGroup().Measured(s, st.PeakRSS, st.Filled)
	}
	switch who {
	case linux.RUSAGE_SELF:
		r = t.ThreadGroup().Rusage()
	case linux.RUSAGE_CHILDREN:
		r = t.ThreadGroup().ChildrenRusage()
	case linux.RUSAGE_THREAD:
		r = t.Rusage()
	default:
		return 0, linux.EINVAL
	}
	return 0, out.Store(t, &r)
}

// times implements times(2).
func times(t *kernel.Task, out usermem.Ptr[linux.Tms]) (int64, error) {
	g := t.ThreadGroup()
	u, s := g.CPUTime()
	cu, cs := g.ChildrenTime()
	v := linux.Tms{Utime: u / linux.ClockTick, Stime: s / linux.ClockTick, Cutime: cu / linux.ClockTick, Cstime: cs / linux.ClockTick}
	if out != 0 {
		if err := out.Store(t, &v); err != nil {
			return 0, err
		}
	}
	return t.Kernel().Clocks.Monotonic.Now() / linux.ClockTick, nil
}
