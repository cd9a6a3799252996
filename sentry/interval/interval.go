// Package interval is an ordered map from disjoint half-open ranges of K to V.
//
// Entries lie in chunks of a few dozen, in order; each chunk knows the largest
// gap inside it. So finding, inserting and removing cost a binary search and a
// short move, and a search for a gap steps over whole chunks, with tens of
// thousands of entries as with three.
package interval

import (
	"fmt"
	"iter"
	"slices"
	"sort"
)

// A Key is what ranges are made of.
type Key interface{ ~uint64 | ~int64 | ~uintptr }

// A Range is the half-open range [Start, End).
type Range[K Key] struct{ Start, End K }

// Len is the length of r.
func (r Range[K]) Len() K { return r.End - r.Start }

// Contains reports whether k lies in r.
func (r Range[K]) Contains(k K) bool { return r.Start <= k && k < r.End }

// Covers reports whether all of o lies in r.
func (r Range[K]) Covers(o Range[K]) bool { return r.Start <= o.Start && o.End <= r.End }

// Overlaps reports whether r and o share a key.
func (r Range[K]) Overlaps(o Range[K]) bool { return r.Start < o.End && o.Start < r.End }

// Intersect is the part of r in o; its Len is 0 if there is none.
func (r Range[K]) Intersect(o Range[K]) Range[K] {
	r.Start, r.End = max(r.Start, o.Start), min(r.End, o.End)
	r.End = max(r.Start, r.End)
	return r
}

// A Value says how it behaves when its range is cut or joined.
type Value[K Key, V any] interface {
	// Split is told that the receiver, the value of r, keeps [r.Start, at); it
	// returns the value of [at, r.End).
	Split(r Range[K], at K) V

	// Join returns the value of l and r, which touch, taken together; the
	// receiver is l's value, rv is r's. ok is false if no one value will do.
	Join(l, r Range[K], rv V) (v V, ok bool)
}

// Plain, embedded or used as a model, is for values that mean the same wherever
// they are cut: V is comparable, and equal neighbours join.
type Plain[K Key, T comparable] struct{ Is T }

// Split implements Value.
func (p Plain[K, T]) Split(Range[K], K) Plain[K, T] { return p }

// Join implements Value.
func (p Plain[K, T]) Join(_, _ Range[K], o Plain[K, T]) (Plain[K, T], bool) { return p, p == o }

const chunkMax = 64

type chunk[K Key, V any] struct {
	r     []Range[K]
	v     []V
	gap   K    // the largest gap between two neighbours in the chunk,
	known bool // if this says so
}

func newChunk[K Key, V any]() *chunk[K, V] {
	return &chunk[K, V]{r: make([]Range[K], 0, chunkMax), v: make([]V, 0, chunkMax)}
}

func (c *chunk[K, V]) last() Range[K] { return c.r[len(c.r)-1] }

func (c *chunk[K, V]) largestGap() K {
	if !c.known {
		c.gap, c.known = 0, true
		for i := 1; i < len(c.r); i++ {
			c.gap = max(c.gap, c.r[i].Start-c.r[i-1].End)
		}
	}
	return c.gap
}

// A Map is an ordered map from disjoint ranges to values. The zero Map is
// empty. It is not safe for use by several goroutines at the same time, unless all of them only look.
type Map[K Key, V Value[K, V]] struct {
	c []*chunk[K, V] // none is empty
	n int
}

// Len is the number of entries.
func (m *Map[K, V]) Len() int { return m.n }

// An Iter is a place in a Map: at an entry, or past the last. Any change of the
// map but through Ptr makes it useless.
type Iter[K Key, V Value[K, V]] struct {
	m    *Map[K, V]
	c, i int
}

// Ok reports whether it is at an entry.
func (it Iter[K, V]) Ok() bool { return it.c >= 0 && it.c < len(it.m.c) }

// Range is the entry's range.
func (it Iter[K, V]) Range() Range[K] { return it.m.c[it.c].r[it.i] }

// Value is the entry's value.
func (it Iter[K, V]) Value() V { return it.m.c[it.c].v[it.i] }

// Ptr points at the entry's value, to be changed in place: the change must not
// be one that makes it joinable with a neighbour.
func (it Iter[K, V]) Ptr() *V { return &it.m.c[it.c].v[it.i] }

// Next moves to the following entry.
func (it *Iter[K, V]) Next() {
	if it.i++; it.c < 0 || it.i == len(it.m.c[it.c].r) {
		it.c, it.i = it.c+1, 0
	}
}

// Prev moves to the entry before; from the first it moves to a place that is not Ok.
func (it *Iter[K, V]) Prev() {
	if it.i--; it.i < 0 {
		if it.c--; it.c >= 0 {
			it.i = len(it.m.c[it.c].r) - 1
		}
	}
}

