package systrap

import (
	"cmp"
	"slices"

	"garrison/platform/arch"
)

// ranges is a set of addresses: ranges in order, none of which touches another.
// When they are very many, it has more addresses than were added.
type ranges []arch.Range

// maxRanges is how many there are at most.
const maxRanges = 1024

// touching are the ranges from i up to j that overlap r or end where it begins,
// or begin where it ends.
func (s ranges) touching(r arch.Range) (i, j int) {
	i, _ = slices.BinarySearchFunc(s, r.Start, func(o arch.Range, at arch.Addr) int { return cmp.Compare(o.End, at) })
	for j = i; j < len(s) && s[j].Start <= r.End; j++ {
	}
	return i, j
}

func (s ranges) overlaps(r arch.Range) bool {
	i, j := s.touching(r)
	return slices.ContainsFunc(s[i:j], r.Overlaps)
}

func (s *ranges) add(r arch.Range) {
	i, j := s.touching(r)
	if i < j {
		r = arch.Range{Start: min(r.Start, (*s)[i].Start), End: max(r.End, (*s)[j-1].End)}
	} else if len(*s) >= maxRanges {
		// One with its neighbour.
		if i == len(*s) {
			i--
		}
		j = i + 1
		r = arch.Range{Start: min(r.Start, (*s)[i].Start), End: max(r.End, (*s)[i].End)}
	}
	*s = slices.Replace(*s, i, j, r)
}

func (s *ranges) remove(r arch.Range) {
	i, j := s.touching(r)
	if i == j {
		return
	}
	var rest []arch.Range
	for _, o := range (*s)[i:j] {
		for _, part := range []arch.Range{{Start: o.Start, End: min(o.End, r.Start)}, {Start: max(o.Start, r.End), End: o.End}} {
			if part.Start < part.End {
				rest = append(rest, part)
			}
		}
	}
	*s = slices.Replace(*s, i, j, rest...)
}
