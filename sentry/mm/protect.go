package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// Protect is mprotect(2). Like Linux's it has done the first part of the range
// when it finds an error in the rest.
func (s *Space) Protect(a arch.Addr, n uint64, p linux.Prot) error {
	grows := p & (linux.PROT_GROWSDOWN | linux.PROT_GROWSUP)
	if p &^= grows; grows == linux.PROT_GROWSDOWN|linux.PROT_GROWSUP || a.Offset() != 0 {
		return linux.EINVAL
	}
	if n == 0 {
		return nil
	}
	r, ok := pages(a, n)
	if !ok || r.Len() == 0 {
		return linux.ENOMEM
	}
	if p&^(linux.PROT_READ|linux.PROT_WRITE|linux.PROT_EXEC|linux.PROT_SEM) != 0 {
		return linux.EINVAL
	}
	s.mu.Lock()
	defer s.unlock()
	s.claim(r)
	it := s.vmas.Find(r.Start)
	if !it.Ok() {
		return linux.ENOMEM
	}
	switch first := it.Range(); {
	case grows == linux.PROT_GROWSDOWN:
		if first.Start >= r.End {
			return linux.ENOMEM
		}
		if v := it.Value(); !v.is(vmGrowsDown) {
			return linux.EINVAL
		}
		r.Start = first.Start
	case first.Start > r.Start:
		return linux.ENOMEM
	case grows == linux.PROT_GROWSUP:
		return linux.EINVAL
	}
	for at := r.Start; at < r.End; {
		vr, v, ok := s.find(at)
		if !ok {
			return linux.ENOMEM
		}
		part := vr.Intersect(arch.Range{Start: at, End: r.End})
		if err := s.protectPart(part, vr, v, access(p)); err != nil {
			return err
		}
		at = part.End
	}
	return nil
}

// protectPart gives r, a part of mapping v at vr, the rights a.
func (s *Space) protectPart(r, vr arch.Range, v vma, a arch.Access) error {
	if v.is(vmSealed) {
		return linux.EPERM
	}
	if a&^v.max != 0 {
		return linux.EACCES
	}
	if s.denied(v.access, a) {
		return linux.EACCES
	}
	if v.access == a {
		return nil
	}
	old := v
	v.access = a
	if v.isData() && !old.isData() {
		if err := s.mayExpand(&v, r.Len()); err != nil && s.mayExpand(&old, r.Len()) == nil {
			return err
		}
		if err := s.mayCommit(&v, r.Len()); err != nil {
			return err
		}
	}
	if r != vr {
		if err := s.room(); err != nil {
			return err
		}
	}
	s.update(r, func(v *vma) { v.access = a })
	s.setRunAccess(r, &v)
	_, err := s.fill(r, vr, &v)
	if v.file() == nil {
		return err
	}
	return nil // what a file lacks is a fault later on
}
