package vdso

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"garrison/platform"
	"garrison/platform/arch"
)

func TestImage(t *testing.T) {
	const text = 0x7fff00002000
	facts := platform.Facts{VDSO: arch.Range{Start: text - 0x4000, End: text + 0x2000}, VDSOText: text}
	b, err := Image(facts, false)
	if err != nil {
		t.Fatal(err)
	}
	host, err := hostSymbols()
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_DYN || len(f.Progs) != 2 || f.Progs[0].Flags&elf.PF_W != 0 {
		t.Fatalf("%+v", f.FileHeader)
	}
	for _, name := range functions {
		at, ok := lookup(t, b, f, name)
		if !ok {
			if host[name] != 0 {
				t.Errorf("%s is missing", name)
			}
			continue
		}
		if !bytes.HasPrefix(b[at:], []byte{0xff, 0x25, 2, 0, 0, 0}) {
			t.Errorf("%s: no jump but % x", name, b[at:at+8])
		}
		if got := binary.LittleEndian.Uint64(b[at+8:]); got != text+host[name] {
			t.Errorf("%s jumps to %#x, want %#x", name, got, text+host[name])
		}
	}
	if _, ok := lookup(t, b, f, "__vdso_nothing"); ok {
		t.Error("found what is not there")
	}
}

// lookup finds a symbol as a C library does: by DT_HASH, and with its version.
func lookup(t *testing.T, b []byte, f *elf.File, name string) (uint64, bool) {
	t.Helper()
	dyn := map[elf.DynTag]uint64{}
	for d := b[f.Progs[1].Off:]; ; d = d[16:] {
		tag := elf.DynTag(binary.LittleEndian.Uint64(d))
		if tag == elf.DT_NULL {
			break
		}
		dyn[tag] = binary.LittleEndian.Uint64(d[8:])
	}
	u16 := func(at uint64) uint64 { return uint64(binary.LittleEndian.Uint16(b[at:])) }
	u32 := func(at uint64) uint64 { return uint64(binary.LittleEndian.Uint32(b[at:])) }
	str := func(at uint64) string {
		s, _, _ := bytes.Cut(b[dyn[elf.DT_STRTAB]+at:], []byte{0})
		return string(s)
	}
	hash := dyn[elf.DT_HASH]
	buckets := u32(hash)
	for i := u32(hash + 8 + 4*(uint64(sysvHash(name))%buckets)); i != 0; i = u32(hash + 8 + 4*buckets + 4*i) {
		sym := dyn[elf.DT_SYMTAB] + i*symSize
		if str(u32(sym)) != name {
			continue
		}
		for d := dyn[elf.DT_VERDEF]; ; d += u32(d + 16) {
			if u16(d+4) == u16(dyn[elf.DT_VERSYM]+2*i) {
				if got := str(u32(d + u32(d+12))); got != version || u32(d+8) != uint64(sysvHash(version)) {
					t.Errorf("%s has version %q", name, got)
				}
				break
			}
			if u32(d+16) == 0 {
				t.Errorf("%s has no version", name)
				break
			}
		}
		return binary.LittleEndian.Uint64(b[sym+8:]), true
	}
	return 0, false
}

func TestNoHostVDSO(t *testing.T) {
	if b, err := Image(platform.Facts{}, false); b != nil || err != nil {
		t.Fatal(b, err)
	}
}
