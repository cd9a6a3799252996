package inet

import (
	"math"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/faketime"
)

// TestTicks: timers of one tick go off together, none early, and none later than a tick.
func TestTicks(t *testing.T) {
	const ms = time.Millisecond
	m := faketime.NewManualClock()
	c := ticking{m}
	began := m.NowMonotonic()
	var at []time.Duration
	note := func() { at = append(at, m.NowMonotonic().Sub(began)) }
	first := c.AfterFunc(ms/2, note)
	c.AfterFunc(3*ms, note)
	c.AfterFunc(jiffy, note)
	c.AfterFunc(jiffy+1, note)
	stopped := c.AfterFunc(ms, note)
	c.AfterFunc(math.MaxInt64, note)
	if !stopped.Stop() {
		t.Error("a timer can't be stopped")
	}
	for range 5 {
		m.Advance(ms)
	}
	if len(at) != 3 || at[0] != jiffy || at[1] != jiffy || at[2] != jiffy {
		t.Fatal("went off at", at)
	}
	at = nil
	first.Reset(ms) // at 5 ms
	for range 3 {
		m.Advance(ms)
	}
	if len(at) != 2 || at[0] != 2*jiffy || at[1] != 2*jiffy {
		t.Fatal("went off at", at)
	}
}
