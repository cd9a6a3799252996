package kernel

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// A UserDispatch is what of a task's system calls come to its own SIGSYS handler:
// prctl(PR_SET_SYSCALL_USER_DISPATCH). Threads and children begin without, and so
// do programs.
type UserDispatch struct {
	On       bool
	Start    uint64    // of the text whose calls are carried out,
	Len      uint64    //   and how many bytes it has, modulo 2^64
	Selector arch.Addr // where a byte says whether the others are, 0: they are not
}

// SetUserDispatch is for t's own goroutine, or for its tracer while it has stopped.
func (t *Task) SetUserDispatch(d UserDispatch) { t.userDispatch = d }

// UserDispatch is what SetUserDispatch set, for the same callers.
func (t *Task) UserDispatch() UserDispatch { return t.userDispatch }

// dispatchedToUser reports whether the call that the guest is making is not the
// kernel's to answer, and then sends the signal.
func (t *Task) dispatchedToUser() bool {
	d := &t.userDispatch
	from := t.callSite()
	if from-d.Start < d.Len {
		return false
	}
	if d.Selector != 0 {
		switch b, err := usermem.Ptr[uint8](d.Selector).Load(t); {
		case err != nil:
			t.dieOf(KernelSignal(linux.SIGSEGV))
			return true
		case b == linux.SYSCALL_DISPATCH_FILTER_ALLOW:
			return false
		case b != linux.SYSCALL_DISPATCH_FILTER_BLOCK:
			t.dieOf(KernelSignal(linux.SIGSYS))
			return true
		}
	}
	t.regs.RAX = t.regs.OrigRAX // a handler sees the registers as they were
	info := &linux.SigInfo{Signo: int32(linux.SIGSYS), Code: linux.SYS_USER_DISPATCH}
	info.SetSyscall(from, int32(t.regs.OrigRAX), linux.AUDIT_ARCH_X86_64)
	t.ForceSignal(info)
	return true
}

// callSite is what follows the instruction that the present call was made by.
func (t *Task) callSite() uint64 {
	if t.calledFrom != 0 {
		return t.calledFrom
	}
	return t.regs.RIP
}
