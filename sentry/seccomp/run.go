package seccomp

// Run judges a call: an action, and its data.
func (p *Program) Run(d *Data) uint32 {
	var a, x uint32
	var m [memWords]uint32
	insns := p.insns
	for pc := 0; pc < len(insns); pc++ {
		i := &insns[pc]
		switch i.op {
		case opData:
			a = d[i.k%uint32(len(d))]
		case opImm:
			a = i.k
		case opImmX:
			x = i.k
		case opLen:
			a = dataSize
		case opLenX:
			x = dataSize
		case opMem:
			a = m[i.k%memWords]
		case opMemX:
			x = m[i.k%memWords]
		case opStore:
			m[i.k%memWords] = a
		case opStoreX:
			m[i.k%memWords] = x
		case opTAX:
			x = a
		case opTXA:
			a = x
		case opJump:
			pc += int(i.k)
		case opEq:
			pc += i.next(a == i.k)
		case opGe:
			pc += i.next(a >= i.k)
		case opGt:
			pc += i.next(a > i.k)
		case opSet:
			pc += i.next(a&i.k != 0)
		case opEqX, opGeX, opGtX, opSetX:
			pc += i.next(i.compare(a, x))
		case opRet:
			return i.k
		case opRetA:
			return a
		case opDivX:
			if x == 0 {
				return 0 // so it is defined: the program ends, and kills
			}
			a /= x
		default:
			a = i.compute(a, x)
		}
	}
	return 0 // not reached: the last instruction returns
}

// next is how many instructions a conditional jump leaves out.
func (i *insn) next(holds bool) int {
	if holds {
		return int(i.jt)
	}
	return int(i.jf)
}

// compare is whether the condition of i holds.
func (i *insn) compare(a, x uint32) bool {
	if (i.op-opEq)%2 == 0 {
		x = i.k
	}
	switch i.op {
	case opEq, opEqX:
		return a == x
	case opGe, opGeX:
		return a >= x
	case opGt, opGtX:
		return a > x
	}
	return a&x != 0
}

// compute is what the arithmetic instruction i makes of A. The caller has seen to
// a division by zero.
func (i *insn) compute(a, x uint32) uint32 {
	if (i.op-opAdd)%2 == 0 {
		x = i.k
	}
	switch i.op {
	case opAdd, opAddX:
		return a + x
	case opSub, opSubX:
		return a - x
	case opMul, opMulX:
		return a * x
	case opDiv, opDivX:
		return a / x
	case opAnd, opAndX:
		return a & x
	case opOr, opOrX:
		return a | x
	case opXor, opXorX:
		return a ^ x
	case opLsh, opLshX:
		return a << (x % 32) // as the processor does
	case opRsh, opRshX:
		return a >> (x % 32)
	}
	return -a // opNeg
}
