package memfile

import (
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
)

// What has memory is the same whether the host's tables, its cache or its file is asked:
// by pages that the sentry has mapped, has not, and that nobody has touched.
func TestEachResident(t *testing.T) {
	f := newFile(t)
	const pages = 3*askedBytes/arch.PageSize + 5
	r, err := f.NewPool().Alloc(pages * arch.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	at := func(page int) Range {
		start := r.Start + uint64(page)*arch.PageSize
		return Range{Start: start, End: start + arch.PageSize}
	}
	for i := 0; i < pages; {
		n := 1 + rand.IntN(1<<rand.IntN(10))
		switch rand.IntN(3) {
		case 0: // a hole
		case 1:
			for j := i; j < min(i+n, pages); j++ {
				f.Bytes(at(j).Start, 1)[0] = 1
			}
		case 2:
			for j := i; j < min(i+n, pages); j++ {
				if _, err := unix.Pwrite(f.fd, []byte{1}, int64(at(j).Start)); err != nil {
					t.Fatal(err)
				}
			}
		}
		i += n
	}
	list := func(each func(Range, func(Range)), r Range) (has []uint64) {
		each(r, func(d Range) {
			for ; d.Start < d.End; d.Start += arch.PageSize {
				has = append(has, d.Start)
			}
		})
		return has
	}
	if want := list(f.eachData, r); !slices.Equal(list(f.EachResident, r), want) || len(want) == 0 || len(want) == pages {
		t.Fatalf("differs, of %d pages of %d", len(want), pages)
	}
	if want := list(f.eachData, r); !slices.Equal(list(f.eachPresent, r), want) {
		t.Fatal("what is present differs") // as nothing is in swap space
	}
	for range 200 {
		a, b := rand.IntN(pages), rand.IntN(pages)
		part := Range{Start: at(min(a, b)).Start, End: at(max(a, b)).End}
		if want, got := list(f.eachData, part), list(f.EachResident, part); !slices.Equal(got, want) {
			t.Fatalf("%v: %d pages, not %d", part, len(got), len(want))
		}
		if want, got := list(f.eachData, part), list(f.eachPresent, part); !slices.Equal(got, want) {
			t.Fatalf("%v: %d pages present, not %d", part, len(got), len(want))
		}
	}
}
