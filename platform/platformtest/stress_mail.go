package platformtest

import (
	"sync"
	"sync/atomic"
	"time"

	"garrison/platform"
)

// A mail is the interrupts of one thread.
type mail struct {
	credit   atomic.Int64 // how often Interrupt was called and nothing reported
	reported atomic.Uint64
	switches atomic.Uint64 // how often Switch has returned
	gone     atomic.Bool   // the thread will not switch again

	sending sync.Mutex // held by whoever sends, until it knows what became of it
	closed  bool
}

// An interrupt that is overdue is one to look after; a lost one is so late, by a
// clock that counts only the time in which threads run that are ready to, that
// none but a thread that never gets its interrupt takes so long.
const (
	overdueAfter = time.Second
	lostAfter    = 10 * time.Second
)

// deliver interrupts n times at once, and reports false if that is lost: the
// Switch under way, or else the next, must report it.
func (m *mail) deliver(c platform.Context, n int, clock *hostClock) bool {
	m.sending.Lock()
	defer m.sending.Unlock()
	if m.closed {
		return true
	}
	before := m.reported.Load()
	for range n {
		m.credit.Add(1)
		c.Interrupt()
	}
	after := m.switches.Load()
	overdue := false
	for began := clock.now(); m.reported.Load() == before; time.Sleep(10 * time.Microsecond) {
		if m.gone.Load() {
			return true
		}
		if m.switches.Load() >= after+2 && m.reported.Load() == before {
			return false
		}
		took := clock.now() - began
		if took > lostAfter {
			return false
		}
		if !overdue && took > overdueAfter {
			overdue = true
			clock.watch()
			defer clock.unwatch()
		}
	}
	// Several may have been reported as one. When the thread has switched twice
	// more, none can come any more.
	for i := 0; n > 1 && i < 100; i++ {
		if m.switches.Load() >= after+2 {
			m.credit.Store(0)
			break
		}
		time.Sleep(10 * time.Microsecond)
	}
	return true
}

// take takes account of one report, and reports false if nobody has sent it.
func (m *mail) take() bool {
	ok := m.credit.Add(-1) >= 0
	m.reported.Add(1)
	return ok
}

// close is called when the thread has made its last Switch; afterwards nobody
// interrupts it.
func (m *mail) close() {
	m.gone.Store(true)
	m.sending.Lock()
	defer m.sending.Unlock()
	m.closed = true
}
