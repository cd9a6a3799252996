package kernel

import (
	"sync"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/loader"
	"garrison/sentry/lock"
)

// Numbers of the first namespaces of which there is one per kernel.
const (
	firstTimeNS   = 0xeffffffa // PROC_TIME_INIT_INO
	firstCgroupNS = 0xeffffffb // PROC_CGROUP_INIT_INO
)

// A CgroupNamespace is a view of the control groups, cgroup_namespaces(7). There is
// one group to a container, so that all views of it are alike.
type CgroupNamespace struct {
	Inode  uint64
	UserNS *auth.UserNamespace
}

// A TimeNamespace has monotonic clocks of its own, time_namespaces(7): those of the
// machine and an offset.
type TimeNamespace struct {
	Inode  uint64
	UserNS *auth.UserNamespace

	mu                  lock.Mutex[lock.Leaf]
	frozen              bool  // protected by mu: a task is in it
	monotonic, boottime int64 // nanoseconds; protected by mu, and final once frozen
}

// SetOffsets changes the offsets, in nanoseconds: nil leaves one. EACCES once a task is
// in ns.
func (ns *TimeNamespace) SetOffsets(monotonic, boottime *int64) error {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.frozen {
		return linux.EACCES
	}
	if monotonic != nil {
		ns.monotonic = *monotonic
	}
	if boottime != nil {
		ns.boottime = *boottime
	}
	return nil
}

// Offsets is what ns's clocks are ahead of the machine's.
func (ns *TimeNamespace) Offsets() (monotonic, boottime int64) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return ns.monotonic, ns.boottime
}

func (ns *TimeNamespace) freeze() {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.frozen = true
}

// Offset is what a task in ns adds to the machine's clock.
func (ns *TimeNamespace) Offset(clock linux.ClockID) int64 {
	switch clock {
	case linux.CLOCK_MONOTONIC, linux.CLOCK_MONOTONIC_RAW, linux.CLOCK_MONOTONIC_COARSE:
		return ns.monotonic
	case linux.CLOCK_BOOTTIME, linux.CLOCK_BOOTTIME_ALARM:
		return ns.boottime
	}
	return 0
}

// TimeOffset is what t's namespace adds to the machine's clock, in nanoseconds.
func (t *Task) TimeOffset(clock linux.ClockID) int64 { return t.ns.Time.Offset(clock) }

// EnterTime makes t, alone in its address space, one of ns's tasks: the vDSO tells its
// time from then on. Only t's goroutine, or who makes t, may call it.
func (t *Task) EnterTime(c *Container, ns *TimeNamespace) error {
	ns.freeze()
	if t.ns.Time.plain() && !ns.plain() {
		v, err := c.vdsoFor(ns)
		if err != nil {
			return err
		}
		if v != nil {
			if err := v.Replace(t.space.Load()); err != nil {
				return err
			}
		}
	}
	t.setTime(ns)
	return nil
}

func (t *Task) setTime(ns *TimeNamespace) {
	ns.freeze()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ns.Time, t.ns.TimeForChildren = ns, ns
}

// plain reports whether ns's clocks, which are final, are the machine's.
func (ns *TimeNamespace) plain() bool { return ns.monotonic == 0 && ns.boottime == 0 }

// An askingVDSO is the vDSO for the container's programs whose clocks are not the
// machine's. Most containers never need it.
type askingVDSO struct {
	once sync.Once
	vdso *loader.VDSO
	err  error
}

// vdsoFor is the vDSO for a program whose clocks are ns's; nil for none.
func (c *Container) vdsoFor(ns *TimeNamespace) (*loader.VDSO, error) {
	if ns == c.k.timeNS || c.VDSO == nil {
		return c.VDSO, nil
	}
	ns.freeze()
	if ns.plain() {
		return c.VDSO, nil
	}
	a := &c.asking
	a.once.Do(func() { a.vdso, a.err = loader.NewVDSO(c.k.facts, c.Memory, true) })
	return a.vdso, a.err
}
