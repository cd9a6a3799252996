package mm

import (
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

func TestFork(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 256 * page, Prot: rw, Flags: anon})
	sh := w.mmap(s, MMapOpts{Length: 4 * page, Prot: rw, Flags: linux.MAP_SHARED | linux.MAP_ANONYMOUS})
	df := w.mmap(s, MMapOpts{Length: page, Prot: rw, Flags: anon})
	wf := w.mmap(s, MMapOpts{Length: page, Prot: rw, Flags: anon})
	if s.Advise(df, page, linux.MADV_DONTFORK) != nil || s.Advise(wf, page, linux.MADV_WIPEONFORK) != nil {
		t.Fatal("madvise")
	}
	g := guest{s: s}
	for i := range arch.Addr(256) {
		if i%3 == 0 {
			g.store(t, a+i*page, uint64(i)+1)
		}
	}
	g.store(t, sh, 5)
	g.store(t, df, 1)
	g.store(t, wf, 1)
	before := host(s).Ops
	c, err := s.Fork(nil, w.lim)
	if err != nil {
		t.Fatal(err)
	}
	if n := host(s).Ops - before; n > 3 {
		t.Fatal("fork took", n, "operations")
	}
	h := guest{s: c}
	h.wantSignal(t, df, false, linux.SIGSEGV, linux.SEGV_MAPERR)
	if h.load(t, wf) != 0 || g.load(t, wf) != 1 {
		t.Fatal("MADV_WIPEONFORK")
	}
	h.store(t, a+30*page, 99)
	g.store(t, a+33*page, 98)
	g.store(t, sh+page, 6)
	if g.load(t, a+30*page) != 31 || h.load(t, a+33*page) != 34 || h.load(t, sh+page) != 6 || h.load(t, sh) != 5 {
		t.Fatal("copy-on-write", g.load(t, a+30*page), h.load(t, a+33*page))
	}
	if n, err := c.CopyOut(a+60*page, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9}); n != 9 || err != nil {
		t.Fatal(n, err)
	}
	if g.load(t, a+60*page) != 61 {
		t.Fatal("the kernel wrote the parent's page")
	}
	for i := range arch.Addr(256) {
		h.store(t, a+i*page+8, uint64(i))
	}
	if n := host(c).Mappings(); n > 8 {
		t.Fatal(n, "host mappings: copies do not merge")
	}
	for i := range arch.Addr(256) {
		if i != 30 && i != 60 && i%3 == 0 && h.load(t, a+i*page) != uint64(i)+1 {
			t.Fatal("page", i, h.load(t, a+i*page))
		}
	}
	gc, err := c.Fork(nil, w.lim) // a grandchild that outlives both
	if err != nil {
		t.Fatal(err)
	}
	c.DecUsers()
	g.store(t, a+100*page, 7)
	if g.load(t, a+99*page) != 100 {
		t.Fatal("lost after the child's end")
	}
	s.DecUsers()
	k := guest{s: gc}
	k.store(t, a+30*page, k.load(t, a+30*page)+1)
	if k.load(t, a+30*page) != 100 || k.load(t, sh+page) != 6 {
		t.Fatal("grandchild")
	}
	gc.DecUsers()
	w.check()
}

// TestForkExclusive: with the child gone, the parent writes in place.
func TestForkExclusive(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 64 * page, Prot: rw, Flags: anon})
	g := guest{s: s}
	g.store(t, a, 1)
	for range 5 {
		c, err := s.Fork(nil, w.lim)
		if err != nil {
			t.Fatal(err)
		}
		h := guest{s: c}
		h.store(t, a, 2)
		c.DecUsers()
		g.store(t, a, g.load(t, a)+1)
	}
	g.store(t, a+63*page, 1) // what is hot was left out
	w.f.Settle()
	if n, _ := w.f.Usage(); n != 2*page || g.load(t, a) != 6 || host(s).Mappings() != 1 {
		t.Fatal(n, "bytes used,", host(s).Mappings(), "mappings")
	}
	s.DecUsers()
	w.check()
}

