package loader

import (
	"slices"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/loader/vdso"
	"garrison/sentry/memfile"
	"garrison/sentry/mm"
)

// A VDSO is the vDSO of one container: pages of its page file, the same for all
// its programs.
type VDSO struct {
	mm.MappingSet
	memory *memfile.File
	pages  memfile.Range
}

// NewVDSO puts the vDSO for guests of a platform with these facts in f. It is nil
// if the host's vDSO can't be called. With calling it asks the kernel for the time, for
// clocks that are not the host's.
func NewVDSO(facts platform.Facts, f *memfile.File, calling bool) (*VDSO, error) {
	b, err := vdso.Image(facts, calling)
	if err != nil || b == nil {
		return nil, err
	}
	r, err := f.NewPool().Alloc(uint64(len(b)))
	if err != nil {
		return nil, err
	}
	if n, ok := memfile.Copy(f.Bytes(r.Start, r.Len()), b); !ok || n < len(b) {
		f.DecRef(r)
		return nil, linux.ENOMEM
	}
	return &VDSO{memory: f, pages: r}, nil
}

// Close gives up the pages of v, which no program has mapped any more. A nil v has none.
func (v *VDSO) Close() {
	if v != nil {
		v.memory.DecRef(v.pages)
	}
}

// Pages implements mm.Mappable.
func (v *VDSO) Pages(off, n uint64, _ arch.Access) (mm.Pages, error) {
	if off >= v.pages.Len() {
		return mm.Pages{}, nil
	}
	return mm.Pages{Memory: v.memory, Off: v.pages.Start + off, Len: min(n, v.pages.Len()-off), Access: arch.Read | arch.Exec}, nil
}

// Replace maps v where s has another vDSO, of the same functions at the same places; it
// does nothing if s has none any more.
func (v *VDSO) Replace(s *mm.Space) error {
	at := s.Layout().VDSO
	if !slices.ContainsFunc(s.Regions(false), func(r mm.Region) bool { return r.Start == at && r.Name == "[vdso]" }) {
		return nil
	}
	_, err := s.MMap(mm.MMapOpts{
		Addr: at, Length: v.pages.Len(), Prot: linux.PROT_READ | linux.PROT_EXEC, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED,
		File: v, MaxProt: linux.PROT_READ | linux.PROT_EXEC, Name: "[vdso]", FixedSize: true,
	})
	return err
}

// mapVDSO maps the vDSO, if there is one.
func (b *builder) mapVDSO() error {
	v := b.a.VDSO
	if v == nil {
		return nil
	}
	at, err := b.s.MMap(mm.MMapOpts{
		Length: v.pages.Len(), Prot: linux.PROT_READ | linux.PROT_EXEC, Flags: linux.MAP_PRIVATE,
		File: v, MaxProt: linux.PROT_READ | linux.PROT_EXEC, Name: "[vdso]", FixedSize: true,
	})
	b.layout.VDSO = at
	return err
}
