package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
)

// An allocator chooses offsets in the page file for a space's addresses, so
// that what are neighbours in memory are neighbours in the file, and the host
// keeps one mapping for them. It does so by windows: a stretch of addresses
// and an arena of as many offsets. An address's offset is its place in a window; when
// that is in use (by a copy that a fork shares, by pages freed a moment ago), in another
// window over the same addresses.
type allocator struct {
	windows []window
	used    uint64           // bytes allocated so far, which says how much room is worth reserving
	spills  []*memfile.Arena // where what found no place in layers windows goes; the last first
	size    uint64           // of the next spill
	program uint64           // identifies what the space runs
}

// role is that of the next arena: processes that run the same program make the
// same arenas in the same order.
func (m *allocator) role() memfile.Role {
	return memfile.Role(m.program ^ uint64(len(m.windows))<<32 ^ uint64(len(m.spills))<<48)
}

type window struct {
	at    arch.Range
	arena *memfile.Arena
}

const (
	windowUnit = 2 << 20 // the length of windows is a multiple
	windowMax  = 1 << 30 // a window is no larger, unless one mapping is
	layers     = 4       // windows over the same addresses
	spillMax   = 32 << 20
	spillUse   = 1 << 20 // no larger allocation is spilled
)

// allocate returns the offset of fresh zero pages, with one reference each, to
// show at r, a part of the mapping at around, and which of them have memory. Copies
// of private pages are parallel to their source, so they are never spilled.
func (s *Space) allocate(r, around arch.Range, shadow bool) (off uint64, had []memfile.Range, err error) {
	m := &s.mem
	m.used += r.Len()
	take := (*memfile.Arena).AllocAt
	if s.alone() {
		take = (*memfile.Arena).TakeAt
	}
	over := 0
	for i := len(m.windows) - 1; i >= 0; i-- {
		w := &m.windows[i]
		if !w.at.Covers(r) {
			continue
		}
		off := w.arena.Range().Start + uint64(r.Start-w.at.Start)
		if had, ok := take(w.arena, memfile.Range{Start: off, End: off + r.Len()}); ok {
			return off, had, nil
		}
		over++
	}
	if over >= layers && !shadow && r.Len() <= spillUse {
		return s.spilled(r.Len())
	}
	at := m.place(r, around)
	a, err := s.holder.NewArena(at.Len(), m.role())
	if err != nil {
		return 0, nil, err
	}
	m.windows = append(m.windows, window{at, a})
	off = a.Range().Start + uint64(r.Start-at.Start)
	had, ok := a.AllocAt(memfile.Range{Start: off, End: off + r.Len()})
	if !ok {
		return 0, nil, linux.ENOMEM // what the arena had can't be cleared
	}
	return off, had, nil
}

// place is where a new window for r should lie: around the mapping, with room
// below it, where mmap(2) will put the next one, and above it, where a heap grows.
// It does not depend on how addresses are aligned, as those are random: so what one
// process has touched of an arena is what the next that runs the program will touch.
func (m *allocator) place(r, around arch.Range) arch.Range {
	if around.Len() > windowMax && r.Len() <= windowMax {
		around = around.Intersect(arch.Range{Start: r.Start &^ (windowMax - 1), End: (r.End + windowMax - 1) &^ (windowMax - 1)})
	}
	w := around
	if w.Len() < windowMax {
		extra := max(arch.Addr(min(m.used, windowMax))&^(windowUnit-1), windowUnit)
		w.Start -= min(w.Start, extra)
		w.End += extra
	}
	w.End += -arch.Addr(w.Len()) & (windowUnit - 1)
	return w
}

// spilled allocates n bytes anywhere.
func (s *Space) spilled(n uint64) (off uint64, had []memfile.Range, err error) {
	m := &s.mem
	for i := len(m.spills) - 1; i >= 0; i-- {
		if r, had, ok := m.spills[i].Alloc(n); ok {
			last := len(m.spills) - 1
			m.spills[i], m.spills[last] = m.spills[last], m.spills[i]
			return r.Start, had, nil
		}
	}
	m.size = min(max(m.size*2, windowUnit), spillMax)
	a, err := s.holder.NewArena(m.size, m.role())
	if err != nil {
		return 0, nil, err
	}
	m.spills = append(m.spills, a)
	r, had, ok := a.Alloc(n)
	if !ok {
		return 0, nil, linux.ENOMEM // what the arena had can't be cleared
	}
	return r.Start, had, nil
}
