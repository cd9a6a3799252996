package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// Ranges of priorities: of the real-time policies, and of nice values.
const (
	maxRTPriority    = 99
	minNice, maxNice = -20, 19
)

// schedYield implements sched_yield(2).
func schedYield(t *kernel.Task) (int, error) {
	t.Yield()
	return 0, nil
}

func realTime(policy uint32) bool { return policy == linux.SCHED_FIFO || policy == linux.SCHED_RR }

// schedGetPriorityMax implements sched_get_priority_max(2).
func schedGetPriorityMax(_ *kernel.Task, policy int32) (int, error) {
	switch policy {
	case linux.SCHED_FIFO, linux.SCHED_RR:
		return maxRTPriority, nil
	case linux.SCHED_NORMAL, linux.SCHED_BATCH, linux.SCHED_IDLE, linux.SCHED_DEADLINE:
		return 0, nil
	}
	return 0, linux.EINVAL
}

// schedGetPriorityMin implements sched_get_priority_max(2)'s other half.
func schedGetPriorityMin(t *kernel.Task, policy int32) (int, error) {
	n, err := schedGetPriorityMax(t, policy)
	return min(n, 1), err
}

// schedTarget finds the thread that a scheduling call is about.
func schedTarget(t *kernel.Task, pid int32) (*kernel.Task, error) {
	if pid < 0 {
		return nil, linux.EINVAL
	}
	return taskOf(t, pid)
}

// sameOwner reports whether x is t's user's: all that may set its policy without
// CAP_SYS_NICE over the whole machine.
func sameOwner(t, x *kernel.Task) bool {
	c, o := t.Creds(), x.Creds()
	return c.EUID == o.EUID || c.EUID == o.RUID
}

// maySchedule reports whether t may set x's nice value and processors.
func maySchedule(t, x *kernel.Task) bool {
	return sameOwner(t, x) || t.Creds().HasCapIn(x.Creds().UserNS, auth.CapSysNice)
}

// schedSet checks and makes a change of x's attributes.
func schedSet(t, x *kernel.Task, s kernel.Sched) error {
	switch s.Policy {
	case linux.SCHED_NORMAL, linux.SCHED_BATCH, linux.SCHED_IDLE:
		if s.Priority != 0 {
			return linux.EINVAL
		}
	case linux.SCHED_FIFO, linux.SCHED_RR:
		if s.Priority < 1 || s.Priority > maxRTPriority {
			return linux.EINVAL
		}
	case linux.SCHED_DEADLINE:
		if s.Runtime < 1024 || s.Deadline < s.Runtime || s.Period != 0 && s.Period < s.Deadline {
			return linux.EINVAL
		}
	default:
		return linux.EINVAL
	}
	old := x.Sched()
	if !t.Creds().Capable(auth.CapSysNice) {
		lim := x.ThreadGroup().Limits()
		rt := int32(min(lim.Cur(limits.RTPrio), maxRTPriority))
		switch {
		case !sameOwner(t, x), s.Policy == linux.SCHED_DEADLINE,
			realTime(s.Policy) && s.Policy != old.Policy && rt == 0,
			realTime(s.Policy) && s.Priority > old.Priority && s.Priority > rt,
			old.Policy == linux.SCHED_IDLE && s.Policy != linux.SCHED_IDLE && !niceAllowed(x, old.Nice),
			s.Nice < old.Nice && !niceAllowed(x, s.Nice),
			old.ResetOnFork && !s.ResetOnFork:
			return linux.EPERM
		}
	}
	x.SetSched(s)
	return nil
}

// niceAllowed reports whether x's RLIMIT_NICE lets it have a nice value.
func niceAllowed(x *kernel.Task, nice int32) bool {
	return uint64(20-nice) <= x.ThreadGroup().Limits().Cur(limits.Nice)
}

// schedSetscheduler implements sched_setscheduler(2).
func schedSetscheduler(t *kernel.Task, pid, policy int32, param usermem.Ptr[int32]) (int, error) {
	if policy < 0 || param == 0 {
		return 0, linux.EINVAL
	}
	p, err := param.Load(t)
	if err != nil {
		return 0, err
	}
	x, err := schedTarget(t, pid)
	if err != nil {
		return 0, err
	}
	s := kernel.Sched{Policy: uint32(policy) &^ linux.SCHED_RESET_ON_FORK, Priority: p, Nice: x.Sched().Nice}
	s.ResetOnFork = policy&linux.SCHED_RESET_ON_FORK != 0
	if s.Policy == linux.SCHED_DEADLINE {
		return 0, linux.EINVAL
	}
	return 0, schedSet(t, x, s)
}

