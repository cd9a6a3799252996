package profile

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
)

// Instructions of the classic BPF machine.
const (
	load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	and   = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	ret   = unix.BPF_RET | unix.BPF_K
	jump  = unix.BPF_JMP | unix.BPF_JA
	equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	above = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K // as unsigned numbers
	least = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
)

// Offsets in struct seccomp_data; an argument's low word comes first.
const (
	nrAt   = 0
	archAt = 4
	argsAt = 16
)

// An assembler appends instructions to a program.
type assembler struct {
	out   []linux.SockFilter
	fails []failing // of the present clause
}

// failing is a jump to where the clause does not hold.
type failing struct {
	at   int
	then bool // by JT, else by JF
}

// fail is a distance: to wherever the clause ends.
const fail = -1

func (a *assembler) put(code uint16, k uint32) {
	a.out = append(a.out, linux.SockFilter{Code: code, K: k})
}

// branch is a conditional jump over jt instructions, or jf.
func (a *assembler) branch(code uint16, k uint32, jt, jf int) {
	for _, j := range []struct {
		n    int
		then bool
	}{{jt, true}, {jf, false}} {
		if j.n == fail {
			a.fails = append(a.fails, failing{len(a.out), j.then})
		}
	}
	a.out = append(a.out, linux.SockFilter{Code: code, JT: uint8(max(jt, 0)), JF: uint8(max(jf, 0)), K: k})
}

// assemble makes the program that finds a call's span by halves.
func assemble(spans []span) []linux.SockFilter {
	a := &assembler{}
	a.put(load, archAt)
	a.branch(equal, linux.AUDIT_ARCH_X86_64, 1, 0)
	a.put(ret, linux.SECCOMP_RET_KILL_THREAD)
	a.put(load, nrAt)
	a.find(spans)
	return a.out
}

// find goes on with the span that the accumulator's number is in.
func (a *assembler) find(spans []span) {
	if len(spans) == 1 {
		a.judge(&spans[0])
		return
	}
	half := len(spans) / 2
	a.branch(least, spans[half].first, 0, 1)
	far := len(a.out)
	a.put(jump, 0) // a conditional one does not reach far
	a.find(spans[:half])
	a.out[far].K = uint32(len(a.out) - far - 1)
	a.find(spans[half:])
}

// judge asks the clauses of s, one after the other.
func (a *assembler) judge(s *span) {
	for _, c := range s.clauses {
		a.fails = a.fails[:0]
		for _, arg := range c.args {
			a.check(&arg)
		}
		a.put(ret, c.verdict)
		for _, f := range a.fails {
			n := uint8(len(a.out) - f.at - 1) // at most 6 arguments of 6 instructions
			if f.then {
				a.out[f.at].JT = n
			} else {
				a.out[f.at].JF = n
			}
		}
	}
	a.put(ret, s.other)
}

// check goes on behind itself if the argument is as arg says, else the clause fails.
// The high word decides, unless it is equal.
func (a *assembler) check(arg *specs.LinuxSeccompArg) {
	at := uint32(argsAt + 8*arg.Index)
	high, low := uint32(arg.Value>>32), uint32(arg.Value)
	switch arg.Op {
	case specs.OpMaskedEqual:
		want := arg.ValueTwo & arg.Value
		a.masked(at+4, high, uint32(want>>32))
		a.masked(at, low, uint32(want))
	case specs.OpEqualTo:
		a.put(load, at+4)
		a.branch(equal, high, 0, fail)
		a.put(load, at)
		a.branch(equal, low, 0, fail)
	case specs.OpNotEqual:
		a.put(load, at+4)
		a.branch(equal, high, 0, 2)
		a.put(load, at)
		a.branch(equal, low, fail, 0)
	case specs.OpGreaterThan:
		a.more(at, high, low, above)
	case specs.OpGreaterEqual:
		a.more(at, high, low, least)
	case specs.OpLessThan:
		a.less(at, high, low, least)
	case specs.OpLessEqual:
		a.less(at, high, low, above)
	}
}

func (a *assembler) masked(at, mask, want uint32) {
	a.put(load, at)
	a.put(and, mask)
	a.branch(equal, want, 0, fail)
}

// more asks that the argument is greater, or else that its low word passes test.
func (a *assembler) more(at, high, low uint32, test uint16) {
	a.put(load, at+4)
	a.branch(above, high, 3, 0)
	a.branch(equal, high, 0, fail)
	a.put(load, at)
	a.branch(test, low, 0, fail)
}

// less asks that it is not: neither greater, nor with a low word that passes test.
func (a *assembler) less(at, high, low uint32, test uint16) {
	a.put(load, at+4)
	a.branch(above, high, fail, 0)
	a.branch(equal, high, 0, 2)
	a.put(load, at)
	a.branch(test, low, fail, 0)
}
