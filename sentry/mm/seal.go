package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// Seal is mseal(2): the mappings of the range can't be changed any more.
func (s *Space) Seal(a arch.Addr, n, flags uint64) error {
	if flags != 0 || a.Offset() != 0 {
		return linux.EINVAL
	}
	r, ok := pages(a, n)
	if !ok || n != 0 && r.Len() == 0 {
		return linux.EINVAL
	}
	if r.Len() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.unlock()
	if !s.vmas.Covered(ivl(r)) {
		return linux.ENOMEM
	}
	if err := s.room(); err != nil {
		return err
	}
	s.update(r, func(v *vma) { v.flags |= vmSealed })
	s.sealed = true
	return nil
}

// unsealed is EPERM if a mapping in r is sealed.
func (s *Space) unsealed(r arch.Range) error {
	if !s.sealed {
		return nil
	}
	for _, v := range s.vmas.In(ivl(r)) {
		if v.is(vmSealed) {
			return linux.EPERM
		}
	}
	return nil
}

// mayDiscard is EPERM for advice that would change what a sealed mapping, which
// the guest can't write, reads as.
func (v *vma) mayDiscard(advice linux.Advice) error {
	if !v.is(vmSealed) || v.file() != nil || v.access&arch.Write != 0 {
		return nil
	}
	switch advice {
	case linux.MADV_FREE, linux.MADV_DONTNEED, linux.MADV_DONTNEED_LOCKED, linux.MADV_REMOVE,
		linux.MADV_DONTFORK, linux.MADV_WIPEONFORK:
		return linux.EPERM
	}
	return nil
}

// RemapFilePages is remap_file_pages(2), as Linux emulates it: the range, a part
// of a shared mapping, shows the file from page pgoff on.
func (s *Space) RemapFilePages(a arch.Addr, n, pgoff uint64, f linux.MapFlags) error {
	a, n = a.Down(), n&^arch.PageMask
	r := arch.Range{Start: a, End: a + arch.Addr(n)}
	if r.End <= r.Start || pgoff+n>>arch.PageShift < pgoff {
		return linux.EINVAL
	}
	s.mu.RLock()
	_, v, ok := s.find(a)
	if !ok || !v.is(vmShared) || v.max&arch.Write == 0 || v.file() == nil || !s.oneFile(r, &v) {
		s.mu.RUnlock()
		return linux.EINVAL
	}
	p := v.part(arch.Range{}, arch.Range{})
	s.mu.RUnlock()
	o := MMapOpts{
		Addr: a, Length: n, Prot: linux.Prot(v.access), File: p.file, Identity: p.id, MaxProt: linux.Prot(v.max),
		Flags:  linux.MAP_SHARED | linux.MAP_FIXED | linux.MAP_POPULATE | f&linux.MAP_NONBLOCK,
		Offset: pgoff << arch.PageShift, CanLock: true,
	}
	if v.is(vmLocked) {
		o.Flags |= linux.MAP_LOCKED
	}
	_, err := s.MMap(o)
	return err
}

// oneFile reports whether all of r is mapped, and shows v's file with v's rights.
func (s *Space) oneFile(r arch.Range, v *vma) bool {
	for _, o := range s.vmas.In(ivl(r)) {
		if o.file() != v.file() || o.flags != v.flags {
			return false
		}
	}
	return s.vmas.Covered(ivl(r))
}
