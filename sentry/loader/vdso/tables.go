package vdso

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// A stringTable is DT_STRTAB: "" first.
type stringTable struct{ b []byte }

func newStringTable() *stringTable { return &stringTable{[]byte{0}} }

func (s *stringTable) add(x string) (at uint32) {
	at = uint32(len(s.b))
	s.b = append(append(s.b, x...), 0)
	return at
}

// sysvHash is the hash function of DT_HASH and of version names (gABI).
func sysvHash(name string) (h uint32) {
	for _, c := range []byte(name) {
		h = h<<4 + uint32(c)
		g := h & 0xf0000000
		h ^= g>>24 ^ g
	}
	return h
}

// hashTable is DT_HASH with one bucket: so few symbols are looked through in a
// moment, and once per program.
func hashTable(thunks []thunk) []byte {
	n := uint32(len(thunks))
	t := []uint32{1, n + 1, 1, 0} // buckets, chains, the bucket's first symbol, chain of symbol 0
	for i := uint32(1); i <= n; i++ {
		next := i + 1
		if i == n {
			next = 0
		}
		t = append(t, next)
	}
	return encode(t)
}

// Versions by index: 1 is the file's own name, 2 is LINUX_2.6.
const versionIndex = 2

func versymTable(n int) []byte {
	t := make([]uint16, 1+n)
	for i := 1; i <= n; i++ {
		t[i] = versionIndex
	}
	return encode(t)
}

// A verdef is Elf64_Verdef with its one Elf64_Verdaux.
type verdef struct {
	Version, Flags, Ndx, Cnt uint16
	Hash, Aux, Next          uint32
	AuxName, AuxNext         uint32
}

// verdefSize is sizeof(Elf64_Verdef), which Verdaux follows; entrySize both.
const (
	verdefSize = 20
	entrySize  = 28
)

func verdefTable(sonameAt, versionAt uint32) []byte {
	return encode([]verdef{
		{Version: 1, Flags: 1 /* VER_FLG_BASE */, Ndx: 1, Cnt: 1, Hash: sysvHash(soname), Aux: verdefSize, Next: entrySize, AuxName: sonameAt},
		{Version: 1, Ndx: versionIndex, Cnt: 1, Hash: sysvHash(version), Aux: verdefSize, AuxName: versionAt},
	})
}

// words is a dynamic section: pairs of tag and value.
func words(pairs ...any) []byte {
	var out []byte
	for _, p := range pairs {
		var v uint64
		switch p := p.(type) {
		case elf.DynTag:
			v = uint64(p)
		case uint64:
			v = p
		case uint32:
			v = uint64(p)
		case int:
			v = uint64(p)
		default:
			panic(fmt.Sprintf("vdso: %T in the dynamic section", p))
		}
		out = binary.LittleEndian.AppendUint64(out, v)
	}
	return out
}

func encode(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err) // only a value that is not flat: a mistake in this file
	}
	return b.Bytes()
}
