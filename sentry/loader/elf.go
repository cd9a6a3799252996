package loader

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// An image is what the loader needs to know of an ELF file.
type image struct {
	file      File
	header    linux.ElfHeader
	load      []linux.ElfProgram // PT_LOAD, in the file's order
	phdr      uint64             // PT_PHDR's address, or where the headers are loaded; before relocation
	interp    string
	execStack bool
	align     uint64 // the largest p_align of a PT_LOAD
}

const (
	ehdrSize  = 64
	phdrSize  = 56
	maxPhdrs  = 65536 // bytes
	maxInterp = linux.PATH_MAX
)

// readImage reads the headers of f. bad is the error for a file that is no ELF
// program for this machine.
func readImage(f File, bad error) (*image, error) {
	im := &image{file: f}
	var b [ehdrSize]byte
	n, err := readFull(f, b[:], 0)
	if err != nil {
		return nil, err
	}
	h := &im.header
	if n < ehdrSize {
		if bad == error(linux.ELIBBAD) {
			return nil, linux.EIO
		}
		return nil, bad
	}
	binary.Decode(b[:], binary.LittleEndian, h) //nolint:errcheck // b is long enough
	if string(h.Ident[:4]) != linux.ELFMAG || h.Ident[4] != linux.ELFCLASS64 || h.Ident[5] != linux.ELFDATA2LSB ||
		h.Machine != linux.EM_X86_64 || h.Type != linux.ET_EXEC && h.Type != linux.ET_DYN {
		return nil, bad
	}
	size := int(h.Phnum) * phdrSize
	if h.Phentsize != phdrSize || size == 0 || size > maxPhdrs || h.Phoff > 1<<62 {
		return nil, bad
	}
	ph := make([]byte, size)
	if n, err := readFull(f, ph, int64(h.Phoff)); err != nil {
		return nil, err
	} else if n < size {
		return nil, bad
	}
	return im, im.segments(ph, bad)
}

// segments sorts out the program headers.
func (im *image) segments(ph []byte, bad error) error {
	seenInterp := false
	for ; len(ph) > 0; ph = ph[phdrSize:] {
		var p linux.ElfProgram
		binary.Decode(ph[:phdrSize], binary.LittleEndian, &p) //nolint:errcheck // as above
		switch p.Type {
		case linux.PT_LOAD:
			im.load = append(im.load, p)
			if bits.OnesCount64(p.Align) == 1 {
				im.align = max(im.align, p.Align)
			}
		case linux.PT_INTERP:
			if seenInterp || bad == error(linux.ELIBBAD) {
				continue // the first counts; the interpreter's own does not
			}
			seenInterp = true
			if err := im.readInterp(&p); err != nil {
				return err
			}
		case linux.PT_GNU_STACK:
			im.execStack = p.Flags&linux.PF_X != 0
		case linux.PT_PHDR:
			im.phdr = p.Vaddr
		}
	}
	if im.phdr == 0 {
		for _, p := range im.load {
			if p.Offset <= im.header.Phoff && im.header.Phoff-p.Offset < p.Filesz {
				im.phdr = im.header.Phoff - p.Offset + p.Vaddr
				break
			}
		}
	}
	return nil
}

func (im *image) readInterp(p *linux.ElfProgram) error {
	if p.Filesz > maxInterp || p.Filesz < 2 || p.Offset > 1<<62 {
		return linux.ENOEXEC
	}
	name := make([]byte, p.Filesz)
	if n, err := readFull(im.file, name, int64(p.Offset)); err != nil {
		return err
	} else if n < len(name) {
		return linux.EIO
	}
	if name[len(name)-1] != 0 {
		return linux.ENOEXEC
	}
	name, _, _ = bytes.Cut(name, []byte{0})
	im.interp = string(name)
	return nil
}

// maxAddr bounds addresses in a file, well beyond any that can be mapped, so
// that sums do not wrap.
const maxAddr = 1 << 56

// check refuses segments that can't be mapped, whatever the address.
func (im *image) check() error {
	if len(im.load) == 0 {
		return linux.EINVAL
	}
	for _, p := range im.load {
		if p.Filesz > p.Memsz || p.Memsz > maxAddr || p.Vaddr > maxAddr || p.Offset > maxAddr ||
			p.Vaddr%arch.PageSize != p.Offset%arch.PageSize && p.Filesz > 0 {
			return linux.EINVAL
		}
	}
	if s := im.span(); s.Len() == 0 || s.Len() > maxAddr {
		return linux.EINVAL
	}
	return nil
}

// span is the pages of all segments, from the first's to the last's, before
// relocation.
func (im *image) span() arch.Range {
	r := arch.Range{Start: ^arch.Addr(0)}
	for _, p := range im.load {
		r.Start = min(r.Start, arch.Addr(p.Vaddr).Down())
		end, _ := arch.Addr(p.Vaddr + p.Memsz).Up()
		r.End = max(r.End, end)
	}
	if r.End < r.Start {
		r.End = r.Start
	}
	return r
}

// whole is a segment to map before all others, so that the host has one mapping
// to make for several of them, and rights to change: those from the first on that
// are not written, without gaps in the file or between them. Its size is 0 if
// there is but one.
func (im *image) whole() (w linux.ElfProgram) {
	for i, p := range im.load {
		if p.Flags&linux.PF_W != 0 || p.Flags&linux.PF_R == 0 || p.Filesz == 0 || p.Filesz != p.Memsz {
			break
		}
		if i == 0 {
			w = p
			w.Flags = linux.PF_R
			continue
		}
		end, _ := arch.Addr(w.Vaddr + w.Filesz).Up()
		if arch.Addr(p.Vaddr).Down() != end || p.Vaddr-w.Vaddr != p.Offset-w.Offset {
			break
		}
		w.Filesz = p.Vaddr + p.Filesz - w.Vaddr
		w.Memsz = w.Filesz
	}
	if len(im.load) > 0 && w.Filesz == im.load[0].Filesz {
		w.Filesz = 0
	}
	return w
}

// prot is p's flags as mmap(2) wants them.
func prot(p *linux.ElfProgram) (a linux.Prot) {
	if p.Flags&linux.PF_R != 0 {
		a |= linux.PROT_READ
	}
	if p.Flags&linux.PF_W != 0 {
		a |= linux.PROT_WRITE
	}
	if p.Flags&linux.PF_X != 0 {
		a |= linux.PROT_EXEC
	}
	return a
}
