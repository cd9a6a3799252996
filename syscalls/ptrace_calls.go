package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// traceSyscallInfo returns how long the structure is; as much is stored as the
// caller has room for.
func traceSyscallInfo(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	info, n := x.SyscallInfo()
	b := usermem.AsBytes(&info)[:min(uint64(n), uint64(addr))]
	if _, err := t.CopyOut(data.Addr(), b); err != nil {
		return 0, err
	}
	return int64(n), nil
}

// traceSetSyscallInfo changes the call that the tracee has stopped at, or its result:
// EINVAL if that is no such stop as is described.
func traceSetSyscallInfo(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	var info linux.PtraceSyscallInfo
	if addr < address(len(usermem.AsBytes(&info))) {
		return 0, linux.EINVAL
	}
	info, err := usermem.Ptr[linux.PtraceSyscallInfo](data).Load(t)
	if err != nil {
		return 0, err
	}
	now, _ := x.SyscallInfo()
	if info.Reserved != 0 || info.Flags != 0 || info.Op != now.Op {
		return 0, linux.EINVAL
	}
	u := x.UserRegs()
	switch info.Op {
	case linux.PTRACE_SYSCALL_INFO_SECCOMP:
		if info.Data[7]>>32 != 0 {
			return 0, linux.EINVAL
		}
		fallthrough
	case linux.PTRACE_SYSCALL_INFO_ENTRY:
		nr, a := int64(info.Data[0]), info.Data[1:7]
		if nr != int64(int32(nr)) {
			return 0, linux.ERANGE
		}
		if u.OrigRAX = uint64(nr); nr != -1 {
			u.RDI, u.RSI, u.RDX, u.R10, u.R8, u.R9 = a[0], a[1], a[2], a[3], a[4], a[5]
		}
	case linux.PTRACE_SYSCALL_INFO_EXIT:
		u.RAX = info.Data[0]
	default:
		return 0, linux.EINVAL
	}
	return 0, x.SetUserRegs(&u)
}

// traceUserDispatch tells of PR_SET_SYSCALL_USER_DISPATCH; what is dispatched but for
// some text is told as all but the rest.
func traceUserDispatch(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	d := x.UserDispatch()
	c := linux.PtraceUserDispatch{Selector: uint64(d.Selector), Offset: d.Start, Len: d.Len}
	if d.On {
		c.Mode = linux.PR_SYS_DISPATCH_EXCLUSIVE_ON
	}
	if addr != address(len(usermem.AsBytes(&c))) {
		return 0, linux.EINVAL
	}
	return 0, usermem.Ptr[linux.PtraceUserDispatch](data).Store(t, &c)
}

func traceSetUserDispatch(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	var c linux.PtraceUserDispatch
	if addr != address(len(usermem.AsBytes(&c))) {
		return 0, linux.EINVAL
	}
	c, err := usermem.Ptr[linux.PtraceUserDispatch](data).Load(t)
	if err != nil {
		return 0, err
	}
	d, err := newUserDispatch(c.Mode, c.Offset, c.Len, arch.Addr(c.Selector))
	if err != nil {
		return 0, err
	}
	x.SetUserDispatch(d)
	return 0, nil
}
