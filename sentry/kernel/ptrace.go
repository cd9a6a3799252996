package kernel

import (
	"sync/atomic"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/list"
)

// taskTrace is a task's part in ptrace(2), as a tracer and as a tracee.
type taskTrace struct {
	// on says what the task's tracer wants of it, 0 if there is none. Its own
	// goroutine may look without a lock; it changes under sig.mu.
	on atomic.Uint32

	// Protected by Kernel.tasks:

	tracer  *Task            // changes under sig.mu too
	tracees list.List[*Task] // whom the task traces
	place   list.Elem[*Task] // on tracer.trace.tracees
	creds   *auth.Creds      // the tracer's when it began
	lingers bool             // a thread that has ended, and that its tracer has yet to reap

	// Protected by groupSignals.mu:

	options uint64 // PTRACE_O_*
	trap    bool   // is to stop, for no signal: whatever stop comes next will do
	again   bool   // SIGCONT came: a stop of the process or PTRACE_INTERRUPT's is to tell
	stop    traceStop

	debug debugRegs
}

// What a tracer wants of a tracee.
const (
	traceOn     uint32 = 1 << iota
	traceSeized        // by PTRACE_SEIZE
	traceCalls         // stops at system calls
	traceEmu           // stops at their entry, and does not make them
	traceStep          // stops after an instruction
	traceDebug         // has debug registers that are enabled

	traceResume = traceCalls | traceEmu | traceStep // what each resumption says anew
)

// A traceStop is a stop that a tracer knows of, and what the tracer says. It is
// protected by groupSignals.mu; in a frozen task, the tracer's to change.
type traceStop struct {
	in        bool          // the task stands still
	frozen    bool          // and its tracer is at work on it: not even SIGKILL moves it
	listening bool          // PTRACE_LISTEN
	reported  bool          // wait(2) has told
	exit      bool          // it is the last, PTRACE_EVENT_EXIT
	killed    bool          // exit: the process began to end during the stop
	code      int32         // a signal, and 256 times the event, as in wait(2)'s status
	sig       linux.Signal  // the signal that the task goes on with
	info      linux.SigInfo // PTRACE_GETSIGINFO
	hasInfo   bool          // there is info: not in a stop of the whole process
	msg       uint64        // PTRACE_GETEVENTMSG
	fpu       []byte        // the vector state, in place of the platform's
	newFPU    bool          // the tracer has changed it
}

// Traced reports whether somebody traces t. Any goroutine may ask.
func (t *Task) Traced() bool { return t.trace.on.Load() != 0 }

// Tracer is who traces t, nil if nobody does. Any goroutine may ask.
func (t *Task) Tracer() *Task {
	t.k.tasks.RLock()
	defer t.k.tasks.RUnlock()
	return t.trace.tracer
}

// seized reports whether t is traced by PTRACE_SEIZE.
func (t *Task) seized() bool { return t.trace.on.Load()&traceSeized != 0 }

// TraceMe is PTRACE_TRACEME: t's parent traces t from now on. EPERM.
func (t *Task) TraceMe() error {
	k := t.k
	defer t.bareText()
	k.tasks.Lock()
	defer k.tasks.Unlock()
	p := t.tg.leader.maker
	if p == nil && t.tg.parent != nil {
		p = t.tg.parent.leader
	}
	if t.trace.tracer != nil || p == nil || p.zombie {
		return linux.EPERM
	}
	t.traceBy(p, traceOn, 0)
	return nil
}

// Attach is PTRACE_ATTACH, or with seize PTRACE_SEIZE with those options: t
// traces x from now on. EPERM.
func (t *Task) Attach(x *Task, seize bool, options uint64) error {
	if x.tg == t.tg || !t.MayInspect(x, false) {
		return linux.EPERM
	}
	k := t.k
	defer x.bareText()
	k.tasks.Lock()
	defer k.tasks.Unlock()
	if x.trace.tracer != nil || x.zombie {
		return linux.EPERM
	}
	on := traceOn
	if seize {
		on |= traceSeized
	}
	x.traceBy(t, on, options)
	if !seize {
		x.tg.sig.mu.Lock()
		x.tg.sendLocked(x, KernelSignal(linux.SIGSTOP), true) //nolint:errcheck // no queue is needed
		x.tg.sig.mu.Unlock()
	}
	return nil
}

