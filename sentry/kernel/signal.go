package kernel

import (
	"sync/atomic"

	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/wait"
)

// groupSignals is a process's part in signals.
type groupSignals struct {
	handlers atomic.Pointer[Handlers] // replaced only by execve and clone

	// Arrivals tells of signals that became pending, for signalfd(2).
	arrivals wait.Queue

	// init: pid 1 of its namespace: what it does not catch does nothing to it.
	init atomic.Bool

	mu       lock.Mutex[lock.Signals]
	shared   pendingSignals   // protected by mu
	exiting  bool             // protected by mu: the group is to end, with status
	status   linux.WaitStatus // protected by mu
	execing  *Task            // protected by mu: ends the others, in execve
	stop     groupStop        // protected by mu
	tasks    []*Task          // protected by mu for reading; changes under Kernel.tasks too
	timers   posixTimers      // protected by mu
	fatality linux.SigInfo    // protected by mu: what the process died of
	dump     *coreDump        // protected by mu: its core file is being written
}

// taskSignals is a task's part in signals.
type taskSignals struct {
	// Protected by groupSignals.mu; the task's own goroutine may read mask without it.

	mask     linux.SigSet
	waiting  linux.SigSet // blocked, but rt_sigtimedwait waits for them
	pending  pendingSignals
	stopping bool // is to take part in a stop
	tookStop bool // has taken a stop signal, and no SIGCONT came since
	leaving  bool // ends, and no core file will wait for it

	// The task's own:

	altstack  linux.StackT
	savedMask linux.SigSet // to be restored when no handler runs: sigsuspend, ppoll
	saved     bool
}

// KernelSignal is the siginfo of a signal that the kernel itself sends.
func KernelSignal(s linux.Signal) *linux.SigInfo {
	return &linux.SigInfo{Signo: int32(s), Code: linux.SI_KERNEL}
}

// UserSignal is the siginfo of a kill(2) by nobody whom the receiver could name.
func UserSignal(s linux.Signal) *linux.SigInfo { return &linux.SigInfo{Signo: int32(s)} }

// UserSignal is the siginfo of a signal that t sends with kill(2) to to, in whose
// namespaces it names t.
func (t *Task) UserSignal(s linux.Signal, code int32, to *Task) *linux.SigInfo {
	info := &linux.SigInfo{Signo: int32(s), Code: code}
	info.SetSender(t.tg.pid.In(to.tg.pid.ns), to.Creds().UserNS.ShowUID(t.Creds().RUID))
	return info
}

// Queued is info, which t has made up for to, with a sender's user id in to's terms.
func (t *Task) Queued(info *linux.SigInfo, to *Task) *linux.SigInfo {
	own, other := t.Creds().UserNS, to.Creds().UserNS
	if info.Code >= 0 || info.Code == linux.SI_TIMER || info.Code == linux.SI_SIGIO || own.Same(other) {
		return info
	}
	uid, _ := own.MakeUID(info.UID())
	info.SetSender(info.Pid(), other.ShowUID(uid))
	return info
}

// Signal sends the process a signal: some thread that does not block it gets it.
// EAGAIN says that a real-time signal found the queue full. Any goroutine may
// call it, with no lock of rank Signals or later held.
func (g *ThreadGroup) Signal(info *linux.SigInfo) error {
	return g.send(nil, info, info.Code == linux.SI_KERNEL)
}

// SignalFromOutside is Signal by somebody outside the sandbox: it can kill or
// stop even pid 1.
func (g *ThreadGroup) SignalFromOutside(info *linux.SigInfo) error { return g.send(nil, info, true) }

// Signal sends the thread a signal. Any goroutine may call it, as ThreadGroup.Signal.
func (t *Task) Signal(info *linux.SigInfo) error {
	return t.tg.send(t, info, info.Code == linux.SI_KERNEL)
}

// Raise implements vfs.Ctx: a signal that t's own doing caused (SIGPIPE, SIGXFSZ).
func (t *Task) Raise(s linux.Signal) {
	t.Signal(t.UserSignal(s, linux.SI_USER, t))
}

// ForceSignal sends t a signal that it can't escape: if it is blocked or
// ignored, it is unblocked and its action becomes the default (a fault).
func (t *Task) ForceSignal(info *linux.SigInfo) {
	s := info.Signal()
	g := &t.tg.sig
	g.mu.Lock()
	h := g.handlers.Load()
	handler := h.handler(s)
	blocked := t.mask.Has(s)
	if blocked || handler == linux.SIG_IGN {
		a := h.get(s)
		a.Handler = linux.SIG_DFL
		h.set(s, a)
		t.mask.Del(s)
		handler = linux.SIG_DFL
	}
	if handler == linux.SIG_DFL && !t.Traced() {
		g.init.Store(false)
	}
	t.tg.sendLocked(t, info, true)
	t.recalc()
	g.mu.Unlock()
	g.arrivals.Notify(wait.Readable)
}

// send queues a signal for t, or for the process if t is nil. force: it comes
// from the kernel or from an ancestor namespace.
func (g *ThreadGroup) send(t *Task, info *linux.SigInfo, force bool) error {
	g.sig.mu.Lock()
	err := g.sendLocked(t, info, force)
	g.sig.mu.Unlock()
	g.sig.arrivals.Notify(wait.Readable)
	return err
}

