package ptrace

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/stub"
)

// A space is one stub process, once something has entered it.
type space struct {
	p *Platform

	// pending says that queue is not empty. A Context looks at it after it has
	// said that it is in the guest, and before it is.
	pending atomic.Bool

	// waiters counts Barriers that wait for Contexts to leave the guest.
	waiters atomic.Int32

	// others are the host threads that must be reaped before the first one's end can
	// be seen, while that does operations with mu held.
	others atomic.Pointer[[]int]

	mu      sync.Mutex // held while a tracee does the space's operations
	left    sync.Cond  // on mu: the queue was done, or a Context left the guest
	queue   stub.Queue
	err     error   // why the space is dead; nil while it lives
	stub    process // its process; pid 0 when there is none (yet, or any more)
	vacant  bool    // the process's first thread has no Context yet
	files   files
	threads map[int]*Context // by host thread id: those that are traced, or will be

	// forkedFrom is the Context whose floating-point state the stub's first
	// thread was born with, when it had made forkedAt Switches.
	forkedFrom *Context
	forkedAt   uint64
}

// A process is one with nothing of a guest in it, or a space's.
type process struct {
	pid  int
	slot slot
}

var errNoStub = errors.New("ptrace: address space has no process")

func newSpace(p *Platform) *space {
	s := &space{p: p, threads: map[int]*Context{}}
	s.left.L = &s.mu
	return s
}

// Map implements platform.AddressSpace.
func (s *space) Map(at arch.Addr, f platform.File, off, n uint64, access arch.Access) {
	s.add(stub.Op{Kind: stub.Map, Access: access, Range: arch.Range{Start: at, End: at + arch.Addr(n)}, File: f, Off: off})
}

// Unmap implements platform.AddressSpace.
func (s *space) Unmap(r arch.Range) { s.add(stub.Op{Kind: stub.Unmap, Range: r}) }

// Protect implements platform.AddressSpace.
func (s *space) Protect(r arch.Range, access arch.Access) {
	s.add(stub.Op{Kind: stub.Protect, Access: access, Range: r})
}

func (s *space) add(o stub.Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.queue.Add(o)
	s.pending.Store(len(s.queue) > 0)
}

// Fork implements platform.AddressSpace.
func (s *space) Fork(by platform.Context) (platform.AddressSpace, error) {
	c, ok := by.(*Context)
	if !ok || c.space != s {
		return nil, errors.New("ptrace: fork by a thread that is not in the address space")
	}
	if !c.attached {
		if err := c.attach(); err != nil {
			return nil, err
		}
	}
	if err := c.putFPU(); err != nil {
		return nil, c.fail(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.flushLocked(&c.thread); err != nil {
		return nil, err
	}
	sl, err := s.p.slots.get()
	if err != nil {
		return nil, err
	}
	s.mindLocked(&c.thread)
	pid, err := c.thread.clone(forkFlags, sl.offset())
	s.others.Store(nil)
	if err != nil {
		s.p.slots.put(sl)
		if errors.Is(err, errKilled) {
			s.endLocked(err)
		}
		return nil, err
	}
	n := newSpace(s.p)
	n.stub, n.vacant, n.files = process{pid, sl}, true, s.files
	n.forkedFrom, n.forkedAt = c, c.switches
	s.p.track(n)
	return n, nil
}

// Barrier implements platform.AddressSpace. A thread that is not in the guest
// can only enter it by doing what is queued, so with none inside there is
// nothing to wait for; with some inside, one is stopped and does it. A space
// that has died has no process that could reach anything, so that is no error.
func (s *space) Barrier(by platform.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := by.(*Context); ok && c != nil && c.space == s && c.attached {
		c.putNamesLocked()
		_ = s.flushLocked(&c.thread)
		return nil
	}
	s.waiters.Add(1)
	defer s.waiters.Add(-1)
	for s.err == nil && len(s.queue) > 0 {
		inside := false
		for _, c := range s.threads {
			if c.inGuest.Load() {
				inside = true
				c.kick()
			}
		}
		if !inside {
			s.keepFilesLocked()
			break
		}
		s.left.Wait()
	}
	return nil
}

// keepFilesLocked makes queued mappings independent of descriptors that the
// caller may close from now on.
func (s *space) keepFilesLocked() {
	if err := s.queue.KeepFiles(); err != nil {
		s.endLocked(fmt.Errorf("ptrace: %w", err))
	}
}

// leftGuest is called by a Context that has just come out of the guest.
func (s *space) leftGuest() {
	if s.waiters.Load() > 0 {
		s.mu.Lock()
		s.left.Broadcast()
		s.mu.Unlock()
	}
}

// Settled implements platform.AddressSpace: a thread that is not in the guest does
// what is queued before it enters it.
func (s *space) Settled() bool {
	if !s.pending.Load() {
		return true
	}
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	for _, c := range s.threads {
		if c.inGuest.Load() {
			return false
		}
	}
	return true
}

// Release implements platform.AddressSpace.
func (s *space) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(errNoStub)
}

// endLocked ends the space's process, waits for its end, and makes every later
// use of the space fail with err.
func (s *space) endLocked(err error) {
	if s.err == nil {
		s.err = err
	}
	s.queue.Done(len(s.queue))
	s.files = files{}
	s.pending.Store(false)
	if s.stub.pid == 0 {
		return
	}
	for _, c := range s.threads {
		c.forgetThread()
	}
	_ = unix.Kill(s.stub.pid, unix.SIGKILL)
	// The first thread can only be reaped when all others are.
	for tid := range s.threads {
		if tid != s.stub.pid {
			reap(tid)
		}
	}
	reap(s.stub.pid)
	s.p.slots.put(s.stub.slot)
	s.stub = process{}
	clear(s.threads)
	s.left.Broadcast()
	s.p.untrack(s)
}
