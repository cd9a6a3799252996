package memfile

import (
	"slices"
	"time"

	"garrison/platform/arch"
)

// What an address space leaves is warm for a while: its arenas keep their memory,
// and serve the next space that wants one of the size. To clear a page that is
// there takes a tenth of what the host needs to take it back, to find
// another, and to clear that when it is touched. Pages are cleared when they are
// allocated and not before, so what nobody wants costs nothing.

const (
	warmBytes = 64 << 20 // of pages in warm arenas, at most,
	warmArena = 16 << 20 // and of offsets in one of them
	warmDelay = time.Second

	// clearBytes is up to where to clear memory beats to give it back.
	clearBytes = 4 << 20

	// clearWhole is up to where to clear what may be there beats to ask.
	clearWhole = 4 * arch.PageSize
)

// A Role says what an arena is for: what one process touches of it, another for which it
// has the same role will probably touch, too.
type Role uint64

// An oldArena may have memory of an owner that is gone: that of its pages in
// File.stale, which are n bytes.
type oldArena struct {
	*Arena
	n     uint64
	since time.Time
}

// keepLocked keeps a, which nobody needs any more, for others. It is false if a is
// to be punched: if it is too large, or a host call or Flush still has to do
// with a part of it.
func (f *File) keepLocked(a *Arena) bool {
	f.inherited = slices.DeleteFunc(f.inherited, func(o oldArena) bool { return o.Arena == a })
	if !a.spaces || a.r.Len() > warmArena || f.closed || f.pinnedLocked(a.r) {
		return false
	}
	var punching uint64
	for r, u := range f.uses.In(a.r) {
		if !u.spent {
			punching += r.Intersect(a.r).Len()
		}
	}
	for r := range f.dirty.In(a.r) {
		punching -= r.Intersect(a.r).Len()
	}
	if punching != 0 {
		return false
	}
	f.dirty.Remove(a.r, func(r Range, _ set) { f.dirtyN -= r.Len() })
	f.uses.Remove(a.r, func(r Range, _ use) { f.stale.Insert(r, set{}) })
	n := uint64(0)
	for r := range f.stale.In(a.r) {
		n += r.Intersect(a.r).Len()
	}
	f.warm = append(f.warm, oldArena{a, n, time.Now()})
	f.warmN += n
	for f.warmN > warmBytes {
		f.doomed = append(f.doomed, f.takeWarmLocked(0))
		f.armLocked()
	}
	f.coolLaterLocked()
	return true
}

// takeWarmLocked takes warm arena i off the list.
func (f *File) takeWarmLocked(i int) *Arena {
	w := f.warm[i]
	f.warm = slices.Delete(f.warm, i, i+1)
	f.warmN -= w.n
	return w.Arena
}

// reuseLocked is the last warm arena of n bytes that was made for role, for a new
// owner; nil if there is none.
func (f *File) reuseLocked(n uint64, role Role) *Arena {
	n = (n + arenaUnit - 1) &^ (arenaUnit - 1)
	i := len(f.warm) - 1
	for i >= 0 && (f.warm[i].role != role || f.warm[i].r.Len() != n) {
		i--
	}
	if i < 0 {
		return nil
	}
	old := f.takeWarmLocked(i)
	a := &Arena{f: f, r: old.r, holders: 1, own: 1, spaces: true, role: role, next: old.r.Start}
	f.arenas.Remove(a.r, nil)
	f.arenas.Insert(a.r, arenaSlot{a})
	f.inherited = append(f.inherited, oldArena{Arena: a, since: time.Now()})
	f.coolLaterLocked()
	return a
}

// coolLaterLocked sees to it that coolLocked is called in time.
func (f *File) coolLaterLocked() {
	if !f.cooling && !f.closed && len(f.warm)+len(f.inherited) > 0 {
		f.cooling = true
		f.cooler.Reset(warmDelay)
	}
}

// cool is what the timer cooler runs.
func (f *File) cool() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cooling = false
	f.coolLocked(time.Now().Add(-warmDelay))
	f.coolLaterLocked()
}

// coolLocked has memory given back that has been left before the moment until, and
// that nobody has wanted since.
func (f *File) coolLocked(until time.Time) {
	for len(f.warm) > 0 && f.warm[0].since.Before(until) {
		f.doomed = append(f.doomed, f.takeWarmLocked(0))
	}
	for len(f.inherited) > 0 && f.inherited[0].since.Before(until) {
		f.stale.Remove(f.inherited[0].r, func(r Range, _ set) {
			f.uses.Insert(r, use{})
			f.dirty.Insert(r, set{})
			f.dirtyN += r.Len()
		})
		f.inherited = slices.Delete(f.inherited, 0, 1)
	}
	if f.dirtyN > 0 || len(f.doomed) > 0 {
		f.armLocked()
	}
}

// staleLocked is what of r, just allocated, is to be cleared. Its memory is
// the owner's from now on.
func (f *File) staleLocked(r Range) (old []Range) {
	f.stale.Remove(r, func(s Range, _ set) { old = append(old, s) })
	return old
}

// clean makes the bytes of old, which has references, zero, and returns what of it
// has memory. It is false if that can't be done.
func (f *File) clean(old []Range) (had []Range, ok bool) {
	n := uint64(0)
	for _, r := range old {
		n += r.Len()
		if r.Len() <= clearWhole {
			had = append(had, r)
			continue
		}
		f.EachResident(r, func(d Range) { had = append(had, d) })
	}
	clear, otherwise := f.zero, f.punched
	if n > clearBytes {
		clear, otherwise = otherwise, clear
	}
	kept := had[:0]
	for _, r := range had {
		switch {
		case clear(r):
			kept = append(kept, r)
		case !otherwise(r):
			return nil, false
		}
	}
	if n > clearBytes {
		return nil, true
	}
	had = kept
	f.mu.Lock()
	for _, r := range had {
		f.lent.Insert(r, set{})
	}
	f.mu.Unlock()
	return had, true
}

func (f *File) punched(r Range) bool { return f.punch(r) == nil }

// warmUsage is about the number of bytes of memory that serve nobody.
func (f *File) warmUsage() uint64 {
	f.mu.Lock()
	if now := time.Now(); now.Sub(f.asked) < warmDelay/4 { // to ask the host takes time
		defer f.mu.Unlock()
		return f.unused
	}
	var old []Range
	for r := range f.stale.All() {
		old = append(old, r)
	}
	f.mu.Unlock()
	n := uint64(0)
	for _, r := range old {
		f.eachPresent(r, func(d Range) { n += d.Len() })
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unused, f.asked = n, time.Now()
	return n
}

// faultAround is how many bytes of pages that are there Linux maps, unless told otherwise,
// when a load faults on one of them. A store gets but one page.
const faultAround = 16 * arch.PageSize

// touch loads a byte here and there of b, whose pages have memory, so that stores
// find them mapped. It is false if that faults.
func touch(b []byte) bool {
	var x [1]byte
	for i := 0; i < len(b); i += faultAround - int(addressOf(b[i:])&(faultAround-1)) {
		if n, _ := Copy(x[:], b[i:]); n == 0 {
			return false
		}
	}
	return true
}
