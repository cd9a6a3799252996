package kernel

import (
	"testing"

	"garrison/sentry/mm"
)

func TestFilledPages(t *testing.T) {
	var f filledPages
	want := func(what string, n int64) {
		t.Helper()
		if got := f.total(); got != n {
			t.Errorf("%s: %d pages, want %d", what, got, n)
		}
	}
	parents, own, next := new(mm.Space), new(mm.Space), new(mm.Space)
	f.saw(parents, 100)
	want("borrowed", 0)
	f.begin(own)
	f.saw(own, 5)
	f.saw(own, 3)
	want("the most", 5)
	f.begin(next)
	want("what the first had", 5)
	f.saw(own, 6)
	f.saw(parents, 100)
	want("seen late", 5)
	f.saw(next, 2)
	want("both", 7)
}
