package tmpfs

import (
	"cmp"
	"maps"
	"slices"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
)

// data is what a regular file has in memory. All is protected by the inode's mu.
type data struct {
	small  [doubling]*extent // the first GiB
	large  map[int]*extent   // what comes after
	pages  int64             // charged
	mapped int               // extents that are
}

func (t *data) at(n int) *extent {
	if n < doubling {
		return t.small[n]
	}
	return t.large[n]
}

// extent is the extent that holds byte off, made if it does not exist.
func (t *data) extent(fs *filesystem, off uint64) (*extent, error) {
	n, start, end := extentOf(off)
	if e := t.at(n); e != nil {
		return e, nil
	}
	mem, err := fs.pool.Alloc(end - start)
	if err != nil {
		return nil, linux.ENOSPC
	}
	e := newExtent(start, mem)
	if n < doubling {
		t.small[n] = e
	} else {
		if t.large == nil {
			t.large = map[int]*extent{}
		}
		t.large[n] = e
	}
	return e, nil
}

// each ranges over the extents that overlap [start, end), in order.
func (t *data) each(start, end uint64, f func(*extent) bool) {
	for _, e := range t.small {
		if e != nil && e.start < end && start < e.end() && !f(e) {
			return
		}
	}
	if len(t.large) == 0 || end <= 1<<lastShift {
		return
	}
	first, _, _ := extentOf(max(start, 1<<lastShift))
	last, _, _ := extentOf(end - 1)
	if last-first < len(t.large) {
		for n := first; n <= last; n++ {
			if e := t.large[n]; e != nil && !f(e) {
				return
			}
		}
		return
	}
	for _, e := range t.sorted() {
		if e.start < end && start < e.end() && !f(e) {
			return
		}
	}
}

// sorted is the large extents in order.
func (t *data) sorted() []*extent {
	return slices.SortedFunc(maps.Values(t.large), func(a, b *extent) int { return cmp.Compare(a.start, b.start) })
}

// fill makes sure that the pages of [off, off+n), which lie in one extent, are charged.
// It returns how many bytes from off on are: less than n, with ENOSPC, if the
// filesystem is full.
func (t *data) fill(fs *filesystem, e *extent, off, n uint64) (uint64, error) {
	for p := range e.pages(off, off+n, false) {
		if !fs.charge(1) {
			return max(e.start+p*arch.PageSize, off) - off, linux.ENOSPC
		}
		e.set(p, true)
		t.pages++
	}
	return n, nil
}

// put says that the pages of [off, off+n), which lie in e, are there. They have been
// charged. It returns how many were not there.
func (t *data) put(e *extent, off, n uint64) (news int64) {
	for p := range e.pages(off, off+n, false) {
		e.set(p, true)
		news++
	}
	t.pages += news
	return news
}

// lacks is how many of the pages of [start, end) are not charged.
func (t *data) lacks(start, end uint64) int64 {
	start, end = start&^arch.PageMask, pageUp(end)
	n := int64((end - start) / arch.PageSize)
	t.each(start, end, func(e *extent) bool {
		for range e.pages(start, end, true) {
			n--
		}
		return true
	})
	return n
}

// drop takes the pages of [start, end), whole pages, away. It returns what of the page
// file is to be given back: extents that are empty now, to be freed, and parts of
// others, to be cleared. Guests are told in between.
func (t *data) drop(fs *filesystem, start, end uint64) (free, punch []memfile.Range) {
	var empty []*extent
	t.each(start, end, func(e *extent) bool {
		if e.mapped {
			t.learn(fs, e)
		}
		for p := range e.pages(start, end, true) {
			e.set(p, false)
			t.pages--
			fs.uncharge(1)
		}
		if e.n == 0 {
			empty = append(empty, e)
			free = append(free, e.mem)
		} else {
			from, to := max(start, e.start), min(end, e.end())
			punch = append(punch, memfile.Range{Start: e.mem.Start + from - e.start, End: e.mem.Start + to - e.start})
		}
		return true
	})
	for _, e := range empty {
		if e.mapped {
			t.mapped--
		}
		n, _, _ := extentOf(e.start)
		if n < doubling {
			t.small[n] = nil
		} else {
			delete(t.large, n)
		}
	}
	return free, punch
}

// all takes everything away.
func (t *data) all(fs *filesystem) (free []memfile.Range) {
	t.each(0, 1<<63, func(e *extent) bool {
		free = append(free, e.mem)
		return true
	})
	fs.uncharge(t.pages)
	*t = data{}
	return free
}

// resident is the number of pages that hold data. mem is asked about what guests see.
func (t *data) resident(mem *memfile.File) int64 {
	n := int64(0)
	t.each(0, 1<<63, func(e *extent) bool {
		if e.mapped {
			n += int64(mem.Resident(e.mem) / arch.PageSize)
		} else {
			n += int64(e.n)
		}
		return true
	})
	return n
}

// next is the first byte from off on, below size, where data begins (or a hole, if
// hole); size if there is none. It looks at what there is of the file: holes may be
// longer than anybody could go through.
func (t *data) next(fs *filesystem, off, size uint64, hole bool) uint64 {
	found := false
	t.each(off, size, func(e *extent) bool {
		if off < e.start {
			if found = hole; found {
				return false
			}
			off = e.start
		}
		if e.mapped {
			t.learn(fs, e)
		}
		last := (e.end() - e.start) / arch.PageSize
		p := e.next((off-e.start)/arch.PageSize, last, !hole)
		off = max(off, e.start+p*arch.PageSize)
		found = p < last
		return !found
	})
	if found || hole {
		return min(off, size)
	}
	return size
}

// learn makes e's page bits, and with them what is charged, say what the host knows:
// which pages guests have touched.
func (t *data) learn(fs *filesystem, e *extent) {
	was := e.n
	clear(e.have)
	e.n = 0
	fs.mem.EachResident(e.mem, func(r memfile.Range) {
		for p := (r.Start - e.mem.Start) / arch.PageSize; p < (r.End-e.mem.Start)/arch.PageSize; p++ {
			e.set(p, true)
		}
	})
	fs.pages.Add(int64(e.n - was))
	t.pages += int64(e.n - was)
}
