package systrap

import (
	"golang.org/x/sys/unix"

	"garrison/platform/arch"
)

// A sigframe is what the host pushes on a stub's alternate stack for a signal:
// struct rt_sigframe. The floating-point state lies behind it, where fpstate
// points.
type sigframe struct {
	restorer  uint64
	flags     uint64
	link      uint64
	stack     uint64 // the alternate stack's address, flags and size
	stackFlag uint64
	stackSize uint64

	r8, r9, r10, r11, r12, r13, r14, r15   uint64
	rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp uint64
	rip, rflags                            uint64

	segments uint64 // CS, GS, FS, SS
	err      uint64 // error code of the exception
	trap     uint64 // its number
	oldMask  uint64
	cr2      uint64
	fpstate  uint64
	_        [8]uint64
	mask     uint64

	signo int32
	errno int32
	code  int32
	_     int32
	addr  uint64 // faults; after the call with SIGSYS
	nr    int32  // SIGSYS
	arch  uint32
	_     [96]byte
}

// trapFlag makes the processor stop after one instruction.
const trapFlag = 1 << 8

// interruptSignal is what stops a running guest.
const interruptSignal = unix.SIGURG

// load gives the frame the guest's registers, with which the stub will return.
func (f *sigframe) load(r *arch.Regs, step bool) {
	f.r8, f.r9, f.r10, f.r11 = r.R8, r.R9, r.R10, r.R11
	f.r12, f.r13, f.r14, f.r15 = r.R12, r.R13, r.R14, r.R15
	f.rdi, f.rsi, f.rbp, f.rbx = r.RDI, r.RSI, r.RBP, r.RBX
	f.rdx, f.rax, f.rcx, f.rsp = r.RDX, r.RAX, r.RCX, r.RSP
	f.rip, f.rflags = r.RIP, r.RFLAGS
	if step {
		f.rflags |= trapFlag
	}
	f.mask = ^uint64(openSignals)
}

// store is load's inverse; f is a copy of what the stub shows.
func (f *sigframe) store(r *arch.Regs, stepped bool) {
	r.R8, r.R9, r.R10, r.R11 = f.r8, f.r9, f.r10, f.r11
	r.R12, r.R13, r.R14, r.R15 = f.r12, f.r13, f.r14, f.r15
	r.RDI, r.RSI, r.RBP, r.RBX = f.rdi, f.rsi, f.rbp, f.rbx
	r.RDX, r.RAX, r.RCX, r.RSP = f.rdx, f.rax, f.rcx, f.rsp
	r.RIP, r.RFLAGS = f.rip, f.rflags
	if stepped {
		r.RFLAGS &^= trapFlag
	}
}