// Find is the first entry that ends after k: the one that contains k, or else the next.
func (m *Map[K, V]) Find(k K) Iter[K, V] {
	c := sort.Search(len(m.c), func(i int) bool { return m.c[i].last().End > k })
	if c == len(m.c) {
		return Iter[K, V]{m, c, 0}
	}
	r := m.c[c].r
	lo, hi := 0, len(r)-1 // the last does
	for lo < hi {
		if mid := (lo + hi) / 2; r[mid].End > k {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return Iter[K, V]{m, c, lo}
}

// First is the first entry.
func (m *Map[K, V]) First() Iter[K, V] { return Iter[K, V]{m, 0, 0} }

// Last is the last entry.
func (m *Map[K, V]) Last() Iter[K, V] {
	it := Iter[K, V]{m, len(m.c), 0}
	it.Prev()
	return it
}

// Lookup is the entry that contains k.
func (m *Map[K, V]) Lookup(k K) (r Range[K], v V, ok bool) {
	if it := m.Find(k); it.Ok() && it.Range().Start <= k {
		return it.Range(), it.Value(), true
	}
	return r, v, false
}

// Empty reports whether no entry overlaps r.
func (m *Map[K, V]) Empty(r Range[K]) bool {
	it := m.Find(r.Start)
	return !it.Ok() || it.Range().Start >= r.End
}

// In ranges over the entries that overlap r, whole, in order. The map must not
// change meanwhile.
func (m *Map[K, V]) In(r Range[K]) iter.Seq2[Range[K], V] {
	return func(yield func(Range[K], V) bool) {
		for it := m.Find(r.Start); it.Ok() && it.Range().Start < r.End; it.Next() {
			if !yield(it.Range(), it.Value()) {
				return
			}
		}
	}
}

// All ranges over all entries in order. The map must not change meanwhile.
func (m *Map[K, V]) All() iter.Seq2[Range[K], V] {
	return func(yield func(Range[K], V) bool) {
		for it := m.First(); it.Ok(); it.Next() {
			if !yield(it.Range(), it.Value()) {
				return
			}
		}
	}
}

// Covered reports whether entries cover r without a gap.
func (m *Map[K, V]) Covered(r Range[K]) bool {
	k := r.Start
	for it := m.Find(k); it.Ok() && it.Range().Start <= k && k < r.End; it.Next() {
		k = it.Range().End
	}
	return k >= r.End
}

// Insert adds r with v, joined with its neighbours if their values allow. r must be
// free: Insert panics otherwise.
func (m *Map[K, V]) Insert(r Range[K], v V) {
	it := m.Find(r.Start)
	if r.Start >= r.End || it.Ok() && it.Range().Start < r.End {
		panic(fmt.Sprintf("interval: inserting %v over %v", r, it))
	}
	if it.Ok() && it.Range().Start == r.End {
		if nv, ok := v.Join(r, it.Range(), it.Value()); ok {
			r.End, v = it.Range().End, nv
			it = m.delete(it)
		}
	}
	p := it
	if p.Prev(); p.Ok() && p.Range().End == r.Start {
		if nv, ok := p.Value().Join(p.Range(), r, v); ok {
			c := m.c[p.c]
			c.r[p.i].End, c.v[p.i], c.known = r.End, nv, false
			return
		}
	}
	m.insert(it, r, v)
}

// insert puts an entry before it and returns its place.
func (m *Map[K, V]) insert(it Iter[K, V], r Range[K], v V) Iter[K, V] {
	if len(m.c) == 0 {
		m.c = append(m.c, newChunk[K, V]())
		it = Iter[K, V]{m, 0, 0}
	} else if it.i == 0 && it.c > 0 { // at a border: rather at the end of the chunk before
		it.c--
		it.i = len(m.c[it.c].r)
	}
	c := m.c[it.c]
	if len(c.r) == chunkMax {
		half := chunkMax / 2
		if it.c == len(m.c)-1 && it.i == chunkMax { // filled in order: leave chunks full
			half = chunkMax
		}
		n := newChunk[K, V]()
		n.r, n.v = append(n.r, c.r[half:]...), append(n.v, c.v[half:]...)
		clear(c.v[half:])
		c.r, c.v, c.known = c.r[:half], c.v[:half], false
		m.c = slices.Insert(m.c, it.c+1, n)
		if it.i > half || half == chunkMax {
			it.c, it.i, c = it.c+1, it.i-half, n
		}
	}
	c.r, c.v, c.known = slices.Insert(c.r, it.i, r), slices.Insert(c.v, it.i, v), false
	m.n++
	return it
}

// delete removes the entry at it and returns the place of the one that followed.
func (m *Map[K, V]) delete(it Iter[K, V]) Iter[K, V] {
	c := m.c[it.c]
	c.r, c.v, c.known = slices.Delete(c.r, it.i, it.i+1), slices.Delete(c.v, it.i, it.i+1), false
	m.n--
	return m.tidy(it)
}

// tidy joins the chunk at it, which may have become empty or small, with a
// neighbour, and returns the place of the same entry.
func (m *Map[K, V]) tidy(it Iter[K, V]) Iter[K, V] {
	c := m.c[it.c]
	switch {
	case len(c.r) == 0:
		m.c = slices.Delete(m.c, it.c, it.c+1)
		return Iter[K, V]{m, it.c, 0}
	case len(c.r) < chunkMax/4 && it.c > 0 && len(m.c[it.c-1].r)+len(c.r) <= chunkMax*3/4:
		p := m.c[it.c-1]
		it.c, it.i = it.c-1, it.i+len(p.r)
		p.r, p.v, p.known = append(p.r, c.r...), append(p.v, c.v...), false
		m.c = slices.Delete(m.c, it.c+1, it.c+2)
	}
	if it.i == len(m.c[it.c].r) {
		it.c, it.i = it.c+1, 0
	}
	return it
}
