package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxFrame is an Ethernet frame of the MTU: what is longer is several segments, which
	// must not be lost as one.
	maxFrame = 14 + 1500
	slotSize = 2 << 10
	// burst is how many frames are taken before those that are due are sent.
	burst = 64
)

// A lane is one direction.
type lane struct {
	from, to, stop int
	delay          time.Duration
	queue          queue

	mu     sync.Mutex
	lose   *rand.Rand // protected by mu: what decides which frames are lost; nil: none
	counts Counts     // protected by mu
	err    error      // protected by mu: what has gone wrong first
}

func newLane(from, to, stop int, delay time.Duration) *lane {
	return &lane{from: from, to: to, stop: stop, delay: delay, queue: newQueue(depth)}
}

// run forwards until stop is readable, or the device has ended.
func (l *lane) run() {
	runtime.LockOSThread() // a thread's sleep ends on time: the scheduler's is in milliseconds
	defer runtime.UnlockOSThread()
	for {
		if err := l.take(); err != nil {
			l.fail(err)
			return
		}
		l.send(time.Now())
		stop, err := l.wait()
		if err != nil {
			l.fail(err)
		}
		if stop || err != nil {
			return
		}
	}
}

var errEnded = errors.New("the device has ended")

// wait sleeps until there is something to do.
func (l *lane) wait() (stop bool, err error) {
	var timeout *unix.Timespec
	if f := l.queue.first(); f != nil {
		ts := unix.NsecToTimespec(int64(max(time.Until(f.due), 0)))
		timeout = &ts
	}
	poll := []unix.PollFd{{Fd: int32(l.from), Events: unix.POLLIN}, {Fd: int32(l.stop), Events: unix.POLLIN}}
	if _, err := unix.Ppoll(poll, timeout, nil); err != nil && err != unix.EINTR {
		return false, fmt.Errorf("poll: %w", err)
	}
	if poll[1].Revents != 0 {
		return true, nil
	}
	if poll[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
		return false, errEnded
	}
	return false, nil
}

// take queues frames that have come, a burst at most.
func (l *lane) take() error {
	for range burst {
		f := l.queue.next()
		n, err := unix.Read(l.from, f.room)
		switch err {
		case nil:
		case unix.EAGAIN, unix.EINTR:
			return nil
		default:
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return errEnded
		}
		if n > maxFrame {
			return fmt.Errorf("a frame of %d bytes is no single segment", n)
		}
		if l.lost() {
			continue
		}
		f.n, f.due = n, time.Now().Add(l.delay)
		if !l.queue.put() {
			return fmt.Errorf("%d frames are under way, and another has come", depth)
		}
	}
	return nil
}

// lost counts a frame that has come, and reports whether it is to be lost.
func (l *lane) lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Came++
	if l.lose == nil || l.lose.Float64() >= lossRate {
		return false
	}
	l.counts.Lost++
	return true
}

// send sends what is due, and keeps on with others if one can't be sent.
func (l *lane) send(now time.Time) {
	for f := l.queue.first(); f != nil && !f.due.After(now); f = l.queue.first() {
		n, err := unix.Write(l.to, f.room[:f.n])
		for err == unix.EINTR {
			n, err = unix.Write(l.to, f.room[:f.n])
		}
		if err == nil && n != f.n {
			err = fmt.Errorf("%d bytes of %d", n, f.n)
		}
		if err != nil {
			l.fail(fmt.Errorf("write: %w", err))
		} else {
			l.mu.Lock()
			l.counts.Sent++
			l.mu.Unlock()
		}
		l.queue.drop()
	}
}

func (l *lane) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
}

// A frame is one that is under way, or room for one.
type frame struct {
	due  time.Time
	room []byte
	n    int // of room
}

// A queue is a ring of frames, which come and go in order, as all are delayed alike. One of
// the ring is never in the queue: it is room for a frame that there may be no place for.
type queue struct {
	ring       []frame
	head, tail int // counts of those that have gone and come
}

func newQueue(depth int) queue {
	q := queue{ring: make([]frame, depth+1)}
	all := make([]byte, len(q.ring)*slotSize)
	for i := range q.ring {
		q.ring[i].room = all[i*slotSize:][:slotSize:slotSize]
	}
	return q
}

// next is room for the frame that put adds.
func (q *queue) next() *frame { return &q.ring[q.tail%len(q.ring)] }

// put reports false if the queue is full.
func (q *queue) put() bool {
	if q.tail-q.head == len(q.ring)-1 {
		return false
	}
	q.tail++
	return true
}

// first is the frame that drop removes, or nil.
func (q *queue) first() *frame {
	if q.tail == q.head {
		return nil
	}
	return &q.ring[q.head%len(q.ring)]
}

func (q *queue) drop() { q.head++ }
