package mm

import (
	"slices"

	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
)

// Layout is where execve(2) put things, which prctl(PR_SET_MM) changes.
type Layout struct {
	CodeStart, CodeEnd, DataStart, DataEnd arch.Addr
	Brk                                    arch.Range // the heap; its end is what brk(2) returns
	StackStart                             arch.Addr
	Args, Env                              arch.Range // the strings
	Auxv                                   []linux.AuxEntry
	VDSO                                   arch.Addr // AT_SYSINFO_EHDR, 0 if none
	MMapBase                               arch.Addr // mmap(2) chooses addresses below, if it can
}

// Layout is s's layout.
func (s *Space) Layout() Layout {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l := s.layout
	l.Auxv = slices.Clone(l.Auxv)
	return l
}

// SetLayout replaces it. A zero MMapBase leaves it as it is.
func (s *Space) SetLayout(l Layout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.MMapBase == 0 {
		l.MMapBase = s.layout.MMapBase
	}
	l.Auxv = slices.Clone(l.Auxv)
	s.layout = l
}

// CheckLayout says what ChangeLayout would, without doing it.
func (s *Space) CheckLayout(change func(*Layout)) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l := s.layout
	change(&l)
	return s.checkLayout(&l)
}

// ChangeLayout has change, called under locks, make changes: EINVAL if an address is
// none of a guest's, an end is before its start, or the data would be beyond its limit;
// EFAULT if nothing is mapped at or above below, unless that is 0.
func (s *Space) ChangeLayout(below arch.Addr, change func(*Layout)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.layout
	change(&l)
	if err := s.checkLayout(&l); err != nil {
		return err
	}
	if below != 0 && s.vmas.Empty(ivl(arch.Range{Start: below, End: s.top()})) {
		return linux.EFAULT
	}
	s.layout = l
	return nil
}

func (s *Space) checkLayout(l *Layout) error {
	for _, a := range []arch.Addr{l.CodeStart, l.CodeEnd, l.DataStart, l.DataEnd, l.Brk.Start, l.Brk.End,
		l.StackStart, l.Args.Start, l.Args.End, l.Env.Start, l.Env.End} {
		if a < s.bottom() || a >= s.top() {
			return linux.EINVAL
		}
	}
	if l.CodeStart >= l.CodeEnd || l.DataStart > l.DataEnd || l.Brk.Start > l.Brk.End ||
		l.Args.Start > l.Args.End || l.Env.Start > l.Env.End {
		return linux.EINVAL
	}
	if lim := s.limit(limits.Data); lim != limits.Infinity && l.Brk.Len()+uint64(l.DataEnd-l.DataStart) > lim {
		return linux.EINVAL
	}
	return nil
}

// SetAuxv replaces the first entries of the auxiliary vector.
func (s *Space) SetAuxv(first []linux.AuxEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := make([]linux.AuxEntry, max(len(first), len(s.layout.Auxv)))
	copy(v, s.layout.Auxv)
	copy(v, first)
	s.layout.Auxv = v
}

// Maps reports whether a mapping shows a file of which is says so, under locks.
func (s *Space) Maps(is func(Identity) bool) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, v := range s.vmas.All() {
		if v.shown != nil && v.shown.id != nil && is(v.shown.id) {
			return true
		}
	}
	return false
}

// Top is the end of the addresses a guest can have (TASK_SIZE).
func (s *Space) Top() arch.Addr { return s.top() }

// Bottom is the lowest address that a guest can map.
func (s *Space) Bottom() arch.Addr { return s.bottom() }

// Executable is the file being executed (/proc/pid/exe), with a new reference;
// nil if there is none.
func (s *Space) Executable() Identity {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.exe != nil {
		s.exe.IncRef()
	}
	return s.exe
}

// SetExecutable replaces it; the reference passes to s.
func (s *Space) SetExecutable(f Identity) {
	var name MappedName
	if f != nil {
		name = f.MappedName()
	}
	s.mu.Lock()
	defer s.unlock()
	if s.exe != nil {
		s.trash.ids = append(s.trash.ids, s.exe)
	}
	s.exe = f
	s.mem.program = name.Dev<<32 ^ name.Ino
}

// SetName names anonymous memory: prctl(PR_SET_VMA_ANON_NAME). The empty name is none.
func (s *Space) SetName(a arch.Addr, n uint64, name string) error {
	if a.Offset() != 0 {
		return linux.EINVAL
	}
	r, ok := pages(a, n)
	if !ok || n != 0 && r.Len() == 0 {
		return linux.EINVAL
	}
	s.mu.Lock()
	defer s.unlock()
	if name != "" {
		name = "[anon:" + name + "]"
	}
	hole := !s.vmas.Covered(ivl(r))
	for vr, v := range s.vmas.In(ivl(r)) {
		if v.shown != nil && vr.Start < r.End {
			return linux.EBADF
		}
	}
	if r.Len() > 0 {
		s.update(r, func(v *vma) { v.name = name })
	}
	if hole {
		return linux.ENOMEM
	}
	return nil
}

// Limit is the resource limit k that applies to s.
func (s *Space) Limit(k limits.Kind) uint64 { return s.limit(k) }

// FreeRange finds n free bytes where mmap(2) would, at a multiple of align, a
// power of two.
func (s *Space) FreeRange(n, align uint64) (arch.Addr, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a, ok := s.freeRange(n + align - arch.PageSize)
	return (a + arch.Addr(align-1)) &^ arch.Addr(align-1), ok
}
