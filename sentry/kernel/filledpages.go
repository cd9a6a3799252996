package kernel

import (
	"sync"

	"garrison/sentry/mm"
)

// filledPages is the page faults of a process that the host has answered alone. They
// are looked for when somebody asks, and at a program's end.
type filledPages struct {
	mu     sync.Mutex
	of     *mm.Space // whose pages count; nil while the address space is the parent's
	now    int64     // the most that it was seen to have
	before int64     // what programs had that execve(2) replaced
}

func (f *filledPages) total() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.before + f.now
}

// begin says that the process has got an address space of its own.
func (f *filledPages) begin(s *mm.Space) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of, f.before, f.now = s, f.before+f.now, 0
}

// saw says that s has had n such pages. Who has looked at another process may come with
// what that had before its execve(2).
func (f *filledPages) saw(s *mm.Space, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s == f.of {
		f.now = max(f.now, n)
	}
}
