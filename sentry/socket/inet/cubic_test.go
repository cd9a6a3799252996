package inet

import (
	"reflect"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"garrison/sentry/linux"
)

// A flight is a sender with a cubic whose segments all arrive, each acknowledged by itself.
type flight struct {
	snd tcp.TCPSenderState
	c   *cubic
	now tcpip.MonotonicTime
}

const flightRTT = 50 * time.Millisecond

func newFlight(window int) *flight {
	f := &flight{}
	f.snd.SndCwnd, f.snd.Ssthresh, f.snd.RTTState.SRTT = window, window, flightRTT
	f.c = &cubic{snd: &f.snd}
	return f
}

// trips lets as many round trips go by, in each of which all of the window is used, or less.
func (f *flight) trips(n, used int) {
	for range n {
		k := min(f.snd.SndCwnd, used)
		for range k {
			f.now = f.now.Add(flightRTT / time.Duration(k))
			f.snd.Outstanding = k - 1
			f.c.Update(1, flightRTT, f.now)
		}
	}
}

// lose has the stack's sender find a loss, and recover.
func (f *flight) lose() {
	f.c.HandleLossDetected()
	f.snd.SndCwnd = f.snd.Ssthresh + 3
	f.now = f.now.Add(flightRTT)
	f.snd.SndCwnd = f.snd.Ssthresh
	f.c.PostRecovery()
}

const allOfIt = 1 << 20

// TestCubicSmall: a window of some segments grows from the first round trip on, as Reno's of
// the same average does, though the one before was larger.
func TestCubicSmall(t *testing.T) {
	f := newFlight(20)
	f.lose()
	if f.snd.SndCwnd != 14 {
		t.Fatal(f.snd.SndCwnd)
	}
	f.trips(2, allOfIt)
	if f.snd.SndCwnd != 15 {
		t.Errorf("%d segments after two round trips", f.snd.SndCwnd)
	}
	f.lose() // below what the window was
	if f.snd.SndCwnd != 10 {
		t.Fatal(f.snd.SndCwnd)
	}
	f.trips(4, allOfIt)
	if f.snd.SndCwnd != 12 {
		t.Errorf("%d segments after four round trips", f.snd.SndCwnd)
	}
	f.trips(8, allOfIt)
	if w := f.snd.SndCwnd; w < 16 || w > 18 { // back where it was after six
		t.Errorf("%d segments after twelve round trips", w)
	}
}

// TestCubicLarge: a large window is where it was when the curve is at its plateau, hardly
// grows there, and grows faster and faster behind it.
func TestCubicLarge(t *testing.T) {
	f := newFlight(1000)
	f.lose()
	if f.snd.SndCwnd != 700 {
		t.Fatal(f.snd.SndCwnd)
	}
	at := func(seconds float64) int { // since the loss
		n := int(seconds*float64(time.Second)/float64(flightRTT)) - int(f.now.Sub(tcpip.MonotonicTime{})/flightRTT)
		f.trips(n, allOfIt)
		return f.snd.SndCwnd
	}
	// K is 9.1 s.
	if w := at(4.6); w < 955 || w > 975 {
		t.Errorf("%d segments half way", w)
	}
	if w := at(9.1); w < 990 || w > 1010 {
		t.Errorf("%d segments at the plateau", w)
	}
	if w := at(13.6); w < 1030 || w > 1055 {
		t.Errorf("%d segments behind it", w)
	}
}

// TestCubicIdle: who does not use the window does not make it larger, and what time he takes
// does not count.
func TestCubicIdle(t *testing.T) {
	f := newFlight(100)
	f.lose()
	f.trips(1, allOfIt)
	w := f.snd.SndCwnd
	f.trips(1000, 20)
	if f.snd.SndCwnd != w {
		t.Errorf("%d segments when 20 were used", f.snd.SndCwnd)
	}
	f.trips(1, allOfIt)
	if f.snd.SndCwnd > w+6 {
		t.Errorf("%d segments, at once", f.snd.SndCwnd)
	}
}

// TestCubicTimeout: after a timeout a window is of one segment.
func TestCubicTimeout(t *testing.T) {
	f := newFlight(10)
	f.c.HandleRTOExpired()
	if f.snd.SndCwnd != 1 || f.snd.Ssthresh != 7 {
		t.Fatal(f.snd.SndCwnd, f.snd.Ssthresh)
	}
	f.snd.SndCwnd = 2
	f.c.HandleLossDetected()
	if f.snd.Ssthresh != leastWindow {
		t.Fatal(f.snd.Ssthresh)
	}
}

// TestCubic: it is what connections have by a link, unless they ask for another, and grows
// their windows.
func TestCubic(t *testing.T) {
	h, _ := outsideLink(t)
	_, s, _ := h.called()
	e := s.Proto().(*Endpoint)
	control := func() (name string) {
		ep := e.ep().(*tcp.Endpoint)
		ep.LockUser()
		defer ep.UnlockUser()
		v := reflect.ValueOf(ep).Elem().FieldByIndex(senderField.Index).Elem().FieldByIndex(controlField.Index)
		return v.Elem().Type().String()
	}
	set := func(name string) {
		h.must(s.SetOption(h.c, linux.SOL_TCP, linux.TCP_CONGESTION, []byte(name)))
	}
	if c := control(); c != stackCubic {
		t.Fatal(c)
	}
	h.send(s, "x")
	if c := control(); c != "*inet.cubic" {
		t.Error(c)
	}
	set("reno")
	h.send(s, "x")
	if c := control(); c == "*inet.cubic" {
		t.Error(c)
	}
	set("cubic")
	h.send(s, "x")
	if c := control(); c != "*inet.cubic" {
		t.Error(c)
	}
}
