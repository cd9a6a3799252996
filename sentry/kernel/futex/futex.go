// Package futex is where tasks wait for a word of memory to change, futex(7):
// a hash table of waiters by key. It never touches the word itself.
//
// A waiter queues first and looks at the word then; a waker changes the word
// first and looks for waiters then: no wake-up is lost, and no lock is held
// while memory is read.
package futex

import (
	"sync/atomic"

	"garrison/sentry/list"
	"garrison/sentry/lock"
	"garrison/sentry/mm"
	"garrison/sentry/wait"
)

// A Key says which futex it is.
type Key = mm.FutexKey

// Any matches every bitset.
const Any = ^uint32(0)

const buckets = 256

// A Table is all futexes of one kernel. The zero Table is ready to use.
type Table struct {
	b [buckets]bucket
}

type bucket struct {
	mu      lock.Mutex[lock.Leaf]
	waiters list.List[*Waiter] // protected by mu
}

// A Waiter waits at one futex at a time. It is a wait.Object, ready once it
// has been woken. Its owner supplies the memory and may use it again after
// Dequeue.
type Waiter struct {
	// Owner is the waiter's thread id, for a priority-inheriting futex; else 0.
	Owner uint32

	place list.Elem[*Waiter]
	key   Key
	bits  uint32
	at    atomic.Pointer[bucket]     // where it queues; nil when it does not
	watch atomic.Pointer[wait.Watch] // who sleeps
	woken atomic.Bool
}

// Ready implements wait.Object.
func (w *Waiter) Ready(e wait.Events) wait.Events {
	if w.woken.Load() {
		return e & wait.Readable
	}
	return 0
}

// Watch implements wait.Object.
func (w *Waiter) Watch(x *wait.Watch) { w.watch.Store(x) }

// Unwatch implements wait.Object.
func (w *Waiter) Unwatch(*wait.Watch) { w.watch.Store(nil) }

// Woken reports whether w has been woken since Enqueue.
func (w *Waiter) Woken() bool { return w.woken.Load() }

func (w *Waiter) wake() {
	w.at.Store(nil)
	w.woken.Store(true)
	if x := w.watch.Load(); x != nil {
		x.To.Wake(x, wait.Readable)
	}
}

func (t *Table) of(k Key) *bucket { return &t.b[k.Hash()>>28%buckets] }

// Enqueue makes w wait at k for a wake with one of bits. The caller then looks
// at the word, and calls Dequeue if it is not as expected.
func (t *Table) Enqueue(w *Waiter, k Key, bits uint32) {
	w.key, w.bits = k, bits
	w.woken.Store(false)
	w.place.Value = w
	b := t.of(k)
	b.mu.Lock()
	w.at.Store(b)
	b.waiters.PushBack(&w.place)
	b.mu.Unlock()
}

// Dequeue ends w's wait and reports whether it was still waiting: if not, it
// has been woken.
func (t *Table) Dequeue(w *Waiter) bool {
	for {
		b := w.at.Load()
		if b == nil {
			return false
		}
		b.mu.Lock()
		if w.at.Load() == b { // else it was woken or moved meanwhile
			w.place.Remove()
			w.at.Store(nil)
			w.key = Key{}
			b.mu.Unlock()
			return true
		}
		b.mu.Unlock()
	}
}

// Wake wakes at most n waiters at k whose bits have one in common with bits, the
// longest waiting first, and returns their number.
func (t *Table) Wake(k Key, n int, bits uint32) int {
	b := t.of(k)
	b.mu.Lock()
	defer b.mu.Unlock()
	done := 0
	for w := range b.waiters.All() {
		if done >= n {
			break
		}
		if w.key == k && w.bits&bits != 0 {
			w.place.Remove()
			w.wake()
			done++
		}
	}
	return done
}

// Requeue wakes at most wake waiters at from and makes at most move others wait
// at to. It returns the numbers of both.
func (t *Table) Requeue(from, to Key, wake, move int) (woken, moved int) {
	a, b := t.of(from), t.of(to)
	unlock := lock.Two(&a.mu, &b.mu)
	defer unlock()
	for w := range a.waiters.All() {
		if w.key != from {
			continue
		}
		switch {
		case woken < wake:
			w.place.Remove()
			w.wake()
			woken++
		case moved < move:
			moved++
			if from == to {
				continue
			}
			w.place.Remove()
			w.key = to
			b.waiters.PushBack(&w.place)
			w.at.Store(b)
		default:
			return woken, moved
		}
	}
	return woken, moved
}

// First returns the owner of the waiter that has waited longest at k, 0 if none
// waits, and whether there are more.
func (t *Table) First(k Key) (owner uint32, more bool) {
	b := t.of(k)
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for w := range b.waiters.All() {
		if w.key != k || w.Owner == 0 {
			continue
		}
		if n++; n == 1 {
			owner = w.Owner
		} else {
			return owner, true
		}
	}
	return owner, false
}
