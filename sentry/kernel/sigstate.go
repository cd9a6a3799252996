package kernel

import (
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// SignalMask is the set of signals that t blocks.
func (t *Task) SignalMask() linux.SigSet { return t.mask }

// SetSignalMask blocks exactly set, but for SIGKILL and SIGSTOP.
func (t *Task) SetSignalMask(set linux.SigSet) {
	set &^= linux.Unblockable
	if set == t.mask {
		return
	}
	g := t.tg
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	newly := set &^ t.mask
	t.mask = set
	t.retarget(newly)
	t.recalc()
}

// retarget lets other threads take the shared signals of set, which t has begun
// to block or will not live to take. The caller holds sig.mu.
func (t *Task) retarget(set linux.SigSet) {
	set &= t.tg.sig.shared.set
	if set == 0 {
		return
	}
	for _, x := range t.tg.sig.tasks {
		if x != t && set&^x.mask != 0 && x.attention.Load()&(attnKill|attnExit) == 0 {
			x.attend(attnSignal)
			if set &= x.mask; set == 0 {
				return
			}
		}
	}
}

// SwapMask blocks set for the rest of the present system call: rt_sigsuspend,
// ppoll, pselect, epoll_pwait. When the call ends with ERESTARTNOHAND or
// EINTR because of a signal, its handler runs with set blocked and the old mask
// is restored when it returns; else the old mask is restored at once.
func (t *Task) SwapMask(set linux.SigSet) {
	t.savedMask, t.saved = t.mask, true
	t.SetSignalMask(set)
}

// restoreMask undoes SwapMask if no handler has been given the saved mask.
func (t *Task) restoreMask() {
	if t.saved {
		t.saved = false
		t.SetSignalMask(t.savedMask)
	}
}

// PendingSignals is what is pending for t or its process.
func (t *Task) PendingSignals() linux.SigSet {
	t.tg.sig.mu.Lock()
	defer t.tg.sig.mu.Unlock()
	return t.pending.set | t.tg.sig.shared.set
}

// SignalArrivals is told whenever a signal may have become pending for a thread of
// g: what signalfd(2) watches. It tells of all signals to all watches.
func (g *ThreadGroup) SignalArrivals() *wait.Queue { return &g.sig.arrivals }

// TakeSignal removes a pending signal of set and returns it, ok false if there
// is none: signalfd(2), rt_sigtimedwait(2).
func (t *Task) TakeSignal(set linux.SigSet) (info linux.SigInfo, ok bool) {
	t.tg.sig.mu.Lock()
	defer t.tg.sig.mu.Unlock()
	return t.takeLocked(set &^ linux.Unblockable)
}

// takeLocked takes the next signal of set, the thread's own before the process's.
// The caller holds sig.mu.
func (t *Task) takeLocked(set linux.SigSet) (info linux.SigInfo, ok bool) {
	p := &t.pending
	s := p.next(set)
	if s == 0 {
		p = &t.tg.sig.shared
		s = p.next(set)
	}
	if s == 0 {
		return info, false
	}
	info, timer := p.take(s)
	if timer != nil {
		timer.delivered(&info)
	}
	t.recalc()
	return info, true
}

// Action is what g does on s. Any goroutine may ask.
func (g *ThreadGroup) Action(s linux.Signal) linux.SigAction { return g.sig.handlers.Load().get(s) }

// SetAction is rt_sigaction(2) with checked arguments. A signal that comes to
// be ignored is no longer pending.
func (t *Task) SetAction(s linux.Signal, a linux.SigAction) (old linux.SigAction) {
	a.Mask &^= linux.Unblockable
	a.Flags &= linux.UAPISigActionFlags
	g := t.tg
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	old = g.sig.handlers.Load().set(s, a)
	if a.Handler == linux.SIG_IGN || a.Handler == linux.SIG_DFL && linux.IgnoredSignals.Has(s) {
		g.dropPending(linux.SigSetOf(s))
		for _, x := range g.sig.tasks {
			x.recalcOther()
		}
	}
	return old
}

// recalcOther is recalc for another goroutine's task: it only raises attention,
// since the task itself may be about to look.
func (t *Task) recalcOther() {
	if (t.pending.set|t.tg.sig.shared.set)&^t.mask != 0 {
		t.attend(attnSignal)
	}
}

// A SignalState is the signal lines of /proc/pid/status.
type SignalState struct {
	Pending, Shared, Blocked, Ignored, Caught linux.SigSet
	Queued                                    int // of the user's RLIMIT_SIGPENDING
}

// SignalState tells what is pending, blocked, ignored and caught. Any goroutine may ask.
func (t *Task) SignalState() (s SignalState) {
	g := &t.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Pending, s.Shared, s.Blocked = t.pending.set, g.shared.set, t.mask
	if t.saved {
		s.Blocked = t.savedMask
	}
	s.Ignored, s.Caught = g.handlers.Load().sets()
	s.Queued = int(t.k.users.account(t.Creds().RUID).signals(0))
	return s
}

// AltStack is the alternate signal stack, sigaltstack(2); SetAltStack changes it.
func (t *Task) AltStack() linux.StackT { return t.altstack }

// SetAltStack changes what AltStack returns.
func (t *Task) SetAltStack(s linux.StackT) { t.altstack = s }

// OnAltStack reports whether sp lies on the alternate stack. With SS_AUTODISARM
// the stack is disarmed while it is in use.
func (t *Task) OnAltStack(sp uint64) bool {
	a := &t.altstack
	if a.Flags&linux.SS_AUTODISARM != 0 {
		return false
	}
	return a.Size != 0 && sp > a.SP && sp-a.SP <= a.Size
}

// AwaitSignal takes a signal of set, and waits for one until d: rt_sigtimedwait(2).
// EAGAIN when d has come, EINTR on another signal.
func (t *Task) AwaitSignal(set linux.SigSet, d ktime.Deadline) (linux.SigInfo, error) {
	set &^= linux.Unblockable
	if info, ok := t.TakeSignal(set); ok {
		return info, nil
	}
	// A signal of set is unblocked meanwhile, so that it wakes t; waiting keeps
	// it from being thrown away, or from ending the process, on arrival.
	g := &t.tg.sig
	g.mu.Lock()
	mask := t.mask
	t.waiting = mask & set
	t.mask = mask &^ set
	t.recalc()
	g.mu.Unlock()

	err := t.BlockUntil(nil, 0, d)

	g.mu.Lock()
	t.mask, t.waiting = mask, 0
	info, ok := t.takeLocked(set)
	t.recalc()
	g.mu.Unlock()
	switch {
	case ok:
		return info, nil
	case err == linux.ETIMEDOUT:
		return info, linux.EAGAIN
	}
	return info, linux.EINTR
}

// SharesHandlers reports whether t and o have the same table of handlers.
func (t *Task) SharesHandlers(o *Task) bool {
	return t.tg.sig.handlers.Load() == o.tg.sig.handlers.Load()
}
