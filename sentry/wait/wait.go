// Package wait connects objects that become ready with whoever waits for them.
package wait

import (
	"sync"

	"garrison/sentry/list"
)

// Events is a set of poll(2) events, with poll's numbers.
type Events uint32

// <asm-generic/poll.h>
const (
	In     Events = 0x001
	Pri    Events = 0x002
	Out    Events = 0x004
	Err    Events = 0x008
	Hup    Events = 0x010
	Nval   Events = 0x020
	RdNorm Events = 0x040
	RdBand Events = 0x080
	WrNorm Events = 0x100
	WrBand Events = 0x200
	Msg    Events = 0x400
	RdHup  Events = 0x2000

	// Readable and Writable are what a file that has data, or room, reports.
	Readable = In | RdNorm
	Writable = Out | WrNorm
	// Always is what poll reports whether or not it was asked for.
	Always = Err | Hup | Nval
)

// An Object can be waited for.
type Object interface {
	// Ready returns which of the events hold now.
	Ready(Events) Events
	// Watch begins to tell w.To of events; Unwatch ends it. A Watch is on at
	// most one Object at a time.
	Watch(w *Watch)
	Unwatch(w *Watch)
}

// A Watch is one waiter on one object. Its owner supplies the memory.
type Watch struct {
	list.Elem[*Watch]
	Mask Events
	To   Waker
	// Exclusive: of several such watches, one is told (EPOLLEXCLUSIVE).
	Exclusive bool
}

// A Waker is told of events. *kernel.Task and an epoll item are Wakers: types
// with names rather than closures, so that watches can be checkpointed. Wake
// may mark, enqueue and wake others; it never takes a ranked lock, never blocks.
type Waker interface{ Wake(*Watch, Events) }

// A Taker is a Waker that knows whether a wake-up reached somebody who waits. If
// not, the next exclusive watch is told as well.
type Taker interface{ Take(*Watch, Events) bool }

// A Sleeper is a Waker that runs at once, in the place of who wakes it, and that
// an event tells nothing else: a Queue calls its Wake, with no watch, when it is
// unlocked, perhaps after the watch has gone.
type Sleeper interface {
	Waker
	Sleeps()
}

// tell wakes w and reports whether w has taken an event for itself.
func (w *Watch) tell(e Events) bool {
	if !w.Exclusive {
		w.To.Wake(w, e)
		return false
	}
	if t, ok := w.To.(Taker); ok {
		return t.Take(w, e)
	}
	w.To.Wake(w, e)
	return true
}

// A Queue is the usual way to be an Object: embed it, add Ready, call Notify.
// The zero Queue is ready to use.
type Queue struct {
	mu sync.Mutex
	ws list.List[*Watch] // protected by mu
}

// Watch implements Object.
func (q *Queue) Watch(w *Watch) {
	w.Value = w
	q.mu.Lock()
	q.ws.PushBack(&w.Elem)
	q.mu.Unlock()
}

// Unwatch implements Object. w may not be on q at all.
func (q *Queue) Unwatch(w *Watch) {
	q.mu.Lock()
	if w.Linked() {
		w.Remove()
	}
	q.mu.Unlock()
}

// Notify wakes the watches that asked for any of e, or for which e is an error
// or a hang-up. Call it after the change, with no lock that Ready takes.
func (q *Queue) Notify(e Events) {
	var few [4]Sleeper
	sleepers := few[:0]
	q.mu.Lock()
	taken := false
	for w := range q.ws.All() {
		if (w.Mask|Always)&e == 0 || w.Exclusive && taken {
			continue
		}
		if s, ok := w.To.(Sleeper); ok {
			sleepers = append(sleepers, s)
			taken = taken || w.Exclusive
			continue
		}
		taken = w.tell(e) || taken
	}
	q.mu.Unlock()
	for _, s := range sleepers {
		s.Wake(nil, e)
	}
}

// NotifyOne is Notify for the first watch that it concerns.
func (q *Queue) NotifyOne(e Events) {
	q.mu.Lock()
	for w := range q.ws.All() {
		if (w.Mask|Always)&e == 0 {
			continue
		}
		s, ok := w.To.(Sleeper)
		if !ok {
			w.To.Wake(w, e)
			break
		}
		q.mu.Unlock()
		s.Wake(nil, e)
		return
	}
	q.mu.Unlock()
}

// Empty reports whether nobody watches. The answer may be old at once.
func (q *Queue) Empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ws.Empty()
}
