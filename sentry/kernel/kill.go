package kernel

import (
	"garrison/sentry/linux"
)

// Kill is kill(2): it sends the processes that pid names a signal, as far as t
// may; signal 0 only asks. ESRCH, EPERM.
func (t *Task) Kill(pid int32, s linux.Signal) error {
	k, ns := t.k, t.pid.ns
	k.tasks.RLock()
	var gs []*ThreadGroup
	switch {
	case pid > 0:
		if p := ns.pids[pid]; p != nil && p.task != nil {
			gs = append(gs, p.task.tg)
		}
	case pid == -1:
		for n, p := range ns.pids {
			if p.group != nil && n != 1 && p.group != t.tg {
				gs = append(gs, p.group)
			}
		}
	case pid == 0:
		gs = t.tg.pgrp.list()
	default:
		if p := ns.pids[-pid]; p != nil && p.pgrp != nil {
			gs = p.pgrp.list()
		}
	}
	k.tasks.RUnlock()
	return t.signalAll(gs, s, pid == -1)
}

// signalAll sends gs a signal. It has succeeded if one got it; kill(-1) also if
// none might be sent it.
func (t *Task) signalAll(gs []*ThreadGroup, s linux.Signal, everybody bool) error {
	err := error(linux.ESRCH)
	sent := false
	for _, g := range gs {
		if e := t.SignalGroup(g, t.killInfo(g, s, linux.SI_USER)); e == nil {
			sent = true
		} else {
			err = e
		}
	}
	if sent || everybody && len(gs) > 0 {
		return nil
	}
	return err
}

// killInfo is the siginfo of t's signal to g.
func (t *Task) killInfo(g *ThreadGroup, s linux.Signal, code int32) *linux.SigInfo {
	return t.UserSignal(s, code, g.Leader())
}

// SignalGroup sends g a signal on t's behalf, if t may: EPERM, ESRCH if g has been
// reaped, EAGAIN. info may be of signal 0.
func (t *Task) SignalGroup(g *ThreadGroup, info *linux.SigInfo) error {
	if !t.maySend(g.Leader(), info.Signal()) {
		return linux.EPERM
	}
	if info.Signo == 0 {
		return nil
	}
	return g.send(nil, info, t.outranks(g))
}

// SignalTask is SignalGroup for the thread x.
func (t *Task) SignalTask(x *Task, info *linux.SigInfo) error {
	if !t.maySend(x, info.Signal()) {
		return linux.EPERM
	}
	if info.Signo == 0 {
		return nil
	}
	return x.tg.send(x, info, t.outranks(x.tg))
}

// maySend is MaySignal, with the right to continue one's session.
func (t *Task) maySend(x *Task, s linux.Signal) bool {
	if t.MaySignal(x) {
		return true
	}
	if s != linux.SIGCONT {
		return false
	}
	k := t.k
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return x.tg.pgrp != nil && t.tg.pgrp != nil && x.tg.pgrp.session == t.tg.pgrp.session
}

// outranks reports whether t is in an ancestor of g's pid namespace: from there
// even pid 1 can be killed.
func (t *Task) outranks(g *ThreadGroup) bool { return t.tg.pid.In(g.pid.ns) == 0 }
