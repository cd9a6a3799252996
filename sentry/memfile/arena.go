package memfile

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// An Arena is a reserved run of offsets from which pages are allocated. It
// belongs to an address space's Holder, or to a Pool.
type Arena struct {
	f *File
	r Range

	// All below is protected by f.mu.
	holders int  // address spaces that have ever mapped a part and still live
	own     int  // 1 if the owner is one of the holders, 0 if it is a Pool
	spaces  bool // it was made for an address space,
	role    Role // and for this
	closed  bool // nothing is allocated any more
	doomed  bool
	next    uint64 // where Alloc begins to look
}

type arenaSlot struct{ *Arena }

// Split implements interval.Value; arenas are not cut.
func (s arenaSlot) Split(Range, uint64) arenaSlot { panic("memfile: cutting an arena") }

// Join implements interval.Value.
func (s arenaSlot) Join(_, _ Range, _ arenaSlot) (arenaSlot, bool) { return s, false }

// reusable reports whether punched pages may be allocated again: nobody but the
// owner can see them.
func (a *Arena) reusable() bool { return a.holders == a.own && !a.closed }

func (f *File) newArenaLocked(n uint64, own int) (*Arena, error) {
	n = (n + arenaUnit - 1) &^ (arenaUnit - 1)
	at, ok := f.arenas.LowestGap(Range{Start: 0, End: maxOffset}, n)
	if !ok || n == 0 || f.closed {
		return nil, linux.ENOMEM
	}
	if err := f.growLocked(at + n); err != nil {
		return nil, err
	}
	a := &Arena{f: f, r: Range{Start: at, End: at + n}, holders: own, own: own, next: at}
	f.arenas.Insert(a.r, arenaSlot{a})
	return a, nil
}

// Range is the arena's offsets.
func (a *Arena) Range() Range { return a.r }

// AllocAt allocates r, in a, with one reference to each page. The pages are
// zero; those in had, in order, have memory. It is false, and nothing happened, if
// part of r is in use or can't be used again yet.
func (a *Arena) AllocAt(r Range) (had []Range, ok bool) {
	_, had, ok = a.allocClean(func() (Range, bool) { return r, a.allocAtLocked(r) })
	return had, ok
}

// TakeAt is AllocAt for an owner that has nothing running: it may also have
// pages that it has just given up, and whose memory was to go a little later.
func (a *Arena) TakeAt(r Range) (had []Range, ok bool) {
	_, had, ok = a.allocClean(func() (Range, bool) { return r, a.allocAtLocked(r) || a.takeLocked(r) })
	return had, ok
}

// allocClean makes zero what alloc, called with f.mu held, allocates.
func (a *Arena) allocClean(alloc func() (Range, bool)) (r Range, had []Range, ok bool) {
	f := a.f
	f.mu.Lock()
	r, ok = alloc()
	if !ok {
		f.mu.Unlock()
		return Range{}, nil, false
	}
	old := f.staleLocked(r)
	f.mu.Unlock()
	if len(old) == 0 {
		return r, nil, true
	}
	if had, ok = f.clean(old); !ok {
		f.DecRef(r)
	}
	return r, had, ok
}

// takeLocked makes r, part of which is dirty, the owner's again, if all else
// of it is free: what is dirty is stale then.
func (a *Arena) takeLocked(r Range) bool {
	f := a.f
	if f.closed || !a.reusable() || !a.r.Covers(r) || f.pinnedLocked(r) {
		return false
	}
	used, dirty := uint64(0), uint64(0)
	for ur, u := range f.uses.In(r) {
		if u.n != 0 {
			return false
		}
		used += ur.Intersect(r).Len()
	}
	for dr := range f.dirty.In(r) {
		dirty += dr.Intersect(r).Len()
	}
	if used != dirty {
		return false // some of it is being punched, or is to be kept
	}
	f.dirty.Remove(r, func(d Range, _ set) { f.stale.Remove(d, nil); f.stale.Insert(d, set{}) })
	f.dirtyN -= dirty
	f.uses.Remove(r, nil)
	f.uses.Insert(r, use{n: 1})
	return true
}

func (a *Arena) allocAtLocked(r Range) bool {
	if a.closed || a.f.closed || !a.r.Covers(r) || r.Len() == 0 || !a.f.uses.Empty(r) {
		return false
	}
	a.f.uses.Insert(r, use{n: 1})
	return true
}

// Alloc is AllocAt of n bytes, a multiple of the page size, anywhere in a.
func (a *Arena) Alloc(n uint64) (r Range, had []Range, ok bool) {
	return a.allocClean(func() (Range, bool) { return a.allocLocked(n) })
}

func (a *Arena) allocLocked(n uint64) (Range, bool) {
	at, ok := a.f.uses.LowestGap(Range{Start: a.next, End: a.r.End}, n)
	if !ok && a.next != a.r.Start {
		at, ok = a.f.uses.LowestGap(a.r, n)
	}
	r := Range{Start: at, End: at + n}
	if !ok || !a.allocAtLocked(r) {
		return Range{}, false
	}
	a.next = r.End
	return r, true
}

func (a *Arena) close() {
	a.closed = true
	a.f.doomLocked(a)
}

// doomLocked puts a on the list of arenas to forget if nothing needs it.
func (f *File) doomLocked(a *Arena) {
	if !a.closed || a.holders != 0 || a.doomed {
		return
	}
	for _, u := range f.uses.In(a.r) {
		if u.n != 0 {
			return
		}
	}
	a.doomed = true
	if !f.keepLocked(a) {
		f.doomed = append(f.doomed, a)
	}
}

