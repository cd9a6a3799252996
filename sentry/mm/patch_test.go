package mm

import (
	"bytes"
	"testing"

	"garrison/platform/arch"
	"garrison/platform/callsite"
	"garrison/sentry/linux"
)

// A textWorld is a space with three pages of text, each with call sites.
type textWorld struct {
	*world
	s    *Space
	f    *hostFile
	text arch.Addr
	was  []byte // the first page
}

const (
	siteEnd  = 0x108 // where the SYSCALL instruction of the first site ends
	siteStep = 0x40  // from site to site
	siteNr   = 39
	textProt = linux.PROT_READ | linux.PROT_EXEC
)

func newTextWorld(t *testing.T) *textWorld {
	w := newWorld(t)
	w.p.F.Gate = 0x7fffc0000800
	w.env.facts = w.p.F
	f := newHostFile(t, 3)
	f.readOnly = true
	for off := int64(siteEnd - 7); off < 3*page-siteStep; off += siteStep {
		if _, err := f.f.WriteAt([]byte{0xb8, siteNr, 0, 0, 0, 0x0f, 0x05}, off); err != nil {
			t.Fatal(err)
		}
	}
	x := &textWorld{world: w, s: w.space(), f: f}
	x.text = x.mapText(0x7f0000000000)
	x.was = x.page(x.s, x.text)
	return x
}

func (x *textWorld) mapText(at arch.Addr) arch.Addr {
	return x.mmap(x.s, MMapOpts{
		Addr: at, Length: 3 * page, Prot: textProt, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED | linux.MAP_DENYWRITE,
		File: x.f, Identity: x.f.identity(), MaxProt: textProt,
	})
}

// page is what the guest sees of a page.
func (x *textWorld) page(s *Space, at arch.Addr) []byte {
	x.t.Helper()
	b := make([]byte, page)
	g := guest{s: s}
	if sig, _ := g.do(b, at, false); sig != 0 {
		x.t.Fatalf("read at %#x: %v", at, sig)
	}
	return b
}

// patch patches site i of the first page, and returns its trampoline page.
func (x *textWorld) patch(s *Space, i int) arch.Addr {
	x.t.Helper()
	before := x.page(s, x.text)
	s.PatchCall(x.text+siteEnd+arch.Addr(i*siteStep), siteNr)
	after := x.page(s, x.text)
	at := siteEnd - 7 + i*siteStep
	if bytes.Equal(after, before) || after[at] != 0xe9 || !bytes.Equal(after[at+5:at+7], []byte{0x0f, 0x05}) {
		x.t.Fatalf("site %d is %x", i, after[at:at+7])
	}
	copy(after[at:], x.was[at:at+5])
	copy(before[at:], x.was[at:at+5])
	if !bytes.Equal(before, after) {
		x.t.Fatal("other bytes have changed")
	}
	return s.patch.tramp[len(s.patch.tramp)-1].at
}

func (x *textWorld) unpatched(s *Space, what string) {
	x.t.Helper()
	if !bytes.Equal(x.page(s, x.text), x.was) {
		x.t.Fatalf("%s: the text is still patched", what)
	}
}

func (x *textWorld) end() {
	x.t.Helper()
	x.s.DecUsers()
	x.check()
	if x.f.refs.Load() != 0 || x.f.ids.Load() != 0 {
		x.t.Fatal("references left:", x.f.refs.Load(), x.f.ids.Load())
	}
}

func TestPatchCall(t *testing.T) {
	x := newTextWorld(t)
	regions := len(x.s.Regions(false))
	tramp := x.patch(x.s, 0)
	if got := x.page(x.s, tramp)[:8]; !bytes.Equal(got, callsite.Begin(x.p.F.Gate)) {
		t.Fatalf("the trampoline page begins with %x", got)
	}
	if rs := x.s.Regions(false); len(rs) != regions {
		t.Fatalf("a mapping shows: %+v", rs)
	}
	first := x.page(x.s, tramp)
	if again := x.patch(x.s, 1); again != tramp {
		t.Fatal("a trampoline page for each site")
	}
	if b := x.page(x.s, tramp); !bytes.Equal(b[:callsite.SlotAt(1)], first[:callsite.SlotAt(1)]) || bytes.Equal(b, first) {
		t.Fatal("the first slot has changed, or there is no second")
	}
	for i := 2; i < 50; i++ {
		x.patch(x.s, i)
	}
	b := make([]byte, page)
	if _, err := x.f.f.ReadAt(b, 0); err != nil || !bytes.Equal(b, x.was) {
		t.Fatal("the file has changed", err)
	}
	other := x.mapText(x.text + 16*page)
	if !bytes.Equal(x.page(x.s, other), x.was) {
		t.Fatal("another mapping of the file has changed")
	}
	x.end()
}

