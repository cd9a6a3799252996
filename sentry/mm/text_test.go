package mm

import (
	"bytes"
	"encoding/binary"
	"testing"

	"garrison/platform/arch"
	"garrison/platform/callsite"
	"garrison/sentry/linux"
)

// A segmentWorld is a file whose executable segment, two pages behind the ELF header,
// has call sites.
type segmentWorld struct {
	*world
	f   *hostFile
	was []byte // the segment
}

const (
	segmentLen  = 2 * page
	segmentEnd  = 0x1900 // what of it is the program's
	segmentAt   = 0x7f0000000000
	segmentSite = 0x1000 + siteEnd // a site in the second page, as siteEnd is in the first
)

func newSegmentWorld(t *testing.T) *segmentWorld {
	w := newWorld(t)
	w.p.F.Gate = 0x7fffc0000800
	w.env.facts = w.p.F
	x := &segmentWorld{world: w, f: newHostFile(t, 4)}
	x.f.readOnly = true
	x.f.version = Version{1, 2, 4 * page, 3}
	x.write(0, x.header(linux.ElfProgram{Type: linux.PT_LOAD, Flags: linux.PF_X, Offset: page, Filesz: segmentEnd, Memsz: segmentEnd}))
	x.was = make([]byte, segmentLen)
	for off := siteEnd - 7; off < segmentEnd-siteStep; off += siteStep {
		copy(x.was[off:], []byte{0xb8, siteNr, 0, 0, 0, 0x0f, 0x05})
	}
	x.write(page, x.was)
	return x
}

func (x *segmentWorld) write(at int64, b []byte) {
	x.t.Helper()
	if _, err := x.f.f.WriteAt(b, at); err != nil {
		x.t.Fatal(err)
	}
}

func (x *segmentWorld) header(p linux.ElfProgram) []byte {
	h := linux.ElfHeader{Phoff: 64, Phentsize: 56, Phnum: 2}
	copy(h.Ident[:], linux.ELFMAG)
	var b bytes.Buffer
	const phdr = 6 // PT_PHDR, to be passed over
	for _, part := range []any{h, linux.ElfProgram{Type: phdr, Offset: page}, p} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			x.t.Fatal(err)
		}
	}
	return b.Bytes()
}

// load maps the file in s as a dynamic linker would: whole, and then its text.
func (x *segmentWorld) load(s *Space) {
	x.t.Helper()
	o := MMapOpts{
		Addr: segmentAt - page, Length: 4 * page, Prot: linux.PROT_READ, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED | linux.MAP_DENYWRITE,
		File: x.f, Identity: x.f.identity(), MaxProt: textProt,
	}
	x.mmap(s, o)
	o.Addr, o.Length, o.Offset, o.Prot, o.Identity = segmentAt, segmentLen, page, textProt, x.f.identity()
	x.mmap(s, o)
}

// teach has s's platform tell of calls from the end of an instruction in the text,
// enough to be worth a copy.
func (x *segmentWorld) teach(s *Space, end arch.Addr, plain bool) {
	for range 10 {
		s.LearnCall(segmentAt+end, siteNr, plain)
	}
}

// text is what s's guest sees of the segment.
func (x *segmentWorld) text(s *Space) []byte {
	x.t.Helper()
	b := make([]byte, segmentLen)
	g := guest{s: s}
	for at := arch.Addr(0); at < segmentLen; at += page {
		if sig, _ := g.do(b[at:at+page], segmentAt+at, false); sig != 0 {
			x.t.Fatalf("read at %#x: %v", at, sig)
		}
	}
	return b
}

// wantPatched is that of the text only the sites that end there differ from the file, and
// lead to trampolines behind it.
func (x *segmentWorld) wantPatched(s *Space, ends ...int) {
	x.t.Helper()
	b := x.text(s)
	if slot := b[segmentEnd:]; bytes.Index(slot, callsite.Begin(x.p.F.Gate))%8 != 0 {
		x.t.Fatalf("no gate behind the text: %x", slot[:64])
	}
	for _, end := range ends {
		site := b[end-7 : end]
		to := end - 2 + int(int32(binary.LittleEndian.Uint32(site[1:])))
		if site[0] != 0xe9 || to < segmentEnd || to >= segmentLen || !bytes.HasPrefix(b[to:], x.was[end-7:end-2]) {
			x.t.Fatalf("site %#x is %x", end, site)
		}
		copy(b[end-7:], x.was[end-7:end])
	}
	if !bytes.Equal(b[:segmentEnd], x.was[:segmentEnd]) {
		x.t.Fatal("other bytes have changed")
	}
}

func (x *segmentWorld) wantFile(s *Space, what string) {
	x.t.Helper()
	if !bytes.Equal(x.text(s)[:segmentEnd], x.was[:segmentEnd]) {
		x.t.Fatalf("%s: the text is not the file's", what)
	}
}

