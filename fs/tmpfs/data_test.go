package tmpfs

import (
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/memfile"
)

// Who reads a hole asks for its end at each page: it is passed over, not looked through.
// One that is takes longer here than a test may.
func TestLongHole(t *testing.T) {
	const pages = uint64(1 << 18) // a GiB
	e := &extent{mem: memfile.Range{End: pages * arch.PageSize}}
	e.data.set(pages-1, true)
	for range 40 {
		for p := range pages - 1 {
			if n, there := e.run(nil, p*arch.PageSize, (pages-p)*arch.PageSize); there || n != (pages-1-p)*arch.PageSize {
				t.Fatalf("from page %d: %d bytes, there: %v", p, n, there)
			}
		}
	}
}

// A guest may touch a page between the two questions of a read: it comes to something.
func TestRunThatBegins(t *testing.T) {
	asked := 0
	touched := func(r memfile.Range, hole bool) uint64 { // by now
		if asked++; asked == 1 || !hole {
			return r.Start
		}
		return r.End
	}
	e := &extent{mem: memfile.Range{End: arch.PageSize}, mapped: true}
	if n, there := e.run(touched, 100, 200); n != 200 || !there {
		t.Errorf("%d bytes, there: %v", n, there)
	}
}

// Who looks for data in what guests see asks the host for what is next, and not for all
// that follows: to go through a file takes as many questions as it has pieces.
func TestSeekAsksForWhatIsNext(t *testing.T) {
	const pages = uint64(1000)
	asked := 0
	everyOther := func(r memfile.Range, hole bool) uint64 { // a hole, data, a hole, …
		asked++
		p := r.Start / arch.PageSize
		if (p%2 == 0) == hole {
			return r.Start
		}
		return min((p+1)*arch.PageSize, r.End)
	}
	var d data
	d.small[0] = &extent{mem: memfile.Range{End: pages * arch.PageSize}, mapped: true}
	for p := uint64(1); p < pages; p += 2 {
		begin := d.next(everyOther, (p-1)*arch.PageSize, pages*arch.PageSize, false)
		end := d.next(everyOther, begin, pages*arch.PageSize, true)
		if begin != p*arch.PageSize || end != (p+1)*arch.PageSize {
			t.Fatalf("page %d: data from %d to %d", p, begin, end)
		}
	}
	if asked != int(pages) {
		t.Errorf("asked %d times for %d answers", asked, pages)
	}
}
