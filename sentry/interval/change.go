package interval

// Remove removes r, cutting entries that reach beyond it, and tells removed, if
// not nil, of each part that went.
func (m *Map[K, V]) Remove(r Range[K], removed func(Range[K], V)) {
	if r.Start >= r.End || m.Empty(r) {
		return
	}
	m.Cut(r.Start)
	m.Cut(r.End)
	for it := m.Find(r.Start); it.Ok() && it.Range().Start < r.End; {
		er, ev := it.Range(), it.Value()
		it = m.delete(it)
		if removed != nil {
			removed(er, ev)
		}
	}
}

// Clear removes everything.
func (m *Map[K, V]) Clear() { m.c, m.n = nil, 0 }

// Cut splits the entry that has k inside it, so that one begins at k. Without
// Join afterwards, the parts stay apart until a neighbour changes.
func (m *Map[K, V]) Cut(k K) {
	it := m.Find(k)
	if !it.Ok() || it.Range().Start >= k {
		return
	}
	r := it.Range()
	right := it.Value().Split(r, k)
	c := m.c[it.c]
	c.r[it.i].End, c.known = k, false
	it.Next()
	m.insert(it, Range[K]{k, r.End}, right)
}

// Update calls f for each entry in r, first cutting those that reach beyond it,
// then joins what can be joined. f must not change the map.
func (m *Map[K, V]) Update(r Range[K], f func(Range[K], *V)) {
	if r.Start >= r.End || m.Empty(r) {
		return
	}
	m.Cut(r.Start)
	m.Cut(r.End)
	for it := m.Find(r.Start); it.Ok() && it.Range().Start < r.End; it.Next() {
		f(it.Range(), it.Ptr())
	}
	m.Join(r)
}

// Join joins the entries in r, and those that touch it, where values allow.
func (m *Map[K, V]) Join(r Range[K]) {
	it := m.Find(r.Start)
	if p := it; true {
		if p.Prev(); p.Ok() {
			it = p
		}
	}
	for it.Ok() && it.Range().Start < r.End {
		next := it
		if next.Next(); !next.Ok() || next.Range().Start > r.End {
			return
		}
		l, n := it.Range(), next.Range()
		if l.End != n.Start {
			it = next
			continue
		}
		v, ok := it.Value().Join(l, n, next.Value())
		if !ok {
			it = next
			continue
		}
		c := m.c[it.c]
		c.r[it.i].End, c.v[it.i], c.known = n.End, v, false
		m.delete(next)
		it = m.Find(l.Start)
	}
}

// HighestGap is the highest k for which [k, k+n) lies in within and is free.
func (m *Map[K, V]) HighestGap(within Range[K], n K) (k K, ok bool) {
	if n > within.Len() || within.End < within.Start {
		return 0, false
	}
	end := within.End // everything from here on has been looked at
	it := m.Find(within.End - 1)
	if !it.Ok() || it.Range().Start >= within.End {
		it.Prev()
	}
	for it.Ok() {
		r := it.Range()
		if r.End < end && end-r.End >= n && end-n >= max(r.End, within.Start) {
			return end - n, true
		}
		if end = min(end, r.Start); end < within.Start || end-within.Start < n {
			return 0, false
		}
		if c := m.c[it.c]; it.i > 0 && c.largestGap() < n {
			it.i, end = 0, min(end, c.r[0].Start)
			if end < within.Start || end-within.Start < n {
				return 0, false
			}
		}
		it.Prev()
	}
	return end - n, true
}

// LowestGap is the lowest k for which [k, k+n) lies in within and is free.
func (m *Map[K, V]) LowestGap(within Range[K], n K) (k K, ok bool) {
	if n > within.Len() || within.End < within.Start {
		return 0, false
	}
	start := within.Start
	for it := m.Find(within.Start); it.Ok() && it.Range().Start < within.End; it.Next() {
		r := it.Range()
		if r.Start > start && r.Start-start >= n {
			break
		}
		start = max(start, r.End)
		if c := m.c[it.c]; it.i < len(c.r)-1 && c.largestGap() < n {
			it.i, start = len(c.r)-1, max(start, c.last().End)
		}
	}
	if start > within.End || within.End-start < n {
		return 0, false
	}
	return start, true
}

// Clone is a copy of m; the values are copied as they are.
func (m *Map[K, V]) Clone() Map[K, V] {
	n := Map[K, V]{c: make([]*chunk[K, V], len(m.c)), n: m.n}
	for i, c := range m.c {
		d := newChunk[K, V]()
		d.r, d.v = append(d.r, c.r...), append(d.v, c.v...)
		n.c[i] = d
	}
	return n
}
