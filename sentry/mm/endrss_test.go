package mm

import (
	"testing"

	"garrison/platform/arch"
)

// The resident size that is told at the end is Stats' peak or somewhat more: never
// less, and by no more than the runs that nobody asked about.
func TestEndRSS(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	small := w.mmap(s, MMapOpts{Length: 4 * page, Prot: rw, Flags: anon})
	large := w.mmap(s, MMapOpts{Length: 16 * smallRun, Prot: rw, Flags: anon})
	g := guest{s: s}
	g.store(t, small, 1)
	g.store(t, large+page, 1)
	exact := s.Stats(true).PeakRSS
	n, _ := s.EndRSS()
	if exact == 0 || n < exact || n > exact+smallRun*uint64(s.runs.Len()) {
		t.Fatalf("%d bytes at the end, %d at the peak", n, exact)
	}
	if err := s.Unmap(large, 16*smallRun); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.EndRSS(); n < exact {
		t.Fatal("the peak was forgotten")
	}
	s.DecUsers()
	w.check()
}

// Children end with what their parent had at the fork, or a little more, whatever
// earlier ones ended with.
func TestEndRSSOfChildren(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	const size = 16 * smallRun
	large := w.mmap(s, MMapOpts{Length: size, Prot: rw, Flags: anon})
	g := guest{s: s}
	child := func(what string, write func(guest)) {
		t.Helper()
		for range 2 { // what is known of the first counts for the second
			c, err := s.Fork(nil, w.lim)
			if err != nil {
				t.Fatal(err)
			}
			if write != nil {
				write(guest{s: c})
			}
			n, _ := c.EndRSS()
			if exact := c.Stats(true).RSS; n < exact || n > exact+smallRun*uint64(c.runs.Len()) {
				t.Fatalf("%s: %d bytes at the end, of %d", what, n, exact)
			}
			c.DecUsers()
		}
	}
	fill := func(g guest, at arch.Addr) {
		for a := at; a < at+size/2; a += page {
			g.store(t, a, 1)
		}
	}
	child("untouched", nil)
	fill(g, large)
	child("half is written", nil)
	child("children write the rest", func(h guest) { fill(h, large+size/2) })
	fill(g, large+size/2)
	child("all is written", nil)
	if err := s.Unmap(large, size); err != nil {
		t.Fatal(err)
	}
	if again := w.mmap(s, MMapOpts{Length: size, Prot: rw, Flags: anon}); again != large {
		t.Fatalf("mapped at %#x, want %#x", again, large)
	}
	child("new memory", nil)
	fill(g, large)
	child("new memory is written", nil)
	s.DecUsers()
	w.check()
}
