package tmpfs

import "math/bits"

// A pageSet is numbers of pages, a bit for each, and no memory where there are none: files
// may be nearly all holes.
type pageSet struct {
	groups [][]uint64 // as long as need be, and so is each
	n      int        // bits that are set
}

// groupPages is how many pages have their bits in one piece. A set of one page must not
// take much more than that.
const groupPages = 4096

func (s *pageSet) has(page uint64) bool { return s.next(page, page+1, true) == page }

// set puts page in, where it was not, or takes it out.
func (s *pageSet) set(page uint64, in bool) {
	w, bit := at(at(&s.groups, page/groupPages), page%groupPages/64), uint64(1)<<(page%64)
	if in {
		*w |= bit
		s.n++
	} else {
		*w &^= bit
		s.n--
	}
}

// at is element i of s, which is made to have as many.
func at[T any](s *[]T, i uint64) *T {
	if n := uint64(len(*s)); i >= n {
		*s = append(*s, make([]T, i+1-n)...)
	}
	return &(*s)[i]
}

// next is the first page from page on, below end, that is in s, or that is not; end if
// there is none.
func (s *pageSet) next(page, end uint64, in bool) uint64 {
	for page < end {
		var group []uint64
		if g := page / groupPages; g < uint64(len(s.groups)) {
			group = s.groups[g]
		}
		w := uint64(0)
		if i := page % groupPages / 64; i < uint64(len(group)) {
			w = group[i]
		} else if in {
			page = (page/groupPages + 1) * groupPages
			continue
		}
		if !in {
			w = ^w
		}
		if w >>= page % 64; w != 0 {
			return min(page+uint64(bits.TrailingZeros64(w)), end)
		}
		page = (page/64 + 1) * 64
	}
	return end
}
