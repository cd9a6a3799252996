package kernel

import (
	"encoding/binary"

	"garrison/sentry/linux"
)

// traceFlags are the processor flags that a tracer may set (FLAG_MASK).
const traceFlags = userFlags | 1<<14

// UserRegs is PTRACE_GETREGS. Segments are those of every 64-bit program.
func (x Tracee) UserRegs() linux.UserRegs {
	r := &x.regs
	return linux.UserRegs{
		R15: r.R15, R14: r.R14, R13: r.R13, R12: r.R12, RBP: r.RBP, RBX: r.RBX, R11: r.R11, R10: r.R10,
		R9: r.R9, R8: r.R8, RAX: r.RAX, RCX: r.RCX, RDX: r.RDX, RSI: r.RSI, RDI: r.RDI, OrigRAX: r.OrigRAX,
		RIP: r.RIP, CS: linux.UserCS, EFlags: r.RFLAGS, RSP: r.RSP, SS: linux.UserDS, FSBase: r.FSBase, GSBase: r.GSBase,
	}
}

// SetUserRegs is PTRACE_SETREGS: EIO for what no program may have. Other
// segments than UserRegs tells are refused too: no platform can load them.
func (x Tracee) SetUserRegs(u *linux.UserRegs) error {
	was := x.UserRegs()
	if u.CS != was.CS || u.SS != was.SS || u.DS != was.DS || u.ES != was.ES || u.FS != was.FS || u.GS != was.GS ||
		u.FSBase >= userEnd || u.GSBase >= userEnd {
		return linux.EIO
	}
	r := &x.regs
	r.R15, r.R14, r.R13, r.R12, r.RBP, r.RBX, r.R11, r.R10 = u.R15, u.R14, u.R13, u.R12, u.RBP, u.RBX, u.R11, u.R10
	r.R9, r.R8, r.RAX, r.RCX, r.RDX, r.RSI, r.RDI = u.R9, u.R8, u.RAX, u.RCX, u.RDX, u.RSI, u.RDI
	r.OrigRAX, r.RIP, r.RSP, r.FSBase, r.GSBase = u.OrigRAX, u.RIP, u.RSP, u.FSBase, u.GSBase
	r.RFLAGS = r.RFLAGS&^traceFlags | u.EFlags&traceFlags
	return nil
}

// FPState is the vector state as XSAVE lays it out, of which FXSAVE's is the
// beginning; SetFPState says that the tracer has set it to b.
func (x Tracee) FPState() []byte { return x.trace.stop.fpu }

// SetFPState replaces the first bytes of FPState by b: EINVAL for what the processor
// would refuse.
func (x Tracee) SetFPState(b []byte) error {
	s := &x.trace.stop
	n := append([]byte(nil), s.fpu...)
	copy(n[:linux.FPXSwOffset], b) // behind it is room for software
	if len(b) > linux.FXSaveSize {
		copy(n[linux.FXSaveSize:], b[linux.FXSaveSize:])
	}
	if binary.LittleEndian.Uint32(n[24:])&^0xffff != 0 { // MXCSR
		return linux.EINVAL
	}
	if len(n) > linux.FXSaveSize {
		h := n[linux.FXSaveSize:]
		if len(b) <= linux.FXSaveSize { // these are not in their first state any more
			binary.LittleEndian.PutUint64(h, binary.LittleEndian.Uint64(h)|linux.XFP_SSE)
		}
		if binary.LittleEndian.Uint64(h)&^x.k.xstate.Features != 0 {
			return linux.EINVAL
		}
		for _, v := range h[8:xheaderSize] {
			if v != 0 {
				return linux.EINVAL
			}
		}
	}
	s.fpu, s.newFPU = n, true
	return nil
}
