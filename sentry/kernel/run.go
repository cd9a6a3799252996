package kernel

import (
	"sync/atomic"

	"garrison/platform"
	"garrison/platform/hot"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// start begins t's life on a goroutine that it has for itself.
func (t *Task) start(s state) {
	t.state = s
	t.k.running.Add(1)
	t.k.runners.run(t)
}

func (t *Task) loop() {
	t.cputime.start()
	for s := t.state; s != nil; {
		s = s.run(t)
		t.state = s
	}
	t.k.running.Add(-1)
}

// inGuest is where a task runs the guest, until something other than a plain
// system call happens.
type inGuest struct{}

func (inGuest) run(t *Task) state {
	for {
		if t.attention.Load() != 0 {
			return inSignals{}
		}
		if now := t.identity(); now != t.told {
			t.tell(now)
		}
		space := t.space.Load()
		if space.NeedsBarrier() {
			space.Barrier(t.ctx)
		}
		if t.cpus != nil && !t.takeCPU() {
			return inSignals{}
		}
		// attend looks at visits after it has changed attention; so attention
		// is looked at once more after visits has changed.
		atomic.AddInt64(&t.visits, 1)
		if t.attention.Load() != 0 {
			t.leaveGuest()
			return inSignals{}
		}
		ev, err := t.ctx.Switch(space.AddressSpace(), &t.regs)
		t.leaveGuest()
		if err != nil {
			return t.hostFailure(err)
		}
		t.cputime.wasInGuest(ev.Began, ev.Ended)
		if ev.Site.IP != 0 {
			space.LearnCall(ev.Site.IP, ev.Site.NR, ev.Site.Plain)
		}
		if ev.Kind == platform.Syscall {
			t.calledFrom = uint64(ev.Addr)
			if ev.Hot {
				space.PatchCall(t.regs.IP(), t.regs.OrigRAX)
			}
			if t.userDispatch.On && t.dispatchedToUser() {
				continue // before tracers and filters see it
			}
			if t.trace.on.Load() == 0 {
				t.dispatch()
			} else {
				t.tracedCall()
			}
			if t.restart == 0 && !t.saved {
				continue
			}
			return inSignals{}
		}
		t.exception(&ev)
	}
}

// An identity is what Constant system calls return the parts of.
type identity struct {
	pid    *PID
	creds  *auth.Creds
	mapped bool // the user namespace's maps are written: what it shows of ids stays
	silent bool // no call is the platform's to answer: see UserDispatch
}

func (t *Task) identity() identity {
	c := t.creds.Load()
	return identity{t.pid, c, c.UserNS.Mapped(auth.UIDMap) && c.UserNS.Mapped(auth.GIDMap), t.userDispatch.On}
}

// tell lets the platform answer what follows from t's identity, which is now,
// unless somebody wants to see every call, t's filters have a word in it, its ids may
// yet be shown as others, or its own handler is to answer.
func (t *Task) tell(now identity) {
	t.told = now
	a, ok := t.ctx.(platform.Answerer)
	if !ok || t.k.tracer != nil {
		return
	}
	f := t.filters.Load()
	if f != nil || !now.mapped || now.silent {
		a.Forget()
	}
	if now.silent {
		return
	}
	if !now.mapped {
		return // others write the maps, while t may never ask but the platform
	}
	for _, nr := range t.k.constant {
		if !f.allowed(nr) {
			continue
		}
		if ret, err := t.k.table[nr].Fn(t, &[6]uint64{}); err == nil {
			a.Answer(nr, ret)
		}
	}
}

// leaveGuest is called after a Switch, or instead of it. Somebody may see the
// task in the guest for a moment longer.
func (t *Task) leaveGuest() {
	hot.Store(&t.visits, t.visits+1)
	if t.cpus != nil {
		t.giveCPU()
	}
}

// visiting reports whether the task is in a Switch, or about to begin one, by
// what visits was.
func visiting(visits int64) bool { return visits&1 != 0 }

// dispatch answers the system call that the guest is making.
func (t *Task) dispatch() {
	f := t.filters.Load()
	if f != nil && !t.judge(f) {
		t.traceJudged()
		return
	}
	nr, args := t.regs.Syscall()
	t.args = args
	k := t.k
	var call *Syscall
	if nr < uint32(len(k.table)) {
		call = &k.table[nr]
	}
	if call == nil || call.Fn == nil {
		t.failCall(linux.ENOSYS)
		t.notInCall()
		return
	}
	if k.tracer != nil {
		k.tracer.Enter(t, call, &t.args)
	}
	ret, err := call.Fn(t, &t.args)
	if err == nil {
		t.regs.SetReturn(ret)
		if t.saved {
			t.restoreMask()
		}
	} else {
		t.callError(ret, err)
	}
	if k.tracer != nil && !t.Killed() {
		k.tracer.Exit(t, call, &t.args, ret, err)
	}
}

// callError makes the system call fail with err, or be restarted.
func (t *Task) callError(ret uint64, err error) {
	e := Errno(err)
	switch e {
	case linux.ERESTARTSYS, linux.ERESTARTNOINTR, linux.ERESTARTNOHAND, linux.ERESTART_RESTARTBLOCK:
		t.restart = e
		return
	}
	t.failCall(e)
	// A call with a mask of its own that failed for another reason than a
	// signal has its old mask back before any handler runs; after EINTR the
	// handler runs with the call's mask.
	if t.saved && e != linux.EINTR {
		t.restoreMask()
	}
}

// Errno is the errno that a guest sees for err: kernel code returns errnos, and
// what a host call returned unconverted is an I/O error.
func Errno(err error) linux.Errno {
	if e, ok := err.(linux.Errno); ok {
		return e
	}
	return wrappedErrno(err)
}

// exception answers a fault or signal that the guest's own instruction raised.
func (t *Task) exception(ev *platform.Event) {
	switch ev.Kind {
	case platform.Fault:
		t.pageFault(ev)
	case platform.Stepped:
		t.notInCall()
		t.fault = lastFault{addr: t.fault.addr, trap: ev.Trap, err: ev.Error}
		t.stepped()
	case platform.Signal:
		t.notInCall()
		info := &linux.SigInfo{Signo: ev.Signal, Code: ev.Code}
		addr := uint64(ev.Addr)
		if addr == 0 && info.Code != linux.SI_KERNEL {
			addr = t.regs.RIP
		}
		info.SetAddr(addr)
		t.fault = lastFault{addr: t.fault.addr, trap: ev.Trap, err: ev.Error}
		t.ForceSignal(info)
	}
}

// pageFault lets memory management cure a fault, or sends its signal.
func (t *Task) pageFault(ev *platform.Event) {
	t.cputime.faults.Add(1)
	f := t.space.Load().HandleFault(ev, &t.faultMemo)
	if f.Resolved {
		return
	}
	if f.OutOfMemory {
		t.tg.container.OutOfMemory(t)
		return
	}
	t.notInCall()
	info := &linux.SigInfo{Signo: int32(f.Signal), Code: f.Code}
	info.SetAddr(uint64(f.Addr))
	t.fault = lastFault{addr: uint64(f.Addr), trap: trapOf(ev), err: ev.Error}
	t.ForceSignal(info)
}

// trapOf is the processor's number for a fault; a page fault if the platform
// does not know.
func trapOf(ev *platform.Event) uint64 {
	const pageFault = 14
	if ev.Trap == 0 {
		return pageFault
	}
	return ev.Trap
}

// hostFailure ends a process whose address space died under it.
func (t *Task) hostFailure(err error) state {
	if !t.Killed() {
		t.k.logf("task %d (%s): address space lost: %v", t.pid.numbers[0], t.Name(), err)
	}
	t.tg.sig.mu.Lock()
	t.tg.beginExit(linux.SignalStatus(linux.SIGKILL, false), nil)
	t.tg.sig.mu.Unlock()
	return inSignals{}
}
