package kernel

import (
	"garrison/sentry/linux"
)

// Namespaces is t's namespaces. Any goroutine may ask.
func (t *Task) Namespaces() Namespaces {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ns
}

// SetNamespaces replaces them: unshare(2), setns(2).
func (t *Task) SetNamespaces(n Namespaces) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ns = n
}

// ParentPID is the number of g's parent in ns; 0 for a process without one, or
// with one that ns does not see.
func (g *ThreadGroup) ParentPID(ns *PIDNamespace) int32 {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	if g.parent == nil {
		return 0
	}
	return g.parent.pid.In(ns)
}

// GroupID is the number of g's process group in ns; SessionID its session's.
func (g *ThreadGroup) GroupID(ns *PIDNamespace) int32 {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	if g.pgrp == nil {
		return 0
	}
	return g.pgrp.pid.In(ns)
}

// SessionID is the number of g's session in ns.
func (g *ThreadGroup) SessionID(ns *PIDNamespace) int32 {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	if g.pgrp == nil {
		return 0
	}
	return g.pgrp.session.pid.In(ns)
}

// Numbers is p's numbers from ns inwards, as /proc/pid/status shows in NSpid.
func (p *PID) Numbers(ns *PIDNamespace) []int32 {
	if p.In(ns) == 0 {
		return nil
	}
	return p.numbers[ns.level:]
}

// Level is how deep ns lies below the root namespace.
func (ns *PIDNamespace) Level() int { return ns.level }

// NewSession is setsid(2): EPERM if g leads a process group, or one has its number.
func (g *ThreadGroup) NewSession() (*Session, error) {
	k := g.k
	k.tasks.Lock()
	defer k.tasks.Unlock()
	if g.pid.pgrp != nil || g.pid.session != nil {
		return nil, linux.EPERM
	}
	g.tty = nil
	return k.newSession(g), nil
}

// SetProcessGroup is setpgid(2): it moves the process numbered pid (0: t's own) to
// the group numbered pgid (0: its own number), all in t's namespace. ESRCH,
// EACCES, EPERM, EINVAL.
func (t *Task) SetProcessGroup(pid, pgid int32) error {
	if pgid < 0 {
		return linux.EINVAL
	}
	k, ns := t.k, t.pid.ns
	k.tasks.Lock()
	defer k.tasks.Unlock()
	g := t.tg
	if pid != 0 {
		p := ns.pids[pid]
		if p == nil || p.task == nil {
			return linux.ESRCH
		}
		if p.group == nil {
			return linux.EINVAL // a thread that is no leader
		}
		g = p.group
	}
	mine := t.tg.pgrp.session
	switch {
	case g == t.tg:
	case g.parent != t.tg || g.pgrp == nil:
		return linux.ESRCH
	case g.pgrp.session != mine:
		return linux.EPERM
	case g.execed:
		return linux.EACCES
	}
	if g.pgrp.session.leader == g {
		return linux.EPERM
	}
	to := g.pid
	if pgid != 0 && pgid != g.pid.In(ns) {
		to = ns.pids[pgid]
		if to == nil || to.pgrp == nil || to.pgrp.session != mine {
			return linux.EPERM
		}
	}
	if to.pgrp == g.pgrp && to.pgrp != nil {
		return nil
	}
	if to.pgrp == nil {
		newProcessGroup(to, mine)
	}
	g.join(to.pgrp)
	return nil
}

// SetSubreaper and Subreaper are prctl(PR_SET_CHILD_SUBREAPER).
func (g *ThreadGroup) SetSubreaper(on bool) {
	g.k.tasks.Lock()
	defer g.k.tasks.Unlock()
	g.subreaper = on
}

// Subreaper reports what SetSubreaper set.
func (g *ThreadGroup) Subreaper() bool {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.subreaper
}

// SetDeathSignal is prctl(PR_SET_PDEATHSIG).
func (g *ThreadGroup) SetDeathSignal(s linux.Signal) {
	g.k.tasks.Lock()
	defer g.k.tasks.Unlock()
	g.deathSig = s
}

// DeathSignal is prctl(PR_GET_PDEATHSIG).
func (g *ThreadGroup) DeathSignal() linux.Signal {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.deathSig
}

// TimerSlack is prctl(PR_GET_TIMERSLACK); SetTimerSlack sets it, 0 to the default.
func (t *Task) TimerSlack() uint64 { return t.timerSlack }

// SetTimerSlack is prctl(PR_SET_TIMERSLACK).
func (t *Task) SetTimerSlack(ns uint64) {
	if ns == 0 {
		ns = defaultTimerSlack
	}
	t.timerSlack = ns
}

// SetRestart makes restart_syscall(2) call f if the present system call returns
// ERESTART_RESTARTBLOCK.
func (t *Task) SetRestart(f RestartFn) error {
	t.restartFn = f
	return linux.ERESTART_RESTARTBLOCK
}

// Restart is restart_syscall(2): EINTR if nothing was interrupted.
func (t *Task) Restart() (uint64, error) {
	f := t.restartFn
	if f == nil {
		return 0, linux.EINTR
	}
	t.restartFn = nil
	return f(t)
}

// SetTHPDisabled and THPDisabled are prctl(PR_SET_THP_DISABLE), which is remembered
// and means nothing.
func (g *ThreadGroup) SetTHPDisabled(on bool) { g.noTHP.Store(on) }

// THPDisabled is what SetTHPDisabled set.
func (g *ThreadGroup) THPDisabled() bool { return g.noTHP.Load() }

// IOFlusher is prctl(PR_GET_IO_FLUSHER), MCEPolicy prctl(PR_MCE_KILL_GET).
func (t *Task) IOFlusher() bool { return t.ioFlusher }

// SetIOFlusher changes what IOFlusher returns.
func (t *Task) SetIOFlusher(on bool) { t.ioFlusher = on }

// MCEPolicy is one of PR_MCE_KILL_LATE, EARLY and DEFAULT.
func (t *Task) MCEPolicy() uint8 { return t.mcePolicy }

// SetMCEPolicy changes what MCEPolicy returns.
func (t *Task) SetMCEPolicy(p uint8) { t.mcePolicy = p }
