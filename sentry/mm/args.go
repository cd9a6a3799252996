package mm

import (
	"bytes"

	"garrison/platform/arch"
)

// Arguments is what /proc/pid/cmdline shows: the strings that the program was started
// with, as they are now, each with its 0. One that has written over their end
// (setproctitle(3)) is shown with one string, which may go on into the environment.
// They end after most bytes, or where memory can't be read.
func (s *Space) Arguments(most int) []byte {
	s.mu.RLock()
	at, env := s.layout.Args, s.layout.Env
	s.mu.RUnlock()
	args := s.strings(at, most)
	if len(args) == 0 || args[len(args)-1] == 0 {
		return args
	}
	if env.Start == at.End {
		args = append(args, s.strings(env, most-len(args))...)
	}
	if i := bytes.IndexByte(args, 0); i >= 0 {
		args = args[:i+1]
	}
	return args
}

// Environment is what /proc/pid/environ shows, no more than most bytes.
func (s *Space) Environment(most int) []byte {
	s.mu.RLock()
	at := s.layout.Env
	s.mu.RUnlock()
	return s.strings(at, most)
}

func (s *Space) strings(r arch.Range, most int) []byte {
	b := make([]byte, min(r.Len(), uint64(most)))
	n, _ := s.Forced().CopyIn(b, r.Start)
	return b[:n]
}
