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
	e := &extent{start: start, mem: mem}
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
	for p := range e.pages(&e.data, off, off+n, false) {
		if e.reserved.has(p) {
			continue
		}
		if !fs.charge(1) {
			return max(e.start+p*arch.PageSize, off) - off, linux.ENOSPC
		}
		e.data.set(p, true)
		t.pages++
	}
	return n, nil
}

// reserve says that the pages of [start, end) that lie in e are charged, as they have been.
// It returns how many were not.
func (t *data) reserve(e *extent, start, end uint64) (news int64) {
	for p := range e.pages(&e.data, start, end, false) {
		if !e.reserved.has(p) {
			e.reserved.set(p, true)
			news++
		}
	}
	t.pages += news
	return news
}

// lacks is how many of the pages of [start, end) are not charged.
func (t *data) lacks(fs *filesystem, start, end uint64) int64 {
	start, end = start&^arch.PageMask, pageUp(end)
	n := int64((end - start) / arch.PageSize)
	t.each(start, end, func(e *extent) bool {
		t.learn(fs, e, start, end)
		for range e.pages(&e.data, start, end, true) {
			n--
		}
		for range e.pages(&e.reserved, start, end, true) {
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
		t.learn(fs, e, e.start, e.end())
		had := e.charged()
		for _, s := range []*pageSet{&e.data, &e.reserved} {
			for p := range e.pages(s, start, end, true) {
				s.set(p, false)
			}
		}
		t.charge(fs, e.charged()-had)
		// What is still mapped of an extent a guest may touch at any time, charged or not.
		if e.charged() == 0 && (!e.mapped || start <= e.start && e.end() <= end) {
			empty = append(empty, e)
			free = append(free, e.mem)
		} else {
			punch = append(punch, e.memory(start, end))
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

// charge says that n more pages are there, which nobody could refuse, or fewer.
func (t *data) charge(fs *filesystem, n int) {
	fs.pages.Add(int64(n))
	t.pages += int64(n)
}

// blocks is how many pages stat(2) shows. mem is asked about what guests see.
func (t *data) blocks(mem *memfile.File) int64 {
	n := 0
	t.each(0, 1<<63, func(e *extent) bool {
		if !e.mapped {
			n += e.charged()
			return true
		}
		n += e.reserved.n
		e.touched(mem, e.start, e.end(), func(start, end uint64) {
			n += int((end - start) / arch.PageSize)
			for range e.pages(&e.reserved, start, end, true) {
				n--
			}
		})
		return true
	})
	return int64(n)
}

// next is the first byte from off on, below size, where data begins (or a hole, if
// hole); size if there is none. It looks at what there is of the file: holes may be
// longer than anybody could go through.
func (t *data) next(host resident, off, size uint64, hole bool) uint64 {
	found := false
	t.each(off, size, func(e *extent) bool {
		if off < e.start {
			if found = hole; found {
				return false
			}
			off = e.start
		}
		off = e.seek(host, off, e.end(), hole)
		found = off < e.end()
		return !found
	})
	if found || hole {
		return min(off, size)
	}
	return size
}

// learn makes what is said of e's pages in [start, end), and with it what is charged,
// what the host knows: which pages guests have touched.
func (t *data) learn(fs *filesystem, e *extent, start, end uint64) {
	if !e.mapped {
		return
	}
	had := e.charged()
	at := max(start, e.start)
	forget := func(end uint64) {
		for p := range e.pages(&e.data, at, end, true) {
			e.data.set(p, false)
		}
	}
	e.touched(fs.mem, start, end, func(start, end uint64) {
		forget(start)
		e.written(start, end-start)
		for p := range e.pages(&e.data, start, end, false) {
			e.data.set(p, true)
		}
		at = end
	})
	forget(end)
	t.charge(fs, e.charged()-had)
}
