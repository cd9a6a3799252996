package loader

import (
	"errors"
	"os/exec"
	"testing"

	"garrison/sentry/linux"
)

// TestMalformedNatively: what this host's kernel says to each malformed program,
// where it says something (it kills the process when it notices too late), is what
// Resolve or Load say.
func TestMalformedNatively(t *testing.T) {
	type edit = func(*linux.ElfHeader, *linux.ElfProgram)
	for name, f := range map[string]edit{
		"magic":        func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Ident[1] = 'X' },
		"machine":      func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Machine = 183 },
		"object":       func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Type = 1 },
		"core":         func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Type = 4 },
		"phentsize":    func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Phentsize = 32 },
		"no phdr":      func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Phnum = 0 },
		"many phdr":    func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Phnum = 2000 },
		"far phdr":     func(h *linux.ElfHeader, _ *linux.ElfProgram) { h.Phoff = 1 << 40 },
		"interp short": func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Type = linux.PT_INTERP; p.Filesz = 1 },
		"interp long":  func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Type = linux.PT_INTERP; p.Filesz = 4097 },
		"interp no nul": func(_ *linux.ElfHeader, p *linux.ElfProgram) {
			p.Type = linux.PT_INTERP
			p.Offset = 0x100
			p.Filesz = 4
		},
		"interp far": func(_ *linux.ElfHeader, p *linux.ElfProgram) {
			p.Type = linux.PT_INTERP
			p.Offset = 1 << 30
			p.Filesz = 4
		},
		"interp missing": func(_ *linux.ElfHeader, p *linux.ElfProgram) { p.Type = linux.PT_INTERP; p.Offset = 0x40; p.Filesz = 2 },
	} {
		path := elfFile(t, f)
		err := exec.Command(path).Start()
		var want linux.Errno
		if !errors.As(err, &want) {
			t.Logf("%s: natively %v", name, err)
			continue
		}
		p, got := resolve(t, path)
		if got == nil {
			_, got = p.Load(newSpace(t), Args{})
		}
		if got != want {
			t.Errorf("%s: %v, natively %v", name, got, want)
		}
	}
}
