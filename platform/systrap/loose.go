package systrap

import (
	"slices"

	"garrison/platform/arch"
	"garrison/platform/stub"
)

// loose is what stubs were told to unmap by calls that nobody has verified, and
// that nothing has been mapped over since. A guest may still have it.
type loose []arch.Range

// maxLoose is how many ranges are kept; what would be one more is unmapped by a
// verified call at once.
const maxLoose = 64

// note takes account of o, which call, about to be made, is to do.
func (l *loose) note(o *stub.Op, call *stub.Call) {
	switch {
	case o.Kind == stub.Protect:
	case o.Kind == stub.Map, !free(call):
		l.remove(o.Range)
	case len(*l) < maxLoose:
		l.remove(o.Range)
		*l = append(*l, o.Range)
	default:
		verified(call)
		l.remove(o.Range)
	}
}

// verified makes the munmap call one that the filter asks the verifier about.
func verified(call *stub.Call) { call.Args[2] = 1 << 3 }

// remove takes r out of all ranges.
func (l *loose) remove(r arch.Range) {
	if !slices.ContainsFunc(*l, r.Overlaps) {
		return
	}
	var rest loose
	for _, o := range *l {
		for _, part := range []arch.Range{{Start: o.Start, End: min(o.End, r.Start)}, {Start: max(o.Start, r.End), End: o.End}} {
			if part.Start < part.End {
				rest = append(rest, part)
			}
		}
	}
	*l = rest
}

// calls are the verified calls that unmap all of it; it is empty then.
func (l *loose) calls() (calls []armed) {
	for _, r := range *l {
		o := stub.Op{Kind: stub.Unmap, Range: r}
		a := armed{call: o.HostCall(0)}
		verified(&a.call)
		calls = append(calls, a)
	}
	*l = nil
	return calls
}
