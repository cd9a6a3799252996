package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// RemapOpts are the arguments of Remap.
type RemapOpts struct {
	Addr     arch.Addr
	Old, New uint64 // bytes; rounded up to pages
	Flags    linux.RemapFlags
	To       arch.Addr // with MREMAP_FIXED; else a hint
	CanLock  bool      // CAP_IPC_LOCK: RLIMIT_MEMLOCK does not count
}

// Remap is mremap(2); it returns the new address.
func (s *Space) Remap(o RemapOpts) (arch.Addr, error) {
	a, oldLen, newLen, f := o.Addr, o.Old, o.New, o.Flags
	if f&^(linux.MREMAP_FIXED|linux.MREMAP_MAYMOVE|linux.MREMAP_DONTUNMAP) != 0 ||
		f&linux.MREMAP_FIXED != 0 && f&linux.MREMAP_MAYMOVE == 0 ||
		f&linux.MREMAP_DONTUNMAP != 0 && (f&linux.MREMAP_MAYMOVE == 0 || oldLen != newLen) ||
		a.Offset() != 0 {
		return 0, linux.EINVAL
	}
	oldLen, newLen = (oldLen+arch.PageMask)&^arch.PageMask, (newLen+arch.PageMask)&^arch.PageMask
	if newLen == 0 || newLen > uint64(s.top()) {
		return 0, linux.EINVAL
	}
	m := remap{s: s, old: arch.Range{Start: a, End: a + arch.Addr(oldLen)}, n: newLen, flags: f, canLock: o.CanLock}
	s.mu.Lock()
	defer s.unlock()
	s.claim(m.old)
	s.unpatchIn(m.old) // the text may get another distance from its trampoline
	var ok bool
	if m.vr, m.v, ok = s.find(a); !ok {
		return 0, linux.EFAULT
	}
	if m.v.is(vmSealed) {
		return 0, linux.EPERM
	}
	if f&(linux.MREMAP_FIXED|linux.MREMAP_DONTUNMAP) != 0 {
		return m.moveTo(o.To)
	}
	if oldLen >= newLen {
		if oldLen == newLen {
			return a, nil
		}
		return a, s.unmap(arch.Range{Start: a + arch.Addr(newLen), End: m.old.End})
	}
	if err := m.check(); err != nil {
		return 0, err
	}
	if m.old.End == m.vr.End && oldLen != 0 && m.expand() {
		return a, nil
	}
	if f&linux.MREMAP_MAYMOVE == 0 {
		return 0, linux.ENOMEM
	}
	at, ok := s.freeRange(newLen)
	if !ok {
		return 0, linux.ENOMEM
	}
	return m.move(at)
}

// A remap is one mremap(2) under way: old, a part of v at vr, becomes n bytes long.
type remap struct {
	s       *Space
	old, vr arch.Range
	v       vma
	n       uint64
	flags   linux.RemapFlags
	canLock bool
}

// check says whether the mapping may become what was asked for (vma_to_resize).
func (m *remap) check() error {
	old := m.old.Len()
	switch {
	case old == 0 && !m.v.is(vmShared):
		return linux.EINVAL
	case m.v.is(vmFixedSize) && m.flags&linux.MREMAP_DONTUNMAP != 0:
		return linux.EINVAL
	case m.old.End > m.vr.End || m.old.End < m.old.Start:
		return linux.EFAULT
	case old == m.n:
		return nil
	case m.v.is(vmFixedSize):
		return linux.EFAULT
	}
	off := m.v.off + uint64(m.old.Start-m.vr.Start)
	if m.v.shown != nil && off+m.n < off {
		return linux.EINVAL
	}
	if m.v.is(vmLocked) {
		if err := m.s.mayLock(m.n-old, m.canLock); err != nil {
			return err
		}
	}
	if err := m.s.mayExpand(&m.v, m.n-old); err != nil {
		return err
	}
	return m.s.mayCommit(&m.v, m.n-old)
}

