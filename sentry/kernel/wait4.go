package kernel

import (
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// A WaitSpec says which children wait(2) is to look at. All of PID, Group are
// optional: with neither, any child will do.
type WaitSpec struct {
	PID     *PID // this process
	Group   *PID // members of the process group of this number
	Options linux.WaitOptions
	Again   bool // with WNOHANG: EAGAIN if nothing has happened (a non-blocking pidfd)
}

// A WaitResult is what has become of a child.
type WaitResult struct {
	Pid    int32 // in the caller's namespace; 0 if nothing has happened (WNOHANG)
	UID    uint32
	Code   int32 // CLD_*
	Status linux.WaitStatus
	Usage  linux.Rusage
}

// Wait waits for a child to end, stop or go on, as w.Options say (WEXITED,
// WSTOPPED, WCONTINUED): waitid(2). ECHILD if there is none to wait for.
func (t *Task) Wait(w *WaitSpec) (WaitResult, error) {
	g := t.tg
	var err error
	for {
		ticket := g.Children.Ticket()
		r, some := t.lookForChild(w)
		switch {
		case r.Pid != 0:
			return r, nil
		case err != nil: // SIGCHLD may have been quicker than the child's change
			return r, err
		case !some:
			return r, linux.ECHILD
		case w.Options&linux.WNOHANG != 0 && w.Again:
			return r, linux.EAGAIN
		case w.Options&linux.WNOHANG != 0:
			return r, nil
		}
		err = t.Block(g.Children.Since(ticket), wait.Readable)
	}
}

// lookForChild looks once. some says that there is a child that could still do
// what is waited for.
func (t *Task) lookForChild(w *WaitSpec) (r WaitResult, some bool) {
	k := t.k
	var reaped reapWatch
	var after func()
	defer func() {
		reaped.tell()
		if after != nil {
			after()
		}
	}()
	k.tasks.Lock()
	defer k.tasks.Unlock()
	if r, some, after = t.lookForTracee(w); r.Pid != 0 {
		reaped = k.reapWatch.take()
		return r, true
	}
	for c := range t.tg.children.All() {
		if !w.matches(t, c) {
			continue
		}
		others := c.tracedByParent() || c.exited && c.tracedByOther()
		// The dead, in nobody's hands, only ever can be seen to have ended.
		some = some || others || !c.exited || w.Options&linux.WEXITED != 0
		if others {
			continue
		}
		if c.exited {
			if w.Options&linux.WEXITED != 0 {
				r = t.waitExited(c, w)
				reaped = k.reapWatch.take()
				return r, true
			}
			continue
		}
		if r, ok := t.waitStopped(c, w); ok {
			return r, true
		}
	}
	return r, some
}

// matches reports whether w is about c, a child of t's process.
func (w *WaitSpec) matches(t *Task, c *ThreadGroup) bool {
	switch {
	case w.PID != nil && c.pid != w.PID,
		w.Group != nil && (c.pgrp == nil || c.pgrp.pid != w.Group),
		w.Options&linux.WNOTHREAD != 0 && c.leader.maker != t:
		return false
	}
	// A "clone" child is one that does not tell of its end by SIGCHLD.
	clone := c.signal != linux.SIGCHLD
	return w.Options&linux.WALL != 0 || clone == (w.Options&linux.WCLONE != 0)
}

// waitExited reports the end of c, and reaps it unless WNOWAIT. The caller holds tasks.
func (t *Task) waitExited(c *ThreadGroup, w *WaitSpec) WaitResult {
	r := WaitResult{Pid: c.pid.In(t.pid.ns), UID: t.Creds().UserNS.ShowUID(c.leader.Creds().RUID), Status: c.status, Code: endCode(c.status)}
	total := c.total()
	r.Usage = rusageOf(total.user, total.system, total.faults, total.voluntary, total.maxRSS)
	if w.Options&linux.WNOWAIT == 0 {
		t.tg.childTime.add(total)
		t.tg.times.io.add(&c.times.io)
		t.k.reap(c)
	}
	return r
}

// waitStopped reports that c has stopped, or goes on. The caller holds tasks.
func (t *Task) waitStopped(c *ThreadGroup, w *WaitSpec) (r WaitResult, ok bool) {
	c.sig.mu.Lock()
	defer c.sig.mu.Unlock()
	st := &c.sig.stop
	keep := w.Options&linux.WNOWAIT != 0
	switch {
	case w.Options&linux.WSTOPPED != 0 && st.stopped && !st.reported:
		r.Code, r.Status = linux.CLD_STOPPED, linux.StopStatus(st.sig)
		st.reported = !keep
	case w.Options&linux.WCONTINUED != 0 && st.continued:
		r.Code, r.Status = linux.CLD_CONTINUED, linux.ContinuedStatus
		st.continued = keep
	default:
		return r, false
	}
	r.Pid, r.UID = c.pid.In(t.pid.ns), t.Creds().UserNS.ShowUID(c.leader.Creds().RUID)
	r.Usage = c.rusage()
	return r, true
}

// PIDOf is what number n names in t's namespace, for a WaitSpec: ok is false if
// nothing, and then no child has that number.
func (t *Task) PIDOf(n int32) (p *PID, ok bool) {
	p = t.k.FindPID(t.pid.ns, n)
	return p, p != nil
}

// OwnGroup is the number of t's process group.
func (t *Task) OwnGroup() *PID {
	t.k.tasks.RLock()
	defer t.k.tasks.RUnlock()
	return t.tg.pgrp.pid
}
