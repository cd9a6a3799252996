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
	BrkStart                               arch.Addr
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

// SetLayout replaces it. A changed BrkStart makes an empty heap there; a zero
// MMapBase leaves it as it is.
func (s *Space) SetLayout(l Layout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.MMapBase == 0 {
		l.MMapBase = s.layout.MMapBase
	}
	if l.BrkStart != s.layout.BrkStart {
		s.brk = arch.Range{Start: l.BrkStart, End: l.BrkStart}
	}
	l.Auxv = slices.Clone(l.Auxv)
	s.layout = l
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
	s.mu.Lock()
	defer s.unlock()
	if s.exe != nil {
		s.trash.ids = append(s.trash.ids, s.exe)
	}
	s.exe = f
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
