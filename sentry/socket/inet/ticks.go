package inet

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// A ticking is a clock whose timers go off on ticks, all of one tick together, as Linux's do:
// none early, each less than a tick late. The stack has several timers for each connection
// that sends, of which some are due two round trips later, which by a link to the same host is
// a fraction of a millisecond; and stops most of them only once they have gone off.
type ticking struct{ tcpip.Clock }

// jiffy is the time from tick to tick, which on Linux is 4 ms if CONFIG_HZ is 250.
const jiffy = 4 * time.Millisecond

// AfterFunc implements tcpip.Clock.
func (c ticking) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	return &ticked{c.Clock.AfterFunc(c.late(d), f), c}
}

// late is how long it takes until the first tick that is d away.
func (c ticking) late(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	now := c.NowMonotonic().Sub(tcpip.MonotonicTime{})
	if over := (now + d) % jiffy; over > 0 && d < 1<<62 {
		d += jiffy - over
	}
	return d
}

// A ticked is a timer of a ticking.
type ticked struct {
	tcpip.Timer
	clock ticking
}

// Reset implements tcpip.Timer.
func (t *ticked) Reset(d time.Duration) { t.Timer.Reset(t.clock.late(d)) }
