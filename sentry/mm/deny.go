package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// spaceFlags are the MMF_* of a space that prctl(2) sets.
type spaceFlags struct {
	deny  uint64 // PR_MDWE_*
	merge bool   // PR_SET_MEMORY_MERGE, which is remembered: no pages are merged here
}

// inherited is what a copy of the space, or that of its next program, begins with.
func (f spaceFlags) inherited() spaceFlags {
	if f.deny&linux.PR_MDWE_NO_INHERIT != 0 {
		f.deny = 0
	}
	return f
}

// DenyWriteExec is prctl(PR_SET_MDWE): from now on memory can't become executable
// that is not mapped so, and none can be both. EPERM if another choice was made before.
func (s *Space) DenyWriteExec(bits uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flags.deny != 0 && s.flags.deny != bits {
		return linux.EPERM
	}
	s.flags.deny = bits
	return nil
}

// WriteExecDenied is prctl(PR_GET_MDWE).
func (s *Space) WriteExecDenied() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.flags.deny
}

// SetMerge and Merge are prctl(PR_SET_MEMORY_MERGE).
func (s *Space) SetMerge(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flags.merge = on
}

// Merge is what SetMerge set.
func (s *Space) Merge() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.flags.merge
}

// Succeed gives s, a program's new space, what prctl(2) set for the program before.
func (s *Space) Succeed(old *Space) {
	old.mu.RLock()
	f := old.flags.inherited()
	old.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flags = f
}

// denied reports whether memory with access old may not have access a
// (map_deny_write_exec).
func (s *Space) denied(old, a arch.Access) bool {
	return s.flags.deny != 0 && a&arch.Exec != 0 && (a&arch.Write != 0 || old&arch.Exec == 0)
}
