package loader

import (
	"crypto/rand"
	"encoding/binary"

	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
)

// A builder is one Load under way.
type builder struct {
	p      *Program
	s      *mm.Space
	a      *Args
	layout mm.Layout
	pie    arch.Addr // where programs without fixed addresses go (ELF_ET_DYN_BASE)
	random bool
}

// Load maps the program in s, which is empty, builds its stack and sets s's
// layout and executable. Errors are execve's, E2BIG among them.
func (p *Program) Load(s *mm.Space, a Args) (Image, error) {
	if len(a.Argv) == 0 {
		a.Argv = p.Argv
	}
	b := &builder{p: p, s: s, a: &a, random: a.Personality&linux.ADDR_NO_RANDOMIZE == 0}
	if err := b.checkStrings(); err != nil {
		return Image{}, err
	}
	_, id, err := p.File.Map()
	if err != nil {
		return Image{}, err
	}
	s.SetExecutable(id)
	b.pie = (s.Top() / 3 * 2).Down()
	b.chooseBases()

	main, err := b.loadProgram()
	if err != nil {
		return Image{}, err
	}
	entry, base := main.bias+arch.Addr(p.elf.header.Entry), arch.Addr(0)
	if p.interp != nil {
		in, err := b.mapImage(p.interp, 0)
		if err != nil {
			return Image{}, err
		}
		entry, base = in.bias+arch.Addr(p.interp.header.Entry), in.bias
	}
	if entry >= s.Top() {
		return Image{}, linux.EINVAL
	}
	if err := b.mapVDSO(); err != nil {
		return Image{}, err
	}
	sp, err := b.buildStack(main, base)
	if err != nil {
		return Image{}, err
	}
	s.SetLayout(b.layout)
	return Image{Entry: entry, SP: sp}, nil
}

// rnd is a random number of pages below 2^bits, in bytes.
func (b *builder) rnd(bits uint) arch.Addr {
	if !b.random {
		return 0
	}
	return arch.Addr(b.rnd64()&(1<<bits-1)) << arch.PageShift
}

func (b *builder) rnd64() uint64 {
	var r [8]byte
	rand.Read(r[:]) //nolint:errcheck // it never fails
	return binary.LittleEndian.Uint64(r[:])
}

// Bits of randomness in pages, as on Linux.
const (
	mmapBits  = 28
	stackBits = 22
	brkBits   = 13
)

// chooseBases decides where the stack ends and below what mmap(2) maps
// (arch_pick_mmap_layout).
func (b *builder) chooseBases() {
	top := b.s.Top()
	gap := b.s.Limit(limits.Stack)
	const gapMin, pad = 128 << 20, 1<<20 + 1<<(stackBits+arch.PageShift)
	if gap < limits.Infinity-pad && b.random {
		gap += pad
	}
	gap = min(max(gap, gapMin), uint64(top)/6*5)
	if b.s.Limit(limits.Stack) == limits.Infinity {
		gap = uint64(top) / 6 // leave most to mmap
	}
	b.layout.StackStart = top - b.rnd(stackBits)
	b.layout.MMapBase = (top - arch.Addr(gap) - b.rnd(mmapBits)).Down()
	if b.layout.MMapBase < b.pie && b.random {
		// A small address space: keep what little order there can be.
		b.layout.MMapBase = (top - arch.Addr(gap)).Down()
	}
	b.s.SetLayout(b.layout)
}

// A placed is a mapped image.
type placed struct {
	bias arch.Addr // what is added to the file's addresses (wraps)
	end  arch.Addr // of the last segment's memory, not rounded
}

