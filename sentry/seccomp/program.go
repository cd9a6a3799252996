// Package seccomp judges system calls by the programs that seccomp(2) installs:
// it checks that a program for the classic BPF machine is one that may judge,
// runs it, and finds out which calls a program allows whatever their arguments.
// It knows nothing of tasks.
package seccomp

import (
	"garrison/sentry/linux"
)

// Data is struct seccomp_data as programs load from it, a word each: number,
// architecture, instruction pointer, six arguments, low words first.
type Data [16]uint32

// NewData is what a program sees of the call nr.
func NewData(nr, arch uint32, ip uint64, args *[6]uint64) (d Data) {
	d[0], d[1], d[2], d[3] = nr, arch, uint32(ip), uint32(ip>>32)
	for i, a := range args {
		d[4+2*i], d[5+2*i] = uint32(a), uint32(a>>32)
	}
	return d
}

// dataSize is sizeof(struct seccomp_data).
const dataSize = 64

// A Program is one that New has checked. It never changes.
type Program struct{ insns []insn }

// An insn is an instruction in this package's own terms.
type insn struct {
	op     op
	jt, jf uint8
	k      uint32 // opData: the word's index
}

// An op is what an instruction does. A is the accumulator, X the index register,
// M the scratch memory.
type op uint16

const (
	opData  op = iota // A = data[k]
	opImm             // A = k
	opImmX            // X = k
	opLen             // A = the length of the data
	opLenX            // X = that
	opMem             // A = M[k]
	opMemX            // X = M[k]
	opStore           // M[k] = A
	opStoreX
	opTAX
	opTXA
	opAdd
	opAddX
	opSub
	opSubX
	opMul
	opMulX
	opDiv
	opDivX
	opAnd
	opAndX
	opOr
	opOrX
	opXor
	opXorX
	opLsh
	opLshX
	opRsh
	opRshX
	opNeg
	opJump
	opEq
	opEqX
	opGe
	opGeX
	opGt
	opGtX
	opSet
	opSetX
	opRet
	opRetA
	ops
)

// codes is the instructions by which programs ask for each op, <linux/bpf_common.h>.
var codes = [ops]uint16{
	opData: 0x20, opImm: 0x00, opImmX: 0x01, opLen: 0x80, opLenX: 0x81, opMem: 0x60, opMemX: 0x61,
	opStore: 0x02, opStoreX: 0x03, opTAX: 0x07, opTXA: 0x87,
	opAdd: 0x04, opAddX: 0x0c, opSub: 0x14, opSubX: 0x1c, opMul: 0x24, opMulX: 0x2c, opDiv: 0x34, opDivX: 0x3c,
	opOr: 0x44, opOrX: 0x4c, opAnd: 0x54, opAndX: 0x5c, opLsh: 0x64, opLshX: 0x6c, opRsh: 0x74, opRshX: 0x7c,
	opNeg: 0x84, opXor: 0xa4, opXorX: 0xac,
	opJump: 0x05, opEq: 0x15, opEqX: 0x1d, opGt: 0x25, opGtX: 0x2d, opGe: 0x35, opGeX: 0x3d, opSet: 0x45, opSetX: 0x4d,
	opRet: 0x06, opRetA: 0x16,
}

// opOf is the op of each code, plus 1; 0 for those that may not judge.
var opOf = func() (t [256]uint8) {
	for o, c := range codes {
		t[c] = uint8(o + 1)
	}
	return t
}()

// memWords is how many words of scratch memory there are.
const memWords = 16

// New checks a program: EINVAL if it is empty, too long, has an instruction
// that may not judge, could leave its end, divide by the constant zero, or read
// scratch memory that it has not written.
func New(source []linux.SockFilter) (*Program, error) {
	n := len(source)
	if n == 0 || n > linux.BPF_MAXINSNS {
		return nil, linux.EINVAL
	}
	p := &Program{make([]insn, n)}
	for pc, s := range source {
		if s.Code > 0xff || opOf[s.Code] == 0 {
			return nil, linux.EINVAL
		}
		i := insn{op(opOf[s.Code] - 1), s.JT, s.JF, s.K}
		if !i.valid(n - pc - 1) {
			return nil, linux.EINVAL
		}
		if i.op == opData {
			i.k /= 4
		}
		p.insns[pc] = i
	}
	if last := p.insns[n-1].op; last != opRet && last != opRetA || !p.initialised() {
		return nil, linux.EINVAL
	}
	return p, nil
}

// valid checks one instruction, behind which there are rest others.
func (i *insn) valid(rest int) bool {
	switch {
	case i.op == opData:
		return i.k < dataSize && i.k%4 == 0
	case i.op == opDiv:
		return i.k != 0
	case i.op == opLsh, i.op == opRsh:
		return i.k < 32
	case i.op == opMem, i.op == opMemX, i.op == opStore, i.op == opStoreX:
		return i.k < memWords
	case i.op == opJump:
		return uint64(i.k) < uint64(rest)
	case i.conditional():
		return int(i.jt) < rest && int(i.jf) < rest
	}
	return true
}

// conditional reports whether i goes on in one of two places.
func (i *insn) conditional() bool { return i.op >= opEq && i.op <= opSetX }

// initialised reports whether no word of scratch memory is read before it was
// written, by whatever way the reader is reached.
func (p *Program) initialised() bool {
	// written, of each instruction, is the words that every jump to it has written.
	written := make([]uint16, len(p.insns))
	for i := range written {
		written[i] = 0xffff
	}
	now := uint16(0) // by the way straight from the instruction before; all if there is none
	for pc := range p.insns {
		i := &p.insns[pc]
		now &= written[pc]
		switch {
		case i.op == opStore, i.op == opStoreX:
			now |= 1 << i.k
		case i.op == opMem, i.op == opMemX:
			if now>>i.k&1 == 0 {
				return false
			}
		case i.op == opJump:
			written[pc+1+int(i.k)] &= now
			now = 0xffff
		case i.conditional():
			written[pc+1+int(i.jt)] &= now
			written[pc+1+int(i.jf)] &= now
			now = 0xffff
		}
	}
	return true
}

// Len is how many instructions p has.
func (p *Program) Len() int { return len(p.insns) }

// Source is what New was given.
func (p *Program) Source() []linux.SockFilter {
	s := make([]linux.SockFilter, len(p.insns))
	for pc, i := range p.insns {
		if i.op == opData {
			i.k *= 4
		}
		s[pc] = linux.SockFilter{Code: codes[i.op], JT: i.jt, JF: i.jf, K: i.k}
	}
	return s
}
