package mm

import "testing"

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
	exact, n := s.Stats(true).PeakRSS, s.EndRSS()
	if exact == 0 || n < exact || n > exact+smallRun*uint64(s.runs.Len()) {
		t.Fatalf("%d bytes at the end, %d at the peak", n, exact)
	}
	if err := s.Unmap(large, 16*smallRun); err != nil {
		t.Fatal(err)
	}
	if s.EndRSS() < exact {
		t.Fatal("the peak was forgotten")
	}
	s.DecUsers()
	w.check()
}
