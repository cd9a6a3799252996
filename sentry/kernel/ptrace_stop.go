package kernel

import (
	"garrison/sentry/linux"
)

// standStill stops t for its tracer: code is what wait(2) tells, a signal and 256
// times an event; info and msg are what the tracer may ask for. It returns when t is
// to go on, with the signal that the tracer gives it. ok is false if there was
// nobody to stop for.
func (t *Task) standStill(code int32, info *linux.SigInfo, msg uint64) (sig linux.Signal, ok bool) {
	fpu := t.ctx.FPU()
	t.tg.sig.mu.Lock()
	return t.standStillLocked(traceStop{code: code, msg: msg, fpu: fpu}, info, false)
}

// standStillLocked is standStill for a stop of which the caller has said all but
// info. group: it is one of the whole process, or of PTRACE_INTERRUPT. The caller
// holds sig.mu, which is given back.
func (t *Task) standStillLocked(as traceStop, info *linux.SigInfo, group bool) (sig linux.Signal, ok bool) {
	g, s := t.tg, &t.trace.stop
	as.in, as.exit = true, as.code>>8 == linux.PTRACE_EVENT_EXIT
	if !t.Traced() || !as.exit && t.Killed() {
		g.sig.mu.Unlock()
		return 0, false
	}
	if t.restart != 0 {
		t.failCall(t.restart) // where a tracer looks for it
	}
	t.trace.trap = false
	if group {
		t.trace.again = false
	}
	if info != nil {
		as.info, as.hasInfo = *info, true
	}
	*s = as
	completes := false
	if group && t.stopping {
		t.stopping = false
		completes = g.threadStopped()
	}
	t.status.Store(uint32(TracingStop))
	g.sig.mu.Unlock()
	byParent := t.tellTracer(as.code, group)
	if completes && !byParent {
		g.tellParent()
	}
	t.park(TracingStop, 0, t.released)
	g.sig.mu.Lock()
	end := *s
	*s = traceStop{info: end.info}
	g.sig.mu.Unlock()
	t.wake(&end)
	return end.sig, true
}

// released reports whether t's stop has come to an end.
func (t *Task) released() bool {
	t.tg.sig.mu.Lock()
	defer t.tg.sig.mu.Unlock()
	s := &t.trace.stop
	switch {
	case s.frozen:
		return false
	case !s.in, s.listening && (t.trace.again || t.stopping):
	case s.exit && s.killed, !s.exit && t.attention.Load()&attnKill != 0:
	default:
		return false
	}
	s.in = false
	return true
}

// wake makes what the tracer has changed in a stop take effect.
func (t *Task) wake(s *traceStop) {
	if s.newFPU {
		if err := t.ctx.SetFPU(s.fpu); err != nil {
			t.k.logf("ptrace: %v", err) // it has been checked
		}
	}
	t.restart = 0
	if e := linux.Errno(-t.regs.RAX); int64(t.regs.OrigRAX) >= 0 {
		switch e {
		case linux.ERESTARTSYS, linux.ERESTARTNOINTR, linux.ERESTARTNOHAND, linux.ERESTART_RESTARTBLOCK:
			t.restart = e
		}
	}
	t.ctx.Step(t.trace.on.Load()&(traceStep|traceDebug) != 0)
}

// tellTracer tells t's tracer that t has stopped: SIGCHLD, and wait(2). It
// reports whether that is t's parent, who need not be told twice.
func (t *Task) tellTracer(code int32, group bool) (byParent bool) {
	k := t.k
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	p := t.trace.tracer
	if p == nil {
		return false
	}
	why := int32(linux.CLD_TRAPPED)
	if group {
		why = linux.CLD_STOPPED
	}
	a := p.tg.Action(linux.SIGCHLD)
	if a.Handler != linux.SIG_IGN && a.Flags&linux.SA_NOCLDSTOP == 0 {
		p.tg.Signal(t.traceInfo(p, why, code&0x7f)) //nolint:errcheck // a standard signal
	}
	p.tg.Children.Open()
	return p.tg == t.tg.parent
}

// traceInfo is the siginfo of a SIGCHLD about t for its tracer p. The caller holds tasks.
func (t *Task) traceInfo(p *Task, why, status int32) *linux.SigInfo {
	info := &linux.SigInfo{Signo: int32(linux.SIGCHLD), Code: why}
	info.SetSender(t.pid.In(p.pid.ns), p.Creds().UserNS.ShowUID(t.Creds().RUID))
	user, system := t.CPUTime()
	info.SetStatus(status, user/linux.ClockTick, system/linux.ClockTick)
	return info
}

// notify is a stop that is no signal's (ptrace_notify).
func (t *Task) notify(code int32, msg uint64) (linux.Signal, bool) {
	return t.standStill(code, t.stopInfo(code), msg)
}

// stopInfo is the siginfo that Linux gives a stop that is no signal's.
func (t *Task) stopInfo(code int32) *linux.SigInfo {
	info := &linux.SigInfo{Signo: code & 0x7f, Code: code}
	info.SetSender(t.TID(), t.Creds().UserNS.ShowUID(t.Creds().RUID))
	return info
}

// wantsEvent reports whether t's tracer has asked for stops at event.
func (t *Task) wantsEvent(event int32) bool {
	if !t.Traced() {
		return false
	}
	t.tg.sig.mu.Lock()
	defer t.tg.sig.mu.Unlock()
	return t.trace.options>>event&1 != 0
}

// event stops t at event, if its tracer has asked for that.
func (t *Task) event(event int32, msg uint64) {
	if t.wantsEvent(event) {
		t.notify(int32(linux.SIGTRAP)|event<<8, msg)
	}
}