// loadProgram maps the program itself and decides on the heap's place.
func (b *builder) loadProgram() (placed, error) {
	at := arch.Addr(0)
	if b.p.elf.header.Type == linux.ET_DYN && b.p.interp != nil {
		at = b.pie + b.rnd(mmapBits)
		if a := arch.Addr(b.p.elf.align); a > arch.PageSize {
			at &^= a - 1
		}
	}
	main, err := b.mapImage(b.p.elf, at)
	if err != nil {
		return main, err
	}
	l := &b.layout
	l.CodeStart = ^arch.Addr(0)
	for i := range b.p.elf.load {
		p := &b.p.elf.load[i]
		start, end := main.bias+arch.Addr(p.Vaddr), main.bias+arch.Addr(p.Vaddr+p.Filesz)
		l.CodeStart = min(l.CodeStart, start)
		l.DataStart = max(l.DataStart, start)
		if p.Flags&linux.PF_X != 0 {
			l.CodeEnd = max(l.CodeEnd, end)
		}
		l.DataEnd = max(l.DataEnd, end)
	}
	brk, _ := main.end.Up()
	if b.p.elf.header.Type == linux.ET_DYN && b.p.interp == nil {
		brk = b.pie // such a program lies among the libraries: no room to grow
	}
	brk += b.rnd(brkBits)
	l.Brk = arch.Range{Start: brk, End: brk}
	return main, nil
}

// mapImage maps the segments of im: where they say, or, if im can be anywhere,
// at at, or where mmap(2) likes if that is 0.
func (b *builder) mapImage(im *image, at arch.Addr) (placed, error) {
	span := im.span()
	pl := placed{}
	if im.header.Type == linux.ET_DYN {
		if at == 0 {
			var ok bool
			if at, ok = b.s.FreeRange(span.Len(), max(im.align, arch.PageSize)); !ok {
				return pl, linux.ENOMEM
			}
		}
		pl.bias = at - span.Start
	}
	if last := pl.bias + span.End; last > b.s.Top() || pl.bias+span.Start < b.s.Bottom() || last < pl.bias+span.Start {
		return pl, linux.ENOMEM
	}
	file, id, err := im.file.Map()
	if err != nil {
		return pl, err
	}
	if id != nil {
		defer id.DecRef()
	}
	if whole := im.whole(); whole.Filesz > 0 {
		if err := b.mapSegment(&whole, pl.bias, file, id); err != nil {
			return pl, err
		}
	}
	for i := range im.load {
		p := &im.load[i]
		if err := b.mapSegment(p, pl.bias, file, id); err != nil {
			return pl, err
		}
		pl.end = max(pl.end, pl.bias+arch.Addr(p.Vaddr+p.Memsz))
	}
	return pl, nil
}

// mapSegment maps one PT_LOAD: the file's part, and zeros behind it.
func (b *builder) mapSegment(p *linux.ElfProgram, bias arch.Addr, file mm.Mappable, id mm.Identity) error {
	start := bias + arch.Addr(p.Vaddr)
	fileEnd, memEnd := start+arch.Addr(p.Filesz), start+arch.Addr(p.Memsz)
	filePages, _ := fileEnd.Up()
	memPages, _ := memEnd.Up()
	rights := prot(p)
	if b.a.Personality&linux.READ_IMPLIES_EXEC != 0 && rights&linux.PROT_READ != 0 {
		rights |= linux.PROT_EXEC
	}
	if p.Filesz > 0 {
		if id != nil {
			id.IncRef()
		}
		_, err := b.s.MMap(mm.MMapOpts{
			Addr: start.Down(), Length: uint64(filePages - start.Down()), Prot: rights,
			Flags: linux.MAP_PRIVATE | linux.MAP_FIXED | linux.MAP_DENYWRITE, File: file, Identity: id,
			MaxProt: linux.PROT_READ | linux.PROT_EXEC, Offset: p.Offset - start.Offset(),
		})
		if err != nil {
			return err
		}
	} else {
		filePages = start.Down()
	}
	if memPages > filePages && p.Memsz > p.Filesz {
		_, err := b.s.MMap(mm.MMapOpts{
			Addr: filePages, Length: uint64(memPages - filePages), Prot: rights,
			Flags: linux.MAP_PRIVATE | linux.MAP_FIXED | linux.MAP_ANONYMOUS,
		})
		if err != nil {
			return err
		}
	}
	if p.Memsz > p.Filesz && p.Filesz > 0 && rights&linux.PROT_WRITE != 0 {
		// The rest of the last page is the file's next bytes. Programs count on
		// zeros up to the page's end: the dynamic linker's first heap is there.
		zero := filePages - fileEnd
		if _, err := b.s.CopyOut(fileEnd, make([]byte, zero)); err != nil {
			return err
		}
	}
	return nil
}
