package syscalls

import (
	"math/bits"

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
	case linux.SCHED_NORMAL, linux.SCHED_BATCH, linux.SCHED_IDLE, linux.SCHED_DEADLINE, linux.SCHED_EXT:
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

// schedValid reports whether s is something that can be asked for.
func schedValid(s *kernel.Sched) bool {
	switch s.Policy {
	case linux.SCHED_NORMAL, linux.SCHED_BATCH, linux.SCHED_IDLE:
		return s.Priority == 0
	case linux.SCHED_FIFO, linux.SCHED_RR:
		return s.Priority >= 1 && s.Priority <= maxRTPriority
	case linux.SCHED_DEADLINE:
		// Periods are what /proc/sys/kernel/sched_deadline_period_{min,max}_us say.
		return s.Priority == 0 && s.Runtime >= 1024 && s.Deadline >= s.Runtime && s.Period >= s.Deadline &&
			s.Period >= 100_000 && s.Period <= 1<<22*1000
	}
	return false
}

// schedSet checks and makes a change of x's attributes. With keep, all is checked, but
// only whether children begin anew is changed.
func schedSet(t, x *kernel.Task, s kernel.Sched, keep bool) error {
	if s.Policy == linux.SCHED_DEADLINE && s.Period == 0 {
		s.Period = s.Deadline
	}
	if !schedValid(&s) {
		return linux.EINVAL
	}
	old := x.Sched()
	if !t.Creds().Capable(auth.CapSysNice) && !schedUnprivileged(t, x, &old, &s) {
		return linux.EPERM
	}
	if s.Policy == linux.SCHED_DEADLINE {
		if err := reserve(x, &s); err != nil {
			return err
		}
	}
	if keep {
		reset := s.ResetOnFork
		s = old
		s.ResetOnFork = reset
	}
	if !fair(s.Policy) {
		s.Nice = old.Nice
	}
	x.SetSched(s)
	return nil
}

// schedUnprivileged reports whether t may change x from old to s without CAP_SYS_NICE.
func schedUnprivileged(t, x *kernel.Task, old, s *kernel.Sched) bool {
	rt := int32(min(x.ThreadGroup().Limits().Cur(limits.RTPrio), maxRTPriority))
	switch {
	case !sameOwner(t, x), s.Policy == linux.SCHED_DEADLINE,
		realTime(s.Policy) && s.Policy != old.Policy && rt == 0,
		realTime(s.Policy) && s.Priority > old.Priority && s.Priority > rt,
		old.Policy == linux.SCHED_IDLE && s.Policy != linux.SCHED_IDLE && !niceAllowed(x, old.Nice),
		fair(s.Policy) && s.Nice < old.Nice && !niceAllowed(x, s.Nice),
		old.ResetOnFork && !s.ResetOnFork:
		return false
	}
	return true
}

// fair is the policies that nice values are for.
func fair(policy uint32) bool { return policy == linux.SCHED_NORMAL || policy == linux.SCHED_BATCH }

// reserve judges what x of SCHED_DEADLINE is to be promised: EPERM if it may not run on
// all processors; EBUSY if more than 95% of their time were promised then.
func reserve(x *kernel.Task, s *kernel.Sched) error {
	k := x.Kernel()
	if x.Affinity() != kernel.AllCPUs(k.CPUs()) {
		return linux.EPERM
	}
	if all := uint64(k.CPUs()) << 20 / 100 * 95; k.Reserved(x)+s.Share() > all {
		return linux.EBUSY
	}
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
	old := x.Sched()
	s := kernel.Sched{Policy: uint32(policy) &^ linux.SCHED_RESET_ON_FORK, Priority: p, Nice: old.Nice}
	if old.Policy != linux.SCHED_DEADLINE {
		s.Runtime = old.Runtime
	}
	s.ResetOnFork = policy&linux.SCHED_RESET_ON_FORK != 0
	if s.Policy == linux.SCHED_DEADLINE {
		return 0, linux.EINVAL
	}
	return 0, schedSet(t, x, s, false)
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
	if s.Policy == linux.SCHED_DEADLINE {
		return 0, linux.EINVAL // which has more parameters than this one
	}
	s.Priority = p
	return 0, schedSet(t, x, s, false)
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
	const clamp = linux.SCHED_FLAG_UTIL_CLAMP
	if a.Flags&^linux.SCHED_FLAG_ALL != 0 || int32(a.Policy) < 0 || a.Flags&clamp != 0 && n < linux.SCHED_ATTR_SIZE_VER1 {
		return 0, linux.EINVAL
	}
	x, err := schedTarget(t, pid)
	if err != nil {
		return 0, err
	}
	if a.Flags&clamp != 0 {
		return 0, linux.EOPNOTSUPP // as of a Linux without CONFIG_UCLAMP_TASK
	}
	return 0, schedSet(t, x, schedOf(&a, x.Sched()), a.Flags&linux.SCHED_FLAG_KEEP_PARAMS != 0)
}

// schedOf is what a asks for of a thread that has old.
func schedOf(a *linux.SchedAttr, old kernel.Sched) kernel.Sched {
	s := kernel.Sched{
		Policy: a.Policy, Priority: int32(a.Priority), Nice: min(max(a.Nice, minNice), maxNice),
		ResetOnFork: a.Flags&linux.SCHED_FLAG_RESET_ON_FORK != 0,
		Runtime:     a.Runtime, Deadline: a.Deadline, Period: a.Period,
	}
	if a.Flags&linux.SCHED_FLAG_KEEP_POLICY != 0 {
		s.Policy, s.ResetOnFork = old.Policy, old.ResetOnFork
	}
	if a.Flags&linux.SCHED_FLAG_KEEP_PARAMS != 0 {
		switch {
		case old.Policy == linux.SCHED_DEADLINE:
			s.Runtime, s.Deadline, s.Period = old.Runtime, old.Deadline, old.Period
		case realTime(old.Policy):
			s.Priority = old.Priority
		default:
			s.Nice, s.Runtime = old.Nice, old.Runtime
		}
	}
	switch {
	case s.Policy == linux.SCHED_DEADLINE:
		s.Flags = a.Flags & (linux.SCHED_FLAG_RECLAIM | linux.SCHED_FLAG_DL_OVERRUN)
	case s.Runtime != 0: // a slice, from 0.1 to 100 ms
		s.Runtime = min(max(s.Runtime, 100_000), 100_000_000)
	}
	return s
}

// slice is how long a thread of a fair policy runs at a time: what it asked for, or what
// Linux gives all on a machine of so many processors.
func slice(k *kernel.Kernel, s *kernel.Sched) uint64 {
	if s.Runtime != 0 {
		return s.Runtime
	}
	const base = 700_000
	return base * uint64(bits.Len(uint(min(k.CPUs(), 8))))
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
		Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period, Flags: s.Flags,
	}
	if s.ResetOnFork {
		a.Flags |= linux.SCHED_FLAG_RESET_ON_FORK
	}
	switch {
	case realTime(s.Policy):
		a.Runtime = 0
	case s.Policy != linux.SCHED_DEADLINE:
		a.Nice, a.Runtime = s.Nice, slice(t.Kernel(), &s)
	}
	out := make([]byte, n)
	copy(out, usermem.AsBytes(&a)[:a.Size])
	_, err = t.CopyOut(at.Addr(), out)
	return 0, err
}

// schedRRGetInterval implements sched_rr_get_interval(2).
func schedRRGetInterval(t *kernel.Task, pid int32, out usermem.Ptr[linux.Timespec]) (int, error) {
	x, err := schedTarget(t, pid)
	if err != nil {
		return 0, err
	}
	var ts linux.Timespec
	const jiffy = 4_000_000
	switch c := x.Sched(); c.Policy {
	case linux.SCHED_RR:
		ts.Nsec = 100_000_000
	case linux.SCHED_NORMAL, linux.SCHED_BATCH, linux.SCHED_IDLE:
		ts.Nsec = int64(slice(t.Kernel(), &c)) / jiffy * jiffy
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
	if may := x.Container().CPUs(); !may.Meets(&set) {
		return 0, linux.EINVAL
	}
	if s := x.Sched(); s.Policy == linux.SCHED_DEADLINE && set != all {
		return 0, linux.EBUSY
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
