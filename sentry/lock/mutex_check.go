//go:build lockcheck

package lock

import (
	"fmt"
	"slices"
	"sync"
)

// Mutex is a sync.Mutex with a place in the order, checked.
type Mutex[R Rank] struct{ mu sync.Mutex }

// Lock locks m; it panics if a lock of the same or a later rank is held.
func (m *Mutex[R]) Lock()     { check[R](false); m.mu.Lock(); took[R]() }
func (m *Mutex[R]) lockPeer() { check[R](true); m.mu.Lock(); took[R]() }

// TryLock locks m if that needs no wait, in any order: it can't deadlock.
func (m *Mutex[R]) TryLock() bool {
	ok := m.mu.TryLock()
	if ok {
		took[R]()
	}
	return ok
}

// Unlock unlocks m, in the goroutine that locked it.
func (m *Mutex[R]) Unlock() { gave[R](); m.mu.Unlock() }

// RWMutex is a sync.RWMutex with a place in the order, checked. A reader counts
// as a holder: taken twice by one goroutine it may deadlock with a writer.
type RWMutex[R Rank] struct{ mu sync.RWMutex }

// Lock locks m for writing.
func (m *RWMutex[R]) Lock() { check[R](false); m.mu.Lock(); took[R]() }

// TryLock locks m for writing if that needs no wait, in any order.
func (m *RWMutex[R]) TryLock() bool {
	ok := m.mu.TryLock()
	if ok {
		took[R]()
	}
	return ok
}

// Unlock undoes Lock.
func (m *RWMutex[R]) Unlock() { gave[R](); m.mu.Unlock() }

// RLock locks m for reading.
func (m *RWMutex[R]) RLock() { check[R](false); m.mu.RLock(); took[R]() }

// RUnlock undoes RLock.
func (m *RWMutex[R]) RUnlock() { gave[R](); m.mu.RUnlock() }

// self is where the runtime keeps what it knows of this goroutine: a name that it
// alone has while it lives, for the price of one load. (runtime.Stack tells its
// number, but walks the whole stack for that, at each lock.)
func self() uintptr

// held is the ranks that each goroutine holds, by its name. What is under a name is
// touched by its goroutine alone, and left to the next that is given the name.
var held sync.Map

func ranks() *[]int {
	v, ok := held.Load(self())
	if !ok {
		v, _ = held.LoadOrStore(self(), new([]int))
	}
	return v.(*[]int)
}

func check[R Rank](peer bool) {
	var r R
	if h := *ranks(); len(h) > 0 && (slices.Max(h) > r.rank() || slices.Max(h) == r.rank() && !peer) {
		panic(fmt.Sprintf("lock: took %T while holding ranks %v", r, h))
	}
}

func took[R Rank]() {
	var r R
	h := ranks()
	*h = append(*h, r.rank())
}

func gave[R Rank]() {
	var r R
	h := ranks()
	i := slices.Index(*h, r.rank())
	if i < 0 {
		panic(fmt.Sprintf("lock: gave back %T, which this goroutine does not hold (%v)", r, *h))
	}
	*h = slices.Delete(*h, i, i+1)
}
