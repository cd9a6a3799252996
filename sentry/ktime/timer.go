package ktime

import (
	"time"

	"garrison/sentry/lock"
)

// A Listener is told when a timer expires. It is an interface, not a closure,
// so that a timer can be checkpointed.
type Listener interface {
	// Expired says that t expired n times since it was last set or said so.
	// It is called from a goroutine of its own with no lock held, never twice
	// at the same time for one timer. A Set that races with it may come before:
	// a listener that minds compares Timer.Generation.
	Expired(t *Timer, n uint64)
}

// A Setting is when a timer expires: at At on its clock, then every Interval
// nanoseconds. At 0 means that it is not armed; Interval 0 that it expires once.
type Setting struct{ At, Interval int64 }

// A Timer calls its Listener at chosen times. Make one with NewTimer; it needs
// no release once it is not armed.
type Timer struct {
	clock    Clock
	listener Listener

	mu   lock.Mutex[lock.Leaf]
	set  Setting     // protected by mu
	gen  uint64      // protected by mu: counts Set
	busy bool        // protected by mu: the listener is being called
	late uint64      // protected by mu: expirations while it was
	host *time.Timer `save:"-"` // protected by mu
}

// maxSleep is the longest a timer on a clock that can jump trusts an interval:
// it looks at its clock again that often, in nanoseconds.
const maxSleep = int64(time.Second)

// NewTimer returns a timer that is not armed.
func NewTimer(c Clock, l Listener) *Timer { return &Timer{clock: c, listener: l} }

// Clock is the clock that t runs on.
func (t *Timer) Clock() Clock { return t.clock }

// Set arms t, or disarms it, and returns what it was set to, with At the next
// expiration of a periodic timer.
func (t *Timer) Set(s Setting) (old Setting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, t.set = t.set, s
	t.gen++
	t.late = 0
	t.arm()
	return old
}

// Get returns what t is set to, with At the next expiration, 0 when disarmed.
func (t *Timer) Get() Setting {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.set
}

// Generation counts the calls of Set.
func (t *Timer) Generation() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gen
}

// Stop disarms t and returns what it was set to.
func (t *Timer) Stop() Setting { return t.Set(Setting{}) }

// AfterLoad arms t's host timer anew when it comes out of a checkpoint.
func (t *Timer) AfterLoad() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.arm()
}

// arm makes the host timer fit t.set. The caller holds mu.
func (t *Timer) arm() {
	if t.set.At == 0 {
		if t.host != nil {
			t.host.Stop()
		}
		return
	}
	left := max(t.set.At-t.clock.Now(), 0)
	if _, jumps := t.clock.(*Realtime); jumps {
		left = min(left, maxSleep)
	}
	if t.host == nil {
		t.host = time.AfterFunc(time.Duration(left), t.fire)
		return
	}
	t.host.Reset(time.Duration(left))
}

// fire runs when the host timer does.
func (t *Timer) fire() {
	t.mu.Lock()
	n := t.expirations()
	if t.set.At != 0 {
		t.arm()
	}
	if n == 0 || t.busy {
		t.late += n
		t.mu.Unlock()
		return
	}
	t.busy = true
	for n > 0 {
		t.mu.Unlock()
		t.listener.Expired(t, n)
		t.mu.Lock()
		n, t.late = t.late, 0
	}
	t.busy = false
	t.mu.Unlock()
}

// expirations counts how often t has expired by now and moves t.set on. The
// caller holds mu.
func (t *Timer) expirations() uint64 {
	now := t.clock.Now()
	if t.set.At == 0 || now < t.set.At {
		return 0
	}
	if t.set.Interval <= 0 {
		t.set.At = 0
		return 1
	}
	n := (now-t.set.At)/t.set.Interval + 1
	t.set.At += n * t.set.Interval
	return uint64(n)
}
