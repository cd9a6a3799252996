package syscalls

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// Who ioprio_set(2) is about, and the classes of priorities.
const (
	ioprioWhoProcess = 1
	ioprioWhoPgrp    = 2
	ioprioWhoUser    = 3

	ioprioClassShift = 13
	ioprioClassRT    = 1
	ioprioClassBE    = 2
	ioprioClassIdle  = 3
	ioprioLevels     = 8
)

// ioprioTargets lists the threads that which and who name.
func ioprioTargets(t *kernel.Task, which, who int32) ([]*kernel.Task, error) {
	switch which {
	case ioprioWhoProcess:
		return priorityTargets(t, linux.PRIO_PROCESS, who)
	case ioprioWhoPgrp:
		return priorityTargets(t, linux.PRIO_PGRP, who)
	case ioprioWhoUser:
		return priorityTargets(t, linux.PRIO_USER, who)
	}
	return nil, linux.EINVAL
}

// checkIOPrio judges a priority that t wants: EPERM, EINVAL.
func checkIOPrio(t *kernel.Task, prio int32) error {
	class, level := prio>>ioprioClassShift&7, prio&(1<<ioprioClassShift-1)&7
	switch class {
	case ioprioClassRT:
		if !t.Creds().Capable(auth.CapSysAdmin) && !t.Creds().Capable(auth.CapSysNice) {
			return linux.EPERM
		}
	case ioprioClassBE, ioprioClassIdle:
	case 0:
		if level != 0 {
			return linux.EINVAL
		}
	default:
		return linux.EINVAL
	}
	return nil
}

// ioprioSet implements ioprio_set(2). The host schedules: it is kept and told.
func ioprioSet(t *kernel.Task, which, who, prio int32) (int, error) {
	if err := checkIOPrio(t, prio); err != nil {
		return 0, err
	}
	xs, err := ioprioTargets(t, which, who)
	if err != nil {
		return 0, err
	}
	for _, x := range xs {
		c, owner := t.Creds(), x.Creds().RUID
		if owner != c.EUID && owner != c.RUID && !c.Capable(auth.CapSysNice) {
			return 0, linux.EPERM
		}
		x.SetIOPriority(prio & 0xffff)
	}
	return 0, nil
}

// ioprioGet implements ioprio_get(2): the best of those asked for.
func ioprioGet(t *kernel.Task, which, who int32) (int32, error) {
	xs, err := ioprioTargets(t, which, who)
	if err != nil {
		return 0, err
	}
	best := int32(0)
	for i, x := range xs {
		p := x.IOPriority()
		if p>>ioprioClassShift == 0 && which != ioprioWhoProcess {
			p = effectiveIOPrio(x.Sched())
		}
		if i == 0 || p < best {
			best = p
		}
	}
	return best, nil
}

// effectiveIOPrio is the priority of who has set none.
func effectiveIOPrio(s kernel.Sched) int32 {
	class := int32(ioprioClassBE)
	switch {
	case s.Policy == linux.SCHED_IDLE:
		class = ioprioClassIdle
	case realTime(s.Policy), s.Policy == linux.SCHED_DEADLINE:
		class = ioprioClassRT
	}
	return class<<ioprioClassShift | (s.Nice+20)/5
}
