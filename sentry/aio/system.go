// Package aio is the contexts of asynchronous I/O that io_setup(2) makes: the ring
// of completions in the guest's memory, and the requests that wait for a file to
// become ready. Reading and writing is done by who submits, as on Linux for files
// that are not opened with O_DIRECT.
package aio

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/mm"
)

// A System counts the requests that all contexts were made for, as
// /proc/sys/fs/aio-nr and aio-max-nr show. The zero System is ready to use.
type System struct {
	mu    lock.Mutex[lock.Leaf]
	nr    uint64 // protected by mu
	moved int64  // protected by mu: how far max is from its default
}

// defaultMax is the default of fs.aio-max-nr.
const defaultMax = 0x10000

// Nr is fs.aio-nr.
func (s *System) Nr() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nr
}

// Max is fs.aio-max-nr.
func (s *System) Max() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(defaultMax + s.moved)
}

// SetMax sets fs.aio-max-nr.
func (s *System) SetMax(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = int64(n) - defaultMax
}

// reserve counts n more requests: EAGAIN beyond the limit.
func (s *System) reserve(n uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nr+n > uint64(defaultMax+s.moved) {
		return linux.EAGAIN
	}
	s.nr += n
	return nil
}

func (s *System) release(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nr -= n
}

// A table is the contexts of one address space (struct kioctx_table).
type table struct {
	mu   lock.Mutex[lock.Leaf]
	byID map[uint32]*Context // protected by mu
}

var _ mm.Companion = (*table)(nil)

func newTable() mm.Companion { return &table{byID: map[uint32]*Context{}} }

// add gives c the lowest number that is free.
func (x *table) add(c *Context) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.byID[c.id] != nil {
		c.id++
	}
	x.byID[c.id] = c
}

// take removes c, and reports whether it was there.
func (x *table) take(c *Context) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byID[c.id] != c {
		return false
	}
	delete(x.byID, c.id)
	return true
}

// Close implements mm.Companion: exit_aio.
func (x *table) Close() {
	x.mu.Lock()
	all := x.byID
	x.byID = nil
	x.mu.Unlock()
	for _, c := range all {
		c.end()
	}
}

// Find is the context that is at addr of s, to whose ring number id belongs: nil if
// there is none.
func Find(s *mm.Space, addr arch.Addr, id uint32) *Context {
	x, _ := s.Companion(nil).(*table)
	if x == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.byID[id]; c != nil && c.addr == addr {
		return c
	}
	return nil
}
