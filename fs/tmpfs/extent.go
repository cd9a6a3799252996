package tmpfs

import (
	"iter"
	"math/bits"

	"garrison/platform/arch"
	"garrison/sentry/memfile"
)

// A file's bytes lie in extents: ranges of the page file, each for a fixed part of the
// file, twice as long as the one before until they are long enough. The first holds a
// small file. Offsets in the page file are free; what costs is pages, which an extent
// keeps count of.
const (
	firstShift = 14 // the first extent is 16 KiB
	lastShift  = 30 // from 1 GiB on each is 1 GiB
	doubling   = lastShift - firstShift + 1
)

// extentOf is the number of the extent that byte off lies in, and the part of the file
// that this extent holds.
func extentOf(off uint64) (n int, start, end uint64) {
	if off >= 1<<lastShift {
		i := off >> lastShift
		return doubling + int(i) - 1, i << lastShift, (i + 1) << lastShift
	}
	if off < 1<<firstShift {
		return 0, 0, 1 << firstShift
	}
	s := bits.Len64(off) - 1
	return s - firstShift + 1, 1 << s, 2 << s
}

// An extent is a part of a file that has (some) memory.
type extent struct {
	start  uint64 // in the file
	mem    memfile.Range
	have   [][]uint64 // for each group of pages, nil or a bit for each: it is charged, and may hold data
	n      int        // bits set in have
	mapped bool       // guests see it: which pages hold data only the host knows
}

// groupPages is how many pages have their bits in one piece. An extent that holds one
// page must not take much more than that: files may be nearly all holes.
const groupPages = 4096

// newExtent is the extent that holds the file's bytes from start on, and no page yet.
func newExtent(start uint64, mem memfile.Range) *extent {
	return &extent{start: start, mem: mem, have: make([][]uint64, (mem.Len()/arch.PageSize+groupPages-1)/groupPages)}
}

func (e *extent) has(page uint64) bool { return e.next(page, page+1, true) == page }

// set says that page is there, which it was not, or the other way round.
func (e *extent) set(page uint64, there bool) {
	g := &e.have[page/groupPages]
	if *g == nil {
		*g = make([]uint64, (min(groupPages, e.mem.Len()/arch.PageSize)+63)/64)
	}
	w, bit := &(*g)[page%groupPages/64], uint64(1)<<(page%64)
	if there {
		*w |= bit
		e.n++
	} else {
		*w &^= bit
		e.n--
	}
}

// next is the first page from page on, below end, that is there, or that is not; end if
// there is none.
func (e *extent) next(page, end uint64, there bool) uint64 {
	for page < end {
		g := e.have[page/groupPages]
		if g == nil {
			if !there {
				return page
			}
			page = (page/groupPages + 1) * groupPages
			continue
		}
		w := g[page%groupPages/64]
		if !there {
			w = ^w
		}
		if w >>= page % 64; w != 0 {
			return min(page+uint64(bits.TrailingZeros64(w)), end)
		}
		page = (page/64 + 1) * 64
	}
	return end
}

func (e *extent) end() uint64 { return e.start + e.mem.Len() }

// pages ranges over e's pages that overlap [start, end) of the file and are there, or
// are not. Who ranges may set each.
func (e *extent) pages(start, end uint64, there bool) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		first := (max(start, e.start) - e.start) / arch.PageSize
		last := (min(end, e.end()) - e.start + arch.PageMask) / arch.PageSize
		for p := e.next(first, last, there); p < last; p = e.next(p+1, last, there) {
			if !yield(p) {
				return
			}
		}
	}
}

// run is how many bytes from off on, at most n, are in pages that are all there or all
// not there. What guests see is all there.
func (e *extent) run(off, n uint64) (m uint64, there bool) {
	if e.mapped {
		return n, true
	}
	p := (off - e.start) / arch.PageSize
	there = e.has(p)
	p = e.next(p, (off+n-e.start+arch.PageMask)/arch.PageSize, !there)
	return min(n, e.start+p*arch.PageSize-off), there
}
