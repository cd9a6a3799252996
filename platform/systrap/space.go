package systrap

import (
	"errors"
	"fmt"
	"slices"
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

	mu      sync.Mutex // held while a stub does the space's operations
	left    sync.Cond  // on mu: the queue was done, or a Context left the guest
	queue   stub.Queue
	riding  bool // operations went to the stub with the reply that let the guest run
	err     error
	pid     int     // its process; 0 when there is none (yet, or any more)
	vacant  *thread // the process's first thread, which has no Context yet
	files   files
	loose   loose
	threads map[*thread]*Context // those that have one
	used    []bool               // which indices have a region
	spare   []exited             // of threads that were told to exit
	stray   []int                // indices of regions that a forked process has still to unmap

	vacating bool // the process is being emptied, or has been, for another space: see reuse.go
}

var errNoStub = errors.New("systrap: address space has no process")

func newSpace(p *Platform) *space {
	s := &space{p: p, threads: map[*thread]*Context{}}
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

// Prefault implements platform.Prefaulter.
func (s *space) Prefault(r arch.Range) { s.add(stub.Op{Kind: stub.Prefault, Range: r}) }

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
	if !ok || c.space != s || c.thread == nil {
		return nil, errors.New("systrap: fork by a thread that is not in the address space")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.flushLocked(c.thread); err != nil {
		return nil, err
	}
	t, err := c.thread.fork(c.thread.region.index)
	if err != nil {
		return nil, s.brokenLocked(err)
	}
	n := newSpace(s.p)
	n.files, n.loose = s.files, s.loose.clone()
	n.take(t)
	for i, used := range s.used {
		if used && i != t.region.index {
			n.stray = append(n.stray, i)
		}
	}
	n.pending.Store(len(n.stray) > 0)
	return n, nil
}

// take makes t's process the space's.
func (s *space) take(t *thread) {
	s.pid, s.vacant = t.pid, t
	s.used = make([]bool, t.region.index+1)
	s.used[t.region.index] = true
	s.p.track(s)
}

// brokenLocked ends the space if err leaves its stub in no known state. A host
// that has no more processes or memory has refused, and no more.
func (s *space) brokenLocked(err error) error {
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOMEM) {
		return err
	}
	s.endLocked(err)
	return err
}

// An exited is what is left of a thread that was told to exit. If it has not,
// it may still write its region, so until the process's end that serves only
// the same process, and only when the host knows no such thread.
type exited struct {
	region region
	tid    int // or 0: it never began
}

// joinLocked prepares the process of t, its only thread so far, for others: it
// must not make solo calls any more, and none of its descendants.
func (s *space) joinLocked(t *thread) error {
	if t.threaded {
		return nil
	}
	err := t.do([]armed{
		{call: stub.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{stubSolo, arch.PageSize}}},
		{call: stub.Call{Nr: unix.SYS_MPROTECT, Args: [6]uint64{stubThreads, arch.PageSize, unix.PROT_READ | unix.PROT_EXEC}}},
	})
	if err == nil {
		t.threaded, t.region.page.threaded = true, 1
	}
	return err
}

// regionLocked is a region for a new thread: that of one that has exited, or a
// new one.
func (s *space) regionLocked() (region, error) {
	for i, e := range s.spare {
		if e.tid == 0 || unix.Tgkill(s.pid, e.tid, 0) == unix.ESRCH {
			s.p.verifier.gone(e.tid)
			s.spare = slices.Delete(s.spare, i, i+1)
			return e.region, nil
		}
	}
	index := slices.Index(s.used, false)
	if index < 0 {
		index = len(s.used)
	}
	if index >= maxThreads {
		return region{}, fmt.Errorf("systrap: too many threads: %w", unix.EAGAIN)
	}
	r, err := s.p.regions.get(index)
	if err == nil {
		if index == len(s.used) {
			s.used = append(s.used, false)
		}
		s.used[index] = true
	}
	return r, err
}

// Barrier implements platform.AddressSpace. A thread that is not in the guest
// can only enter it by doing what is queued, so with none inside there is
// nothing to wait for; with some inside, they are stopped, and the first does
// it. Only by's own thread can be made to prove what no verifier has seen (see
// loose): without by, that is the stub's word. A space that has died has no
// process that could reach anything, so that is no error.
func (s *space) Barrier(by platform.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := by.(*Context); ok && c != nil && c.space == s && c.thread != nil {
		c.putNames()
		if s.flushLocked(c.thread) == nil {
			s.proveLocked(c.thread)
		}
		return nil
	}
	s.waiters.Add(1)
	defer s.waiters.Add(-1)
	for s.err == nil && (len(s.queue) > 0 || s.riding) {
		inside := false
		for t, c := range s.threads {
			if c.inGuest.Load() {
				inside = true
				t.kick()
			}
		}
		if !inside {
			if err := s.queue.KeepFiles(); err != nil {
				s.endLocked(fmt.Errorf("systrap: %w", err))
			}
			break
		}
		s.left.Wait()
	}
	return nil
}

