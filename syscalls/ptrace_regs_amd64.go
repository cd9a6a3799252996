package syscalls

import (
	"encoding/binary"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

func traceGetRegs(t *kernel.Task, x kernel.Tracee, _, data address) (int64, error) {
	u := x.UserRegs()
	return 0, usermem.Ptr[linux.UserRegs](data).Store(t, &u)
}

func traceSetRegs(t *kernel.Task, x kernel.Tracee, _, data address) (int64, error) {
	u, err := usermem.Ptr[linux.UserRegs](data).Load(t)
	if err != nil {
		return 0, err
	}
	return 0, x.SetUserRegs(&u)
}

func traceGetFPRegs(t *kernel.Task, x kernel.Tracee, _, data address) (int64, error) {
	_, err := t.CopyOut(data.Addr(), legacyFP(x))
	return 0, err
}

func traceSetFPRegs(t *kernel.Task, x kernel.Tracee, _, data address) (int64, error) {
	b := make([]byte, linux.FXSaveSize)
	if _, err := t.CopyIn(b, data.Addr()); err != nil {
		return 0, err
	}
	return 0, x.SetFPState(b)
}

// legacyFP is FXSAVE's part of the vector state, struct user_fpregs_struct.
func legacyFP(x kernel.Tracee) []byte {
	b := append([]byte(nil), x.FPState()[:linux.FXSaveSize]...)
	clear(b[linux.FPXSwOffset:]) // which is for software
	return b
}

// A regSet is a set of registers that PTRACE_GETREGSET knows.
type regSet struct {
	get func(kernel.Tracee) []byte
	set func(kernel.Tracee, []byte) error // with the first bytes of it
}

var regSets = map[uint64]regSet{
	linux.NT_PRSTATUS: {
		func(x kernel.Tracee) []byte { u := x.UserRegs(); return append([]byte(nil), usermem.AsBytes(&u)...) },
		func(x kernel.Tracee, b []byte) error {
			u := x.UserRegs()
			copy(usermem.AsBytes(&u), b)
			return x.SetUserRegs(&u)
		},
	},
	linux.NT_PRFPREG: {legacyFP, func(x kernel.Tracee, b []byte) error {
		full := legacyFP(x)
		copy(full, b)
		return x.SetFPState(full)
	}},
	linux.NT_X86_XSTATE: {kernel.Tracee.FPState, func(x kernel.Tracee, b []byte) error {
		if len(b) != len(x.FPState()) {
			return linux.EFAULT
		}
		return x.SetFPState(b)
	}},
}

// loadRegSet is the set that addr names and the iovec at data, with its length cut
// to the set's: EINVAL.
func loadRegSet(t *kernel.Task, x kernel.Tracee, addr, data address) (s regSet, v iovec, err error) {
	if v, err = usermem.Ptr[iovec](data).Load(t); err != nil {
		return s, v, err
	}
	s, ok := regSets[uint64(addr)]
	if !ok || v.Len%8 != 0 {
		return s, v, linux.EINVAL
	}
	v.Len = min(v.Len, uint64(len(s.get(x))))
	return s, v, nil
}

func traceGetRegSet(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	s, v, err := loadRegSet(t, x, addr, data)
	if err != nil {
		return 0, err
	}
	if _, err := t.CopyOut(address(v.Base).Addr(), s.get(x)[:v.Len]); err != nil {
		return 0, err
	}
	return 0, usermem.Ptr[iovec](data).Store(t, &v)
}

func traceSetRegSet(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	s, v, err := loadRegSet(t, x, addr, data)
	if err != nil {
		return 0, err
	}
	b := make([]byte, v.Len)
	if _, err := t.CopyIn(b, address(v.Base).Addr()); err != nil {
		return 0, err
	}
	if err := s.set(x, b); err != nil {
		return 0, err
	}
	return 0, usermem.Ptr[iovec](data).Store(t, &v)
}

// userWord finds what is at addr of struct user: a register's index, or that of
// a debug register. EIO.
func userWord(addr address) (reg, debug int, err error) {
	if addr&7 != 0 || addr >= linux.SizeofUser {
		return -1, -1, linux.EIO
	}
	switch {
	case addr < linux.SizeofUserRegs:
		return int(addr / 8), -1, nil
	case addr >= linux.UserDebugRegs && addr < linux.UserDebugRegs+linux.SizeofUserDebugReg:
		return -1, int(addr-linux.UserDebugRegs) / 8, nil
	}
	return -1, -1, nil
}

func tracePeekUser(t *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	reg, debug, err := userWord(addr)
	if err != nil {
		return 0, err
	}
	v := uint64(0)
	if reg >= 0 {
		u := x.UserRegs()
		v = binary.LittleEndian.Uint64(usermem.AsBytes(&u)[8*reg:])
	} else if debug >= 0 {
		v = x.DebugReg(debug)
	}
	return 0, usermem.Ptr[uint64](data).Store(t, &v)
}

func tracePokeUser(_ *kernel.Task, x kernel.Tracee, addr, data address) (int64, error) {
	reg, debug, err := userWord(addr)
	switch {
	case err != nil:
		return 0, err
	case reg >= 0:
		u := x.UserRegs()
		binary.LittleEndian.PutUint64(usermem.AsBytes(&u)[8*reg:], uint64(data))
		return 0, x.SetUserRegs(&u)
	case debug >= 0:
		return 0, x.SetDebugReg(debug, uint64(data))
	}
	return 0, linux.EIO
}
