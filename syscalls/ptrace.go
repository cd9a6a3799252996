package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// ptrace implements ptrace(2), as the system call: what a PEEK finds is stored at
// data.
func ptrace(t *kernel.Task, req int64, pid int32, addr, data address) (int64, error) {
	if req == linux.PTRACE_TRACEME {
		return 0, t.TraceMe()
	}
	p, ok := t.PIDOf(pid)
	if !ok || pid <= 0 {
		return 0, linux.ESRCH
	}
	target := t.Kernel().PIDTask(p)
	if target == nil {
		return 0, linux.ESRCH
	}
	switch req {
	case linux.PTRACE_ATTACH:
		return 0, t.Attach(target, false, 0)
	case linux.PTRACE_SEIZE:
		if addr != 0 || uint64(data)&^uint64(linux.PTRACE_O_MASK) != 0 {
			return 0, linux.EIO
		}
		if err := checkTraceOptions(uint64(data)); err != nil {
			return 0, err
		}
		return 0, t.Attach(target, true, uint64(data))
	case linux.PTRACE_INTERRUPT:
		return 0, t.Interrupt(target)
	case linux.PTRACE_KILL:
		return 0, t.KillTracee(target)
	}
	x, err := t.Tracee(target)
	if err != nil {
		return 0, err
	}
	switch req {
	case linux.PTRACE_CONT, linux.PTRACE_SYSCALL, linux.PTRACE_SINGLESTEP, linux.PTRACE_SYSEMU, linux.PTRACE_SYSEMU_SINGLESTEP:
		return 0, x.Resume(req, signalOf(data))
	case linux.PTRACE_DETACH:
		return 0, x.Detach(t, signalOf(data))
	case linux.PTRACE_LISTEN:
		return 0, x.Listen()
	}
	defer x.Done()
	f := traceRequests[req]
	if f == nil {
		return 0, linux.EIO
	}
	return f(t, x, addr, data)
}

// signalOf is the signal that data says, one that is not valid if it is none.
func signalOf(data address) linux.Signal {
	if data > address(linux.SIGMAX) {
		return -1
	}
	return linux.Signal(data)
}

// traceRequests are the requests that look at a stopped tracee, or change it.
var traceRequests = map[int64]func(*kernel.Task, kernel.Tracee, address, address) (int64, error){
	linux.PTRACE_PEEKTEXT:                         tracePeek,
	linux.PTRACE_PEEKDATA:                         tracePeek,
	linux.PTRACE_POKETEXT:                         tracePoke,
	linux.PTRACE_POKEDATA:                         tracePoke,
	linux.PTRACE_PEEKUSR:                          tracePeekUser,
	linux.PTRACE_POKEUSR:                          tracePokeUser,
	linux.PTRACE_GETREGS:                          traceGetRegs,
	linux.PTRACE_SETREGS:                          traceSetRegs,
	linux.PTRACE_GETFPREGS:                        traceGetFPRegs,
	linux.PTRACE_SETFPREGS:                        traceSetFPRegs,
	linux.PTRACE_GETREGSET:                        traceGetRegSet,
	linux.PTRACE_SETREGSET:                        traceSetRegSet,
	linux.PTRACE_ARCH_PRCTL:                       traceArchPrctl,
	linux.PTRACE_SETOPTIONS:                       traceSetOptions,
	linux.PTRACE_OLDSETOPTIONS:                    traceSetOptions,
	linux.PTRACE_GETEVENTMSG:                      traceEventMessage,
	linux.PTRACE_GETSIGINFO:                       traceGetSigInfo,
	linux.PTRACE_SETSIGINFO:                       traceSetSigInfo,
	linux.PTRACE_PEEKSIGINFO:                      tracePeekSigInfo,
	linux.PTRACE_GETSIGMASK:                       traceGetSigMask,
	linux.PTRACE_SETSIGMASK:                       traceSetSigMask,
	linux.PTRACE_GET_SYSCALL_INFO:                 traceSyscallInfo,
	linux.PTRACE_GET_RSEQ_CONFIG:                  traceRseqConfig,
	linux.PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: traceSetUserDispatch,
	linux.PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: traceUserDispatch,
	linux.PTRACE_SET_SYSCALL_INFO:                 traceSetSyscallInfo,
	linux.PTRACE_SECCOMP_GET_FILTER:               traceNoFilter,
	linux.PTRACE_SECCOMP_GET_METADATA:             traceNoFilter,
}