// sendLocked is send for the holder of sig.mu.
func (g *ThreadGroup) sendLocked(t *Task, info *linux.SigInfo, force bool) error {
	s := info.Signal()
	if !g.prepare(t, s, force) {
		return nil
	}
	p := &g.sig.shared
	if t != nil {
		p = &t.pending
	}
	if !s.RealTime() && p.set.Has(s) {
		return nil
	}
	q, err := g.newQueued(s, info, force)
	if err != nil {
		return err
	}
	if q != nil {
		p.add(q)
	} else {
		p.set.Add(s)
	}
	g.complete(t, s)
	return nil
}

// newQueued makes the entry of a signal, or nil if the queue is full and the signal
// can go without. The caller holds sig.mu.
func (g *ThreadGroup) newQueued(s linux.Signal, info *linux.SigInfo, force bool) (*queuedSignal, error) {
	if s == linux.SIGKILL {
		return nil, nil // nobody sees its siginfo
	}
	u := g.user()
	// What the kernel sends must not get lost for want of an entry; a standard
	// signal pends at most once, so that exempting it bounds the queue still.
	exempt := !s.RealTime() && (force || info.Code >= 0)
	if n := u.signals(1); !exempt && uint64(n) > g.limits.Cur(limits.SigPending) {
		u.signals(-1)
		if s.RealTime() && info.Code != linux.SI_USER {
			return nil, linux.EAGAIN
		}
		return nil, nil
	}
	return &queuedSignal{info: *info, user: u}, nil
}

// user is the account of the process's real user.
func (g *ThreadGroup) user() *userAccount {
	if len(g.sig.tasks) == 0 {
		return nil
	}
	return g.k.users.account(g.sig.tasks[0].Creds().RUID)
}

// prepare does what a signal does at once, whoever handles it, and reports
// whether it is to be queued at all. The caller holds sig.mu.
func (g *ThreadGroup) prepare(t *Task, s linux.Signal, force bool) bool {
	switch {
	case g.sig.exiting:
		return s == linux.SIGKILL
	case linux.StopSignals.Has(s):
		g.dropPending(linux.SigSetOf(linux.SIGCONT))
	case s == linux.SIGCONT:
		g.dropPending(linux.StopSignals)
		for _, x := range g.sig.tasks {
			x.tookStop = false
		}
		g.resume()
	}
	return !g.ignores(t, s, force)
}

// dropPending forgets signals that wait for the process or any of its threads.
func (g *ThreadGroup) dropPending(set linux.SigSet) {
	g.sig.shared.drop(set)
	for _, t := range g.sig.tasks {
		t.pending.drop(set)
	}
}

// ignores reports whether a signal is not even to be queued.
func (g *ThreadGroup) ignores(t *Task, s linux.Signal, force bool) bool {
	if t == nil {
		if len(g.sig.tasks) == 0 {
			return true
		}
		t = g.sig.tasks[0]
	}
	// A blocked signal may find a handler by the time it is unblocked.
	if t.mask.Has(s) || t.waiting.Has(s) {
		return false
	}
	if t.Traced() && s != linux.SIGKILL {
		return false // its tracer may want to know
	}
	switch g.sig.handlers.Load().handler(s) {
	case linux.SIG_IGN:
		return true
	case linux.SIG_DFL:
		if g.sig.init.Load() {
			return !(force && linux.Unblockable.Has(s))
		}
		return linux.IgnoredSignals.Has(s)
	}
	return false
}

// complete finds a thread for the queued signal s and wakes it. The caller
// holds sig.mu.
func (g *ThreadGroup) complete(t *Task, s linux.Signal) {
	who := t
	if who == nil {
		for _, x := range g.sig.tasks {
			if x.wants(s) && (who == nil || who.attention.Load()&attnSignal != 0) {
				who = x
			}
		}
	} else if !who.wants(s) {
		who = nil
	}
	if who == nil {
		return
	}
	if g.sig.stop.stopped && s != linux.SIGKILL && !who.Traced() {
		return // it waits for the process to go on
	}
	if g.fatal(who, s) {
		g.beginExit(linux.SignalStatus(s, false), nil)
		return
	}
	who.attend(attnSignal)
}

// wants reports whether t would take s now.
func (t *Task) wants(s linux.Signal) bool {
	if t.attention.Load()&(attnKill|attnExit) != 0 {
		return false
	}
	return s == linux.SIGKILL || !t.mask.Has(s)
}

// fatal reports whether s will surely end the process without a core dump: then
// it ends at once, whichever thread is asleep.
func (g *ThreadGroup) fatal(t *Task, s linux.Signal) bool {
	if g.sig.handlers.Load().handler(s) != linux.SIG_DFL || t.waiting.Has(s) {
		return false
	}
	if g.sig.init.Load() && s != linux.SIGKILL {
		return false
	}
	if t.Traced() && s != linux.SIGKILL {
		return false
	}
	return !(linux.IgnoredSignals | linux.StopSignals | linux.CoreSignals).Has(s)
}

// recalc makes t's attention fit what is pending. The caller holds sig.mu.
func (t *Task) recalc() {
	if (t.pending.set|t.tg.sig.shared.set)&^t.mask != 0 {
		t.attend(attnSignal)
	} else {
		t.attention.And(^attnSignal)
	}
}

// beginExit makes every thread of g end, but for except; the process's status is
// status unless it already is on its way. The caller holds sig.mu.
func (g *ThreadGroup) beginExit(status linux.WaitStatus, except *Task) {
	first := !g.sig.exiting
	if first {
		g.sig.exiting, g.sig.status = true, status
	}
	g.sig.stop = groupStop{}
	for _, t := range g.sig.tasks {
		if t != except {
			t.trace.stop.killed = t.trace.stop.killed || first
			t.attend(attnKill)
		}
	}
}