// TestForkManyTimes: copies of the same pages, again and again, take turns in few
// places of the page file, though each begins while a child has the pages.
func TestForkManyTimes(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 64 * page, Prot: rw, Flags: anon})
	g := guest{s: s}
	for i := range uint64(64) {
		g.store(t, a+arch.Addr(i*page), i)
	}
	for i := range uint64(500) {
		b := w.mmap(s, MMapOpts{Length: 2 * page, Prot: rw, Flags: anon})
		g.store(t, b, i)
		c, err := s.Fork(nil, w.lim)
		if err != nil {
			t.Fatal(err)
		}
		at := a + arch.Addr(i%4*16*page)
		g.store(t, at, 1000+i)
		h := guest{s: c}
		if v := h.load(t, at); v == 1000+i {
			t.Fatal("the child reads", v)
		}
		h.store(t, at+page, 0)
		if v := h.load(t, b); v != i {
			t.Fatal("the child reads", v, "not", i)
		}
		c.DecUsers()
		if v := g.load(t, at+page); v != i%4*16+1 {
			t.Fatal("the parent reads", v, "not", i%4*16+1)
		}
		if err := s.Unmap(b, 2*page); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.mem.windows); n > 16 {
		t.Fatal(n, "windows")
	}
	s.DecUsers()
	w.check()
}

func TestDontNeed(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 64 * page, Prot: rw, Flags: anon})
	g := guest{s: s}
	for i := range arch.Addr(64) {
		g.store(t, a+i*page, 1)
	}
	ops := host(s).Ops
	if err := s.Advise(a+page, 62*page, linux.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if n, _ := w.f.Usage(); n != 2*page || host(s).Ops != ops {
		t.Fatal(n, "bytes,", host(s).Ops-ops, "operations")
	}
	if g.load(t, a) != 1 || g.load(t, a+page) != 0 || g.load(t, a+63*page) != 1 {
		t.Fatal("content")
	}
	g.store(t, a+5*page, 5)
	c, _ := s.Fork(nil, w.lim)
	if err := s.Advise(a, 64*page, linux.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	h := guest{s: c}
	if g.load(t, a) != 0 || g.load(t, a+5*page) != 0 || h.load(t, a) != 1 || h.load(t, a+5*page) != 5 {
		t.Fatal("shared pages")
	}
	v, err := c.Incore(a, 64*page, nil)
	if err != nil || v[0] != 1 || v[5] != 1 || v[10] > 1 {
		t.Fatal(err, v)
	}
	if st := c.Stats(true); st.RSSAnon < 3*page || st.VM != 64*page || st.Data != 64*page {
		t.Fatalf("%+v", st)
	}
	s.DecUsers()
	c.DecUsers()
	w.check()
}

// TestUnmapWhileChildLives: what the parent frees may still be seen by a child,
// so it serves nobody, but its memory goes back.
func TestUnmapWhileChildLives(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	c, err := s.Fork(nil, w.lim)
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		a := w.mmap(s, MMapOpts{Length: 64 << 10, Prot: rw, Flags: anon})
		if was, err := s.Update32(a, func(uint32) uint32 { return 7 }); was != 0 || err != nil {
			t.Fatal("not fresh:", was, err)
		}
		if err := s.Unmap(a, 64<<10); err != nil {
			t.Fatal(err)
		}
	}
	if n, _ := w.f.Usage(); n > 4<<20 {
		t.Fatal(n, "bytes in use")
	}
	if n := w.f.Reserved(); n > 1<<30 {
		t.Fatal(n, "bytes of offsets")
	}
	c.DecUsers()
	s.DecUsers()
	w.check()
}

// TestForkUnproved: what a child was told to map something else over, its own
// child may see: it is not the parent's alone before that has ended.
func TestForkUnproved(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 4 * page, Prot: rw, Flags: anon})
	g := guest{s: s}
	for i := range arch.Addr(4) {
		g.store(t, a+i*page, 1)
	}
	alone := func() bool {
		_, x, _ := s.runs.Lookup(a)
		return s.env.memory.Exclusive(x.memory(arch.Range{Start: a, End: a + 4*page}), s.holder)
	}
	c, err := s.Fork(nil, w.lim)
	if err != nil {
		t.Fatal(err)
	}
	h := guest{s: c}
	for i := range arch.Addr(4) {
		h.store(t, a+i*page, 2)
	}
	gc, err := c.Fork(nil, w.lim)
	if err != nil {
		t.Fatal(err)
	}
	c.DecUsers()
	if alone() {
		t.Error("alone, beside a grandchild")
	}
	gc.DecUsers()
	if !alone() {
		t.Error("not alone at last")
	}
	s.DecUsers()
	w.check()
}
