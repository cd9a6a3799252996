package loader

import (
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
// if the host's vDSO can't be called.
func NewVDSO(facts platform.Facts, f *memfile.File) (*VDSO, error) {
	b, err := vdso.Image(facts)
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

// Pages implements mm.Mappable.
func (v *VDSO) Pages(off, n uint64, _ arch.Access) (mm.Pages, error) {
	if off >= v.pages.Len() {
		return mm.Pages{}, nil
	}
	return mm.Pages{Memory: v.memory, Off: v.pages.Start + off, Len: min(n, v.pages.Len()-off), Access: arch.Read | arch.Exec}, nil
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
