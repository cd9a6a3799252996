package mm

import (
	"bytes"
	"testing"

	"garrison/platform/arch"
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
	before = host(s).Ops
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
	w.f.Settle()
	if n, _ := w.f.Usage(); n != page || g.load(t, a) != 6 || host(s).Mappings() != 1 {
		t.Fatal(n, "bytes used,", host(s).Mappings(), "mappings")
	}
	s.DecUsers()
	w.check()
}

func TestPrivateFile(t *testing.T) {
	for _, tell := range []bool{false, true} {
		w := newWorld(t)
		s := w.space()
		f := newHostFile(t, 40)
		f.readOnly = true
		id := f.identity()
		a := w.mmap(s, MMapOpts{Length: 50 * page, Prot: rw, Flags: linux.MAP_PRIVATE, File: f, Identity: id, MaxProt: linux.PROT_READ | linux.PROT_EXEC})
		g := guest{s: s, tell: tell}
		if g.load(t, a+20*page) != 1020 {
			t.Fatal("content")
		}
		g.wantSignal(t, a+41*page, false, linux.SIGBUS, linux.BUS_ADRERR)
		g.store(t, a+39*page, 5)
		g.store(t, a+20*page+8, 6)
		if g.load(t, a+20*page) != 1020 || g.load(t, a+20*page+8) != 6 || g.load(t, a+38*page) != 1038 {
			t.Fatal("copy")
		}
		b := make([]byte, 8)
		if _, err := s.CopyIn(b, a+2*page); err != nil || b[0] != 1002&0xff {
			t.Fatal(err, b)
		}
		if _, err := s.CopyOut(a+2*page, []byte{9}); err != nil || g.load(t, a+2*page)&0xff != 9 {
			t.Fatal(err)
		}
		if err := s.Advise(a, 40*page, linux.MADV_DONTNEED); err != nil {
			t.Fatal(err)
		}
		if g.load(t, a+39*page) != 1039 || g.load(t, a+2*page) != 1002 {
			t.Fatal("MADV_DONTNEED keeps private copies")
		}
		r := s.Regions(true)[0]
		if r.Name != "/the/file" || r.Ino != 42 || !r.File || r.Access != arch.Read|arch.Write {
			t.Fatalf("%+v", r)
		}
		s.DecUsers()
		w.check()
		if f.refs.Load() != 0 || f.ids.Load() != 0 || f.Mapped() {
			t.Fatal("references left:", f.refs.Load(), f.ids.Load())
		}
	}
}

func TestSharedFile(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	f := newHostFile(t, 4)
	a := w.mmap(s, MMapOpts{Length: 4 * page, Prot: rw, Flags: linux.MAP_SHARED, File: f, Identity: f.identity(), MaxProt: rw | linux.PROT_EXEC})
	ro := w.mmap(s, MMapOpts{Length: 4 * page, Prot: linux.PROT_READ, Flags: linux.MAP_SHARED, File: f, Identity: f.identity(), MaxProt: linux.PROT_READ})
	if !f.MappedWritable() {
		t.Fatal("not known as writable")
	}
	g := guest{s: s}
	g.store(t, a+page, 5)
	if _, err := s.CopyOut(a+page+8, []byte{6}); err != nil {
		t.Fatal(err)
	}
	if g.load(t, ro+page) != 5 || g.load(t, ro+page+8) != 6 {
		t.Fatal("not shared")
	}
	if err := s.Protect(ro, page, rw); err != linux.EACCES {
		t.Fatal(err)
	}
	if _, err := s.Forced().CopyOut(ro, []byte{1}); err != linux.EFAULT {
		t.Fatal("forced write to a shared mapping:", err)
	}
	if err := s.Sync(a, 4*page, linux.MS_SYNC); err != nil || f.synced != 1 {
		t.Fatal(err, f.synced)
	}
	k1, err1 := s.FutexKey(a+page, false)
	k2, err2 := s.FutexKey(ro+page, false)
	if k1 != k2 || err1 != nil || err2 != nil {
		t.Fatal("futex keys of one file differ")
	}
	if k3, _ := s.FutexKey(a+page, true); k3 == k1 {
		t.Fatal("private key equals shared")
	}
	if was, err := s.CompareAndSwap32(a+page, 5, 9); was != 5 || err != nil || g.load(t, ro+page) != 9 {
		t.Fatal(was, err)
	}
	if was, err := s.Update32(a+page, func(v uint32) uint32 { return v + 1 }); was != 9 || err != nil || g.load(t, ro+page) != 10 {
		t.Fatal(was, err)
	}
	c, _ := s.Fork(nil, w.lim)
	h := guest{s: c}
	h.store(t, a+page, 11)
	s.Unmap(a, 4*page)
	if f.refs.Load() != 2 {
		t.Fatal("descriptor references", f.refs.Load())
	}
	s.Unmap(ro, 4*page)
	if f.refs.Load() != 2 {
		t.Fatal("the descriptor was closed before a barrier")
	}
	s.Barrier(nil)
	if f.refs.Load() != 1 || g.s.vmas.Len() != 0 || h.load(t, ro+page) != 11 {
		t.Fatal("after the barrier", f.refs.Load())
	}
	s.DecUsers()
	c.DecUsers()
	w.check()
	if f.refs.Load() != 0 || f.ids.Load() != 0 {
		t.Fatal("references left:", f.refs.Load(), f.ids.Load())
	}
}

func TestTruncate(t *testing.T) {
	w := newWorld(t)
	s := w.space()
	f := newTmpFile(w, 8)
	sh := w.mmap(s, MMapOpts{Length: 8 * page, Prot: rw, Flags: linux.MAP_SHARED, File: f, MaxProt: rw})
	pr := w.mmap(s, MMapOpts{Length: 8 * page, Prot: rw, Flags: linux.MAP_PRIVATE, File: f, MaxProt: rw})
	g := guest{s: s}
	g.store(t, sh+5*page, 5)
	g.store(t, sh+7*page, 7)
	if g.load(t, pr+5*page) != 5 {
		t.Fatal("private mapping does not show the file")
	}
	g.store(t, pr+5*page, 55)
	if g.load(t, sh+5*page) != 5 {
		t.Fatal("private write reached the file")
	}
	f.truncate(5)
	g.wantSignal(t, sh+5*page, false, linux.SIGBUS, linux.BUS_ADRERR)
	g.wantSignal(t, pr+5*page, true, linux.SIGBUS, linux.BUS_ADRERR)
	if _, err := s.CopyIn(make([]byte, 1), sh+6*page); err != linux.EFAULT {
		t.Fatal(err)
	}
	if n, err := s.CopyIn(make([]byte, 3*page), sh+4*page); n != page || err != linux.EFAULT {
		t.Fatal(n, err)
	}
	f.truncate(8)
	if g.load(t, sh+5*page) != 0 || g.load(t, pr+7*page) != 0 {
		t.Fatal("old data after the file grew again")
	}
	s.DecUsers()
	w.f.DecRef(f.r)
	w.env.Close()
	w.f.Settle()
	if n, _ := w.f.Usage(); n != 0 {
		t.Fatal(n)
	}
}

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
	l.BrkStart = 0x600123
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
	v, err := c.Incore(a, 64*page)
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
