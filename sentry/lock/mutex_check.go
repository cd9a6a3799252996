//go:build lockcheck

package lock

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
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

// held is what each goroutine holds, by its name. What is under a name is touched by its
// goroutine alone, and left to the next that is given the name: which no lock tells the race
// detector, and so the counters are atomic.
var held sync.Map

// A holding is how many locks of each rank a goroutine holds, and a bit for each rank of which
// it holds any.
type holding struct {
	of   [32]atomic.Int32
	some atomic.Uint32
}

func mine() *holding {
	v, ok := held.Load(self())
	if !ok {
		v, _ = held.LoadOrStore(self(), new(holding))
	}
	return v.(*holding)
}

// last is the latest rank of those held; -1 if there is none.
func (h *holding) last() int { return bits.Len32(h.some.Load()) - 1 }

// ranks is those held, for who is to be told of them.
func (h *holding) ranks() (out []int) {
	for r := range h.of {
		for range h.of[r].Load() {
			out = append(out, r)
		}
	}
	return out
}

func check[R Rank](peer bool) {
	var r R
	h := mine()
	if last := h.last(); last > r.rank() || last == r.rank() && !peer {
		panic(fmt.Sprintf("lock: took %T while holding ranks %v", r, h.ranks()))
	}
}

func took[R Rank]() {
	var r R
	h := mine()
	if h.of[r.rank()].Add(1) == 1 {
		h.some.Or(1 << r.rank())
	}
}

func gave[R Rank]() {
	var r R
	h := mine()
	if h.of[r.rank()].Load() == 0 {
		panic(fmt.Sprintf("lock: gave back %T, which this goroutine does not hold (%v)", r, h.ranks()))
	}
	if h.of[r.rank()].Add(-1) == 0 {
		h.some.And(^uint32(1 << r.rank()))
	}
}