// A Holder is an address space as a File sees it: who may still see which
// arenas. Its methods are called under the space's own lock.
type Holder struct {
	f      *File
	held   map[*Arena]struct{} // protected by f.mu
	unsure map[*Arena]struct{} // parts of these were unmapped, as far as is known
	owned  []*Arena
	last   Range // of the arena Hold was last asked about
	lastUn Range // of the arena Unmapped was
}

// NewHolder returns the Holder of a new, empty address space.
func (f *File) NewHolder() *Holder {
	return &Holder{f: f, held: make(map[*Arena]struct{}), unsure: make(map[*Arena]struct{})}
}

func (h *Holder) has(a *Arena) bool { _, ok := h.held[a]; return ok }

// NewArena reserves at least n bytes of offsets that no living address space
// has seen, for role. The error is ENOMEM.
func (h *Holder) NewArena(n uint64, role Role) (*Arena, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	a, err := h.f.reuseLocked(n, role), error(nil)
	if a == nil {
		if a, err = h.f.newArenaLocked(n, 1); err != nil {
			return nil, err
		}
		a.spaces, a.role = true, role
	}
	h.held[a] = struct{}{}
	h.owned = append(h.owned, a)
	return a, nil
}

// Hold notes that the address space is about to map pages of r.
func (h *Holder) Hold(r Range) {
	if h.last.Covers(r) { // it does not end before Close
		return
	}
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	for ar, s := range h.f.arenas.In(r) {
		h.holdLocked(s.Arena)
		h.last = ar
	}
}

func (h *Holder) holdLocked(a *Arena) {
	if !h.has(a) {
		h.held[a] = struct{}{}
		a.holders++
	}
}

// Unmapped notes that the address space was told to unmap pages of r, or to map
// something else in their place, which its host process may not have done: a
// copy may see them, too.
func (h *Holder) Unmapped(r Range) {
	if h.lastUn.Covers(r) {
		return
	}
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	for ar, s := range h.f.arenas.In(r) {
		h.unsure[s.Arena] = struct{}{}
		h.lastUn = ar
	}
}

// Unsure is the number of arenas that Unmapped has noted.
func (h *Holder) Unsure() int { return len(h.unsure) }

// Sure says that all that was unmapped is known to be.
func (h *Holder) Sure() {
	clear(h.unsure)
	h.lastUn = Range{}
}

// Fork returns the Holder of a copy of the address space, which maps pages of
// shown now.
func (h *Holder) Fork(shown []Range) *Holder {
	n := h.f.NewHolder()
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	for a := range h.unsure {
		n.holdLocked(a)
		n.unsure[a] = struct{}{}
	}
	for _, r := range shown {
		if n.last.Covers(r) {
			continue
		}
		for ar, s := range h.f.arenas.In(r) {
			n.holdLocked(s.Arena)
			n.last = ar
		}
	}
	return n
}

// Close says that the address space has ended: its host process maps nothing
// any more. It gives up the references to owned, the last it has.
func (h *Holder) Close(owned []Range) {
	f := h.f
	f.mu.Lock()
	f.decRefsLocked(owned)
	for a := range h.held { // the arenas of its own are closed below
		a.holders--
		switch {
		case a.closed:
			f.doomLocked(a)
		case a.reusable(): // its owner is alone again
			f.unspendLocked(a)
		}
	}
	clear(h.held)
	h.Sure()
	for _, a := range h.owned {
		a.own = 0
		a.close()
	}
	h.owned = nil
	flush := (f.dirtyN > 0 || len(f.doomed) > 0) && f.scheduleLocked()
	f.mu.Unlock()
	if flush {
		f.Flush()
	}
}

// unspendLocked makes pages that were punched while others could see them
// allocatable. They are punched anew: what could see them could write them.
func (f *File) unspendLocked(a *Arena) {
	var spent []Range
	for r, u := range f.uses.In(a.r) {
		if u.spent {
			spent = append(spent, r)
		}
	}
	for _, r := range spent {
		r = r.Intersect(a.r)
		f.uses.Update(r, func(_ Range, u *use) { u.spent = false })
		f.dirty.Insert(r, set{})
		f.dirtyN += r.Len()
	}
}

// A Pool allocates pages wherever they are: what a filesystem keeps data in,
// and shared anonymous memory. Its methods may be called from any goroutine.
type Pool struct {
	f      *File
	arenas []*Arena // the one allocated from last is the last; protected by f.mu
}

const (
	poolArena = 64 << 20 // the offsets a Pool reserves at a time
	poolOwn   = 8 << 20  // from here on an allocation has an arena of its own
)

// NewPool returns an empty Pool.
func (f *File) NewPool() *Pool { return &Pool{f: f} }

// Alloc allocates n bytes, rounded up to pages, with one reference to each
// page. They are zero and have no memory yet. Free them with File.DecRef. The
// error is ENOMEM.
func (p *Pool) Alloc(n uint64) (Range, error) {
	n = (n + arch.PageMask) &^ arch.PageMask
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if n >= poolOwn {
		a, err := p.f.newArenaLocked(n, 0)
		if err != nil {
			return Range{}, err
		}
		r, _ := a.allocLocked(n)
		a.close() // it goes when r does
		return r, nil
	}
	for i := len(p.arenas) - 1; i >= 0; i-- {
		if r, ok := p.arenas[i].allocLocked(n); ok {
			last := len(p.arenas) - 1
			p.arenas[i], p.arenas[last] = p.arenas[last], p.arenas[i]
			return r, nil
		}
	}
	a, err := p.f.newArenaLocked(poolArena, 0)
	if err != nil {
		return Range{}, err
	}
	p.arenas = append(p.arenas, a)
	r, _ := a.allocLocked(n)
	return r, nil
}

// Close ends the pool; pages still allocated stay until they are freed.
func (p *Pool) Close() {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	for _, a := range p.arenas {
		a.close()
	}
	p.arenas = nil
}