// expand makes the mapping longer where it is, if there is room behind it.
func (m *remap) expand() bool {
	s := m.s
	more := arch.Range{Start: m.old.End, End: m.old.Start + arch.Addr(m.n)}
	if more.End < more.Start || !s.user(more) || !s.clear(more) {
		return false
	}
	v := m.v
	if v.shown != nil {
		v.off += uint64(more.Start - m.vr.Start)
	}
	if s.insertVMA(more, v) != nil {
		return false
	}
	s.fill(more, more, &v) //nolint:errcheck // what is missing faults
	if v.flags&(vmLocked|vmLockOnFault) == vmLocked {
		s.populate(more) //nolint:errcheck // as Linux
	}
	return true
}

// moveTo is mremap(2) with MREMAP_FIXED or MREMAP_DONTUNMAP.
func (m *remap) moveTo(to arch.Addr) (arch.Addr, error) {
	s := m.s
	if to.Offset() != 0 || m.n > uint64(s.top()) || to > s.top()-arch.Addr(m.n) {
		return 0, linux.EINVAL
	}
	dst := arch.Range{Start: to, End: to + arch.Addr(m.n)}
	if m.flags&linux.MREMAP_FIXED != 0 && m.old.Overlaps(dst) {
		return 0, linux.EINVAL
	}
	if err := s.room(); err != nil {
		return 0, err
	}
	if m.flags&linux.MREMAP_FIXED != 0 {
		if to < s.bottom() {
			return 0, linux.EPERM
		}
		if !s.user(dst) {
			return 0, linux.ENOMEM
		}
		s.claim(dst)
		if err := s.unmap(dst); err != nil {
			return 0, err
		}
	}
	if m.old.Len() > m.n {
		if err := s.unmap(arch.Range{Start: m.old.Start + arch.Addr(m.n), End: m.old.End}); err != nil {
			return 0, err
		}
		m.old.End = m.old.Start + arch.Addr(m.n)
		m.vr, m.v, _ = s.find(m.old.Start)
	}
	if err := m.check(); err != nil {
		return 0, err
	}
	if m.flags&linux.MREMAP_DONTUNMAP != 0 {
		if err := s.mayExpand(&m.v, m.n); err != nil {
			return 0, err
		}
	}
	if m.flags&linux.MREMAP_FIXED == 0 {
		o := MMapOpts{Addr: to}
		r, err := s.chooseRange(&o, m.n)
		if err != nil {
			return 0, err
		}
		to = r.Start
	}
	return m.move(to)
}

// move moves the mapping to to, where n bytes are free (move_vma).
func (m *remap) move(to arch.Addr) (arch.Addr, error) {
	s := m.s
	if err := s.room(); err != nil {
		return 0, err
	}
	dst := arch.Range{Start: to, End: to + arch.Addr(m.n)}
	v := m.v
	if v.shown != nil {
		v.off += uint64(m.old.Start - m.vr.Start)
	}
	if err := s.insertVMA(dst, v); err != nil {
		return 0, err
	}
	if m.old.Len() > 0 {
		s.moveRuns(m.old, to)
		if m.flags&linux.MREMAP_DONTUNMAP == 0 {
			s.dropVMAs(m.old)
		} else if v.is(vmLocked) {
			s.update(m.old, func(v *vma) { v.flags &^= vmLocked | vmLockOnFault })
		}
	}
	s.fill(dst, dst, &v) //nolint:errcheck // what is missing faults
	if v.flags&(vmLocked|vmLockOnFault) == vmLocked {
		s.populate(dst) //nolint:errcheck // as Linux
	}
	return to, nil
}

// moveRuns makes what is mapped at old appear at to instead.
func (s *Space) moveRuns(old arch.Range, to arch.Addr) {
	if s.runs.Empty(ivl(old)) {
		return
	}
	s.changes++
	s.unmapping(old)
	s.ops.unmap(s, old)
	s.tlb.flush(old)
	type moved struct {
		r arch.Range
		x run
	}
	var all []moved
	s.runs.Remove(ivl(old), func(r span, x run) {
		start := to + (r.Start - old.Start)
		all = append(all, moved{arch.Range{Start: start, End: start + r.Len()}, x})
	})
	for _, m := range all {
		s.runs.Insert(ivl(m.r), m.x)
		s.ops.mapRun(s, m.r, m.x)
	}
}
