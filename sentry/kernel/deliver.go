package kernel

import (
	"garrison/sentry/linux"
)

// A state is what a task does next. Each run of it returns the next state, nil
// when the task is over. States are values: nothing that must survive a
// checkpoint lives on a task's goroutine.
type state interface {
	run(t *Task) state
}

// inSignals is where a task sees to its attention before it goes back to the
// guest: the end, pauses, stops, signals, in that order.
type inSignals struct{}

func (inSignals) run(t *Task) state {
	for {
		a := t.attention.Load()
		switch {
		case a&(attnKill|attnExit) != 0:
			return inExit{}
		case a&attnPause != 0:
			t.tg.container.gate.wait(t)
			continue
		case a&attnNotify != 0:
			t.attention.And(^attnNotify)
			t.tg.tellParent()
			continue
		case a&attnTrap != 0, a&attnStop != 0 && t.Traced():
			t.stopForTracer()
			continue
		case a&attnFilter != 0:
			t.attention.And(^attnFilter)
			t.told = identity{}
			continue
		case a&attnMove != 0:
			t.attention.And(^attnMove)
			t.moveCPU()
			continue
		case a&attnName != 0:
			t.showNames()
			continue
		case a&attnStop != 0:
			t.stopHere()
			continue
		}
		info, act, ok := t.nextSignal()
		if !ok {
			if t.attention.Load() != 0 {
				continue
			}
			break
		}
		if act.Handler != linux.SIG_DFL {
			t.handle(&info, &act)
			if t.attention.Load() == 0 {
				return inGuest{}
			}
			continue
		}
		t.defaultAction(&info)
	}
	t.restartCall()
	t.restoreMask()
	if t.attention.Load() != 0 {
		return inSignals{}
	}
	return inGuest{}
}

// nextSignal takes the next signal that does something, with its action.
func (t *Task) nextSignal() (info linux.SigInfo, act linux.SigAction, ok bool) {
	g := &t.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		if t.stopping || g.exiting && g.execing != t { // came while we were at it
			return info, act, false
		}
		info, ok = t.takeLocked(^t.mask)
		if !ok {
			t.recalc()
			return info, act, false
		}
		t.tookStop = linux.StopSignals.Has(info.Signal())
		if t.Traced() && info.Signal() != linux.SIGKILL {
			t.tookStop = true // whatever it is that the tracer makes of it
			g.mu.Unlock()
			ok = t.signalStop(&info)
			g.mu.Lock()
			if !ok {
				continue
			}
		}
		s := info.Signal()
		act = g.handlers.Load().take(s)
		switch {
		case act.Handler == linux.SIG_IGN:
			continue
		case act.Handler != linux.SIG_DFL:
			return info, act, true
		case linux.IgnoredSignals.Has(s), g.init.Load() && !linux.Unblockable.Has(s):
			continue
		}
		return info, act, true
	}
}

// defaultAction stops the process or ends it.
func (t *Task) defaultAction(info *linux.SigInfo) {
	s := info.Signal()
	g := t.tg
	if linux.StopSignals.Has(s) {
		if s != linux.SIGSTOP {
			t.k.tasks.RLock()
			orphaned := g.pgrp.orphaned(nil)
			t.k.tasks.RUnlock()
			if orphaned {
				return
			}
		}
		g.sig.mu.Lock()
		defer g.sig.mu.Unlock()
		// A SIGCONT that came after the signal was taken has the last word: it
		// would have dropped this one had it still been queued.
		if t.tookStop {
			t.tookStop = false
			g.beginStop(s, t)
		}
		return
	}
	if linux.SynchronousSignals.Has(s) {
		t.k.logf("task %d (%s): %v, code %d, address %#x, at %#x, stack %#x",
			t.pid.numbers[0], t.Name(), s, info.Code, info.Addr(), t.regs.RIP, t.regs.RSP)
	}
	t.dieOf(info)
}

// handle makes the guest run a handler when it goes on.
func (t *Task) handle(info *linux.SigInfo, act *linux.SigAction) {
	t.finishCall(act)
	t.signalInSection(info.Signal())
	mask := t.mask
	if t.saved {
		mask, t.saved = t.savedMask, false
	}
	if err := t.pushFrame(info, act, mask); err != nil {
		t.frameFault(info.Signal())
		return
	}
	block := t.mask | act.Mask
	if act.Flags&linux.SA_NODEFER == 0 {
		block.Add(info.Signal())
	}
	t.SetSignalMask(block)
	if t.trace.on.Load()&traceStep != 0 {
		t.notify(int32(linux.SIGTRAP), 0)
	}
}

// frameFault is what happens when a signal frame can't be written: SIGSEGV,
// and its default action if it was SIGSEGV's own frame (force_sigsegv).
func (t *Task) frameFault(s linux.Signal) {
	if s == linux.SIGSEGV {
		h := t.tg.sig.handlers.Load()
		a := h.get(s)
		a.Handler = linux.SIG_DFL
		h.set(s, a)
	}
	t.ForceSignal(KernelSignal(linux.SIGSEGV))
}

// finishCall gives an interrupted system call its result, now that a handler
// is to run: EINTR, or a restart when the handler has returned.
func (t *Task) finishCall(act *linux.SigAction) {
	code := t.restart
	t.restart = 0
	switch code {
	case 0:
	case linux.ERESTARTNOINTR:
		t.repeatCall()
	case linux.ERESTARTSYS:
		if act.Flags&linux.SA_RESTART != 0 {
			t.repeatCall()
			return
		}
		t.failCall(linux.EINTR)
	default:
		t.failCall(linux.EINTR)
	}
}

// restartCall repeats an interrupted system call: no handler is to run.
func (t *Task) restartCall() {
	code := t.restart
	t.restart = 0
	switch code {
	case 0:
	case linux.ERESTART_RESTARTBLOCK:
		t.repeatCall()
		t.setCallNumber(sysRestart)
	default:
		t.repeatCall()
	}
}
