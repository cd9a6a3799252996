package mm

// A Companion is something that a process has as it has its memory: threads share
// it, fork and execve leave it behind. Close is called once, when the last user of
// the space has gone and before its mappings go.
type Companion interface{ Close() }

// Companion is the space's companion. If there is none it is what mk makes; nil if
// mk is nil. Only one kind is ever asked for (struct kioctx_table).
func (s *Space) Companion(mk func() Companion) Companion {
	if c := s.companion.Load(); c != nil {
		return *c
	}
	if mk == nil {
		return nil
	}
	made := mk()
	if s.companion.CompareAndSwap(nil, &made) {
		return made
	}
	return *s.companion.Load()
}
