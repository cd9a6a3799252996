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
}

type window struct {
	at    arch.Range
	arena *memfile.Arena
}

const (
	windowUnit = 2 << 20 // windows are aligned so, which keeps huge pages possible
	windowMax  = 1 << 30 // a window is no larger, unless one mapping is
	layers     = 4       // windows over the same addresses
	spillMax   = 32 << 20
	spillUse   = 1 << 20 // no larger allocation is spilled
)

// allocate returns the offset of fresh zero pages, with one reference each, to
// show at r, a part of the mapping at around. Copies of private pages are
// parallel to their source, so they are never spilled.
func (s *Space) allocate(r, around arch.Range, shadow bool) (uint64, error) {
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
		if take(w.arena, memfile.Range{Start: off, End: off + r.Len()}) {
			return off, nil
		}
		over++
	}
	if over >= layers && !shadow && r.Len() <= spillUse {
		return s.spilled(r.Len())
	}
	at := m.place(r, around)
	a, err := s.holder.NewArena(at.Len())
	if err != nil {
		return 0, err
	}
	m.windows = append(m.windows, window{at, a})
	off := a.Range().Start + uint64(r.Start-at.Start)
	if !a.AllocAt(memfile.Range{Start: off, End: off + r.Len()}) {
		return 0, linux.ENOMEM // can't be: the arena is new
	}
	return off, nil
}

// place is where a new window for r should lie: around the mapping, with room
// below it, where mmap(2) will put the next one, and above it, where a heap grows.
func (m *allocator) place(r, around arch.Range) arch.Range {
	const mask = windowUnit - 1
	if around.Len() > windowMax && r.Len() <= windowMax {
		around = around.Intersect(arch.Range{Start: r.Start &^ (windowMax - 1), End: (r.End + windowMax - 1) &^ (windowMax - 1)})
	}
	w := arch.Range{Start: around.Start &^ mask, End: (around.End + mask) &^ mask}
	extra := arch.Addr(min(m.used/2, windowMax)) &^ mask
	if w.Len() < windowMax {
		if w.Start > extra {
			w.Start -= extra
		}
		if uint64(w.End-around.End) < windowUnit/4 {
			w.End += max(extra/2&^mask, windowUnit)
		}
	}
	return w
}

// spilled allocates n bytes anywhere.
func (s *Space) spilled(n uint64) (uint64, error) {
	m := &s.mem
	for i := len(m.spills) - 1; i >= 0; i-- {
		if r, ok := m.spills[i].Alloc(n); ok {
			last := len(m.spills) - 1
			m.spills[i], m.spills[last] = m.spills[last], m.spills[i]
			return r.Start, nil
		}
	}
	m.size = min(max(m.size*2, windowUnit), spillMax)
	a, err := s.holder.NewArena(m.size)
	if err != nil {
		return 0, err
	}
	m.spills = append(m.spills, a)
	r, ok := a.Alloc(n)
	if !ok {
		return 0, linux.ENOMEM // can't be: the arena is new
	}
	return r.Start, nil
}
