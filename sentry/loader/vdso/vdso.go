// Package vdso builds the vDSO that guests are given (vdso(7)): a small ELF
// image of our own whose functions jump to the host's, which the platform keeps
// mapped at one place in every address space. So the guest reads the time
// without a system call, from the clocks that system calls read, and there is
// no page to keep fresh.
package vdso

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"

	"garrison/platform"
)

// calls is the system call that does what each function does, for guests whose clocks are
// not the host's.
var calls = map[string]uint32{
	"__vdso_clock_gettime": 228,
	"__vdso_gettimeofday":  96,
	"__vdso_time":          201,
	"__vdso_getcpu":        309,
	"__vdso_clock_getres":  229,
}

// functions are what Linux exports on amd64, but for getrandom, whose state is
// the kernel's business.
var functions = []string{
	"__vdso_clock_gettime",
	"__vdso_gettimeofday",
	"__vdso_time",
	"__vdso_getcpu",
	"__vdso_clock_getres",
}

// Image returns the vDSO for guests of a platform: position independent, to be
// mapped readable and executable as one piece, its length not rounded. It is
// nil without error if the platform has no host vDSO to jump to. With calling it makes
// system calls instead of jumping, and is otherwise the same.
func Image(f platform.Facts, calling bool) ([]byte, error) {
	if f.VDSO.Len() == 0 {
		return nil, nil
	}
	host, err := hostSymbols()
	if err != nil {
		return nil, fmt.Errorf("read the host's vDSO: %w", err)
	}
	var thunks []thunk
	for _, name := range functions {
		if offset, ok := host[name]; ok {
			t := thunk{name: name, target: uint64(f.VDSOText) + offset}
			if calling {
				t.call = calls[name]
			}
			thunks = append(thunks, t)
		}
	}
	if len(thunks) == 0 {
		return nil, nil
	}
	return build(thunks), nil
}

// hostSymbols is where the host's vDSO has its functions, as offsets in it.
func hostSymbols() (map[string]uint64, error) {
	image, err := hostImage()
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, err
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return nil, err
	}
	m := map[string]uint64{}
	for _, s := range syms {
		if s.Section != elf.SHN_UNDEF && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			m[s.Name] = s.Value
		}
	}
	return m, nil
}

// A thunk is a function of ours that jumps to an absolute address or, if call is not
// 0, makes that system call.
type thunk struct {
	name   string
	target uint64
	call   uint32
}

// Sizes of ELF64's records.
const (
	ehdrSize  = 64
	phdrSize  = 56
	symSize   = 24
	thunkSize = 16 // jmp *8(%rip); nop; nop; the address
)

// The one version of all symbols: programs look for this name and no other.
const (
	soname  = "linux-vdso.so.1"
	version = "LINUX_2.6"
)

// build lays out the image: headers, what PT_DYNAMIC points at, code.
func build(thunks []thunk) []byte {
	im := &image{}
	im.alloc(ehdrSize + 2*phdrSize)

	names := newStringTable()
	sonameAt, versionAt := names.add(soname), names.add(version)
	nameAt := make([]uint32, len(thunks))
	for i, t := range thunks {
		nameAt[i] = names.add(t.name)
	}
	dynstr := im.append(names.b)
	symtab := im.alloc((1 + len(thunks)) * symSize)
	hash := im.append(hashTable(thunks))
	versym := im.append(versymTable(len(thunks)))
	verdef := im.append(verdefTable(sonameAt, versionAt))
	text := im.alloc(len(thunks) * thunkSize)

	for i, t := range thunks {
		at := text + uint64(i*thunkSize)
		copy(im.b[at:], []byte{0xff, 0x25, 0x02, 0, 0, 0, 0x90, 0x90}) // jmp *2(%rip): past the two nops
		binary.LittleEndian.PutUint64(im.b[at+8:], t.target)
		if t.call != 0 {
			copy(im.b[at:], []byte{0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3}) // mov $call, %eax; syscall; ret
			binary.LittleEndian.PutUint32(im.b[at+1:], t.call)
		}
		sym := elf.Sym64{Name: nameAt[i], Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 1, Value: at, Size: 8}
		im.put(symtab+uint64((i+1)*symSize), sym)
	}

	dynamic := im.append(words(
		elf.DT_SONAME, sonameAt,
		elf.DT_HASH, hash,
		elf.DT_STRTAB, dynstr,
		elf.DT_SYMTAB, symtab,
		elf.DT_STRSZ, len(names.b),
		elf.DT_SYMENT, symSize,
		elf.DT_VERSYM, versym,
		elf.DT_VERDEF, verdef,
		elf.DT_VERDEFNUM, 2,
		elf.DT_NULL, 0,
	))
	im.headers(dynamic)
	return im.b
}

// headers writes the ELF header and the two program headers.
func (im *image) headers(dynamic uint64) {
	size := uint64(len(im.b))
	h := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Phoff: ehdrSize, Ehsize: ehdrSize, Phentsize: phdrSize, Phnum: 2,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	im.put(0, h)
	im.put(ehdrSize, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Filesz: size, Memsz: size, Align: 4096})
	im.put(ehdrSize+phdrSize, elf.Prog64{
		Type: uint32(elf.PT_DYNAMIC), Flags: uint32(elf.PF_R),
		Off: dynamic, Vaddr: dynamic, Paddr: dynamic, Filesz: size - dynamic, Memsz: size - dynamic, Align: 8,
	})
}

// An image grows at its end, in pieces aligned to 8 bytes.
type image struct{ b []byte }

func (im *image) alloc(n int) (at uint64) {
	for len(im.b)%8 != 0 {
		im.b = append(im.b, 0)
	}
	at = uint64(len(im.b))
	im.b = append(im.b, make([]byte, n)...)
	return at
}

func (im *image) append(b []byte) (at uint64) {
	at = im.alloc(len(b))
	copy(im.b[at:], b)
	return at
}

// put encodes v, a record of fixed size, at at.
func (im *image) put(at uint64, v any) {
	if _, err := binary.Encode(im.b[at:], binary.LittleEndian, v); err != nil {
		panic(err) // only a record that is not flat, or does not fit: a mistake in build
	}
}