// checkTraceOptions is EINVAL for options that are not known, or that a kernel
// without checkpoints refuses.
func checkTraceOptions(o uint64) error {
	if o&^uint64(linux.PTRACE_O_MASK) != 0 || o&linux.PTRACE_O_SUSPEND_SECCOMP != 0 {
		return linux.EINVAL
	}
	return nil
}

func tracePeek(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	var b [8]byte
	m, release, ok := x.Memory(t)
	if !ok {
		return 0, linux.EIO
	}
	defer release()
	if n, _ := m.CopyIn(b[:], addr.Addr()); n < len(b) {
		return 0, linux.EIO
	}
	_, err := t.CopyOut(data.Addr(), b[:])
	return 0, err
}

func tracePoke(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	m, release, ok := x.Memory(t)
	if !ok {
		return 0, linux.EIO
	}
	defer release()
	v := uint64(data)
	if n, _ := m.CopyOut(addr.Addr(), usermem.AsBytes(&v)); n < 8 {
		return 0, linux.EIO
	}
	return 0, nil
}

func traceSetOptions(_ *kernel.Task, x kernel.Tracee, _, data address) (int64, error) {
	if err := checkTraceOptions(uint64(data)); err != nil {
		return 0, err
	}
	x.SetTraceOptions(uint64(data))
	return 0, nil
}

func traceEventMessage(t *kernel.Task, x kernel.Tracee, _, data address) (int64, error) {
	v := x.EventMessage()
	return 0, usermem.Ptr[uint64](data).Store(t, &v)
}

func traceGetSigInfo(t *kernel.Task, x kernel.Tracee, _, data address) (int64, error) {
	info, err := x.StopInfo()
	if err != nil {
		return 0, err
	}
	return 0, usermem.Ptr[linux.SigInfo](data).Store(t, &info)
}

func traceSetSigInfo(t *kernel.Task, x kernel.Tracee, _, data address) (int64, error) {
	info, err := usermem.Ptr[linux.SigInfo](data).Load(t)
	if err != nil {
		return 0, err
	}
	return 0, x.SetStopInfo(&info)
}

func tracePeekSigInfo(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	a, err := usermem.Ptr[linux.PtracePeekSigInfoArgs](addr).Load(t)
	if err != nil {
		return 0, err
	}
	if a.Flags&^linux.PTRACE_PEEKSIGINFO_SHARED != 0 || a.Count < 0 {
		return 0, linux.EINVAL
	}
	infos := x.PendingInfos(a.Flags&linux.PTRACE_PEEKSIGINFO_SHARED != 0, a.Off, int(a.Count))
	if err := usermem.Ptr[linux.SigInfo](data).StoreSlice(t, infos); err != nil {
		return 0, err
	}
	return int64(len(infos)), nil
}

func traceGetSigMask(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	if addr != linux.SigSetSize {
		return 0, linux.EINVAL
	}
	set := x.Blocked()
	return 0, usermem.Ptr[linux.SigSet](data).Store(t, &set)
}

func traceSetSigMask(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	if addr != linux.SigSetSize {
		return 0, linux.EINVAL
	}
	set, err := usermem.Ptr[linux.SigSet](data).Load(t)
	if err != nil {
		return 0, err
	}
	x.SetBlocked(set)
	return 0, nil
}

// traceRseqConfig tells of the tracee's registration for rseq(2).
func traceRseqConfig(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	a := x.Rseq()
	c := linux.PtraceRseqConfig{Pointer: uint64(a.At), Size: a.Size, Signature: a.Sig}
	b := usermem.AsBytes(&c)
	b = b[:min(uint64(len(b)), uint64(addr))]
	if _, err := t.CopyOut(data.Addr(), b); err != nil {
		return 0, err
	}
	return int64(len(b)), nil
}

// traceNoFilter is what a Linux without checkpoints says of seccomp filters.
func traceNoFilter(*kernel.Task, kernel.Tracee, address, address) (int64, error) {
	return 0, linux.EINVAL
}

func traceArchPrctl(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	// The arguments are the other way round: the operation is in data.
	r := x.Regs()
	out := usermem.Ptr[uint64](addr)
	u := x.UserRegs()
	switch int32(data) {
	case linux.ARCH_GET_FS:
		return 0, out.Store(t, &r.FSBase)
	case linux.ARCH_GET_GS:
		return 0, out.Store(t, &r.GSBase)
	case linux.ARCH_SET_FS:
		u.FSBase = uint64(addr)
	case linux.ARCH_SET_GS:
		u.GSBase = uint64(addr)
	default:
		return 0, linux.EINVAL
	}
	if addr.Addr() >= arch.Addr(taskSize) {
		return 0, linux.EPERM
	}
	return 0, x.SetUserRegs(&u)
}
