package kernel

import (
	"garrison/sentry/linux"
)

// A groupStop is a process's place in job control. It is protected by
// groupSignals.mu.
type groupStop struct {
	sig       linux.Signal // what stopped the process, or is about to; 0: it runs
	left      int          // threads that have yet to stop
	stopped   bool         // all have
	reported  bool         // a wait(2) has told of the stop
	continued bool         // SIGCONT came since, and no wait(2) has told
	tell      int32        // CLD_STOPPED or CLD_CONTINUED that the parent is yet to be sent
}

// Stopped reports whether every thread of g stands still by job control. Any
// goroutine may ask.
func (g *ThreadGroup) Stopped() bool {
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	return g.sig.stop.stopped
}

// beginStop makes every thread stop, as by has taken s. The caller holds sig.mu.
func (g *ThreadGroup) beginStop(s linux.Signal, by *Task) {
	st := &g.sig.stop
	if st.sig != 0 && by.Traced() && !by.stopping { // its tracer has made it go on: it stops anew
		by.stopping = true
		st.left++
		by.attend(attnStop)
	}
	if st.sig != 0 || g.sig.exiting {
		return
	}
	*st = groupStop{sig: s}
	for _, t := range g.sig.tasks {
		if t.attention.Load()&(attnKill|attnExit) == 0 {
			t.stopping = true
			st.left++
			t.attend(attnStop)
		}
	}
}

// resume ends a stop, or one that is under way: SIGCONT. The caller holds sig.mu.
func (g *ThreadGroup) resume() {
	st := &g.sig.stop
	for _, t := range g.sig.tasks {
		if t.seized() {
			t.trace.again = true
			t.attend(attnTrap)
		}
	}
	if st.sig == 0 {
		return
	}
	was := *st
	*st = groupStop{tell: linux.CLD_STOPPED}
	if was.stopped {
		*st = groupStop{tell: linux.CLD_CONTINUED, continued: true}
	}
	for _, t := range g.sig.tasks {
		t.stopping = false
		t.attention.And(^attnStop)
		t.attend(attnNotify) // the first that gets to it tells the parent
	}
}

// stopHere lets t take part in a stop: it returns when SIGCONT has come, or t is
// to end.
func (t *Task) stopHere() {
	g := t.tg
	g.sig.mu.Lock()
	last := false
	if t.stopping {
		t.stopping = false
		last = g.threadStopped()
	}
	if g.sig.stop.sig == 0 {
		t.attention.And(^attnStop)
	}
	g.sig.mu.Unlock()
	if last {
		g.tellParent()
	}
	t.park(Stopped, attnKill, func() bool {
		g.sig.mu.Lock()
		defer g.sig.mu.Unlock()
		// Stopped anew, it counts again; a tracer wants it to stop for it.
		return g.sig.stop.sig == 0 || t.stopping || t.trace.trap
	})
}

// threadStopped counts one thread that has stopped, or has ended instead; it
// reports whether the stop is complete and the parent is to be told. The caller
// holds sig.mu.
func (g *ThreadGroup) threadStopped() bool {
	st := &g.sig.stop
	if st.left--; st.left > 0 || st.sig == 0 || st.stopped {
		return false
	}
	st.stopped = true
	st.tell = linux.CLD_STOPPED
	return true
}

// tellParent sends the parent the CLD_STOPPED or CLD_CONTINUED that is due.
func (g *ThreadGroup) tellParent() {
	g.sig.mu.Lock()
	why, sig := g.sig.stop.tell, g.sig.stop.sig
	g.sig.stop.tell = 0
	g.sig.mu.Unlock()
	if why == 0 {
		return
	}
	k := g.k
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	p := g.parent
	if p == nil || g.exited {
		return
	}
	status := int32(linux.SIGCONT)
	if why == linux.CLD_STOPPED {
		if status = int32(sig); sig == 0 {
			status = int32(linux.SIGSTOP)
		}
	}
	g.tellOfStop(p, why, status)
	if why == linux.CLD_CONTINUED && g.tracedByOther() {
		g.tellOfStop(g.leader.trace.tracer.tg, why, status)
	}
}

// tellOfStop sends p, g's parent or tracer, a SIGCHLD about it. The caller holds tasks.
func (g *ThreadGroup) tellOfStop(p *ThreadGroup, why, status int32) {
	a := p.Action(linux.SIGCHLD)
	if a.Handler != linux.SIG_IGN && a.Flags&linux.SA_NOCLDSTOP == 0 {
		p.Signal(g.childInfo(why, status))
	}
	p.Children.Open()
}

// childInfo is the siginfo of a SIGCHLD about g for its parent. The caller holds tasks.
func (g *ThreadGroup) childInfo(code, status int32) *linux.SigInfo {
	info := &linux.SigInfo{Signo: int32(linux.SIGCHLD), Code: code}
	if g.parent != nil {
		info.SetSender(g.pid.In(g.parent.pid.ns), g.parent.leader.Creds().UserNS.ShowUID(g.leader.Creds().RUID))
	}
	user, system := g.CPUTime()
	info.SetStatus(status, user/linux.ClockTick, system/linux.ClockTick)
	return info
}

// park waits, whatever wakes t, until done holds or attention in ends.
func (t *Task) park(as RunState, ends uint32, done func() bool) {
	t.status.Store(uint32(as))
	t.beginSleep()
	defer t.endSleep()
	for t.attention.Load()&ends == 0 && !done() {
		t.spot.Sleep(-1)
	}
}