// schedGetscheduler implements sched_setscheduler(2)'s other half.
func schedGetscheduler(t *kernel.Task, pid int32) (uint32, error) {
	x, err := schedTarget(t, pid)
	if err != nil {
		return 0, err
	}
	s := x.Sched()
	if s.ResetOnFork {
		s.Policy |= linux.SCHED_RESET_ON_FORK
	}
	return s.Policy, nil
}

// schedSetparam implements sched_setparam(2).
func schedSetparam(t *kernel.Task, pid int32, param usermem.Ptr[int32]) (int, error) {
	if param == 0 {
		return 0, linux.EINVAL
	}
	p, err := param.Load(t)
	if err != nil {
		return 0, err
	}
	x, err := schedTarget(t, pid)
	if err != nil {
		return 0, err
	}
	s := x.Sched()
	s.Priority = p
	return 0, schedSet(t, x, s)
}

// schedGetparam implements sched_setparam(2)'s other half.
func schedGetparam(t *kernel.Task, pid int32, param usermem.Ptr[int32]) (int, error) {
	if param == 0 {
		return 0, linux.EINVAL
	}
	x, err := schedTarget(t, pid)
	if err != nil {
		return 0, err
	}
	s := x.Sched()
	return 0, param.Store(t, &s.Priority)
}

// schedSetattr implements sched_setattr(2).
func schedSetattr(t *kernel.Task, pid int32, at address, flags uint32) (int, error) {
	if at == 0 || pid < 0 || flags != 0 {
		return 0, linux.EINVAL
	}
	n, err := usermem.Ptr[uint32](at).Load(t)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		n = linux.SCHED_ATTR_SIZE_VER0
	}
	var a linux.SchedAttr
	if n < linux.SCHED_ATTR_SIZE_VER0 || n > arch.PageSize {
		return 0, schedSizeError(t, at)
	}
	if err := loadVersioned(t, at.Addr(), uint64(n), usermem.AsBytes(&a)); err != nil {
		if err == linux.E2BIG {
			err = schedSizeError(t, at)
		}
		return 0, err
	}
	if a.Flags&^linux.SCHED_FLAG_ALL != 0 || int32(a.Policy) < 0 {
		return 0, linux.EINVAL
	}
	x, err := schedTarget(t, pid)
	if err != nil {
		return 0, err
	}
	s := x.Sched()
	s.ResetOnFork = a.Flags&linux.SCHED_FLAG_RESET_ON_FORK != 0
	if a.Flags&linux.SCHED_FLAG_KEEP_POLICY == 0 {
		s.Policy = a.Policy
	}
	if a.Flags&linux.SCHED_FLAG_KEEP_PARAMS == 0 {
		s.Nice = min(max(a.Nice, minNice), maxNice)
		s.Priority = int32(a.Priority)
		s.Runtime, s.Deadline, s.Period = a.Runtime, a.Deadline, a.Period
	}
	return 0, schedSet(t, x, s)
}

// schedSizeError tells the size that this kernel knows.
func schedSizeError(t *kernel.Task, at address) error {
	n := uint32(linux.SCHED_ATTR_SIZE_VER1)
	if err := usermem.Ptr[uint32](at).Store(t, &n); err != nil {
		return err
	}
	return linux.E2BIG
}

// schedGetattr implements sched_getattr(2).
func schedGetattr(t *kernel.Task, pid int32, at address, n, flags uint32) (int, error) {
	if at == 0 || pid < 0 || n > arch.PageSize || n < linux.SCHED_ATTR_SIZE_VER0 || flags != 0 {
		return 0, linux.EINVAL
	}
	x, err := schedTarget(t, pid)
	if err != nil {
		return 0, err
	}
	s := x.Sched()
	a := linux.SchedAttr{
		Size: min(n, linux.SCHED_ATTR_SIZE_VER1), Policy: s.Policy, Priority: uint32(s.Priority),
		Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period, UtilMax: 1024,
	}
	if s.ResetOnFork {
		a.Flags |= linux.SCHED_FLAG_RESET_ON_FORK
	}
	if !realTime(s.Policy) && s.Policy != linux.SCHED_DEADLINE {
		a.Nice = s.Nice
	}
	_, err = t.CopyOut(at.Addr(), usermem.AsBytes(&a)[:a.Size])
	return 0, err
}

// schedRRGetInterval implements sched_rr_get_interval(2).
func schedRRGetInterval(t *kernel.Task, pid int32, out usermem.Ptr[linux.Timespec]) (int, error) {
	x, err := schedTarget(t, pid)
	if err != nil {
		return 0, err
	}
	var ts linux.Timespec
	switch x.Sched().Policy {
	case linux.SCHED_RR:
		ts.Nsec = 100_000_000
	case linux.SCHED_NORMAL, linux.SCHED_BATCH:
		ts.Nsec = 4_000_000
	}
	return 0, out.Store(t, &ts)
}

