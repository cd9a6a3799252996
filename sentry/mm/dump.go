package mm

import (
	"strings"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// A DumpRegion is a mapping as a core file has it.
type DumpRegion struct {
	Region
	// Size is how many bytes of it the file has, from its start on: all, the page
	// of an ELF header, or none.
	Size uint64
	// Held is the parts of those bytes that may hold something; the rest is zero, as
	// nobody has touched it.
	Held []arch.Range
}

// DumpRegions is the mappings in order with what a core file has of each, as f says
// (core(5)). Of memory that is shared, pages that s has never touched count as empty.
func (s *Space) DumpRegions(f linux.CoreFilter) []DumpRegion {
	var out []DumpRegion
	for _, r := range s.Regions(false) {
		if r.Start != vsyscall.Start {
			out = append(out, DumpRegion{Region: r})
		}
	}
	s.mu.RLock()
	for i := range out {
		if _, v, ok := s.find(out[i].Start); ok {
			s.dumpRegion(&out[i], &v, f)
		}
	}
	s.mu.RUnlock()
	for i := range out {
		x := &out[i]
		if x.Size == 0 && x.Offset == 0 && x.File && f&linux.CoreELFHeaders != 0 && x.Access&arch.Read != 0 && s.isELF(x.Start) {
			x.Size, x.Held = arch.PageSize, []arch.Range{{Start: x.Start, End: x.Start + arch.PageSize}}
		}
	}
	return out
}

func (s *Space) isELF(a arch.Addr) bool {
	var b [len(linux.ELFMAG)]byte
	n, _ := s.Forced().CopyIn(b[:], a)
	return n == len(b) && string(b[:]) == linux.ELFMAG
}

// dumpRegion decides what goes into the file of x, which is v's (vma_dump_size).
func (s *Space) dumpRegion(x *DumpRegion, v *vma, f linux.CoreFilter) {
	all := []arch.Range{x.Range}
	touched, owned := s.touched(x.Range)
	anon := v.file() == nil || isAnonymous(v.file()) || strings.HasSuffix(x.Name, " (deleted)")
	switch {
	case v.is(vmFixedSize): // the vDSO, but not the clocks behind it
		if x.Name == "[vdso]" {
			x.Size, x.Held = x.Len(), all
		}
	case v.is(vmDontDump):
	case v.is(vmShared) && anon:
		if f&linux.CoreAnonShared != 0 {
			x.Size, x.Held = x.Len(), touched
		}
	case v.is(vmShared):
		if f&linux.CoreFileShared != 0 {
			x.Size, x.Held = x.Len(), all
		}
	case v.file() == nil:
		if owned && f&linux.CoreAnonPrivate != 0 {
			x.Size, x.Held = x.Len(), touched
		}
	case owned && f&linux.CoreAnonPrivate != 0, f&linux.CoreFilePrivate != 0:
		x.Size, x.Held = x.Len(), all
	}
}

// touched is the parts of r that have memory, and whether some is s's own.
func (s *Space) touched(r arch.Range) (out []arch.Range, owned bool) {
	for rr, u := range s.runs.In(ivl(r)) {
		part := rng(rr).Intersect(r)
		out = append(out, part)
		owned = owned || u.owned
	}
	return out, owned
}