// taught is a space that has mapped a patched copy, after another's calls.
func (x *segmentWorld) taught() *Space {
	x.t.Helper()
	s := x.space()
	x.load(s)
	x.teach(s, siteEnd, true)
	x.wantFile(s, "who teaches")
	s.DecUsers()
	s = x.space()
	x.load(s)
	x.wantPatched(s, siteEnd)
	return s
}

func (x *segmentWorld) end(spaces ...*Space) {
	x.t.Helper()
	for _, s := range spaces {
		s.DecUsers()
	}
	x.check()
	if n := x.env.texts.bytes.Load(); n != 0 || x.f.refs.Load() != 0 || x.f.ids.Load() != 0 {
		x.t.Fatal("left:", n, "bytes of copies, references:", x.f.refs.Load(), x.f.ids.Load())
	}
}

// Who maps the file later has from its first call what others have learnt, in one
// mapping of the host's, that nothing shows and nobody can write.
func TestTextShared(t *testing.T) {
	x := newSegmentWorld(t)
	a := x.space()
	x.load(a)
	regions, mappings, rss := a.Regions(true), host(a).Mappings(), a.Stats(true)
	x.teach(a, siteEnd, true)
	b := x.space()
	x.load(b)
	x.wantPatched(b, siteEnd)
	if n := host(b).Mappings(); n != mappings {
		t.Fatalf("%d mappings of the host's, want %d", n, mappings)
	}
	for i, r := range b.Regions(true) {
		if r != regions[i] {
			t.Fatalf("region %+v, want %+v", r, regions[i])
		}
	}
	if st := b.Stats(true); st != rss {
		t.Fatalf("usage %+v, want %+v", st, rss)
	}
	if in, err := b.Incore(segmentAt, segmentLen, nil); err != nil || !bytes.Equal(in, []byte{1, 1}) {
		t.Fatal("mincore:", in, err)
	}
	_, r, _ := b.runs.Lookup(segmentAt)
	if b.fileOf(&r) != x.env.memory.ReadOnly() || r.can&arch.Write != 0 || !r.cow {
		t.Fatalf("mapped by a descriptor for writing, or so that it can be written: %+v", r)
	}
	g := guest{s: b}
	g.wantSignal(t, segmentAt, true, linux.SIGSEGV, linux.SEGV_ACCERR)

	// More is learnt, from both pages: for the next. The copies others have stay.
	x.teach(b, segmentSite, true)
	c := x.space()
	x.load(c)
	x.wantPatched(c, siteEnd, segmentSite)
	x.wantPatched(b, siteEnd)
	x.wantFile(a, "the first process")
	got := make([]byte, segmentLen)
	if _, err := x.f.f.ReadAt(got, page); err != nil || !bytes.Equal(got, x.was) {
		t.Fatal("the file has changed", err)
	}
	x.end(a, b, c)
}

// A site that a process patches for itself teaches, too, and goes on with what the copy has.
func TestTextAndOwnPatches(t *testing.T) {
	x := newSegmentWorld(t)
	s := x.taught()
	s.PatchCall(segmentAt+segmentSite, siteNr)
	s.PatchCall(segmentAt+siteEnd+siteStep, siteNr)
	if b := x.text(s); b[segmentSite-7] != 0xe9 || b[siteEnd+siteStep-7] != 0xe9 || b[siteEnd-7] != 0xe9 {
		t.Fatal("not patched")
	}
	n := x.space()
	x.load(n)
	x.wantPatched(n, siteEnd, segmentSite, siteEnd+siteStep)
	s.Unpatch()
	x.wantFile(s, "Unpatch")
	x.wantPatched(n, siteEnd, segmentSite, siteEnd+siteStep)
	x.end(s, n)
}

