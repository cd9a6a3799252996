package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/limits"
)

// Brk is brk(2): it moves the program break to a if that can be done, and
// returns the break.
func (s *Space) Brk(a arch.Addr, canLock bool) arch.Addr {
	s.mu.Lock()
	defer s.unlock()
	if a < s.layout.Brk.Start || s.layout.Brk.Start == 0 {
		return s.layout.Brk.End
	}
	data := uint64(s.layout.DataEnd - s.layout.DataStart)
	if lim := s.limit(limits.Data); lim != limits.Infinity && uint64(a-s.layout.Brk.Start)+data > lim {
		return s.layout.Brk.End
	}
	oldEnd, _ := s.layout.Brk.End.Up()
	newEnd, ok := a.Up()
	switch {
	case !ok:
		return s.layout.Brk.End
	case newEnd < oldEnd:
		s.claim(arch.Range{Start: newEnd, End: oldEnd})
		if s.unmap(arch.Range{Start: newEnd, End: oldEnd}) != nil {
			return s.layout.Brk.End
		}
	case newEnd > oldEnd:
		if !s.growHeap(arch.Range{Start: oldEnd, End: newEnd}, canLock) {
			return s.layout.Brk.End
		}
	}
	s.layout.Brk.End = a
	return a
}

// growHeap maps r, the new part of the heap, if that may be.
func (s *Space) growHeap(r arch.Range, canLock bool) bool {
	apart := arch.Range{Start: r.Start, End: r.End + arch.PageSize}
	v := vma{access: arch.Read | arch.Write, max: allAccess, flags: s.lockAll}
	if apart.End < apart.Start || !s.user(r) || !s.clear(apart) || s.room() != nil ||
		s.mayExpand(&v, r.Len()) != nil || s.mayCommit(&v, r.Len()) != nil ||
		v.is(vmLocked) && s.mayLock(r.Len(), canLock) != nil {
		return false
	}
	if s.insertVMA(r, v) != nil {
		return false
	}
	if _, err := s.fill(r, r, &v); err != nil {
		s.dropVMAs(r)
		return false
	}
	if v.flags&(vmLocked|vmLockOnFault) == vmLocked {
		s.populate(r) //nolint:errcheck // as Linux
	}
	return true
}
