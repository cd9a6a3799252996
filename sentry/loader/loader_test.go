package loader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/mm/mmtest"
	"garrison/sentry/usermem"
)

// A hostProgram is a loader.File of the host's.
type hostProgram struct {
	mm.MappingSet
	*os.File
}

func (h *hostProgram) Map() (mm.Mappable, mm.Identity, error) { return h, nil, nil }
func (h *hostProgram) Close()                                 {}
func (h *hostProgram) FD() int                                { return int(h.Fd()) }
func (h *hostProgram) IncRef()                                {}
func (h *hostProgram) DecRef()                                {}

func (h *hostProgram) Pages(off, n uint64, _ arch.Access) (mm.Pages, error) {
	st, err := h.Stat()
	if err != nil || off >= uint64(st.Size()) {
		return mm.Pages{}, err
	}
	return mm.Pages{Host: h, Off: off, Len: n, Access: arch.Read | arch.Exec}, nil
}

// files opens the host's programs.
type files struct{ t testing.TB }

func (o files) OpenExecutable(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, linux.ENOENT
	}
	o.t.Cleanup(func() { f.Close() })
	return &hostProgram{File: f}, nil
}

func newSpace(t testing.TB) *mm.Space {
	t.Helper()
	f, err := mmtest.NewFile()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	s, err := mm.New(mm.NewEnv(mmtest.New(), f), limits.NewSet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.DecUsers)
	return s
}

func resolve(t testing.TB, path string, argv ...string) (*Program, error) {
	t.Helper()
	f, err := files{t}.OpenExecutable(path)
	if err != nil {
		t.Fatal(err)
	}
	return Resolve(files{t}, f, path, argv)
}

// stackOf reads the initial stack as a C library does.
func stackOf(t testing.TB, s *mm.Space, sp arch.Addr) (argv, envp []string, aux map[uint64]uint64) {
	t.Helper()
	next := func() (v uint64) {
		v, err := usermem.Ptr[uint64](sp).Load(s)
		if err != nil {
			t.Fatal(err)
		}
		sp += 8
		return v
	}
	list := func() (l []string) {
		for p := next(); p != 0; p = next() {
			x, err := usermem.CopyInString(s, arch.Addr(p), 1<<17)
			if err != nil {
				t.Fatal(err)
			}
			l = append(l, x)
		}
		return l
	}
	if sp%16 != 0 {
		t.Fatalf("stack pointer %x", sp)
	}
	n := next()
	if argv = list(); uint64(len(argv)) != n {
		t.Fatalf("argc %d, argv %q", n, argv)
	}
	envp, aux = list(), map[uint64]uint64{}
	for k := next(); k != linux.AT_NULL; k = next() {
		aux[k] = next()
	}
	return argv, envp, aux
}

func TestLoadDynamic(t *testing.T) {
	for _, personality := range []uint32{0, linux.ADDR_NO_RANDOMIZE} {
		s := newSpace(t)
		p, err := resolve(t, "/bin/sh", "sh", "-c", "")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		env := []string{"A=b", "LONG=" + strings.Repeat("x", 5000)}
		im, err := p.Load(s, Args{Envp: env, UID: 7, Personality: personality, MinSigStack: 2048})
		if err != nil {
			t.Fatal(err)
		}
		argv, envp, aux := stackOf(t, s, im.SP)
		if !slices.Equal(argv, []string{"sh", "-c", ""}) || !slices.Equal(envp, env) {
			t.Fatal(argv, envp)
		}
		l := s.Layout()
		if aux[linux.AT_UID] != 7 || aux[linux.AT_PAGESZ] != 4096 || aux[linux.AT_BASE] == 0 || aux[linux.AT_HWCAP] == 0 || aux[linux.AT_HWCAP2] != 0 {
			t.Fatal(aux)
		}
		if name, err := usermem.CopyInString(s, arch.Addr(aux[linux.AT_EXECFN]), 100); name != "/bin/sh" || err != nil {
			t.Fatal(name, err)
		}
		if l.CodeStart >= l.CodeEnd || l.DataStart >= l.DataEnd || l.Brk.Start < l.DataEnd || l.Args.Len() != 7 {
			t.Fatalf("%+v", l)
		}
		// The headers are where AT_PHDR says, the code where AT_ENTRY does.
		ph, err := usermem.Ptr[linux.ElfProgram](aux[linux.AT_PHDR]).LoadSlice(s, int(aux[linux.AT_PHNUM]))
		if err != nil || !slices.ContainsFunc(ph, func(p linux.ElfProgram) bool { return p.Type == linux.PT_INTERP }) {
			t.Fatal(err, ph)
		}
		for _, r := range s.Regions(false) {
			if r.Contains(im.Entry) && r.Access != arch.Read|arch.Exec {
				t.Fatalf("entry in %+v", r)
			}
			if r.Name == "[stack]" && (r.Access != arch.Read|arch.Write || r.Len() < stackExtra) {
				t.Fatalf("%+v", r)
			}
		}
		if personality != 0 && l.CodeStart != arch.Addr(0x555555554000) {
			t.Fatalf("without randomness the program is at %x", l.CodeStart)
		}
	}
}