// proveLocked makes sure that what the guest was told to map and to unmap is so.
func (s *space) proveLocked(t *thread) {
	calls := s.loose.calls()
	for len(calls) > 0 && s.err == nil {
		n := min(len(calls), maxOps)
		if err := t.do(calls[:n]); err != nil {
			s.endLocked(err)
		}
		calls = calls[n:]
	}
	if s.err == nil {
		if err := t.prove(); err != nil {
			s.endLocked(err)
		}
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

// flushLocked makes t's stub do all that is queued. An error means that the
// space has been ended.
func (s *space) flushLocked(t *thread) error {
	for s.err == nil && (len(s.queue) > 0 || len(s.stray) > 0 || t.unnamed) {
		s.exchangeLocked(t)
	}
	s.flushedLocked()
	return s.err
}

// rideLocked is flushLocked, but leaves the last operations to the reply that
// lets t's guest run; the flags for it are returned. Only a process's only
// thread can do that: others would run before they are done, which does
// not matter of names.
func (s *space) rideLocked(t *thread) (flags uint32, err error) {
	if len(s.threads) != 1 || s.waiters.Load() > 0 || s.queue.Kept() {
		unnamed := t.unnamed
		t.unnamed = false
		if err := s.flushLocked(t); err != nil || !unnamed {
			return 0, err
		}
		t.arm([]armed{naming})
		return flagOps, nil
	}
	for s.err == nil {
		riding := len(s.queue)+len(s.stray) > 0
		calls, n := s.batchLocked(t)
		s.queue.Done(n)
		if len(s.queue)+len(s.stray) > 0 {
			if err := t.do(calls); err != nil {
				s.endLocked(err)
			}
			continue
		}
		if len(calls) > 0 {
			t.arm(calls)
			s.riding, flags = riding, flagOps
		}
		s.flushedLocked()
		return flags, nil
	}
	return 0, s.err
}

// exchangeLocked makes t's stub do a page of operations.
func (s *space) exchangeLocked(t *thread) {
	calls, n := s.batchLocked(t)
	if err := t.do(calls); err != nil {
		s.endLocked(err)
		return
	}
	s.queue.Done(n)
}

func (s *space) flushedLocked() {
	s.pending.Store(false)
	if s.waiters.Load() > 0 {
		s.left.Broadcast()
	}
}

// Settled implements platform.AddressSpace: a thread that is not in the guest does
// what is queued before it enters it. What rides with a reply may not be done yet: a busy
// host can keep the stub from it for long.
func (s *space) Settled() bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	if s.riding {
		return false
	}
	if !s.pending.Load() {
		return true
	}
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
	if len(s.threads) == 1 && !s.vacating {
		for t := range s.threads {
			s.retireLocked(t)
		}
		return
	}
	s.endLocked(errNoStub)
}

// endLocked ends the space's process, waits for its end, and makes every later
// use of the space fail with err.
func (s *space) endLocked(err error) {
	if s.err == nil {
		s.err = err
	}
	s.forgetLocked()
	if s.vacating {
		s.vacating = false
		s.p.mother.give(nil)
	}
	if s.pid == 0 {
		return
	}
	kill(s.pid)
	if s.vacant != nil {
		s.vacant.end(true)
		s.vacant.unref()
		s.vacant = nil
	}
	for t := range s.threads {
		t.end(true)
		t.unref()
	}
	for _, e := range s.spare {
		s.p.regions.put(e.region)
	}
	s.spare = nil
	s.goneLocked()
	s.p.verifier.reapLost()
}

// forgetLocked forgets what is still to be done.
func (s *space) forgetLocked() {
	s.queue.Done(len(s.queue))
	s.stray, s.loose, s.riding = nil, loose{}, false
	s.pending.Store(false)
}

// goneLocked is called when the space has no process any more.
func (s *space) goneLocked() {
	s.pid, s.used, s.files = 0, nil, files{}
	clear(s.threads)
	s.left.Broadcast()
	s.p.untrack(s)
}
