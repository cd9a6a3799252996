package mm

import (
	"slices"
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

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

// TestSegments: what a dynamic linker maps over a library that it has mapped
// whole is the same pages with other rights, or else mapped anew.
func TestSegments(t *testing.T) {
	const read, exec = linux.PROT_READ, linux.PROT_READ | linux.PROT_EXEC
	w := newWorld(t)
	s := w.space()
	f, other := newHostFile(t, 20), newHostFile(t, 20)
	lib := func(f *hostFile, at arch.Addr, from, n uint64, p linux.Prot) int {
		t.Helper()
		flags := linux.MAP_PRIVATE | linux.MAP_DENYWRITE
		if at != 0 {
			flags |= linux.MAP_FIXED
		}
		before := host(s).Ops
		w.mmap(s, MMapOpts{Addr: at, Length: n * page, Offset: from * page, Prot: p, Flags: flags, File: f, Identity: f.identity(), MaxProt: exec})
		return host(s).Ops - before
	}
	lib(f, 0, 0, 20, read)
	a := s.Regions(true)[0].Range.Start
	if n := lib(f, a+5*page, 5, 5, exec); n != 1 { // one Protect
		t.Fatal(n, "operations for the text")
	}
	if n := lib(f, a+10*page, 10, 5, read); n != 0 {
		t.Fatal(n, "operations for what is mapped so already")
	}
	lib(f, a+15*page, 14, 5, rw)
	lib(other, a, 0, 2, read)
	lib(f, a+2*page, 3, 1, read)
	lib(f, a+3*page, 3, 1, linux.PROT_NONE)
	g := guest{s: s}
	for i, want := range map[arch.Addr]uint64{0: 1000, 1: 1001, 2: 1003, 4: 1004, 5: 1005, 9: 1009, 14: 1014, 15: 1014, 19: 1018} {
		if got := g.load(t, a+i*page); got != want {
			t.Fatal("page", i, "reads", got)
		}
	}
	g.wantSignal(t, a+3*page, false, linux.SIGSEGV, linux.SEGV_ACCERR)
	g.wantSignal(t, a+6*page, true, linux.SIGSEGV, linux.SEGV_ACCERR)
	g.store(t, a+15*page, 7)
	var access []arch.Access
	for _, r := range s.Regions(true) {
		if r.Range.Start < a+20*page { // not [vsyscall]
			access = append(access, r.Access)
		}
	}
	want := []arch.Access{arch.Read, arch.Read, arch.NoAccess, arch.Read, arch.Read | arch.Exec, arch.Read, arch.Read | arch.Write}
	if !slices.Equal(access, want) {
		t.Fatal(access)
	}
	if f.refs.Load() != 1 || other.refs.Load() != 1 {
		t.Fatal("references:", f.refs.Load(), other.refs.Load())
	}
	s.DecUsers()
	w.check()
	if f.refs.Load() != 0 || other.refs.Load() != 0 || f.ids.Load() != 0 || f.Mapped() {
		t.Fatal("references left")
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
	g.store(t, sh+3*page, 3)
	if g.load(t, pr+3*page) != 3 {
		t.Fatal("a private page that was not written does not follow the file")
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
