package inet

import (
	"sync/atomic"
	"time"

	"garrison/platform/park"
)

// A turn says whose it is to receive a link's packets: either the link's own goroutine's, or
// a guest's, which is a task that sleeps and has had packets lately. When one comes for such
// a task, the host wakes nobody else. While it runs, most often shortly, nobody receives; for
// what comes meanwhile the link's goroutine looks every tick whether somebody does.
type turn struct {
	// state is whose the turn is, and how often that has changed.
	state atomic.Uint64
	ended atomic.Bool
	// relief is where the link's goroutine sleeps while it does not have the turn.
	relief park.Spot
	// bell ends the waiting of who has the turn.
	bell *park.Bell
	// waiting is how many tasks sleep that might have had the turn, and have not for long.
	waiting atomic.Int32
}

// What state consists of.
const (
	turnOwn   = iota // it is the link's goroutine's: the zero value
	turnGuest        // or a guest's
	turnFree         // or nobody's
	turnWhose = 3
	turnQuiet = 4 // the guest has had it for long: the link's goroutine does not look
	turnCount = 8
)

// tick is how long nobody receives before the link's goroutine does, twice that at most.
const tick = time.Millisecond

// begin makes the turn the link's goroutine's, which is about to start.
func (t *turn) begin(b *park.Bell) {
	t.bell = b
	t.ended.Store(false)
}

// end has who has the turn give it up for good.
func (t *turn) end() {
	t.ended.Store(true)
	t.bell.Ring()
	t.relief.Wake()
}

// change gives the turn to whose, unless something has changed since state was old.
func (t *turn) change(old, whose uint64) bool {
	return t.state.CompareAndSwap(old, old&^(turnCount-1)+turnCount|whose)
}

// take gives a guest the turn, if nobody has it.
func (t *turn) take() bool {
	old := t.state.Load()
	return old&turnWhose == turnFree && t.change(old, turnGuest)
}

// leave is called by a guest that has the turn, and is about to run. If others wait, they
// need somebody who receives.
func (t *turn) leave() {
	if t.waiting.Load() > 0 {
		t.pass()
		return
	}
	for {
		if old := t.state.Load(); t.change(old, turnFree) {
			if old&turnQuiet != 0 || t.ended.Load() {
				t.relief.Wake()
			}
			return
		}
	}
}

// pass is called by a guest that has the turn: it is the link's goroutine's.
func (t *turn) pass() {
	for !t.change(t.state.Load(), turnOwn) {
	}
	t.relief.Wake()
}

// offer is called by the link's goroutine, which has the turn, before it gives packets to
// those that wait for them: if that is one alone, it may have the turn from then on.
func (t *turn) offer() bool { return t.waiting.Load() == 1 }

// free is what the link's goroutine gives up the turn by.
func (t *turn) free() { t.change(t.state.Load(), turnFree) }

// await returns when the link's goroutine has the turn. Every tick before that it calls
// late, except while nothing happens.
func (t *turn) await(late func()) {
	for {
		old := t.state.Load()
		if old&turnWhose == turnOwn {
			return
		}
		if !t.relief.Sleep(tick) {
			late()
		}
		switch {
		case t.state.Load() != old:
		case old&turnWhose == turnFree:
			t.change(old, turnOwn)
		case t.ended.Load():
			t.bell.Ring() // it may have been rung before the guest listened
		case t.state.CompareAndSwap(old, old|turnQuiet):
			t.relief.Sleep(-1)
		}
	}
}

// patience is how long who waits is taken to be about to get something.
const patience = 10 * time.Millisecond

// sleep is s.Sleep of a task that might have had the turn.
func (t *turn) sleep(s *park.Spot, timeout time.Duration) (woke bool) {
	short := patience
	if timeout >= 0 {
		short = min(short, timeout)
	}
	t.waiting.Add(1)
	woke = s.Sleep(short)
	t.waiting.Add(-1)
	switch {
	case woke || short == timeout:
		return woke
	case timeout > 0:
		timeout -= short
	}
	return s.Sleep(timeout)
}