// execEvent tells t's tracer of its execve(2), which is system call nr and which
// it made under the number old.
func (t *Task) execEvent(old *PID, nr uint64) {
	if !t.Traced() {
		return
	}
	t.regs.OrigRAX = nr
	t.bareText()
	if t.wantsEvent(linux.PTRACE_EVENT_EXEC) {
		t.event(linux.PTRACE_EVENT_EXEC, uint64(t.seenByTracer(old)))
	} else if !t.seized() {
		t.Signal(t.UserSignal(linux.SIGTRAP, linux.SI_USER, t)) //nolint:errcheck // a standard signal
	}
}

// cloneEvent is the event that c is to t's tracer, 0 if it has not asked for it.
func (t *Task) cloneEvent(c *CloneSpec) int32 {
	event := int32(linux.PTRACE_EVENT_FORK)
	switch {
	case c.Flags&linux.CLONE_UNTRACED != 0:
		return 0
	case c.Flags&linux.CLONE_VFORK != 0:
		event = linux.PTRACE_EVENT_VFORK
	case c.ExitSignal != linux.SIGCHLD:
		event = linux.PTRACE_EVENT_CLONE
	}
	if !t.wantsEvent(event) {
		return 0
	}
	return event
}

// seenByTracer is p's number where t's tracer is.
func (t *Task) seenByTracer(p *PID) int32 {
	t.k.tasks.RLock()
	defer t.k.tasks.RUnlock()
	if x := t.trace.tracer; x != nil {
		return p.In(x.pid.ns)
	}
	return 0
}

// SeccompEvent stops t for a filter's SECCOMP_RET_TRACE with data. It is false
// if its tracer, if any, has not asked for that: the call then fails with ENOSYS.
// Else the caller looks at the registers anew: the tracer may have changed which
// call it is, and a negative number skips it.
func (t *Task) SeccompEvent(data uint16) bool {
	if !t.wantsEvent(linux.PTRACE_EVENT_SECCOMP) {
		return false
	}
	t.event(linux.PTRACE_EVENT_SECCOMP, uint64(data))
	return true
}

// stopForTracer is what becomes of a stop of the whole process, of PTRACE_INTERRUPT
// and, in a tracee that is seized, of SIGCONT. What the stop tells and what it answers
// are one: of a SIGCONT that comes later it tells by another stop.
func (t *Task) stopForTracer() {
	fpu := t.ctx.FPU()
	g := &t.tg.sig
	g.mu.Lock()
	t.attention.And(^attnTrap)
	if !t.Traced() {
		g.mu.Unlock()
		return
	}
	t.attention.And(^attnStop)
	if !t.trace.trap && !t.trace.again && !t.stopping {
		g.mu.Unlock()
		return
	}
	as, info := traceStop{fpu: fpu, code: int32(g.stop.sig)}, (*linux.SigInfo)(nil)
	if t.seized() {
		if as.code == 0 {
			as.code = int32(linux.SIGTRAP)
		}
		as.code |= linux.PTRACE_EVENT_STOP << 8
		info = t.stopInfo(as.code)
	} else if as.code == 0 {
		as.code = int32(linux.SIGSTOP)
	}
	t.standStillLocked(as, info, true)
}

// signalStop lets the tracer decide on the signal that t has taken and is about
// to see to. It is false if there is none any more.
func (t *Task) signalStop(info *linux.SigInfo) bool {
	sig, ok := t.standStill(info.Signo, info, 0)
	if !ok {
		return true
	}
	if sig == 0 {
		return false
	}
	g := &t.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	*info = t.trace.stop.info // PTRACE_SETSIGINFO
	if sig != info.Signal() {
		*info = linux.SigInfo{Signo: int32(sig), Code: linux.SI_USER}
	}
	if t.mask.Has(sig) {
		t.tg.sendLocked(t, info, true) //nolint:errcheck // it waits until it is unblocked
		return false
	}
	return true
}

// tracedCall answers the system call of a tracee.
func (t *Task) tracedCall() {
	skip := false
	if on := t.trace.on.Load(); on&(traceCalls|traceEmu) != 0 {
		skip = on&traceEmu != 0
		t.callStop(linux.PTRACE_EVENTMSG_SYSCALL_ENTRY)
		if t.Killed() {
			return
		}
	}
	if !skip && int32(t.regs.OrigRAX) != -1 {
		t.dispatch()
	}
	if t.Killed() {
		return
	}
	on := t.trace.on.Load()
	if on&traceDebug != 0 {
		t.lookAtWatched() // what the kernel writes is no business of the processor's
	}
	switch {
	case on&traceStep != 0 && on&traceEmu == 0:
		info := &linux.SigInfo{Signo: int32(linux.SIGTRAP), Code: linux.TRAP_BRKPT}
		info.SetAddr(t.regs.RIP)
		t.ForceSignal(info)
	case on&traceCalls != 0:
		t.callStop(linux.PTRACE_EVENTMSG_SYSCALL_EXIT)
	}
}

// callStop is a stop at a system call.
func (t *Task) callStop(msg uint64) {
	code := int32(linux.SIGTRAP)
	t.tg.sig.mu.Lock()
	if t.trace.options&linux.PTRACE_O_TRACESYSGOOD != 0 {
		code |= 0x80
	}
	t.tg.sig.mu.Unlock()
	if sig, ok := t.notify(code, msg); ok && sig != 0 {
		t.Signal(KernelSignal(sig)) //nolint:errcheck // the queue may be full, as for anybody
	}
}
