package kernel

import (
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// A Tracee is a task that has stopped for its tracer, which is at work on it:
// until Done, nothing moves it. Its registers are at Task.Regs.
type Tracee struct{ *Task }

// Tracee is x, which t traces and which has stopped: ESRCH if it is not so. The
// caller calls Done or Resume.
func (t *Task) Tracee(x *Task) (Tracee, error) {
	if err := t.mustTrace(x); err != nil {
		return Tracee{}, err
	}
	g := &x.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &x.trace.stop
	killed := x.attention.Load()&attnKill != 0
	if !s.in || s.listening || s.exit && s.killed || !s.exit && killed {
		return Tracee{}, linux.ESRCH
	}
	s.frozen = true
	return Tracee{x}, nil
}

// mustTrace is ESRCH if t is not who traces x.
func (t *Task) mustTrace(x *Task) error {
	t.k.tasks.RLock()
	defer t.k.tasks.RUnlock()
	if x.trace.tracer != t {
		return linux.ESRCH
	}
	return nil
}

// Done lets the tracee stand still without its tracer.
func (x Tracee) Done() {
	g := &x.tg.sig
	g.mu.Lock()
	x.trace.stop.frozen = false
	g.mu.Unlock()
	x.spot.Wake() // a SIGKILL may have come
}

// Resume lets x go on with sig, as req says: PTRACE_CONT, PTRACE_SYSCALL and
// their like. The tracee is done. EIO.
func (x Tracee) Resume(req int64, sig linux.Signal) error {
	if sig != 0 && !sig.Valid() {
		x.Done()
		return linux.EIO
	}
	how := uint32(0)
	switch req {
	case linux.PTRACE_SYSCALL:
		how = traceCalls
	case linux.PTRACE_SINGLESTEP:
		how = traceStep
	case linux.PTRACE_SYSEMU:
		how = traceEmu
	case linux.PTRACE_SYSEMU_SINGLESTEP:
		how = traceEmu | traceStep
	}
	g := &x.tg.sig
	g.mu.Lock()
	on := &x.trace.on
	on.Store(on.Load()&^traceResume | how)
	s := &x.trace.stop
	s.sig, s.in, s.frozen = sig, false, false
	x.status.Store(uint32(Running))
	g.mu.Unlock()
	x.spot.Wake()
	return nil
}

// Interrupt is PTRACE_INTERRUPT: x, which t has seized, stops. ESRCH, EIO.
func (t *Task) Interrupt(x *Task) error {
	if err := t.mustTrace(x); err != nil {
		return err
	}
	if !x.seized() {
		return linux.EIO
	}
	g := &x.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	x.trace.trap = true
	if x.trace.stop.listening {
		x.trace.again = true // any other stop would have done
	}
	x.attend(attnTrap)
	return nil
}

// Listen is PTRACE_LISTEN: the tracee stays in a stop of the whole process, but
// tells of the next. The tracee is done. EIO.
func (x Tracee) Listen() error {
	defer x.Done()
	g := &x.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &x.trace.stop
	if !x.seized() || s.info.Code>>8 != linux.PTRACE_EVENT_STOP {
		return linux.EIO
	}
	s.listening = true
	return nil
}

// SetTraceOptions is PTRACE_SETOPTIONS.
func (x Tracee) SetTraceOptions(o uint64) {
	g := &x.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	x.trace.options = o
}

// EventMessage is PTRACE_GETEVENTMSG.
func (x Tracee) EventMessage() uint64 { return x.trace.stop.msg }

// StopInfo is PTRACE_GETSIGINFO: EINVAL in a stop of the whole process.
func (x Tracee) StopInfo() (linux.SigInfo, error) {
	if s := &x.trace.stop; s.hasInfo {
		return s.info, nil
	}
	return linux.SigInfo{}, linux.EINVAL
}

// SetStopInfo is PTRACE_SETSIGINFO.
func (x Tracee) SetStopInfo(info *linux.SigInfo) error {
	s := &x.trace.stop
	if !s.hasInfo {
		return linux.EINVAL
	}
	s.info = *info
	return nil
}

// PendingInfos is PTRACE_PEEKSIGINFO: at most n of the signals that wait, from the
// off'th on, for the process if shared, else for the thread.
func (x Tracee) PendingInfos(shared bool, off uint64, n int) (out []linux.SigInfo) {
	g := &x.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &x.pending
	if shared {
		p = &g.shared
	}
	for q := range p.queue.All() {
		if off > 0 {
			off--
			continue
		}
		if len(out) >= n {
			break
		}
		out = append(out, q.info)
	}
	return out
}

// Blocked is PTRACE_GETSIGMASK; SetBlocked is PTRACE_SETSIGMASK.
func (x Tracee) Blocked() linux.SigSet {
	if x.saved {
		return x.savedMask
	}
	return x.mask
}

// SetBlocked changes what Blocked returns.
func (x Tracee) SetBlocked(set linux.SigSet) {
	g := &x.tg.sig
	g.mu.Lock()
	defer g.mu.Unlock()
	set &^= linux.Unblockable
	newly := set &^ x.mask
	x.mask, x.saved = set, false
	x.retarget(newly)
	x.recalc()
}

// SyscallInfo is PTRACE_GET_SYSCALL_INFO, and how many of its bytes mean something.
func (x Tracee) SyscallInfo() (i linux.PtraceSyscallInfo, n int) {
	s, r := &x.trace.stop, &x.regs
	i.Arch, i.IP, i.SP = linux.AUDIT_ARCH_X86_64, r.RIP, r.RSP
	nr, args := r.Syscall()
	call := func() {
		i.Data[0] = uint64(int64(int32(nr)))
		copy(i.Data[1:7], args[:])
	}
	code := int32(0)
	if s.hasInfo {
		code = s.info.Code
	}
	switch {
	case code == int32(linux.SIGTRAP)|0x80 && s.msg == linux.PTRACE_EVENTMSG_SYSCALL_ENTRY:
		call()
		i.Op, n = linux.PTRACE_SYSCALL_INFO_ENTRY, linux.SizeofSyscallInfoEntry
	case code == int32(linux.SIGTRAP)|0x80 && s.msg == linux.PTRACE_EVENTMSG_SYSCALL_EXIT:
		i.Data[0] = r.RAX
		if e := -int64(r.RAX); e > 0 && e <= maxErrno {
			i.Data[1] = 1
		}
		i.Op, n = linux.PTRACE_SYSCALL_INFO_EXIT, linux.SizeofSyscallInfoExit
	case code == int32(linux.SIGTRAP)|linux.PTRACE_EVENT_SECCOMP<<8:
		call()
		i.Data[7] = s.msg
		i.Op, n = linux.PTRACE_SYSCALL_INFO_SECCOMP, linux.SizeofSyscallInfoSeccomp
	default:
		n = linux.SizeofSyscallInfoNone
	}
	return i, n
}

// maxErrno is MAX_ERRNO: results from its negation on are errors.
const maxErrno = 4095

// Memory is x's memory as a tracer sees it: rights do not count. ok is false if it
// has none any more, or if it is not to be seen by the tracer t. The caller calls release.
func (x Tracee) Memory(t *Task) (m usermem.Memory, release func(), ok bool) {
	if x.tg.Dumpable() != 1 && x.untrustedTracer(x.tg.MemoryNS()) {
		return nil, nil, false
	}
	s := x.SpaceOf()
	if s == nil {
		return nil, nil, false
	}
	return s.Forced(), s.DecUsers, true
}
