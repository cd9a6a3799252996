package mm

import (
	"errors"
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm/mmtest"
)

// faults reports whether a store at at would.
func faults(t *testing.T, s *Space, at arch.Addr) bool {
	t.Helper()
	err := host(s).Access(make([]byte, 8), at, true)
	if err != nil && !errors.Is(err, mmtest.ErrFault) {
		t.Fatal(err)
	}
	return err != nil
}

// TestForkHot: pages that parent or child wrote after a fork are copied at the
// next, and nobody sees the difference.
func TestForkHot(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 64 * page, Prot: rw, Flags: anon})
	g := guest{s: s}
	for i := range arch.Addr(64) {
		g.store(t, a+i*page+8, uint64(i))
	}
	const inParent, inChild, inNone = 3, 40, 60
	fork := func(by *Space) (*Space, guest) {
		t.Helper()
		c, err := by.Fork(nil, w.lim)
		if err != nil {
			t.Fatal(err)
		}
		return c, guest{s: c}
	}
	for i := range uint64(10) {
		c, h := fork(s)
		if i > 0 && (faults(t, s, a+inParent*page) || faults(t, c, a+inParent*page) || faults(t, c, a+inChild*page)) {
			t.Fatal("fork", i, "has learnt nothing")
		}
		if !faults(t, s, a+inNone*page) || !faults(t, c, a+inNone*page) {
			t.Fatal("copied what nobody writes")
		}
		g.store(t, a+inParent*page, 100+i)
		h.store(t, a+inChild*page, 200+i)
		if v := h.load(t, a+inParent*page); v == 100+i {
			t.Fatal("the child reads", v)
		}
		if v := g.load(t, a+inChild*page); v != 0 {
			t.Fatal("the parent reads", v)
		}
		d, k := fork(c) // inherits what is known, and outlives c
		h.store(t, a+inChild*page, 300+i)
		c.DecUsers()
		if v := k.load(t, a+inChild*page); v != 200+i {
			t.Fatal("the grandchild reads", v)
		}
		for j := range arch.Addr(64) {
			if v := k.load(t, a+j*page+8); v != uint64(j) {
				t.Fatal("the grandchild reads", v, "in page", j)
			}
		}
		d.DecUsers()
	}

	// With another user a thread may be writing.
	s.IncUsers()
	c, _ := fork(s)
	if !faults(t, s, a+inParent*page) || !faults(t, c, a+inParent*page) {
		t.Fatal("copied under a thread's hands")
	}
	s.DecUsers()
	c.DecUsers()

	// Without a right to write, there is nothing to spare.
	g.store(t, a+inParent*page, 1)
	if err := s.Protect(a+inParent*page, page, linux.PROT_READ); err != nil {
		t.Fatal(err)
	}
	c, h := fork(s)
	h.wantSignal(t, a+inParent*page, true, linux.SIGSEGV, linux.SEGV_ACCERR)
	c.DecUsers()
	if err := s.Protect(a+inParent*page, page, rw); err != nil {
		t.Fatal(err)
	}

	host(s).NoFork = true
	if _, err := s.Fork(nil, w.lim); err == nil {
		t.Fatal("forked")
	}
	host(s).NoFork = false
	g.store(t, a+inParent*page, 2)

	if s.Advise(a+inParent*page, page, linux.MADV_WIPEONFORK) != nil || s.Advise(a+inChild*page, page, linux.MADV_DONTFORK) != nil {
		t.Fatal("madvise")
	}
	c, h = fork(s)
	if v := h.load(t, a+inParent*page); v != 0 {
		t.Fatal("not wiped:", v)
	}
	h.wantSignal(t, a+inChild*page, true, linux.SIGSEGV, linux.SEGV_MAPERR)
	s.DecUsers()
	c.DecUsers()
	w.check()
}

// TestHeat: what is hot is in order, bounded, and forgotten in time.
func TestHeat(t *testing.T) {
	at := func(n, pages arch.Addr) arch.Range { return arch.Range{Start: n * page, End: (n + pages) * page} }
	var h heat
	for _, n := range []arch.Addr{500, 10, 1000, 12, 501, 16, 24} {
		h.add(at(n, 1))
	}
	want := []arch.Range{at(10, 7), at(24, 1), at(500, 2), at(1000, 1)}
	got := h.take()
	if len(got) != len(want) || h.pages != 11 {
		t.Fatal(got, h.pages)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatal(got)
		}
	}
	h.add(at(20, 1)) // joins two
	for n := range arch.Addr(1000) {
		h.add(at(n*7, 1))
	}
	n := uint64(0)
	for _, r := range h.hot {
		n += r.Len() / page
	}
	if len(h.hot) > maxHot || n > hotPages || n != h.pages || h.hot[0].Start > 10*page {
		t.Fatal(h.hot, n, h.pages)
	}
	for range hotMemory {
		got = h.take()
	}
	if len(got) != 0 || h.pages != 0 {
		t.Fatal("remembers", got)
	}
}
