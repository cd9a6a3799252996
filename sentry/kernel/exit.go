package kernel

import (
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
)

// taskExit is what a task needs for its end.
type taskExit struct {
	code  linux.WaitStatus // its own, for a process whose threads all end by themselves
	vfork *Gate            // opened when t gives up the memory it shares with its parent

	newLimits *limits.Set // of a process in the making
}

// Exit makes t end when its system call is over: exit(2).
func (t *Task) Exit(code int32) { t.endThread(linux.ExitStatus(code)) }

// endThread makes t, and no other thread, end when its system call is over.
func (t *Task) endThread(s linux.WaitStatus) {
	t.code = s
	t.attend(attnExit)
}

// ExitGroup makes all threads of t's process end: exit_group(2).
func (t *Task) ExitGroup(code int32) {
	g := t.tg
	g.sig.mu.Lock()
	if g.sig.execing == nil || g.sig.execing == t {
		g.beginExit(linux.ExitStatus(code), nil)
	}
	g.sig.mu.Unlock()
	t.attend(attnExit)
}

// Kill ends g from inside the kernel, as SIGKILL does, whatever it is.
func (g *ThreadGroup) Kill() {
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	g.beginExit(linux.SignalStatus(linux.SIGKILL, false), nil)
}

// inExit ends a task: it gives up what it holds, then its place.
type inExit struct{}

func (inExit) run(t *Task) state {
	g := t.tg
	t.attend(attnExit)
	t.standForDump()
	t.exitEvent()
	g.sig.mu.Lock()
	t.retarget(^linux.SigSet(0))
	stopped := t.stopping && g.threadStopped()
	t.stopping = false
	t.pending.drop(^linux.SigSet(0))
	g.sig.remove(t)
	last := len(g.sig.tasks) == 0
	var timers []*PosixTimer
	if last {
		g.sig.shared.drop(^linux.SigSet(0))
		timers = g.sig.timers.takeAll()
	}
	g.sig.mu.Unlock()
	if stopped {
		g.tellParent()
	}
	for _, x := range timers {
		x.stop()
	}
	if last {
		g.stopAlarms()
	}
	t.giveUp()
	if last {
		t.k.endNamespace(g)
	}
	return t.leave()
}

// giveUp releases what t holds.
func (t *Task) giveUp() {
	g := t.tg
	s := t.space.Load()
	t.leaveMemory(s)
	peak, filled := s.EndRSS()
	g.Measured(s, peak, filled)
	t.exitIPC()
	t.filters.Load().drop()
	t.fds.Swap(nil).DecRef(t)
	t.fs.Swap(nil).DecRef()
	t.k.Keys.Release(&t.rings)
	g.times.meter.leaveContext(t)
	t.ctx.Release()
	t.space.Store(nil)
	s.DecUsers()
	t.releaseVfork()
	g.sig.handlers.Load().users.Add(-1)
}

// leaveMemory does what is due in an address space that t leaves: robust futexes
// and the thread id that pthread_join(3) waits for.
func (t *Task) leaveMemory(s *mm.Space) {
	t.exitRobust()
	if at := t.clearTID; at != 0 {
		t.clearTID = 0
		// Only if others use the memory too is there anybody to see it.
		if s.Users() > 1 {
			t.CopyOut(at, make([]byte, 4))
			t.futexWakeAddr(at, 1)
		}
	}
}

// leave takes t out of its process; with the last thread the process ends.
func (t *Task) leave() state {
	g, k := t.tg, t.k
	t.status.Store(uint32(Zombie))
	k.tasks.Lock()
	g.fold(t)
	t.zombie = true
	if g.alive == g.lingering+1 { // all threads have ended by themselves: as the last one, so ends the process
		g.sig.mu.Lock()
		if !g.sig.exiting {
			g.sig.exiting, g.sig.status = true, t.code
		}
		g.sig.mu.Unlock()
	}
	k.adoptFromThread(t)
	after := t.abandonTracees()
	if g.leader == t || !t.linger() {
		after = append(after, t.depart())
	}
	k.tasks.Unlock()
	for _, f := range after {
		f()
	}
	return nil
}

// depart takes t, which has ended, out of its process for good, and with the
// last thread ends that. It returns what has to be done once the caller, who
// holds tasks, has given it back.
func (t *Task) depart() (after func()) {
	g, k := t.tg, t.k
	if t.trace.lingers {
		t.trace.lingers = false
		g.lingering--
	}
	g.alive--
	if g.leader != t {
		pid := t.pid
		g.removeThread(t)
		t.status.Store(uint32(Dead))
		pid.Exits.Open()
	}
	if g.alive > 0 {
		reaped := k.reapWatch.take()
		return func() {
			reaped.tell()
			g.departures.Open()
		}
	}
	parent := g.parent
	k.endGroup(g, t.endStatus())
	reaped := k.reapWatch.take()
	return func() {
		reaped.tell()
		if parent != nil {
			parent.Children.Open() // not before: who waits runs at once, and wants tasks
		}
		close(g.ended)
	}
}

// exitEvent tells t's tracer that it is about to end.
func (t *Task) exitEvent() {
	if !t.wantsEvent(linux.PTRACE_EVENT_EXIT) {
		return
	}
	t.event(linux.PTRACE_EVENT_EXIT, uint64(t.endStatus()))
}

// endStatus is how t ends, or has ended: as its process does, once that is known.
func (t *Task) endStatus() linux.WaitStatus {
	g := &t.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.exiting {
		return g.status
	}
	return t.code
}
