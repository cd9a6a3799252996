package kernel

import (
	"encoding/binary"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// The part of a frame below the stack pointer at the signal.
const (
	redZone = 128 // that the ABI lets a leaf function use below its stack pointer
	// frameSize is struct rt_sigframe.
	frameSize   = 440
	fpAlign     = 64
	magic2Size  = 4
	xheaderSize = 64
)

// pushFrame puts a signal frame on the guest's stack and points the registers at
// the handler; mask is what rt_sigreturn(2) restores. The error is EFAULT.
func (t *Task) pushFrame(info *linux.SigInfo, act *linux.SigAction, mask linux.SigSet) error {
	if act.Flags&linux.SA_RESTORER == 0 {
		return linux.EFAULT // amd64 has no other way back
	}
	r := &t.regs
	sp, onAlt := t.frameTop(act)
	fp := t.fpuAddr(sp)
	at := (fp-frameSize)&^15 - 8 // as if the handler had been called
	// A frame that would run off the alternate stack must not be written elsewhere.
	if a := &t.altstack; onAlt && (at <= a.SP || at-a.SP > a.Size) {
		return linux.EFAULT
	}
	if err := t.pushFPU(fp); err != nil {
		return err
	}
	f := linux.RTSigFrame{Restorer: act.Restorer}
	f.UC.Flags = linux.UC_SIGCONTEXT_SS | linux.UC_STRICT_RESTORE_SS
	if t.k.xstate.Size > linux.FXSaveSize {
		f.UC.Flags |= linux.UC_FP_XSTATE
	}
	f.UC.Stack = t.frameStack(r.RSP)
	f.UC.MContext = t.sigContext(fp, mask)
	f.UC.SigMask = mask
	f.Info = *info
	if err := usermem.Ptr[linux.RTSigFrame](at).Store(t, &f); err != nil {
		return err
	}
	if t.altstack.Flags&linux.SS_AUTODISARM != 0 {
		t.altstack = linux.StackT{Flags: linux.SS_DISABLE}
	}
	r.RDI = uint64(uint32(info.Signo))
	r.RSI = at + 8 + 304
	r.RDX = at + 8
	r.RAX = 0 // in case the handler is declared without a prototype
	r.RSP = at
	r.RIP = act.Handler
	r.RFLAGS &^= linux.EFLAGS_DF | linux.EFLAGS_RF | linux.EFLAGS_TF
	t.notInCall()
	return nil
}

// frameTop is the address below which the frame goes, and whether that is on the
// alternate stack.
func (t *Task) frameTop(act *linux.SigAction) (sp uint64, onAlt bool) {
	sp = t.regs.RSP
	onAlt = t.OnAltStack(sp)
	sp -= redZone
	if act.Flags&linux.SA_ONSTACK != 0 && t.altstack.Size != 0 && !t.OnAltStack(sp) {
		return t.altstack.SP + t.altstack.Size, true
	}
	return sp, onAlt
}

// frameStack is the alternate stack as a frame tells it.
func (t *Task) frameStack(sp uint64) linux.StackT {
	s := t.altstack
	if s.Size == 0 {
		s.Flags = linux.SS_DISABLE | s.Flags&linux.SS_AUTODISARM
	} else if t.OnAltStack(sp) {
		s.Flags |= linux.SS_ONSTACK
	}
	return s
}

// sigContext is the guest's registers as a frame holds them.
func (t *Task) sigContext(fp uint64, mask linux.SigSet) linux.SigContext {
	r := &t.regs
	return linux.SigContext{
		R8: r.R8, R9: r.R9, R10: r.R10, R11: r.R11, R12: r.R12, R13: r.R13, R14: r.R14, R15: r.R15,
		RDI: r.RDI, RSI: r.RSI, RBP: r.RBP, RBX: r.RBX, RDX: r.RDX, RAX: r.RAX, RCX: r.RCX, RSP: r.RSP, RIP: r.RIP,
		EFlags: r.RFLAGS, CS: linux.UserCS, SS: linux.UserDS,
		Err: t.fault.err, TrapNo: t.fault.trap, CR2: t.fault.addr,
		OldMask: uint64(mask), FPState: fp,
	}
}

// fpuAddr is where below sp the vector state goes.
func (t *Task) fpuAddr(sp uint64) uint64 {
	size := uint64(t.k.xstate.Size)
	if size > linux.FXSaveSize {
		size += magic2Size
	}
	return (sp - size) &^ (fpAlign - 1)
}

// pushFPU writes the vector state at address at.
func (t *Task) pushFPU(at uint64) error {
	x := t.k.xstate
	if x.Size == linux.FXSaveSize {
		_, err := t.CopyOut(arch.Addr(at), t.ctx.FPU()[:x.Size])
		return err
	}
	b := t.fpuScratch(x.Size + magic2Size)
	copy(b, t.ctx.FPU()[:x.Size])
	sw := linux.FPXSwBytes{
		Magic1: linux.FP_XSTATE_MAGIC1, ExtendedSize: uint32(x.Size + magic2Size),
		XFeatures: x.Features, XStateSize: uint32(x.Size),
	}
	copy(b[linux.FPXSwOffset:], usermem.AsBytes(&sw))
	binary.LittleEndian.PutUint32(b[x.Size:], linux.FP_XSTATE_MAGIC2)
	// Components that are not in the frame must not be named in its header.
	h := b[linux.FXSaveSize:]
	binary.LittleEndian.PutUint64(h, binary.LittleEndian.Uint64(h)&x.Features|linux.XFP_SSE)
	_, err := t.CopyOut(arch.Addr(at), b)
	return err
}

func (t *Task) fpuScratch(n int) []byte {
	if cap(t.fpuBuf) < n {
		t.fpuBuf = make([]byte, n)
	}
	return t.fpuBuf[:n]
}

// SigReturn is rt_sigreturn(2): it restores what pushFrame saved and returns RAX.
// A frame that can't be read, or that is not one, is a SIGSEGV.
func (t *Task) SigReturn() uint64 {
	at := t.regs.RSP - 8 // the handler's ret has taken the return address
	f, err := usermem.Ptr[linux.RTSigFrame](at).Load(t)
	if err == nil {
		t.notInCall()
		t.SetSignalMask(f.UC.SigMask)
		err = t.restoreContext(&f.UC.MContext)
	}
	if err == nil {
		t.restoreAltStack(f.UC.Stack)
		return t.regs.RAX
	}
	info := KernelSignal(linux.SIGSEGV)
	t.ForceSignal(info)
	return t.regs.RAX
}

// restoreAltStack sets the stack of a frame; an unsuitable one is ignored, as
// Linux does.
func (t *Task) restoreAltStack(s linux.StackT) {
	mode := s.Flags &^ linux.SS_AUTODISARM
	if t.OnAltStack(t.regs.RSP) {
		return
	}
	switch {
	case mode == linux.SS_DISABLE:
		t.altstack = linux.StackT{Flags: linux.SS_DISABLE | s.Flags&linux.SS_AUTODISARM}
	case (mode == 0 || mode == linux.SS_ONSTACK) && s.Size >= linux.MINSIGSTKSZ:
		t.altstack = linux.StackT{SP: s.SP, Size: s.Size, Flags: s.Flags & linux.SS_AUTODISARM}
	}
}

// userFlags are the processor flags that a guest may set (FIX_EFLAGS).
const userFlags = 0x40000 | 0x10000 | 0x800 | 0x400 | 0x100 | 0x80 | 0x40 | 0x10 | 0x4 | 0x1

func (t *Task) restoreContext(c *linux.SigContext) error {
	r := &t.regs
	r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15 = c.R8, c.R9, c.R10, c.R11, c.R12, c.R13, c.R14, c.R15
	r.RDI, r.RSI, r.RBP, r.RBX, r.RDX, r.RAX, r.RCX, r.RSP, r.RIP = c.RDI, c.RSI, c.RBP, c.RBX, c.RDX, c.RAX, c.RCX, c.RSP, c.RIP
	r.RFLAGS = r.RFLAGS&^userFlags | c.EFlags&userFlags
	if !canonical(c.RIP) {
		return linux.EFAULT
	}
	return t.restoreFPU(c.FPState)
}

// canonical reports whether a is an address at all.
func canonical(a uint64) bool { return int64(a<<16)>>16 == int64(a) }

// restoreFPU loads the vector state at address at. Without the magic numbers
// around it, it is FXSAVE's 512 bytes, and the rest is as at program start.
func (t *Task) restoreFPU(at uint64) error {
	if at == 0 {
		t.ctx.ResetFPU()
		return nil
	}
	size := t.k.xstate.Size
	b := t.fpuScratch(size)
	if _, err := t.CopyIn(b[:linux.FXSaveSize], arch.Addr(at)); err != nil {
		return err
	}
	features := uint64(linux.XFP_SSE)
	if n := t.extended(b, at); n > 0 {
		if _, err := t.CopyIn(b[linux.FXSaveSize:n], arch.Addr(at+linux.FXSaveSize)); err != nil {
			return err
		}
		clear(b[n:])
		sw := b[linux.FPXSwOffset:]
		h := b[linux.FXSaveSize:]
		features = binary.LittleEndian.Uint64(h) & binary.LittleEndian.Uint64(sw[8:]) & t.k.xstate.Features
		clear(h[8:xheaderSize])
	} else if size > linux.FXSaveSize {
		clear(b[linux.FXSaveSize:])
	}
	if size > linux.FXSaveSize {
		binary.LittleEndian.PutUint64(b[linux.FXSaveSize:], features)
	}
	maskMXCSR(b)
	full := t.fpuFull(b)
	if t.ctx.SetFPU(full) != nil {
		return linux.EFAULT
	}
	return nil
}

// extended is the size of the XSAVE area at address at whose first 512 bytes are
// b, or 0 if it is not one.
func (t *Task) extended(b []byte, at uint64) int {
	size := t.k.xstate.Size
	sw := b[linux.FPXSwOffset:]
	u32 := binary.LittleEndian.Uint32
	n := int(u32(sw[16:]))
	if u32(sw) != linux.FP_XSTATE_MAGIC1 || n < linux.FXSaveSize+xheaderSize || n > size || n > int(u32(sw[4:])) {
		return 0
	}
	var m [magic2Size]byte
	if _, err := t.CopyIn(m[:], arch.Addr(at+uint64(n))); err != nil || u32(m[:]) != linux.FP_XSTATE_MAGIC2 {
		return 0
	}
	return n
}

// maskMXCSR clears the bits that the processor would refuse.
func maskMXCSR(b []byte) {
	const mxcsr, valid = 24, 0xffff
	binary.LittleEndian.PutUint32(b[mxcsr:], binary.LittleEndian.Uint32(b[mxcsr:])&valid)
}

// fpuFull is b in an area as long as the platform's, whose further components are
// in their first state.
func (t *Task) fpuFull(b []byte) []byte {
	n := t.k.facts.FPUSize
	if n <= len(b) {
		return b[:max(n, 0)]
	}
	full := make([]byte, n)
	copy(full, b)
	return full
}

// A lastFault is what the processor said of the last fault, for signal frames.
type lastFault struct{ addr, trap, err uint64 }
