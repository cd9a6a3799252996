package arch

// Regs is the guest's general register file.
type Regs struct {
	RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP uint64
	R8, R9, R10, R11, R12, R13, R14, R15   uint64
	RIP, RFLAGS, FSBase, GSBase, OrigRAX   uint64
}

// Syscall returns the number and arguments of the call the guest is making. The
// number is the low half of its register, as to Linux.
func (r *Regs) Syscall() (nr uint32, args [6]uint64) {
	return uint32(r.OrigRAX), [6]uint64{r.RDI, r.RSI, r.RDX, r.R10, r.R8, r.R9}
}

// SetReturn sets what the guest sees as the result of its system call.
func (r *Regs) SetReturn(v uint64) { r.RAX = v }

// Stack and IP name the stack pointer and the program counter.
func (r *Regs) Stack() Addr { return Addr(r.RSP) }

// IP is the address of the instruction the guest executes next.
func (r *Regs) IP() Addr { return Addr(r.RIP) }
