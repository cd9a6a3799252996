package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
)

// Lock is mlock(2), and mlock2(2) with onFault. canLock is CAP_IPC_LOCK.
// Locked memory is made present and counted; the sandbox's memory is not swapped
// by the sentry.
func (s *Space) Lock(a arch.Addr, n uint64, onFault, canLock bool) error {
	start, n := lockRange(a, n)
	s.mu.Lock()
	defer s.unlock()
	limit := s.limit(limits.MemLock)
	if !canLock && limit == 0 {
		return linux.EPERM
	}
	r := arch.Range{Start: start, End: start + arch.Addr(n)}
	if !canLock && s.count.locked+n-s.lockedIn(r) > limit&^arch.PageMask {
		return linux.ENOMEM
	}
	if r.End < r.Start {
		return linux.EINVAL
	}
	flags := vmLocked
	if onFault {
		flags |= vmLockOnFault
	}
	if err := s.setLocked(r, flags); err != nil {
		return err
	}
	if !onFault {
		if s.populate(r) != nil {
			return linux.ENOMEM
		}
	}
	return nil
}

// Unlock is munlock(2).
func (s *Space) Unlock(a arch.Addr, n uint64) error {
	start, n := lockRange(a, n)
	r := arch.Range{Start: start, End: start + arch.Addr(n)}
	if r.End < r.Start {
		return linux.EINVAL
	}
	s.mu.Lock()
	defer s.unlock()
	return s.setLocked(r, 0)
}

// lockRange is the pages of [a, a+n), which need not be aligned; a length that
// wraps is short, as on Linux.
func lockRange(a arch.Addr, n uint64) (start arch.Addr, bytes uint64) {
	return a.Down(), (n + a.Offset() + arch.PageMask) &^ arch.PageMask
}

// lockedIn is how many bytes of r are locked.
func (s *Space) lockedIn(r arch.Range) (n uint64) {
	for vr, v := range s.vmas.In(ivl(r)) {
		if v.is(vmLocked) {
			n += rng(vr).Intersect(r).Len()
		}
	}
	return n
}

// setLocked gives the mappings in r the flags; a hole is ENOMEM, after what is before it was done.
func (s *Space) setLocked(r arch.Range, flags vmaFlags) error {
	for at := r.Start; at < r.End; {
		vr, v, ok := s.find(at)
		if !ok {
			return linux.ENOMEM
		}
		part := vr.Intersect(arch.Range{Start: at, End: r.End})
		at = part.End
		if v.is(vmFixedSize) || v.flags&(vmLocked|vmLockOnFault) == flags {
			continue
		}
		if part != vr {
			if err := s.room(); err != nil {
				return err
			}
		}
		s.update(part, func(v *vma) { v.flags = v.flags&^(vmLocked|vmLockOnFault) | flags })
	}
	return nil
}

// LockAll is mlockall(2) with flags MCL_*; flags 0 is munlockall(2).
func (s *Space) LockAll(flags int, canLock bool) error {
	if flags&^(linux.MCL_CURRENT|linux.MCL_FUTURE|linux.MCL_ONFAULT) != 0 || flags == linux.MCL_ONFAULT {
		return linux.EINVAL
	}
	s.mu.Lock()
	defer s.unlock()
	all := arch.Range{End: ^arch.Addr(0)}
	if flags == 0 {
		s.lockAll = 0
		s.update(all, func(v *vma) { v.flags &^= vmLocked | vmLockOnFault })
		return nil
	}
	limit := s.limit(limits.MemLock)
	if !canLock && limit == 0 {
		return linux.EPERM
	}
	if !canLock && flags&linux.MCL_CURRENT != 0 && s.count.vm > limit&^arch.PageMask {
		return linux.ENOMEM
	}
	set := vmLocked
	if flags&linux.MCL_ONFAULT != 0 {
		set |= vmLockOnFault
	}
	s.lockAll = 0
	if flags&linux.MCL_FUTURE != 0 {
		s.lockAll = set
	}
	if flags&linux.MCL_CURRENT == 0 {
		return nil
	}
	s.update(all, func(v *vma) {
		if !v.is(vmFixedSize) {
			v.flags = v.flags&^vmLockOnFault | set
		}
	})
	if set&vmLockOnFault == 0 {
		var rs []arch.Range
		for r := range s.vmas.All() {
			rs = append(rs, rng(r))
		}
		for _, r := range rs {
			s.populate(r) //nolint:errcheck // as Linux: guard pages can't be
		}
	}
	return nil
}
