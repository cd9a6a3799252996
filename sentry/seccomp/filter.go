package seccomp

import (
	"sync/atomic"

	"garrison/sentry/linux"
)

// calls is how many calls, by number, a Filter remembers.
const calls = 512

// A Filter is a program on top of those that were installed before: what a call
// may do is what the strictest of them says. It is made once and shared by all
// tasks that have it.
type Filter struct {
	program *Program
	below   *Filter
	depth   int // programs, this one included
	length  int // instructions of all programs, and what each counts besides

	// Whether a call is allowed whatever its arguments, found out when it is
	// first made: a bit of judged is set after that of allowed.
	judged, allowed [calls / 64]atomic.Uint64
}

// Limits of what a task may install: MAX_INSNS_PER_PATH, and what every program
// below counts besides its instructions.
const (
	maxLength = 1 << 15
	penalty   = 4
)

// Push is a filter with p on top of f, which may be nil: ENOMEM if that is too
// much.
func (f *Filter) Push(p *Program) (*Filter, error) {
	n := &Filter{program: p, below: f, depth: 1, length: p.Len()}
	if f != nil {
		n.depth += f.depth
		n.length += f.length + penalty
	}
	if n.length > maxLength {
		return nil, linux.ENOMEM
	}
	return n, nil
}

// Depth is how many programs f has.
func (f *Filter) Depth() int { return f.depth }

// Below is f without the program installed last, nil if that was the only one.
func (f *Filter) Below() *Filter { return f.below }

// Program is the program installed last.
func (f *Filter) Program() *Program { return f.program }

// Run judges a call by all programs: an action with its data, and which filter's
// program said so; of several that say the same the last one installed, none if
// all allow it.
func (f *Filter) Run(d *Data) (verdict uint32, by *Filter) {
	verdict = linux.SECCOMP_RET_ALLOW
	for ; f != nil; f = f.below {
		if v := f.program.Run(d); action(v) < action(verdict) {
			verdict, by = v, f
		}
	}
	return verdict, by
}

// action is a verdict without its data, as a number by which the lesser one has
// precedence.
func action(v uint32) int32 { return int32(v & linux.SECCOMP_RET_ACTION_FULL) }

// Allows reports whether every program allows the 64-bit call nr whatever its
// arguments. It may say no where a program of unusual form does.
func (f *Filter) Allows(nr uint32) bool {
	if nr >= calls {
		return false
	}
	w, bit := nr/64, uint64(1)<<(nr%64)
	if f.judged[w].Load()&bit == 0 {
		if (f.below == nil || f.below.Allows(nr)) && f.program.Allows(nr, linux.AUDIT_ARCH_X86_64) {
			f.allowed[w].Or(bit)
		}
		f.judged[w].Or(bit)
	}
	return f.allowed[w].Load()&bit != 0
}
