package mm

import (
	"bytes"
	"testing"

	"garrison/sentry/limits"
	"garrison/sentry/linux"
)

func TestAnonymous(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 10*page - 5, Prot: rw, Flags: anon})
	if host(s).Ops != 1 {
		t.Fatal("mmap took", host(s).Ops, "operations")
	}
	g := guest{s: s}
	g.store(t, a+3*page+8, 77)
	if host(s).Ops != 1 {
		t.Fatal("a first touch reached the sentry")
	}
	b := make([]byte, 8)
	if n, err := s.CopyIn(b, a+3*page+8); n != 8 || err != nil || b[0] != 77 {
		t.Fatal(n, err, b)
	}
	if n, err := s.CopyOut(a+9*page+4090, bytes.Repeat([]byte{9}, 10)); n != 6 || err != linux.EFAULT {
		t.Fatal("beyond the end:", n, err)
	}
	if g.load(t, a+9*page+4088)>>56 != 9 {
		t.Fatal("what was copied out is not there")
	}
	g.wantSignal(t, a+10*page, false, linux.SIGSEGV, linux.SEGV_MAPERR)
	g.wantSignal(t, a-8, true, linux.SIGSEGV, linux.SEGV_MAPERR)
	if err := s.Unmap(a+2*page, 2*page); err != nil {
		t.Fatal(err)
	}
	g.wantSignal(t, a+3*page+8, false, linux.SIGSEGV, linux.SEGV_MAPERR)
	if n := len(s.Regions(false)); n != 3 { // two halves, vsyscall
		t.Fatal(n, "regions")
	}
	s.DecUsers()
	w.check()
}

func TestNeighboursMerge(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	for range 100 {
		w.mmap(s, MMapOpts{Length: 16 * page, Prot: rw, Flags: anon})
	}
	if n := host(s).Mappings(); n > 3 {
		t.Fatal(n, "host mappings for a heap that grew by 100 pieces")
	}
	if s.vmas.Len() != 1 {
		t.Fatal(s.vmas.Len(), "mappings")
	}
	s.DecUsers()
	w.check()
}

