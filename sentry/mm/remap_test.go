package mm

import (
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
)

func TestRemap(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	g := guest{s: s}
	a := w.mmap(s, MMapOpts{Addr: 0x100000000, Length: 8 * page, Prot: rw, Flags: anon | linux.MAP_FIXED})
	for i := range arch.Addr(8) {
		g.store(t, a+i*page, uint64(i)+1)
	}
	grown, err := s.Remap(RemapOpts{Addr: a, Old: 8 * page, New: 16 * page})
	if err != nil || grown != a {
		t.Fatal(grown, err)
	}
	g.store(t, a+15*page, 16)
	w.mmap(s, MMapOpts{Addr: a + 16*page, Length: page, Prot: linux.PROT_READ, Flags: anon | linux.MAP_FIXED})
	if _, err := s.Remap(RemapOpts{Addr: a, Old: 16 * page, New: 32 * page}); err != linux.ENOMEM {
		t.Fatal(err)
	}
	b, err := s.Remap(RemapOpts{Addr: a, Old: 16 * page, New: 32 * page, Flags: linux.MREMAP_MAYMOVE})
	if err != nil || b == a {
		t.Fatal(b, err)
	}
	g.wantSignal(t, a, false, linux.SIGSEGV, linux.SEGV_MAPERR)
	if g.load(t, b+15*page) != 16 || g.load(t, b) != 1 || g.load(t, b+31*page) != 0 {
		t.Fatal("moved wrongly")
	}
	to := arch.Addr(0x200000000)
	if at, err := s.Remap(RemapOpts{Addr: b + 2*page, Old: 2 * page, New: 2 * page, Flags: linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED, To: to}); at != to || err != nil {
		t.Fatal(at, err)
	}
	if g.load(t, to+page) != 4 {
		t.Fatal("fixed")
	}
	g.wantSignal(t, b+2*page, false, linux.SIGSEGV, linux.SEGV_MAPERR)
	if at, err := s.Remap(RemapOpts{Addr: to, Old: 2 * page, New: 2 * page, Flags: linux.MREMAP_MAYMOVE | linux.MREMAP_DONTUNMAP}); err != nil || g.load(t, at+page) != 4 || g.load(t, to+page) != 0 {
		t.Fatal("dontunmap", at, err)
	}
	if at, err := s.Remap(RemapOpts{Addr: b + 4*page, Old: 12 * page, New: page}); at != b+4*page || err != nil {
		t.Fatal(at, err)
	}
	g.wantSignal(t, b+5*page, false, linux.SIGSEGV, linux.SEGV_MAPERR)
	sh := w.mmap(s, MMapOpts{Length: 4 * page, Prot: rw, Flags: linux.MAP_SHARED | linux.MAP_ANONYMOUS})
	g.store(t, sh+page, 9)
	twin, err := s.Remap(RemapOpts{Addr: sh, Old: 0, New: 4 * page, Flags: linux.MREMAP_MAYMOVE})
	if err != nil || g.load(t, twin+page) != 9 {
		t.Fatal("duplicate", err)
	}
	for _, c := range []struct {
		a        arch.Addr
		old, new uint64
		f        linux.RemapFlags
		to       arch.Addr
		want     error
	}{
		{sh + 1, page, page, 0, 0, linux.EINVAL},
		{sh, page, 0, 0, 0, linux.EINVAL},
		{sh, page, page, 8, 0, linux.EINVAL},
		{sh, page, page, linux.MREMAP_FIXED, to, linux.EINVAL},
		{sh, 2 * page, page, linux.MREMAP_DONTUNMAP | linux.MREMAP_MAYMOVE, 0, linux.EINVAL},
		{0x7000000, page, page, 0, 0, linux.EFAULT},
		{sh, 10 * page, 12 * page, linux.MREMAP_MAYMOVE, 0, linux.EFAULT},
		{b, 0, page, linux.MREMAP_MAYMOVE, 0, linux.EINVAL},
		{sh, 2 * page, 2 * page, linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED, sh + page, linux.EINVAL},
		{sh, 2 * page, 2 * page, linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED, 1, linux.EINVAL},
	} {
		if _, err := s.Remap(RemapOpts{Addr: c.a, Old: c.old, New: c.new, Flags: c.f, To: c.to}); err != c.want {
			t.Errorf("mremap(%x, %d, %d, %d, %x): %v, want %v", c.a, c.old, c.new, c.f, c.to, err, c.want)
		}
	}
	s.DecUsers()
	w.check()
}

func TestBrk(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	l := s.Layout()
	l.Brk = arch.Range{Start: 0x600123, End: 0x600123}
	s.SetLayout(l)
	if b := s.Brk(0, false); b != 0x600123 {
		t.Fatal(b)
	}
	ops := host(s).Ops
	for i := range arch.Addr(20) {
		want := 0x600123 + (i+1)*33*page
		if b := s.Brk(want, false); b != want {
			t.Fatal(b, want)
		}
	}
	g := guest{s: s}
	g.store(t, 0x601000, 4)
	if host(s).Mappings() > 2 || host(s).Ops-ops != 20 {
		t.Fatal(host(s).Mappings(), host(s).Ops-ops)
	}
	if r := s.Regions(false)[0]; r.Name != "[heap]" || r.Start != 0x601000 {
		t.Fatalf("%+v", r)
	}
	w.mmap(s, MMapOpts{Addr: 0x10000000, Length: page, Flags: anon | linux.MAP_FIXED})
	now := s.Brk(0, false)
	if b := s.Brk(0x10000001, false); b != now {
		t.Fatal("grew over a mapping")
	}
	if b := s.Brk(0x600200, false); b != 0x600200 {
		t.Fatal(b)
	}
	g.wantSignal(t, 0x601000, false, linux.SIGSEGV, linux.SEGV_MAPERR)
	w.lim.Set(limits.Data, limits.Limit{Cur: page, Max: page})
	if b := s.Brk(0x700000, false); b != 0x600200 {
		t.Fatal("RLIMIT_DATA", b)
	}
	s.DecUsers()
	w.check()
}

func TestStack(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	top := arch.Addr(0x700000000000)
	w.mmap(s, MMapOpts{Addr: top - 4*page, Length: 4 * page, Prot: rw, Flags: anon | linux.MAP_FIXED | linux.MAP_GROWSDOWN})
	g := guest{s: s}
	g.store(t, top-6*page, 3)
	g.store(t, top-100*page, 4)
	if n, err := s.CopyOut(top-300*page, []byte{1}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if s.vmas.Len() != 1 {
		t.Fatal(s.vmas.Len(), "mappings")
	}
	g.wantSignal(t, top-8<<20-page, true, linux.SIGSEGV, linux.SEGV_MAPERR)
	g.store(t, top-8<<20, 1) // exactly RLIMIT_STACK
	// A mapping below keeps its distance; the search for free memory, too.
	s2 := w.space()
	w.mmap(s2, MMapOpts{Addr: top - 4*page, Length: 4 * page, Prot: rw, Flags: anon | linux.MAP_FIXED | linux.MAP_GROWSDOWN})
	w.mmap(s2, MMapOpts{Addr: top - 300*page, Length: page, Prot: rw, Flags: anon | linux.MAP_FIXED})
	h := guest{s: s2}
	h.store(t, top-43*page, 1)
	h.wantSignal(t, top-44*page, true, linux.SIGSEGV, linux.SEGV_MAPERR)
	if a, ok := s2.gap(arch.Range{Start: 0x10000, End: top}, page, true); !ok || a > top-43*page-guardGap {
		t.Fatalf("%x", a)
	}
	s.DecUsers()
	s2.DecUsers()
	w.check()
}