// Each of these ends the use of the copy.
func TestTextBare(t *testing.T) {
	part := linux.MAP_FIXED | anon
	for _, c := range []struct {
		name        string
		do          func(x *segmentWorld, s *Space) error
		invalidates bool // it happens to the file, and so to all who map it
		threads     bool // others may run on as they were
	}{
		{name: "a debugger reads", do: func(x *segmentWorld, s *Space) error {
			b := make([]byte, segmentLen)
			_, err := s.Forced().CopyIn(b, segmentAt)
			if !bytes.Equal(b[:segmentEnd], x.was[:segmentEnd]) {
				x.t.Error("it sees patches")
			}
			return err
		}, threads: true},
		{name: "no gate any more", do: func(_ *segmentWorld, s *Space) error { s.Unpatch(); return nil }, threads: true},
		{name: "mprotect to write", do: func(x *segmentWorld, s *Space) error {
			return s.Protect(segmentAt, page, rw|linux.PROT_EXEC)
		}, threads: true},
		{name: "mprotect of the end", do: func(x *segmentWorld, s *Space) error {
			return s.Protect(segmentAt+page, page, linux.PROT_READ)
		}},
		{name: "munmap of the end", do: func(x *segmentWorld, s *Space) error {
			if err := s.Unmap(segmentAt+page, page); err != nil {
				return err
			}
			x.load(s) // back again, and not by the copy
			s.Unpatch()
			return nil
		}},
		{name: "mmap over the end", do: func(x *segmentWorld, s *Space) error {
			g := guest{s: s}
			at := x.mmap(s, MMapOpts{Addr: segmentAt + page, Length: page, Prot: rw, Flags: part})
			g.store(x.t, at, 0)
			if g.load(x.t, segmentAt+siteEnd-7) != binary.LittleEndian.Uint64(x.was[siteEnd-7:]) {
				x.t.Error("the rest is patched")
			}
			x.load(s)
			s.Unpatch()
			return nil
		}},
		{name: "madvise gives back the end", do: func(_ *segmentWorld, s *Space) error {
			s.PatchCall(segmentAt+segmentSite, siteNr) // the page is its own
			return s.Advise(segmentAt+page, page, linux.MADV_DONTNEED)
		}},
		{name: "brk gives back the end", do: func(x *segmentWorld, s *Space) error {
			s.layout.Brk = arch.Range{Start: segmentAt, End: segmentAt + segmentLen}
			s.Brk(segmentAt+page, false)
			g := guest{s: s}
			if g.load(x.t, segmentAt+siteEnd-7) != binary.LittleEndian.Uint64(x.was[siteEnd-7:]) {
				x.t.Error("the rest is patched")
			}
			x.load(s)
			s.Unpatch()
			return nil
		}},
		{name: "mremap away and back", do: func(x *segmentWorld, s *Space) error {
			for _, m := range [][2]arch.Addr{{segmentAt, segmentAt + 64*page}, {segmentAt + 64*page, segmentAt}} {
				if _, err := s.Remap(RemapOpts{Addr: m[0], Old: segmentLen, New: segmentLen, To: m[1],
					Flags: linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED}); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "the file is truncated", do: func(x *segmentWorld, _ *Space) error {
			x.f.Invalidate(x.f, 2*page, 1<<40, true)
			return nil
		}, invalidates: true},
		{name: "the file is another", do: func(x *segmentWorld, _ *Space) error {
			x.f.Invalidate(x.f, 0, 1<<40, false)
			return nil
		}, invalidates: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newSegmentWorld(t)
			s := x.taught()
			y, err := s.Fork(nil, x.lim)
			if err != nil {
				t.Fatal(err)
			}
			x.t = t
			before := x.text(s)[segmentEnd:]
			if err := c.do(x, s); err != nil {
				t.Fatal(err)
			}
			x.wantFile(s, c.name)
			if c.threads && !bytes.Equal(x.text(s)[segmentEnd:], before) {
				t.Fatal("the trampolines have gone, and a thread may be there")
			}
			if c.invalidates {
				x.wantFile(y, c.name)
			} else {
				x.wantPatched(y, siteEnd) // what the process does is its own business
			}
			x.end(s, y)
		})
	}
}

// What a process writes to its text is its own.
func TestTextWritten(t *testing.T) {
	x := newSegmentWorld(t)
	s := x.taught()
	y, err := s.Fork(nil, x.lim)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Protect(segmentAt, segmentLen, rw|linux.PROT_EXEC); err != nil {
		t.Fatal(err)
	}
	g := guest{s: s}
	g.store(t, segmentAt+8, 7)
	if _, err := s.CopyOut(segmentAt+page+8, []byte{9}); err != nil {
		t.Fatal(err)
	}
	x.wantPatched(y, siteEnd)
	if _, err := y.Forced().CopyOut(segmentAt+segmentEnd+64, bytes.Repeat([]byte{1}, 32)); err != nil {
		t.Fatal(err)
	}
	n := x.space()
	x.load(n)
	x.wantPatched(n, siteEnd)
	if b := x.text(y); !bytes.Equal(b[:segmentEnd], x.was[:segmentEnd]) {
		t.Fatal("a debugger's write left patches, or made them wrong")
	}
	x.end(s, y, n)
}

// What must not have a copy, or not this one, shows the file.
func TestTextRefused(t *testing.T) {
	load := linux.ElfProgram{Type: linux.PT_LOAD, Flags: linux.PF_X, Offset: page, Filesz: segmentEnd, Memsz: segmentEnd}
	with := func(change func(*linux.ElfProgram)) func(x *segmentWorld) {
		return func(x *segmentWorld) {
			p := load
			change(&p)
			x.write(0, x.header(p))
		}
	}
	for _, c := range []struct {
		name string
		do   func(x *segmentWorld)
	}{
		{"a file that may change", func(x *segmentWorld) { x.f.version = Version{} }},
		{"no ELF file", func(x *segmentWorld) { x.write(0, []byte("#!")) }},
		{"another segment", with(func(p *linux.ElfProgram) { p.Offset = 0 })},
		{"a segment that ends elsewhere", with(func(p *linux.ElfProgram) { p.Filesz = page; p.Memsz = page })},
		{"a segment beyond the mapping", with(func(p *linux.ElfProgram) { p.Filesz = 3 * page; p.Memsz = 3 * page })},
		{"a segment with bss", with(func(p *linux.ElfProgram) { p.Memsz += page })},
		{"no room for trampolines", with(func(p *linux.ElfProgram) { p.Filesz = segmentLen - 32; p.Memsz = p.Filesz })},
		{"something behind it", func(x *segmentWorld) { x.write(page+segmentLen-1, []byte{1}); x.was[segmentLen-1] = 1 }},
		{"no gate", func(x *segmentWorld) { x.env.facts.Gate = 0 }},
		{"calls whose reply is more than a result", func(x *segmentWorld) {
			s := x.space()
			x.load(s)
			x.teach(s, siteEnd, false)
			s.DecUsers()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newSegmentWorld(t)
			x.t = t
			c.do(x)
			for range 3 {
				s := x.space()
				x.load(s)
				x.wantFile(s, c.name)
				x.teach(s, siteEnd, true)
				s.DecUsers()
			}
			x.end()
		})
	}
}

// A file of another version has nothing of the one before.
func TestTextVersions(t *testing.T) {
	x := newSegmentWorld(t)
	old := x.taught()
	x.was[siteEnd] = 0xc3
	x.write(page, x.was)
	x.f.version.Changed++
	s := x.space()
	x.load(s)
	x.wantFile(s, "the new version")
	x.teach(s, segmentSite, true)
	n := x.space()
	x.load(n)
	x.wantPatched(n, segmentSite)
	x.end(old, s, n)
}

// What is known is bounded, and what is forgotten is freed when nobody maps it.
func TestTextBounds(t *testing.T) {
	x := newSegmentWorld(t)
	s := x.taught()
	for i := range int64(maxTexts + 3) {
		x.f.version.Changed = 100 + i
		n := x.space()
		x.load(n)
		n.DecUsers()
	}
	if n := len(x.env.texts.all); n != maxTexts {
		t.Fatal(n, "texts are known")
	}
	x.wantPatched(s, siteEnd)
	x.f.version.Changed = 3
	n := x.space()
	x.load(n)
	x.wantFile(n, "a text that was forgotten")
	for off := range uint64(4 * maxTextSites) {
		n.LearnCall(segmentAt+arch.Addr(off), 1, true)
	}
	if len(n.patch.texts[0].text.sites) > maxTextSites {
		t.Fatal("too many sites")
	}
	if x.env.texts.bytes.Load() != segmentLen {
		t.Fatal("the copy that is in use has been freed")
	}
	s.DecUsers()
	if x.env.texts.bytes.Load() != 0 {
		t.Fatal("a copy that nobody needs is still there")
	}
	x.end(n)
}

// Users learn from processes of their own alone, and nobody from one that may run for
// another user than the program did.
func TestTextUsers(t *testing.T) {
	x := newSegmentWorld(t)
	load := func(user uint32) *Space {
		s := x.space()
		s.SetUser(user)
		x.load(s)
		return s
	}
	of := func(user uint32, mute bool) {
		s := load(user)
		if mute {
			s.Mute()
		}
		x.teach(s, siteEnd, true)
		s.DecUsers()
	}
	of(1, false)
	of(3, true)
	one, two, three := load(1), load(2), load(3)
	x.wantPatched(one, siteEnd)
	x.wantFile(two, "a text that another user's process taught")
	x.wantFile(three, "a text that one taught which might have been another user's")
	one.DecUsers()
	two.DecUsers()
	x.end(three)
}

// The busiest sites have the trampolines, if there is no room for all.
func TestTextBusiest(t *testing.T) {
	x := newSegmentWorld(t)
	x.write(0, x.header(linux.ElfProgram{Type: linux.PT_LOAD, Flags: linux.PF_X, Offset: page,
		Filesz: segmentLen - 192, Memsz: segmentLen - 192})) // two trampolines or more
	s := x.space()
	x.load(s)
	for i := range 20 {
		for range i + 1 {
			s.LearnCall(segmentAt+siteEnd+arch.Addr(i*siteStep), siteNr, true)
		}
	}
	n := x.space()
	x.load(n)
	b := x.text(n)
	for i, last := 0, false; i < 20; i++ {
		patched := b[siteEnd-7+i*siteStep] == 0xe9
		if last && !patched || i == 0 && patched || i == 19 && !patched {
			t.Fatal("site", i, "patched:", patched)
		}
		last = patched
	}
	x.end(s, n)
}