// traceBy makes p trace t. The caller holds tasks.
func (t *Task) traceBy(p *Task, on uint32, options uint64) {
	g := &t.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	x := &t.trace
	x.tracer, x.creds, x.options = p, p.Creds(), options
	x.place.Value = t
	p.trace.tracees.PushBack(&x.place)
	x.on.Store(on)
	if g.stop.sig != 0 && !t.stopping { // it has stopped already: its tracer is to know
		x.trap = true
		t.attend(attnTrap)
	}
}

// bareText makes t's system calls come by the processor's instruction, so that
// the platform answers none itself, and the text be as its files have it.
func (t *Task) bareText() {
	if s := t.SpaceOf(); s != nil {
		s.Unpatch()
		s.DecUsers()
	}
}

// traceChild makes t's tracer trace its new child too, if it wants to or the
// child was made to share it, before the child runs.
func (t *Task) traceChild(n *Task, flags linux.CloneFlags, event int32) {
	if !t.Traced() || flags&linux.CLONE_UNTRACED != 0 || event == 0 && flags&linux.CLONE_PTRACE == 0 {
		return
	}
	k := t.k
	k.tasks.Lock()
	defer k.tasks.Unlock()
	p := t.trace.tracer
	if p == nil || n.trace.tracer != nil {
		return
	}
	on := t.trace.on.Load() &^ (traceResume | traceDebug)
	n.traceBy(p, on, t.trace.options)
	n.trace.creds = t.trace.creds
	n.tg.sig.mu.Lock()
	defer n.tg.sig.mu.Unlock()
	if on&traceSeized != 0 {
		n.trace.trap = true
		n.attend(attnTrap)
		return
	}
	n.pending.set.Add(linux.SIGSTOP)
	n.attend(attnSignal)
}

// Detach is PTRACE_DETACH by t: x goes on with sig. The tracee is done. EIO.
func (x Tracee) Detach(t *Task, sig linux.Signal) error {
	if sig != 0 && !sig.Valid() {
		x.Done()
		return linux.EIO
	}
	k := t.k
	k.tasks.Lock()
	defer k.tasks.Unlock()
	x.untrace(&sig)
	return nil
}

// KillTracee is PTRACE_KILL. ESRCH.
func (t *Task) KillTracee(x *Task) error {
	if err := t.mustTrace(x); err != nil {
		return err
	}
	return x.tg.send(x, t.UserSignal(linux.SIGKILL, linux.SI_USER, x), true)
}

// untrace ends the tracing of t, which goes on: with sig if given, else with the
// signal of its stop unless that has been told. The caller holds tasks.
func (t *Task) untrace(sig *linux.Signal) {
	g := &t.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	x := &t.trace
	x.place.Remove()
	x.tracer, x.creds, x.options, x.trap, x.again = nil, nil, 0, false, false
	x.on.Store(0)
	if s := &x.stop; s.in {
		s.sig = 0
		if sig != nil {
			s.sig = *sig
		} else if !s.reported && s.hasInfo && s.info.Code != s.code {
			s.sig = linux.Signal(s.code & 0x7f)
		}
		s.in, s.listening, s.frozen = false, false, false
		t.status.Store(uint32(Running))
	}
	if g.stop.sig != 0 {
		t.attend(attnStop)
	}
	t.spot.Wake()
}

// abandonTracees ends the tracing of all whom t, which ends, traces. It returns
// what has to be done once the caller, who holds tasks, has given it back.
func (t *Task) abandonTracees() (after []func()) {
	for x := range t.trace.tracees.All() {
		if x.trace.options&linux.PTRACE_O_EXITKILL != 0 && !x.zombie {
			x.tg.Kill()
		}
		x.untrace(nil)
		switch {
		case x.trace.lingers:
			after = append(after, x.depart())
		case x.tg.exited && x.tg.leader == x && x.tg.parent != t.tg:
			after = append(after, x.tg.endForParent())
		}
	}
	return after
}

// untrustedTracer reports whether t is traced by somebody who may not see it
// gain rights in ns: LSM_UNSAFE_PTRACE.
func (t *Task) untrustedTracer(ns *auth.UserNamespace) bool {
	if !t.Traced() {
		return false
	}
	t.k.tasks.RLock()
	defer t.k.tasks.RUnlock()
	c := t.trace.creds
	return c != nil && !c.HasCapIn(ns, auth.CapSysPtrace)
}
