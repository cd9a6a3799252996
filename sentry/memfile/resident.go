package memfile

import (
	"bytes"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
)

// Resident is the number of bytes of r that have memory, as their owners know it.
func (f *File) Resident(r Range) (n uint64) {
	f.eachTouched(r, func(d Range) { n += d.Len() })
	return n
}

// Incore sets bit 0 of page[i] if page i of r has memory (mincore(2)), as its owners
// know it.
func (f *File) Incore(r Range, page []byte) {
	f.eachTouched(r, func(d Range) {
		for o := d.Start; o < d.End; o += arch.PageSize {
			page[(o-r.Start)/arch.PageSize] |= 1
		}
	})
}

// EachResident calls found for each part of r that has memory, in order; neighbours may
// be parts of one.
func (f *File) EachResident(r Range, found func(Range)) {
	if r.Len() < fewPages {
		f.eachData(r, found)
		return
	}
	f.eachIncore(r, found, func(unknown Range) { f.eachData(unknown, found) })
}

// eachPresent is EachResident but for pages in swap space, which nobody counts as resident:
// so the host need not be asked about those that it does not find in memory.
func (f *File) eachPresent(r Range, found func(Range)) {
	f.eachIncore(r, found, func(Range) {})
}

const (
	// askedBytes is how much is asked about in one call.
	askedBytes = 4 << 20

	// fewPages is up to where one does without, and manyPages from where one more call is
	// nothing beside that one.
	fewPages  = 16 * arch.PageSize
	manyPages = 64 * arch.PageSize
)

// eachIncore calls found for each part of r that the host finds in memory, and other for
// the rest of what it may have put elsewhere, in order. The sentry has cleared or copied
// most of what guests have, and has it mapped: about such pages the host knows by its
// tables, ten times as fast as by searching its cache. A page that it finds nowhere may be
// in swap space.
func (f *File) eachIncore(r Range, found, other func(Range)) {
	for {
		if r.Len() > manyPages { // it may begin with a large hole
			r.Start = f.Next(r, false)
		}
		if r.Start == r.End {
			return
		}
		some := Range{Start: r.Start, End: min(r.End, ChunkStart(r.Start)+chunkSize, r.Start+askedBytes)}
		f.incore(some, found, other)
		r.Start = some.End
	}
}

// incore is eachIncore for askedBytes at most, within one chunk.
func (f *File) incore(r Range, found, other func(Range)) {
	b := f.Bytes(r.Start, r.Len())
	if b == nil {
		f.eachData(r, found)
		return
	}
	var all [askedBytes / arch.PageSize]byte
	pages := all[:r.Len()/arch.PageSize]
	if mincore(b, pages) != 0 {
		f.eachData(r, found)
		return
	}
	for len(pages) > 0 {
		n, is := 1, pages[0]&1
		for n < len(pages) && pages[n]&1 == is {
			n++
		}
		same := Range{Start: r.Start, End: r.Start + uint64(n)*arch.PageSize}
		if is != 0 {
			found(same)
		} else {
			other(same)
		}
		r.Start, pages = same.End, pages[n:]
	}
}

// eachData is EachResident by asking for one part after the other.
func (f *File) eachData(r Range, found func(Range)) {
	for r.Start < r.End {
		data := f.Next(r, false)
		if data == r.End {
			return
		}
		r.Start = f.Next(Range{Start: data, End: r.End}, true)
		found(Range{Start: data, End: r.Start})
	}
}

// Next is the first byte of r that has memory, or, if hole, that has none; r's end if
// there is no such byte.
func (f *File) Next(r Range, hole bool) uint64 {
	whence := unix.SEEK_DATA
	if hole {
		whence = unix.SEEK_HOLE
	}
	at, err := unix.Seek(f.fd, int64(r.Start), whence)
	if err != nil {
		return r.End
	}
	return min(uint64(at), r.End)
}

// eachTouched is eachPresent, but for pages that had memory when they were allocated
// and are still zero: nobody has touched them, as far as anybody can tell.
func (f *File) eachTouched(r Range, found func(Range)) {
	f.mu.Lock()
	var lent []Range
	for l := range f.lent.In(r) {
		lent = append(lent, l.Intersect(r))
	}
	f.mu.Unlock()
	for _, l := range lent {
		if r.Start < l.Start {
			f.eachPresent(Range{Start: r.Start, End: l.Start}, found)
		}
		f.eachPresent(l, func(d Range) {
			for ; d.Start < d.End; d.Start += arch.PageSize {
				if page := f.Bytes(d.Start, arch.PageSize); page != nil && !isZero(page) {
					found(Range{Start: d.Start, End: d.Start + arch.PageSize})
				}
			}
		})
		r.Start = l.End
	}
	if r.Start < r.End {
		f.eachPresent(r, found)
	}
}

// isZero is true if b, of a page at most, is zero, and if it faults.
func isZero(b []byte) bool {
	zero := true
	Guard(func() { zero = bytes.Equal(b, zeroPage[:len(b)]) })
	return zero
}

var zeroPage [arch.PageSize]byte