// schedSetaffinity implements sched_setaffinity(2).
func schedSetaffinity(t *kernel.Task, pid int32, n uint32, at address) (int, error) {
	var set kernel.CPUSet
	b := make([]byte, min(uint64(n), uint64(len(set)*8)))
	if _, err := t.CopyIn(b, at.Addr()); err != nil {
		return 0, err
	}
	for i, v := range b {
		set[i/8] |= uint64(v) << (i % 8 * 8)
	}
	x, err := taskOf(t, pid)
	if err != nil {
		return 0, err
	}
	if !maySchedule(t, x) {
		return 0, linux.EPERM
	}
	all := kernel.AllCPUs(t.Kernel().CPUs())
	for i := range set {
		set[i] &= all[i]
	}
	if set.Count() == 0 {
		return 0, linux.EINVAL
	}
	x.SetAffinity(set)
	return 0, nil
}

// schedGetaffinity implements sched_getaffinity(2): it returns the bytes stored.
func schedGetaffinity(t *kernel.Task, pid int32, n uint32, at address) (int, error) {
	cpus := t.Kernel().CPUs()
	if uint64(n)*8 < uint64(cpus) || n%8 != 0 {
		return 0, linux.EINVAL
	}
	x, err := taskOf(t, pid)
	if err != nil {
		return 0, err
	}
	set := x.Affinity()
	// As many words as the processors take, at least one.
	words := min(int(n)/8, (cpus+63)/64)
	for i := range words {
		if err := usermem.Ptr[uint64](at).At(i).Store(t, &set[i]); err != nil {
			return 0, err
		}
	}
	return words * 8, nil
}

// getcpu implements getcpu(2): a processor that the thread may run on.
func getcpu(t *kernel.Task, cpu, node usermem.Ptr[uint32]) (int, error) {
	if cpu != 0 {
		n := t.CPU()
		if err := cpu.Store(t, &n); err != nil {
			return 0, err
		}
	}
	if node != 0 {
		var zero uint32
		return 0, node.Store(t, &zero)
	}
	return 0, nil
}

// priorityTargets lists the threads that getpriority(2) and setpriority(2) speak of.
func priorityTargets(t *kernel.Task, which, who int32) ([]*kernel.Task, error) {
	k := t.Kernel()
	ns := t.PIDNamespace()
	var out []*kernel.Task
	switch which {
	case linux.PRIO_PROCESS:
		if x, err := taskOf(t, who); err == nil {
			out = append(out, x)
		}
	case linux.PRIO_PGRP:
		if who == 0 {
			who = t.ThreadGroup().GroupID(ns)
		}
		for _, g := range k.Groups(ns) {
			if g.GroupID(ns) == who {
				out = append(out, k.Tasks(g)...)
			}
		}
	case linux.PRIO_USER:
		uid, ok := t.Creds().UserNS.MakeUID(uint32(who))
		if who == 0 {
			uid, ok = t.Creds().RUID, true
		}
		if !ok {
			return nil, linux.ESRCH
		}
		for _, g := range k.Groups(ns) {
			for _, x := range k.Tasks(g) {
				if x.Creds().RUID == uid {
					out = append(out, x)
				}
			}
		}
	default:
		return nil, linux.EINVAL
	}
	if len(out) == 0 {
		return nil, linux.ESRCH
	}
	return out, nil
}

// getpriority implements getpriority(2): 20 - nice, so that it is never negative.
func getpriority(t *kernel.Task, which, who int32) (int, error) {
	xs, err := priorityTargets(t, which, who)
	if err != nil {
		return 0, err
	}
	best := 0
	for _, x := range xs {
		best = max(best, int(20-x.Sched().Nice))
	}
	return best, nil
}

// setpriority implements setpriority(2).
func setpriority(t *kernel.Task, which, who, nice int32) (int, error) {
	xs, err := priorityTargets(t, which, who)
	if err != nil {
		return 0, err
	}
	nice = min(max(nice, minNice), maxNice)
	for _, x := range xs {
		s := x.Sched()
		switch {
		case !maySchedule(t, x):
			err = linux.EPERM
		case nice < s.Nice && !t.Creds().Capable(auth.CapSysNice) && !niceAllowed(x, nice):
			err = linux.EACCES
		default:
			s.Nice = nice
			x.SetSched(s)
		}
	}
	return 0, err
}