// What is no call site that can be patched stays as it is.
func TestPatchCallRefused(t *testing.T) {
	x := newTextWorld(t)
	for _, c := range []struct {
		ip arch.Addr
		nr uint64
	}{{x.text + siteEnd, 40}, {x.text + siteEnd + 1, siteNr}, {x.text - 0x1000, siteNr}, {0, siteNr}, {^arch.Addr(0), siteNr}} {
		x.s.PatchCall(c.ip, c.nr)
		x.unpatched(x.s, "no site")
	}
	if len(x.s.patch.tramp) > 0 {
		t.Fatal("a trampoline page for nothing")
	}
	if err := x.s.Protect(x.text, page, textProt|linux.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	x.s.PatchCall(x.text+siteEnd, siteNr)
	x.unpatched(x.s, "writable text")
	code := x.mmap(x.s, MMapOpts{Length: page, Prot: textProt, Flags: anon})
	if _, err := x.s.Forced().CopyOut(code, x.was); err != nil {
		t.Fatal(err)
	}
	x.s.PatchCall(code+siteEnd, siteNr)
	if !bytes.Equal(x.page(x.s, code), x.was) {
		t.Fatal("patched what a compiler has made")
	}
	x.end()
}

// Each of these ends the use of a trampoline page, or of patched text.
func TestUnpatch(t *testing.T) {
	fixed := linux.MAP_FIXED | anon
	for _, c := range []struct {
		name string
		do   func(x *textWorld, tramp arch.Addr) error
	}{
		{"mmap over it", func(x *textWorld, at arch.Addr) error {
			_, err := x.s.MMap(MMapOpts{Addr: at, Length: page, Prot: rw, Flags: fixed})
			return err
		}},
		{"mmap where nothing is", func(x *textWorld, at arch.Addr) error {
			_, err := x.s.MMap(MMapOpts{Addr: at, Length: page, Prot: rw, Flags: fixed | linux.MAP_FIXED_NOREPLACE})
			return err
		}},
		{"munmap", func(x *textWorld, at arch.Addr) error { return x.s.Unmap(at-page, 3*page) }},
		{"mprotect", func(x *textWorld, at arch.Addr) error {
			if err := x.s.Protect(at, page, rw); err != linux.ENOMEM {
				x.t.Errorf("mprotect of nothing: %v", err)
			}
			return nil
		}},
		{"madvise", func(x *textWorld, at arch.Addr) error {
			if err := x.s.Advise(at, page, linux.MADV_DONTFORK); err != linux.ENOMEM {
				x.t.Errorf("madvise of nothing: %v", err)
			}
			return nil
		}},
		{"a debugger reads", func(x *textWorld, _ arch.Addr) error {
			b := make([]byte, page)
			if _, err := x.s.Forced().CopyIn(b, x.text); !bytes.Equal(b, x.was) {
				x.t.Errorf("it sees patches (%v)", err)
			}
			x.s.PatchCall(x.text+siteEnd, siteNr)
			return nil
		}},
		{"no gate any more", func(x *textWorld, _ arch.Addr) error {
			x.s.Unpatch()
			x.s.PatchCall(x.text+siteEnd, siteNr)
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newTextWorld(t)
			x.patch(x.s, 0)
			tramp := x.patch(x.s, 3)
			if err := c.do(x, tramp); err != nil {
				t.Fatal(err)
			}
			x.unpatched(x.s, c.name)
			x.end()
		})
	}
}

// Text that moves is patched for where it was; what is mapped in its place is
// nobody's text, whatever was patched there before.
func TestPatchedTextGoes(t *testing.T) {
	x := newTextWorld(t)
	x.patch(x.s, 0)
	moved, err := x.s.Remap(RemapOpts{Addr: x.text, Old: 3 * page, New: 3 * page, To: x.text - 0x10000000,
		Flags: linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED})
	if err != nil || !bytes.Equal(x.page(x.s, moved), x.was) {
		t.Fatal("moved text is patched", err)
	}
	x.text = moved
	tramp := x.patch(x.s, 0)
	a := x.mmap(x.s, MMapOpts{Addr: x.text, Length: page, Prot: rw, Flags: anon | linux.MAP_FIXED})
	g := guest{s: x.s}
	g.store(t, a+siteEnd, 7)
	x.mmap(x.s, MMapOpts{Addr: tramp, Length: page, Prot: rw, Flags: anon | linux.MAP_FIXED})
	if g.load(t, a+siteEnd) != 7 {
		t.Fatal("unpatching has lost data")
	}
	x.end()
}

// A copy of the space has the patches, and its later ones are its own.
func TestPatchFork(t *testing.T) {
	x := newTextWorld(t)
	tramp := x.patch(x.s, 0)
	c, err := x.s.Fork(nil, x.lim)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x.page(c, x.text), x.page(x.s, x.text)) {
		t.Fatal("the copy's text differs")
	}
	x.patch(c, 1)
	slots := func(s *Space) []byte { return x.page(s, tramp)[callsite.SlotAt(1):callsite.SlotAt(2)] }
	if !bytes.Equal(slots(x.s), make([]byte, len(slots(x.s)))) {
		t.Fatal("the copy's trampoline shows in the original")
	}
	x.patch(x.s, 2)
	if bytes.Equal(slots(x.s), slots(c)) {
		t.Fatal("different sites have the same trampoline")
	}
	c.Unpatch()
	x.unpatched(c, "the copy")
	if bytes.Equal(x.page(x.s, x.text), x.was) {
		t.Fatal("unpatching the copy has unpatched the original")
	}
	c.DecUsers()
	x.end()
}

// A program at a low address has its trampolines below it, and pages fill up.
func TestTrampolinePlaces(t *testing.T) {
	x := newTextWorld(t)
	for _, at := range []arch.Addr{0x400000, 0x555555554000} {
		x.text = x.mapText(at)
		if tramp := x.patch(x.s, 0); tramp >= at || !callsite.Reaches(at, tramp) {
			t.Fatalf("trampolines of %#x at %#x", at, tramp)
		}
	}
	for p := range arch.Addr(3) {
		for i := range arch.Addr(page / siteStep) {
			x.s.PatchCall(x.text+p*page+siteEnd+i*siteStep, siteNr)
		}
	}
	if n := len(x.s.patch.tramp); n != 2 {
		t.Fatalf("%d trampoline pages", n)
	}
	x.end()
}
