// Package park puts a goroutine that is locked to its OS thread to sleep, and
// wakes it, without Go's scheduler: a channel operation that wakes such a
// goroutine goes through a third thread, which on an idle machine means two
// wake-ups of sleeping processors (35-90 µs) where one futex call does it in
// 3 µs. To the scheduler, a parked goroutine is in a blocking system call.
package park

import (
	"sync/atomic"
	"time"
)

// A Spot is where one goroutine sleeps. The zero value is ready. Wake may be
// called by any goroutine, at any time; Sleep, Listen and Heard by one at a time.
type Spot struct {
	state atomic.Uint32
	bell  atomic.Pointer[Bell] // of who listens
}

// What state says.
const (
	awake     = iota // nobody sleeps, and nothing has happened
	sleeping         // somebody sleeps or is about to
	listening        // somebody waits for his bell, among other things
	woken            // Wake was called; the next Sleep returns at once
)

// Wake ends the Sleep that is in progress, or else the next one. Several calls
// before it returns count as one.
func (s *Spot) Wake() {
	switch s.state.Swap(woken) {
	case sleeping:
		futexWake(&s.state)
	case listening:
		s.bell.Load().Ring()
	}
}

// Listen says that until Heard the caller waits for descriptors of the host, with b's
// among them, which Wake rings meanwhile. It is false, and nothing is rung, if there was a
// Wake that no Sleep or Heard has told of.
func (s *Spot) Listen(b *Bell) bool {
	s.bell.Store(b)
	return s.state.CompareAndSwap(awake, listening)
}

// Heard ends what Listen began, and reports whether there has been a Wake, as Sleep does.
func (s *Spot) Heard() (woke bool) {
	return !s.state.CompareAndSwap(listening, awake) && s.state.CompareAndSwap(woken, awake)
}

// Sleep returns when Wake has been called since the last Sleep returned, or
// after timeout; a negative timeout is for ever. It reports whether it was
// woken.
func (s *Spot) Sleep(timeout time.Duration) (woke bool) {
	var deadline time.Time
	if timeout >= 0 {
		deadline = time.Now().Add(timeout)
	}
	for {
		if s.state.CompareAndSwap(woken, awake) {
			return true
		}
		if timeout == 0 {
			return false
		}
		if s.state.CompareAndSwap(awake, sleeping) || s.state.Load() == sleeping {
			futexWait(&s.state, sleeping, timeout)
		}
		if timeout < 0 {
			continue
		}
		if timeout = time.Until(deadline); timeout > 0 {
			continue
		}
		// Too late, unless woken at the last moment: what was sleeping is awake.
		timeout = 0
		s.state.CompareAndSwap(sleeping, awake)
	}
}
