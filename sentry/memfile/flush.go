package memfile

import (
	"slices"
	"time"

	"garrison/sentry/interval"
)

// A lateRef is references that are to be kept until settled, and a moment.
type lateRef struct {
	r       Range
	settled func() bool
}

// tick is what the timer runs: references that were to be kept are given up two
// ticks later, or with the first tick after that which finds them settled.
func (f *File) tick() {
	f.mu.Lock()
	due := f.late[1]
	f.late[1], f.late[0] = f.late[0], nil
	f.mu.Unlock()
	// Not under mu: to ask takes the lock of an address space.
	var done []Range
	var kept []lateRef
	for _, l := range due {
		if l.settled() {
			done = append(done, l.r)
		} else {
			kept = append(kept, l)
		}
	}
	f.mu.Lock()
	f.decRefsLocked(done)
	f.late[1] = append(f.late[1], kept...)
	f.mu.Unlock()
	f.Flush()
}

// Settle is Reclaim of everything, for when no guest runs.
func (f *File) Settle() {
	f.tick()
	f.tick()
	f.Reclaim()
	f.tick()
}

// Reclaim is Flush, of what is warm as well, for when memory is short. It reports whether
// there was anything to give back.
func (f *File) Reclaim() (any bool) {
	f.mu.Lock()
	f.coolLocked(time.Now())
	f.mu.Unlock()
	return f.Flush()
}

// Flush gives the memory of all pages without references back to the host now,
// but for those given up by DecRefLate a moment ago, and what is warm. Call it with
// no lock of rank Pages or later held; it takes about a microsecond and the
// pages' time. It reports whether there was anything to give back.
func (f *File) Flush() (any bool) {
	f.flushing <- struct{}{}
	defer func() { <-f.flushing }()

	f.mu.Lock()
	f.armed = false
	if f.closed {
		f.mu.Unlock()
		return false
	}
	work, arenas := f.takeLocked()
	f.mu.Unlock()

	failed := 0
	for i, r := range work {
		// A range that can't be made zero serves nobody ever again.
		if f.punch(r) != nil && !f.zero(r) {
			work[failed], work[i] = r, work[failed]
			failed++
		}
	}

	f.mu.Lock()
	for _, r := range work[failed:] {
		f.punchedLocked(r)
	}
	for _, a := range arenas {
		if slices.Contains(work[:failed], a.r) {
			continue
		}
		f.uses.Remove(a.r, nil)
		f.stale.Remove(a.r, nil)
		f.arenas.Remove(a.r, nil)
	}
	again := f.dirtyN > 0 || len(f.doomed) > 0 || // what was pinned
		len(f.late[0]) > 0 || len(f.late[1]) > 0
	if again {
		f.armLocked()
	}
	f.mu.Unlock()
	return len(work) > failed
}

// zero clears r through the sentry's own mapping, for a host that can't punch holes.
func (f *File) zero(r Range) bool {
	for r.Start < r.End {
		b := f.Bytes(r.Start, r.Len())
		if len(b) == 0 || !touch(b) || !Zero(b) {
			return false
		}
		r.Start += uint64(len(b))
	}
	return true
}

// takeLocked takes what can be punched: dirty ranges out of f.dirty (they stay
// in uses, so nobody can have them), and doomed arenas, whole.
func (f *File) takeLocked() (work []Range, arenas []*Arena) {
	kept := f.doomed[:0]
	for _, a := range f.doomed {
		if f.pinnedLocked(a.r) {
			kept = append(kept, a)
			continue
		}
		f.dirty.Remove(a.r, func(r Range, _ set) { f.dirtyN -= r.Len() })
		arenas, work = append(arenas, a), append(work, a.r)
	}
	f.doomed = kept
	var later interval.Map[uint64, set]
	for r := range f.dirty.All() {
		if f.pinnedLocked(r) {
			later.Insert(r, set{})
			continue
		}
		f.dirtyN -= r.Len()
		work = append(work, r)
	}
	f.dirty = later
	return work, arenas
}

// punchedLocked makes r, just punched, allocatable again, but for parts of
// arenas that others might see.
func (f *File) punchedLocked(r Range) {
	for ar, s := range f.arenas.In(r) {
		part := r.Intersect(ar)
		if s.reusable() {
			f.uses.Remove(part, nil)
			continue
		}
		f.uses.Update(part, func(_ Range, u *use) { u.spent = true })
	}
}
