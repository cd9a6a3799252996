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
	e := newExtent(0, memfile.Range{End: pages * arch.PageSize})
	e.set(pages-1, true)
	for range 40 {
		for p := range pages - 1 {
			if n, there := e.run(p*arch.PageSize, (pages-p)*arch.PageSize); there || n != (pages-1-p)*arch.PageSize {
				t.Fatalf("from page %d: %d bytes, there: %v", p, n, there)
			}
		}
	}
}
