// Package epoll is epoll(7): files that are watched together. An item that may have
// become ready is put on its epoll's list by whoever tells of the event, at constant
// cost; epoll_wait(2) asks only what is on the list. No event is lost: what tells
// comes after the change, and what asks takes the item off the list first.
//
// Locks: Epoll.mu guards the set of items. Epoll.list.mu guards the list and each item's changing part; it is
// taken inside the queues of files and holds no other but another queue's.
package epoll

import (
	"fmt"
	"strings"
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/list"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// An Epoll is an epoll instance. Its Queue is for those who poll it, other instances
// included.
type Epoll struct {
	wait.Queue
	list readyList

	mu    lock.Mutex[lock.Epoll]
	items map[key]*item // protected by mu
	added uint64        // protected by mu: how many there have been

	parents, children map[*Epoll]int // protected by nesting
}

// A key is what an item is found by: the same file may be there under two numbers.
type key struct {
	fd   vfs.FD
	file *vfs.FileDescription
}

// An item is one file in an epoll instance.
type item struct {
	wait.Watch
	key
	ep     *Epoll
	object wait.Object // what is asked and watched
	nested *Epoll      // the file, if it is one
	nth    uint64      // in the order in which they were added
	place  list.Elem[*item]

	// Protected by ep.list.mu:

	events   uint32 // asked for, with EPOLLET and the like; without events it is disabled
	data     [2]uint32
	dead     bool // removed
	checking bool // off the list, being asked
	again    bool // told of an event while checking
}

// readyList is the items that may be ready, in the order they became so.
type readyList struct {
	mu    sync.Mutex
	items list.List[*item] // protected by mu
	count int              // protected by mu: of items

	// sleepers is who waits in epoll_wait: they are woken one at a time.
	sleepers wait.Queue
}

// New returns an epoll instance without items.
func New() *Epoll { return &Epoll{items: map[key]*item{}} }

// Len is how many files are watched: no more events can be there at a time.
func (ep *Epoll) Len() int {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	return len(ep.items)
}

var (
	_ vfs.File      = (*Epoll)(nil)
	_ vfs.Streamer  = (*Epoll)(nil)
	_ vfs.Seeker    = (*Epoll)(nil)
	_ vfs.FDInfoer  = (*Epoll)(nil)
	_ vfs.CloseHook = (*Epoll)(nil)
	_ wait.Object   = (*Epoll)(nil)
	_ wait.Taker    = (*item)(nil)
)

// flags are the bits of an item's events that are no events.
const flags = uint32(linux.EPOLLEXCLUSIVE | linux.EPOLLWAKEUP | linux.EPOLLONESHOT | linux.EPOLLET)

// mask is the events that it asks for, those that need no asking included.
func (it *item) mask() wait.Events {
	if it.events&^flags == 0 {
		return 0
	}
	return wait.Events(it.events&^flags) | wait.Err | wait.Hup
}

// Wake implements wait.Waker.
func (it *item) Wake(w *wait.Watch, e wait.Events) { it.Take(w, e) }

// Take implements wait.Taker: it puts the item on the list, and reports whether
// somebody waits for it.
func (it *item) Take(_ *wait.Watch, e wait.Events) bool {
	l := &it.ep.list
	l.mu.Lock()
	if it.dead || e&it.mask() == 0 {
		l.mu.Unlock()
		return false
	}
	it.enqueue()
	l.mu.Unlock()
	woke := !l.sleepers.Empty()
	l.sleepers.NotifyOne(wait.Readable)
	it.ep.Notify(wait.Readable)
	return woke
}

// enqueue puts the item on the list, or notes that it has to be asked once more.
// list.mu is held.
func (it *item) enqueue() {
	switch {
	case it.checking:
		it.again = true
	case !it.place.Linked():
		it.ep.list.push(it, false)
	}
}

func (l *readyList) push(it *item, front bool) {
	it.place.Value = it
	if front {
		l.items.PushFront(&it.place)
	} else {
		l.items.PushBack(&it.place)
	}
	l.count++
}

func (l *readyList) remove(it *item) {
	it.place.Remove()
	l.count--
}

// check takes it off the list and asks it. list.mu is held, but not while asking;
// ok is false if the item has gone meanwhile.
func (l *readyList) check(it *item) (r wait.Events, ok bool) {
	l.remove(it)
	it.checking, it.again = true, false
	mask := it.mask()
	l.mu.Unlock()
	if mask != 0 {
		r = it.object.Ready(mask) & mask
	}
	l.mu.Lock()
	it.checking = false
	return r & it.mask(), !it.dead
}

// Collect fills out with events that hold now and returns how many. It never waits.
func (ep *Epoll) Collect(out []linux.EpollEvent) (n int) {
	l := &ep.list
	l.mu.Lock()
	for budget := l.count; budget > 0 && n < len(out) && l.count > 0; budget-- {
		it := l.items.Front().Value
		r, ok := l.check(it)
		if !ok {
			continue
		}
		if r != 0 {
			out[n] = linux.EpollEvent{Events: uint32(r), Data: it.data}
			n++
			if it.events&linux.EPOLLONESHOT != 0 {
				it.events &= flags
				continue
			}
		}
		if it.again || r != 0 && it.events&linux.EPOLLET == 0 {
			it.enqueue()
		}
	}
	more := l.count > 0
	l.mu.Unlock()
	if more {
		l.sleepers.NotifyOne(wait.Readable)
	}
	return n
}

// Ready implements wait.Object: readable if an item is ready. Those that are not
// leave the list.
func (ep *Epoll) Ready(e wait.Events) wait.Events {
	if e&wait.Readable == 0 {
		return 0
	}
	l := &ep.list
	l.mu.Lock()
	ready := false
	for budget := l.count; budget > 0 && l.count > 0 && !ready; budget-- {
		it := l.items.Front().Value
		r, ok := l.check(it)
		switch {
		case !ok:
		case r != 0:
			l.push(it, true)
			ready = true
		case it.again:
			it.enqueue()
		}
	}
	more := l.count > 0
	l.mu.Unlock()
	if more {
		// Whoever looked while an item was off the list went to sleep.
		l.sleepers.NotifyOne(wait.Readable)
	}
	if ready {
		return e & wait.Readable
	}
	return 0
}

// Sleepers is what epoll_wait(2) waits for: it may be ready when something is on the
// list. One of those who wait is told of an event; it calls Collect, or PassOn if it
// gives up.
func (ep *Epoll) Sleepers() wait.Object { return (*sleepers)(ep) }

type sleepers Epoll

// Ready implements wait.Object.
func (s *sleepers) Ready(e wait.Events) wait.Events {
	s.list.mu.Lock()
	defer s.list.mu.Unlock()
	if s.list.count > 0 {
		return e & wait.Readable
	}
	return 0
}

// Watch implements wait.Object.
func (s *sleepers) Watch(w *wait.Watch) { s.list.sleepers.Watch(w) }

// Unwatch implements wait.Object.
func (s *sleepers) Unwatch(w *wait.Watch) { s.list.sleepers.Unwatch(w) }

// PassOn lets somebody else have what a sleeper may have been told.
func (ep *Epoll) PassOn() {
	if ep.Sleepers().Ready(wait.Readable) != 0 {
		ep.list.sleepers.NotifyOne(wait.Readable)
	}
}

// Stream implements vfs.Streamer.
func (ep *Epoll) Stream() {}

// Seek implements vfs.Seeker: it does nothing, with success.
func (ep *Epoll) Seek(_ vfs.Ctx, cur, _ int64, _ int) (int64, error) { return cur, nil }

// Read implements vfs.File.
func (ep *Epoll) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Write implements vfs.File.
func (ep *Epoll) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// FDInfo implements vfs.FDInfoer.
func (ep *Epoll) FDInfo(c vfs.Ctx) string {
	var b strings.Builder
	ep.mu.Lock()
	defer ep.mu.Unlock()
	for _, it := range ep.items {
		a, _ := it.file.Attr(c)
		ep.list.mu.Lock()
		events, data := it.events, it.data
		ep.list.mu.Unlock()
		fmt.Fprintf(&b, "tfd: %8d events: %8x data: %16x  pos:%d ino:%x sdev:%x\n",
			it.fd, events, uint64(data[0])|uint64(data[1])<<32, it.file.Offset(), a.Ino, a.Dev)
	}
	return b.String()
}
