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
	start    uint64 // in the file
	mem      memfile.Range
	data     pageSet // charged, and may hold data
	reserved pageSet // charged, and of those that are not data: fallocate(2)
	mapped   bool    // guests see it: which pages hold data only the host knows
}

// charged is how many of e's pages count against the filesystem's size.
func (e *extent) charged() int { return e.data.n + e.reserved.n }

func (e *extent) end() uint64 { return e.start + e.mem.Len() }

// memory is where e has bytes [start, end) of the file, as far as they lie in it.
func (e *extent) memory(start, end uint64) memfile.Range {
	shift := e.mem.Start - e.start
	return memfile.Range{Start: max(start, e.start) + shift, End: min(end, e.end()) + shift}
}

// pages ranges over e's pages that overlap [start, end) of the file and are in s, one
// of e's, or are not. Who ranges may set each.
func (e *extent) pages(s *pageSet, start, end uint64, in bool) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		first := (max(start, e.start) - e.start) / arch.PageSize
		last := (min(end, e.end()) - e.start + arch.PageMask) / arch.PageSize
		for p := s.next(first, last, in); p < last; p = s.next(p+1, last, in) {
			if !yield(p) {
				return
			}
		}
	}
}

// A resident is memfile's File.Next: it tells where in a range of the page file memory
// begins, or where it ends.
type resident func(r memfile.Range, hole bool) uint64

// seek is the first byte of [off, end), which lies in e, where there is data (or none, if
// hole); end if there is no such byte. The host is asked where only it knows.
func (e *extent) seek(host resident, off, end uint64, hole bool) uint64 {
	if e.mapped {
		return e.start + host(e.memory(off, end), hole) - e.mem.Start
	}
	p := e.data.next((off-e.start)/arch.PageSize, (end-e.start+arch.PageMask)/arch.PageSize, !hole)
	return min(max(off, e.start+p*arch.PageSize), end)
}

// run is how many bytes from off on, at most n, are all data or all not. It is never 0: a
// guest that touches a page in between has the question asked again.
func (e *extent) run(host resident, off, n uint64) (m uint64, data bool) {
	for {
		if end := e.seek(host, off, off+n, true); end > off {
			return end - off, true
		}
		if end := e.seek(host, off, off+n, false); end > off {
			return end - off, false
		}
	}
}

// touched calls f for each part of [start, end) that the host has memory for.
func (e *extent) touched(mem *memfile.File, start, end uint64, f func(start, end uint64)) {
	shift := e.start - e.mem.Start
	mem.EachResident(e.memory(start, end), func(r memfile.Range) { f(r.Start+shift, r.End+shift) })
}

// written says that the pages of [off, off+n), which are charged, are data: reserved ones
// become so.
func (e *extent) written(off, n uint64) {
	for p := range e.pages(&e.reserved, off, off+n, true) {
		e.reserved.set(p, false)
		e.data.set(p, true)
	}
}