// elfFile makes a program of one segment, changed by f.
func elfFile(t testing.TB, f func(*linux.ElfHeader, *linux.ElfProgram)) string {
	t.Helper()
	h := linux.ElfHeader{Type: linux.ET_EXEC, Machine: linux.EM_X86_64, Version: 1, Entry: 0x400080, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	p := linux.ElfProgram{Type: linux.PT_LOAD, Flags: linux.PF_R | linux.PF_W | linux.PF_X, Vaddr: 0x400000, Filesz: 0x88, Memsz: 0x3000, Align: 0x1000}
	f(&h, &p)
	b, _ := binary.Append(nil, binary.LittleEndian, h)
	b, _ = binary.Append(b, binary.LittleEndian, p)
	b = append(b, bytes.Repeat([]byte{0xcc}, 0x200)...)
	path := filepath.Join(t.TempDir(), "prog")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadStatic(t *testing.T) {
	s := newSpace(t)
	p, err := resolve(t, elfFile(t, func(*linux.ElfHeader, *linux.ElfProgram) {}))
	if err != nil {
		t.Fatal(err)
	}
	im, err := p.Load(s, Args{})
	if err != nil || im.Entry != 0x400080 {
		t.Fatal(im, err)
	}
	b := make([]byte, 0x3000)
	if _, err := s.CopyIn(b, 0x400000); err != nil || b[0x87] != 0xcc || slices.Max(b[0x88:]) != 0 {
		t.Fatal("bss", err, b[0x80:0x90])
	}
	if argv, _, aux := stackOf(t, s, im.SP); len(argv) != 1 || argv[0] != "" || aux[linux.AT_PHDR] != 0x400040 || aux[linux.AT_BASE] != 0 {
		t.Fatal(argv, aux)
	}
}

func TestMalformed(t *testing.T) {
	for name, c := range map[string]struct {
		f    func(*linux.ElfHeader, *linux.ElfProgram)
		want error
	}{
		"magic":     {func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Ident[1] = 'X' }, linux.ENOEXEC},
		"32 bits":   {func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Ident[4] = 1 }, linux.ENOEXEC},
		"machine":   {func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Machine = 183 }, linux.ENOEXEC},
		"object":    {func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Type = 1 }, linux.ENOEXEC},
		"phentsize": {func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Phentsize = 32 }, linux.ENOEXEC},
		"no phdr":   {func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Phnum = 0 }, linux.ENOEXEC},
		"far phdr":  {func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Phoff = 1 << 40 }, linux.ENOEXEC},
		"nothing":   {func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Type = 0 }, linux.EINVAL},
		"sizes":     {func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Filesz = p.Memsz + 1 }, linux.EINVAL},
		"unaligned": {func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Offset = 1 }, linux.EINVAL},
		"interp":    {func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Type = linux.PT_INTERP; p.Filesz = 1 }, linux.ENOEXEC},
	} {
		if _, err := resolve(t, elfFile(t, c.f)); err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for name, f := range map[string]func(*linux.ElfHeader, *linux.ElfProgram){
		"low":   func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Vaddr = 0 },
		"high":  func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Vaddr = 1 << 50 },
		"large": func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Memsz = 1 << 47 },
	} {
		p, err := resolve(t, elfFile(t, f))
		if err == nil {
			_, err = p.Load(newSpace(t), Args{})
		}
		if err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

func TestScripts(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s1 := script("s1", "#! /bin/sh  -x  y \n")
	p, err := resolve(t, s1, "zero", "one")
	if err != nil || !slices.Equal(p.Argv, []string{"/bin/sh", "-x  y", s1, "one"}) || p.Path != "/bin/sh" || p.Name != s1 {
		t.Fatal(err, p)
	}
	prev := "/bin/sh"
	for i := range 6 {
		prev = script("chain"+string(rune('0'+i)), "#!"+prev+"\n")
		_, err := resolve(t, prev, "x")
		if want := error(linux.ELOOP); i < 5 && err != nil || i == 5 && err != want {
			t.Fatal(i, err)
		}
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":     {"#!\n", linux.ENOEXEC},
		"blank":     {"#! \t \n", linux.ENOEXEC},
		"long name": {"#!/" + strings.Repeat("x", 300) + "\n", linux.ENOEXEC},
		"missing":   {"#!/nowhere/at/all\n", linux.ENOENT},
		"text":      {"echo hello\n", linux.ENOEXEC},
		"nothing":   {"", linux.ENOEXEC},
	} {
		if _, err := resolve(t, script("bad", c.text), "x"); err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if p, err := resolve(t, script("noeol", "#!/bin/sh"), "x"); err != nil || len(p.Argv) != 2 {
		t.Fatal(err)
	}
	long := "#!/bin/sh " + strings.Repeat("y", 300)
	if p, err := resolve(t, script("long", long), "x"); err != nil || len(p.Argv[1]) != 255-len("#!/bin/sh ") {
		t.Fatal(err, p)
	}
}

func TestTooBig(t *testing.T) {
	p, err := resolve(t, "/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", maxString-1)
	if _, err := p.Load(newSpace(t), Args{Argv: []string{big}}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Load(newSpace(t), Args{Argv: []string{big + "x"}}); !errors.Is(err, linux.E2BIG) {
		t.Fatal(err)
	}
	if _, err := p.Load(newSpace(t), Args{Argv: []string{"x"}, Envp: slices.Repeat([]string{big}, 17)}); !errors.Is(err, linux.E2BIG) {
		t.Fatal(err)
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range []string{"/bin/true", "/bin/sh"} {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b[:min(len(b), 4096)])
		}
	}
	f.Add([]byte("#!/bin/sh -x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, b, 0o755); err != nil {
			t.Fatal(err)
		}
		p, err := resolve(t, path, "x")
		if err != nil {
			return
		}
		p.Load(newSpace(t), Args{}) //nolint:errcheck // it must only not crash
	})
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		s := newSpace(b)
		p, err := resolve(b, "/bin/sh", "sh")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Load(s, Args{}); err != nil {
			b.Fatal(err)
		}
	}
}
