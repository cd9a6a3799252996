package kernel

import (
	"garrison/sentry/linux"
)

// tracers are the tasks of t's process whose tracees a wait(2) of t may tell of.
func (w *WaitSpec) tracers(t *Task) []*Task {
	if w.Options&linux.WNOTHREAD != 0 {
		return []*Task{t}
	}
	var out []*Task
	for x := range t.tg.tasks.All() {
		if !x.trace.tracees.Empty() {
			out = append(out, x)
		}
	}
	return out
}

// lookForTracee looks once at the tasks that t's process traces, as lookForChild.
// after, if not nil, is to be called once the caller, who holds tasks, has
// given it back.
func (t *Task) lookForTracee(w *WaitSpec) (r WaitResult, some bool, after func()) {
	for _, by := range w.tracers(t) {
		for x := range by.trace.tracees.All() {
			if w.PID != nil && x.pid != w.PID || w.Group != nil && (x.tg.pgrp == nil || x.tg.pgrp.pid != w.Group) {
				continue
			}
			some = true
			if x.zombie {
				if r, after, ok := t.waitTraceeEnd(x, w); ok {
					return r, true, after
				}
				continue
			}
			if r, ok := t.waitTrap(x, w); ok {
				return r, true, nil
			}
			if r, ok := t.waitResumed(x, w); ok {
				return r, true, nil
			}
		}
	}
	return r, some, nil
}

// waitTrap reports the stop of the tracee x. The caller holds tasks.
func (t *Task) waitTrap(x *Task, w *WaitSpec) (r WaitResult, ok bool) {
	x.tg.sig.mu.Lock()
	defer x.tg.sig.mu.Unlock()
	s := &x.trace.stop
	if !s.in || s.listening || s.reported {
		return r, false
	}
	s.reported = w.Options&linux.WNOWAIT == 0
	return WaitResult{
		Pid: x.pid.In(t.pid.ns), UID: t.Creds().UserNS.ShowUID(x.Creds().RUID), Usage: x.rusage(),
		Code: linux.CLD_TRAPPED, Status: linux.TrapStatus(s.code),
	}, true
}

// waitResumed reports that SIGCONT has made the process of the tracee x go on. The
// caller holds tasks.
func (t *Task) waitResumed(x *Task, w *WaitSpec) (r WaitResult, ok bool) {
	x.tg.sig.mu.Lock()
	defer x.tg.sig.mu.Unlock()
	st := &x.tg.sig.stop
	if w.Options&linux.WCONTINUED == 0 || !st.continued {
		return r, false
	}
	st.continued = w.Options&linux.WNOWAIT != 0
	return WaitResult{
		Pid: x.pid.In(t.pid.ns), UID: x.Creds().RUID, Usage: x.rusage(),
		Code: linux.CLD_CONTINUED, Status: linux.ContinuedStatus,
	}, true
}

// waitTraceeEnd reports the end of the tracee x, a zombie, and leaves it to whom
// it belongs. The caller holds tasks.
func (t *Task) waitTraceeEnd(x *Task, w *WaitSpec) (r WaitResult, after func(), ok bool) {
	g := x.tg
	leads := g.leader == x
	// A leader is not reaped before its threads.
	if w.Options&linux.WEXITED == 0 || leads && !g.exited || !leads && !x.trace.lingers {
		return r, nil, false
	}
	if leads && g.parent == t.tg {
		return t.waitExited(g, w), nil, true
	}
	r = WaitResult{Pid: x.pid.In(t.pid.ns), UID: t.Creds().UserNS.ShowUID(x.Creds().RUID), Usage: x.rusage()}
	r.Status = x.endStatus()
	r.Code = endCode(r.Status)
	if w.Options&linux.WNOWAIT != 0 {
		return r, nil, true
	}
	x.dropTracer()
	if leads {
		return r, g.endForParent(), true
	}
	return r, x.depart(), true
}

// endCode is the CLD_* of a process that ended with s.
func endCode(s linux.WaitStatus) int32 {
	switch {
	case s.CoreDumped():
		return linux.CLD_DUMPED
	case s.Signaled():
		return linux.CLD_KILLED
	}
	return linux.CLD_EXITED
}

// dropTracer ends the tracing of t, a zombie, of which its tracer will hear no
// more. The caller holds tasks.
func (t *Task) dropTracer() {
	if p := t.trace.tracer; p != nil {
		t.untrace(nil)
		p.tg.Children.Open() // it may wait for nothing but t
	}
}

// linger keeps t, a thread that ends and leads nothing, for its tracer if it has
// one. The caller holds tasks.
func (t *Task) linger() bool {
	p := t.trace.tracer
	if p == nil || p.zombie {
		return false
	}
	t.trace.lingers = true
	t.tg.lingering++
	t.tellTracerOfEnd(t.endStatus())
	return true
}

// tellTracerOfEnd sends t's tracer the SIGCHLD of its end with status. The caller
// holds tasks.
func (t *Task) tellTracerOfEnd(status linux.WaitStatus) {
	p := t.trace.tracer
	value := status.Code()
	if status.Signaled() {
		value = int32(status.TermSignal())
	}
	if p.tg.Action(linux.SIGCHLD).Handler != linux.SIG_IGN {
		p.tg.Signal(t.traceInfo(p, endCode(status), value)) //nolint:errcheck // a standard signal
	}
	p.tg.Children.Open()
}

// tracedByOther reports whether g, a process, is traced by somebody who is not of
// its parent's process: the parent hears of its end later. The caller holds tasks.
func (g *ThreadGroup) tracedByOther() bool {
	p := g.leader.trace.tracer
	return p != nil && p.tg != g.parent
}

// tracedByParent reports whether g's leader is traced by its parent, which then
// hears of it as its tracer. The caller holds tasks.
func (g *ThreadGroup) tracedByParent() bool {
	p := g.leader.trace.tracer
	return p != nil && p.tg == g.parent
}

// endForParent tells g's parent of its end, which the tracer has heard of. What it
// returns is to be called when the caller has given tasks back.
func (g *ThreadGroup) endForParent() func() {
	if g.k.tellOfEnd(g) {
		g.k.reap(g)
	}
	p, reaped := g.parent, g.k.reapWatch.take()
	return func() {
		reaped.tell()
		if p != nil {
			p.Children.Open()
		}
	}
}
