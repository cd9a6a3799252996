package systrap

import (
	"math/bits"
	"slices"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/stub"
)

// loose is the account of what stubs were told to do by calls that nobody has
// verified: they say that they have, and no more. What a guest had there before,
// it may still have. A Barrier does all of it again, verified.
type loose struct {
	list   []unproved
	mapped ranges // where the process may have anything at all
}

// An unproved is a range that is to show the stub's descriptor fd from off on, or
// if fd is 0, nothing. Ranges in the list don't overlap. While fd is on the list,
// the stub's descriptor stays what it is.
type unproved struct {
	arch.Range
	fd        int
	off, prot uint64
}

// maxLoose is how many ranges are kept; what would be one more is done by a
// verified call at once.
const maxLoose = 64

// unmap takes account of an Unmap of r by call, which is about to be made.
func (l *loose) unmap(r arch.Range, call *stub.Call) {
	if !l.mapped.overlaps(r) {
		return
	}
	l.carve(r)
	if free(call) {
		if l.add(unproved{Range: r}) {
			return
		}
		verified(call)
	}
	l.mapped.remove(r)
}

// mapOver takes account of a Map that is about to be made, as u says. It reports
// whether that can be solo, if that is asked for.
func (l *loose) mapOver(u unproved, solo bool) bool {
	fresh := !l.mapped.overlaps(u.Range)
	l.mapped.add(u.Range)
	l.carve(u.Range)
	return solo && (fresh || l.add(u))
}

// protect takes account of a Protect of r by call, which is about to be made. A
// call that gives rights must find there what it is meant for: it returns at
// most room calls to be made before, and whether those are enough.
func (l *loose) protect(r arch.Range, call *stub.Call, room int) (before []armed, enough bool) {
	if !free(call) || len(l.list) > 2*maxLoose {
		return l.take(r, room)
	}
	for i := range l.list {
		u := l.list[i]
		if !u.Overlaps(r) || u.fd == 0 || u.prot == call.Args[2] {
			continue
		}
		for _, rest := range []arch.Range{{Start: u.Start, End: min(u.End, r.Start)}, {Start: max(u.Start, r.End), End: u.End}} {
			if rest.Start < rest.End {
				l.list = append(l.list, u.part(rest))
			}
		}
		l.list[i] = u.part(u.Intersect(r))
		l.list[i].prot = call.Args[2]
	}
	return nil, true
}

// verified makes the munmap call one that the filter asks the verifier about.
func verified(call *stub.Call) { call.Args[2] = 1 << 3 }

// pins is the set of the descriptors on the list, a bit each.
func (l *loose) pins() (set uint32) {
	for i := range l.list {
		set |= 1 << l.list[i].fd
	}
	return set &^ 1
}

// mayPin reports whether solo operations may use fd, if those in pinned are used
// already: there must be some that can be replaced.
func mayPin(pinned uint32, fd int) bool {
	return pinned>>fd&1 != 0 || bits.OnesCount32(pinned) < maxFiles/2
}

// part is what u says of r, which is part of its range.
func (u unproved) part(r arch.Range) unproved {
	u.off += uint64(r.Start - u.Start)
	u.Range = r
	return u
}

// add puts u, which overlaps nothing on the list, there, if there is room.
func (l *loose) add(u unproved) bool {
	for i := range l.list {
		o := &l.list[i]
		if o.fd != u.fd || o.prot != u.prot {
			continue
		}
		switch {
		case o.End == u.Start && (u.fd == 0 || o.off+o.Len() == u.off):
			o.End = u.End
			return true
		case u.End == o.Start && (u.fd == 0 || u.off+u.Len() == o.off):
			o.Start, o.off = u.Start, u.off
			return true
		}
	}
	if len(l.list) >= maxLoose {
		return false
	}
	l.list = append(l.list, u)
	return true
}

// carve takes r out of all ranges.
func (l *loose) carve(r arch.Range) {
	if !slices.ContainsFunc(l.list, func(u unproved) bool { return u.Overlaps(r) }) {
		return
	}
	var rest []unproved
	for _, u := range l.list {
		if !u.Overlaps(r) {
			rest = append(rest, u)
			continue
		}
		if u.Start < r.Start {
			rest = append(rest, u.part(arch.Range{Start: u.Start, End: r.Start}))
		}
		if r.End < u.End {
			rest = append(rest, u.part(arch.Range{Start: r.End, End: u.End}))
		}
	}
	l.list = rest
}

// take takes what overlaps r off the list, but no more than max. It returns the
// verified calls that do it, and whether that was all.
func (l *loose) take(r arch.Range, max int) (calls []armed, all bool) {
	var rest []unproved
	all = true
	for _, u := range l.list {
		switch {
		case !u.Overlaps(r):
			rest = append(rest, u)
		case len(calls) == max:
			rest, all = append(rest, u), false
		default:
			calls = append(calls, armed{call: u.call()})
			if u.fd == 0 {
				l.mapped.remove(u.Range)
			}
		}
	}
	l.list = rest
	return calls, all
}

// calls are the verified calls that do all of it; it is empty then.
func (l *loose) calls() []armed {
	calls, _ := l.take(arch.Range{End: ^arch.Addr(0)}, len(l.list))
	return calls
}

// call is the verified call that does u.
func (u *unproved) call() stub.Call {
	if u.fd == 0 {
		c := stub.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{uint64(u.Start), u.Len()}}
		verified(&c)
		return c
	}
	return stub.Call{Nr: unix.SYS_MMAP, Args: [6]uint64{
		uint64(u.Start), u.Len(), u.prot, unix.MAP_SHARED | unix.MAP_FIXED, uint64(u.fd), u.off,
	}}
}

// clone is a copy for a copy of the process.
func (l *loose) clone() loose { return loose{slices.Clone(l.list), slices.Clone(l.mapped)} }
