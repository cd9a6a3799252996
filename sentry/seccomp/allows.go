package seccomp

import "garrison/sentry/linux"

// A word is a value that a program computes, if it is the same for all calls
// of one number.
type word struct {
	v     uint32
	known bool
}

// A point is what is known of the registers where an instruction is reached,
// by whatever way.
type point struct {
	reached bool
	a, x    word
}

// reach says that the instruction is reached with a and x.
func (p *point) reach(a, x word) {
	if !p.reached {
		*p = point{true, a, x}
		return
	}
	if p.a != a {
		p.a = word{}
	}
	if p.x != x {
		p.x = word{}
	}
}

// Allows reports whether p surely allows the call nr, whatever its arguments and
// wherever it is made. It follows every way through p that a call of this number
// can take: jumps go forward only, so once through is enough.
func (p *Program) Allows(nr, arch uint32) bool {
	points := make([]point, len(p.insns))
	points[0].reach(word{0, true}, word{0, true})
	for pc := range points {
		now := &points[pc]
		if !now.reached {
			continue
		}
		i := &p.insns[pc]
		a, x := now.a, now.x
		switch {
		case i.op == opRet:
			a = word{i.k, true}
			fallthrough
		case i.op == opRetA:
			if !a.known || a.v&linux.SECCOMP_RET_ACTION_FULL != linux.SECCOMP_RET_ALLOW {
				return false
			}
			continue
		case i.op == opDivX && (!x.known || x.v == 0):
			return false // it may end here, and kill
		case i.op == opJump:
			points[pc+1+int(i.k)].reach(a, x)
			continue
		case i.conditional():
			known := a.known && (x.known || (i.op-opEq)%2 == 0)
			holds := i.compare(a.v, x.v)
			if !known || holds {
				points[pc+1+int(i.jt)].reach(a, x)
			}
			if !known || !holds {
				points[pc+1+int(i.jf)].reach(a, x)
			}
			continue
		}
		a, x = i.follow(a, x, nr, arch)
		points[pc+1].reach(a, x)
	}
	return true
}

// follow is what i, which goes on to the next instruction, makes of the registers.
// What lies in scratch memory is taken for unknown.
func (i *insn) follow(a, x word, nr, arch uint32) (word, word) {
	switch i.op {
	case opData:
		switch i.k {
		case 0:
			return word{nr, true}, x
		case 1:
			return word{arch, true}, x
		}
		return word{}, x
	case opImm:
		return word{i.k, true}, x
	case opImmX:
		return a, word{i.k, true}
	case opLen:
		return word{dataSize, true}, x
	case opLenX:
		return a, word{dataSize, true}
	case opMem:
		return word{}, x
	case opMemX:
		return a, word{}
	case opStore, opStoreX:
		return a, x
	case opTAX:
		return a, a
	case opTXA:
		return x, x
	}
	needsX := (i.op-opAdd)%2 == 1 && i.op != opNeg
	if !a.known || needsX && !x.known {
		return word{}, x
	}
	return word{i.compute(a.v, x.v), true}, x
}
