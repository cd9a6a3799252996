package syscalls

import (
	"slices"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

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
		slices.Reverse(out) // as Linux has them; the last one's error counts
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