func TestErrors(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 4 * page, Prot: rw, Flags: anon})
	top := s.top()
	for _, c := range []struct {
		name string
		o    MMapOpts
		want error
	}{
		{"empty", MMapOpts{Prot: rw, Flags: anon}, linux.EINVAL},
		{"huge", MMapOpts{Length: ^uint64(0), Prot: rw, Flags: anon}, linux.ENOMEM},
		{"larger than the space", MMapOpts{Length: uint64(top), Prot: rw, Flags: anon}, linux.ENOMEM},
		{"no type", MMapOpts{Length: page, Prot: rw, Flags: linux.MAP_ANONYMOUS}, linux.EINVAL},
		{"validate", MMapOpts{Length: page, Prot: rw, Flags: linux.MAP_ANONYMOUS | linux.MAP_SHARED_VALIDATE}, linux.EINVAL},
		{"unaligned fixed", MMapOpts{Addr: 0x200001, Length: page, Prot: rw, Flags: anon | linux.MAP_FIXED}, linux.EINVAL},
		{"null fixed", MMapOpts{Length: page, Prot: rw, Flags: anon | linux.MAP_FIXED}, linux.EPERM},
		{"beyond the top", MMapOpts{Addr: top, Length: page, Prot: rw, Flags: anon | linux.MAP_FIXED}, linux.ENOMEM},
		{"noreplace", MMapOpts{Addr: a, Length: page, Prot: rw, Flags: anon | linux.MAP_FIXED_NOREPLACE}, linux.EEXIST},
		{"shared stack", MMapOpts{Length: page, Prot: rw, Flags: linux.MAP_SHARED | linux.MAP_ANONYMOUS | linux.MAP_GROWSDOWN}, linux.EINVAL},
	} {
		if _, err := s.MMap(c.o); err != c.want {
			t.Errorf("mmap %s: %v, want %v", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		name      string
		got, want error
	}{
		{"munmap unaligned", s.Unmap(a+1, page), linux.EINVAL},
		{"munmap nothing", s.Unmap(a, 0), linux.EINVAL},
		{"munmap a hole", s.Unmap(0x100000, page), nil},
		{"mprotect unaligned", s.Protect(a+1, page, rw), linux.EINVAL},
		{"mprotect nothing", s.Protect(a, 0, rw), nil},
		{"mprotect a hole", s.Protect(0x100000, page, rw), linux.ENOMEM},
		{"mprotect over the end", s.Protect(a, 5*page, rw), linux.ENOMEM},
		{"mprotect bad bits", s.Protect(a, page, 0x100), linux.EINVAL},
		{"mprotect both ways", s.Protect(a, page, linux.PROT_GROWSDOWN|linux.PROT_GROWSUP), linux.EINVAL},
		{"mprotect grows down", s.Protect(a, page, rw|linux.PROT_GROWSDOWN), linux.EINVAL},
		{"madvise bad", s.Advise(a, page, 77), linux.EINVAL},
		{"madvise unaligned", s.Advise(a+1, page, linux.MADV_DONTNEED), linux.EINVAL},
		{"madvise nothing", s.Advise(a, 0, linux.MADV_DONTNEED), nil},
		{"madvise over the end", s.Advise(a, 9*page, linux.MADV_DONTNEED), linux.ENOMEM},
		{"msync both", s.Sync(a, page, linux.MS_SYNC|linux.MS_ASYNC), linux.EINVAL},
		{"msync a hole", s.Sync(a, 5*page, linux.MS_SYNC), linux.ENOMEM},
		{"mlock a hole", s.Lock(a, 5*page, false, false), linux.ENOMEM},
		{"mlock too much", s.Lock(a, 9<<20, false, false), linux.ENOMEM},
		{"mlockall", s.LockAll(linux.MCL_ONFAULT, false), linux.EINVAL},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	s.DecUsers()
	w.check()
}

func TestProtect(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	a := w.mmap(s, MMapOpts{Length: 64 << 20, Prot: linux.PROT_NONE, Flags: anon | linux.MAP_NORESERVE})
	if host(s).Ops != 0 {
		t.Fatal("PROT_NONE memory was mapped")
	}
	for _, tell := range []bool{false, true} {
		g := guest{s: s, tell: tell}
		g.wantSignal(t, a, false, linux.SIGSEGV, linux.SEGV_ACCERR)
		if err := s.Protect(a, 4*page, rw); err != nil {
			t.Fatal(err)
		}
		g.store(t, a+page, 5)
		if err := s.Protect(a, 2*page, linux.PROT_READ); err != nil {
			t.Fatal(err)
		}
		g.wantSignal(t, a+page, true, linux.SIGSEGV, linux.SEGV_ACCERR)
		if g.load(t, a+page) != 5 {
			t.Fatal("lost")
		}
		g.store(t, a+2*page, 6)
		if _, err := s.CopyOut(a+page, []byte{1}); err != linux.EFAULT {
			t.Fatal("the kernel wrote read-only memory", err)
		}
		if n, err := s.Forced().CopyOut(a+page, []byte{7}); n != 1 || err != nil {
			t.Fatal("forced:", n, err)
		}
		if g.load(t, a+page) != 7 {
			t.Fatal("forced write is lost")
		}
		if err := s.Protect(a, 4*page, linux.PROT_NONE); err != nil {
			t.Fatal(err)
		}
		g.wantSignal(t, a+page, false, linux.SIGSEGV, linux.SEGV_ACCERR)
		if _, err := s.CopyIn(make([]byte, 1), a+page); err != linux.EFAULT {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		if _, err := s.Forced().CopyIn(b, a+page); err != nil || b[0] != 7 {
			t.Fatal(err, b)
		}
		if _, err := s.Forced().CopyIn(b, a+40*page); err != nil || b[0] != 0 {
			t.Fatal(err, b)
		}
	}
	if n := s.vmas.Len(); n != 1 {
		t.Fatal(n, "mappings after they became equal again")
	}
	s.DecUsers()
	w.check()
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	w.lim.Set(limits.AS, limits.Limit{Cur: 10 * page, Max: 10 * page})
	a := w.mmap(s, MMapOpts{Length: 8 * page, Prot: rw, Flags: anon})
	if _, err := s.MMap(MMapOpts{Length: 3 * page, Prot: rw, Flags: anon}); err != linux.ENOMEM {
		t.Fatal(err)
	}
	w.mmap(s, MMapOpts{Addr: a, Length: 8 * page, Prot: rw, Flags: anon | linux.MAP_FIXED}) // replaces itself
	if _, err := s.Remap(RemapOpts{Addr: a, Old: 8 * page, New: 11 * page, Flags: linux.MREMAP_MAYMOVE}); err != linux.ENOMEM {
		t.Fatal(err)
	}
	w.lim.Set(limits.AS, limits.Limit{Cur: limits.Infinity, Max: limits.Infinity})
	w.lim.Set(limits.MemLock, limits.Limit{Cur: 2 * page, Max: 2 * page})
	if err := s.Lock(a, 2*page, false, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Lock(a+page, page, false, false); err != nil {
		t.Fatal("locked twice counts twice:", err)
	}
	if err := s.Lock(a+2*page, page, false, false); err != linux.ENOMEM {
		t.Fatal(err)
	}
	if err := s.Lock(a+2*page, page, false, true); err != nil {
		t.Fatal(err)
	}
	if s.Stats(false).Locked != 3*page {
		t.Fatal(s.Stats(false).Locked)
	}
	if err := s.Advise(a, page, linux.MADV_DONTNEED); err != linux.EINVAL {
		t.Fatal(err)
	}
	if _, err := s.MMap(MMapOpts{Length: page, Prot: rw, Flags: anon | linux.MAP_LOCKED}); err != linux.EAGAIN {
		t.Fatal(err)
	}
	s.env.SetTotalMemory(1 << 30)
	if _, err := s.MMap(MMapOpts{Length: 2 << 30, Prot: rw, Flags: anon}); err != linux.ENOMEM {
		t.Fatal(err)
	}
	w.mmap(s, MMapOpts{Length: 16 << 40, Prot: rw, Flags: anon | linux.MAP_NORESERVE})
	s.DecUsers()
	w.check()
}
