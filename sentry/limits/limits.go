// Package limits is resource limits: getrlimit(2).
package limits

import "garrison/sentry/lock"

// A Kind is a resource, with Linux's numbers (<asm-generic/resource.h>).
type Kind int

// Resources.
const (
	CPU Kind = iota
	FSize
	Data
	Stack
	Core
	RSS
	NProc
	NOFile
	MemLock
	AS
	Locks
	SigPending
	MsgQueue
	Nice
	RTPrio
	RTTime

	Count
)

// Infinity is no limit.
const Infinity = ^uint64(0)

// A Limit is struct rlimit64: what holds, and what it may be raised to.
type Limit struct{ Cur, Max uint64 }

// A Set is the limits of one process, shared by its threads. Its methods may
// be called at the same time.
type Set struct {
	mu lock.Mutex[lock.Leaf]
	l  [Count]Limit // protected by mu
}

// NewSet returns the limits that Linux gives its first process.
func NewSet() *Set {
	s := &Set{}
	for k := range s.l {
		s.l[k] = Limit{Infinity, Infinity}
	}
	s.l[Stack].Cur = 8 << 20
	s.l[Core].Cur = 0
	s.l[NOFile] = Limit{1024, 1 << 20}
	s.l[MemLock] = Limit{8 << 20, 8 << 20}
	s.l[SigPending] = Limit{95000, 95000}
	s.l[NProc] = Limit{95000, 95000}
	s.l[MsgQueue] = Limit{819200, 819200}
	s.l[Nice], s.l[RTPrio] = Limit{}, Limit{}
	return s
}

// Get is the limit on k.
func (s *Set) Get(k Kind) Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.l[k]
}

// Cur is the limit on k that holds now.
func (s *Set) Cur(k Kind) uint64 { return s.Get(k).Cur }

// Set changes the limit on k. The caller has checked that it may.
func (s *Set) Set(k Kind, l Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.l[k] = l
}

// Advance makes what holds of k cur, unless the limit is no longer l.
func (s *Set) Advance(k Kind, l Limit, cur uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l[k] == l {
		s.l[k].Cur = cur
	}
}

// Clone is a copy, for a new process.
func (s *Set) Clone() *Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Set{l: s.l}
}
