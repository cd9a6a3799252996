package ptrace

import (
	"golang.org/x/sys/unix"

	"garrison/platform/arch"
)

// Segments of 64-bit user code, as a new program has them.
const (
	userCS = 0x33
	userSS = 0x2b
)

// load sets the general registers of raw, leaving its segment selectors, which
// guests may load as they please, as the tracee has them. Only a new base of FS or GS
// makes that selector 0, as arch_prctl(2) does: the host may load what goes by another.
func load(raw *unix.PtraceRegs, r *arch.Regs) {
	raw.R15, raw.R14, raw.R13, raw.R12 = r.R15, r.R14, r.R13, r.R12
	raw.R11, raw.R10, raw.R9, raw.R8 = r.R11, r.R10, r.R9, r.R8
	raw.Rbp, raw.Rbx, raw.Rax, raw.Rcx = r.RBP, r.RBX, r.RAX, r.RCX
	raw.Rdx, raw.Rsi, raw.Rdi, raw.Rsp = r.RDX, r.RSI, r.RDI, r.RSP
	raw.Rip, raw.Eflags = r.RIP, r.RFLAGS
	if raw.Fs_base != r.FSBase {
		raw.Fs_base, raw.Fs = r.FSBase, 0
	}
	if raw.Gs_base != r.GSBase {
		raw.Gs_base, raw.Gs = r.GSBase, 0
	}
}

// store is load's inverse.
func store(r *arch.Regs, raw *unix.PtraceRegs) {
	r.R15, r.R14, r.R13, r.R12 = raw.R15, raw.R14, raw.R13, raw.R12
	r.R11, r.R10, r.R9, r.R8 = raw.R11, raw.R10, raw.R9, raw.R8
	r.RBP, r.RBX, r.RAX, r.RCX = raw.Rbp, raw.Rbx, raw.Rax, raw.Rcx
	r.RDX, r.RSI, r.RDI, r.RSP = raw.Rdx, raw.Rsi, raw.Rdi, raw.Rsp
	r.RIP, r.RFLAGS = raw.Rip, raw.Eflags
	r.FSBase, r.GSBase = raw.Fs_base, raw.Gs_base
	r.OrigRAX = raw.Orig_rax
}
