package mm

import (
	"slices"

	"garrison/platform/arch"
	"garrison/sentry/lock"
	"garrison/sentry/memfile"
)

// A heat is what a family of forked spaces has learnt of itself: pages that one
// of them wrote soon after a fork, which cost it a fault. The next fork copies
// such pages for the child at once, and leaves the parent its own: one mapping
// in place of two faults, of two mappings, and of taking a right away.
type heat struct {
	mu    lock.Mutex[lock.Leaf]
	hot   []arch.Range // in order, with gaps between them; protected by mu, as all below
	pages uint64       // in hot
	forks int          // since all was forgotten

	// How much memory pieces of the page file have that are copy-on-write, which
	// nobody writes: one child after the other ends with the same. It is forgotten
	// at the fork after a change, before which no other piece becomes such.
	resident map[memfile.Range]uint64
}

const (
	maxHot    = 16  // ranges,
	hotPages  = 96  // and pages in them: about what the faults they spare cost
	hotGap    = 4   // pages between two that are written, which are copied along
	hotMemory = 200 // forks until all is learnt anew: what is hot may have cooled

	maxResident = 32
)

// add notes that page p was written.
func (h *heat) add(p arch.Range) {
	h.mu.Lock()
	defer h.mu.Unlock()
	const gap = hotGap * arch.PageSize
	i := 0
	for i < len(h.hot) && h.hot[i].End+gap < p.Start {
		i++
	}
	j := i
	n, r := h.pages, p
	for j < len(h.hot) && h.hot[j].Start <= p.End+gap {
		r = arch.Range{Start: min(r.Start, h.hot[j].Start), End: max(r.End, h.hot[j].End)}
		n -= h.hot[j].Len() / arch.PageSize
		j++
	}
	if n += r.Len() / arch.PageSize; n > hotPages || i == j && len(h.hot) >= maxHot {
		return
	}
	h.hot, h.pages = slices.Replace(h.hot, i, j, r), n
}

// take is what to copy at a fork.
func (h *heat) take() []arch.Range {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.forks++; h.forks > hotMemory {
		h.hot, h.pages, h.forks = nil, 0, 0
	}
	return slices.Clone(h.hot)
}

// changed is called at a fork by a space whose runs have changed since its last one.
func (h *heat) changed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.resident)
}

// residentIn is how much memory m, which is copy-on-write, has in f.
func (h *heat) residentIn(f *memfile.File, m memfile.Range) uint64 {
	h.mu.Lock()
	n, known := h.resident[m]
	h.mu.Unlock()
	if known {
		return n
	}
	n = f.Resident(m)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.resident == nil || len(h.resident) >= maxResident {
		h.resident = make(map[memfile.Range]uint64, maxResident)
	}
	h.resident[m] = n
	return n
}

// A warm is pages that a child has a copy of from the beginning.
type warm struct {
	r     arch.Range
	x     run  // the child's
	whole bool // all of it has memory
}

// copyHot copies what is hot for c, a child in the making. It must be certain
// that nothing writes the pages meanwhile, so threads of s's own forbid it.
func (s *Space) copyHot(c *Space) (all []warm) {
	if !s.alone() || s.runs.Len() > s.env.maxRuns {
		return nil
	}
	for _, h := range s.heat.take() {
		for rr, x := range s.runs.In(ivl(h)) {
			r := rng(rr).Intersect(h)
			vr, v, ok := s.find(r.Start)
			if !ok || !x.owned || v.access&arch.Write == 0 || v.is(vmShared|vmDontFork|vmWipeOnFork) {
				continue
			}
			r = r.Intersect(vr)
			x.off += uint64(r.Start - rr.Start)
			y, n, whole, _ := c.duplicate(r, &x, vr)
			if n < r.Len() { // both can share it as well
				s.env.memory.DecRef(memfile.Range{Start: y.off, End: y.off + n})
				continue
			}
			y.access = v.host()
			all = append(all, warm{r, y, whole})
		}
	}
	return all
}

// abandon gives up a child that has come to nothing.
func (c *Space) abandon(copies []warm) {
	var owned []memfile.Range
	for _, w := range copies {
		owned = append(owned, w.x.memory(w.r))
	}
	c.holder.Close(owned)
}
