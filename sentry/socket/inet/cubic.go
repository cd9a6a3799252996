package inet

import (
	"math"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A controller is the congestion control of a connection as the stack calls it, with the
// socket's lock held: windows are in segments, rtt is negative where it is not known, and at
// is when what acknowledges came.
type controller interface {
	HandleLossDetected()
	HandleRTOExpired()
	Update(acked int, rtt time.Duration, at tcpip.MonotonicTime)
	PostRecovery()
}

// A cubic is CUBIC as in RFC 9438. The stack's own drops the fractions of segments that a
// window grows by, which below some hundred segments is all that it grows by, and stands still
// for some round trips after a loss: of less than Linux's windows where one was lost.
type cubic struct {
	snd *tcp.TCPSenderState // the connection's
	own controller          // the stack's CUBIC, for slow start with HyStart

	part  float64 // of a segment, by which the window is larger than snd says
	most  float64 // W_max: where the window was when something was lost, or a little less
	prior float64 // cwnd_prior: where it really was

	growing bool                // since start; else it is yet to begin
	start   tcpip.MonotonicTime // of the time that the window grows by
	last    tcpip.MonotonicTime // when it was looked at
	rises   float64             // K: after how many seconds it is at flat
	flat    float64             // the plateau of the curve
	reno    float64             // W_est: where Reno's would be that lost and grew as much
}

// RFC 9438, 4.1 and 4.6: how fast the curve rises, in segments a second cubed; what is left of
// a window when something is lost; and how many segments a round trip Reno's grows by for
// windows that fall no deeper than that to be as large as Reno's on average.
const (
	cubicRise = 0.4
	cubicKept = 0.7
	renoRise  = 3 * (1 - cubicKept) / (1 + cubicKept)
)

// leastWindow is the least that is left of a window.
const leastWindow = 2

// Update implements controller.
func (c *cubic) Update(acked int, rtt time.Duration, at tcpip.MonotonicTime) {
	if c.snd.SndCwnd < c.snd.Ssthresh {
		c.own.Update(acked, rtt, at)
		return
	}
	if acked <= 0 {
		return
	}
	if !c.growing {
		c.begin(at)
	}
	// What is not used needs not be larger, and that time does not count.
	if 2*(c.snd.Outstanding+acked) < c.snd.SndCwnd {
		if at.After(c.last) {
			c.start = c.start.Add(at.Sub(c.last))
			c.last = at
		}
		return
	}
	c.last = at
	c.grow(acked, at.Sub(c.start).Seconds())
}

// begin is the first time that the window grows after it was made smaller, 4.2.
func (c *cubic) begin(at tcpip.MonotonicTime) {
	w := c.window()
	c.growing, c.start, c.last = true, at, at
	c.reno, c.flat, c.rises = w, w, 0
	if w < c.most {
		c.flat, c.rises = c.most, math.Cbrt((c.most-w)/cubicRise)
	}
}

// grow makes the window what it is when acked segments have arrived, some seconds after start.
func (c *cubic) grow(acked int, seconds float64) {
	w := c.window()
	rise := renoRise
	if c.reno >= c.prior {
		rise = 1
	}
	c.reno += rise * float64(acked) / w
	if c.curve(seconds) < c.reno {
		c.set(max(w, c.reno))
		return
	}
	// Half as much again in a round trip is the most.
	next := min(c.curve(seconds+c.snd.RTTState.SRTT.Seconds()), 1.5*w)
	c.set(w + max(0, next-w)*float64(acked)/w)
}

// curve is W_cubic.
func (c *cubic) curve(seconds float64) float64 {
	t := seconds - c.rises
	return cubicRise*t*t*t + c.flat
}

func (c *cubic) window() float64 { return float64(c.snd.SndCwnd) + c.part }

func (c *cubic) set(w float64) {
	whole, part := math.Modf(w)
	c.snd.SndCwnd, c.part = int(whole), part
}

// HandleLossDetected implements controller: the stack makes the window its threshold.
func (c *cubic) HandleLossDetected() {
	w := c.window()
	c.prior, c.growing, c.part = w, false, 0
	if w < c.most {
		w *= (1 + cubicKept) / 2 // somebody else needs room, 4.7
	}
	c.most = w
	c.snd.Ssthresh = max(leastWindow, int(c.prior*cubicKept))
}

// HandleRTOExpired implements controller.
func (c *cubic) HandleRTOExpired() {
	c.HandleLossDetected()
	c.snd.SndCwnd = 1
}

// PostRecovery implements controller: begin will say when.
func (c *cubic) PostRecovery() { c.growing = false }

// steer gives a connection its congestion control, if that is to be CUBIC. There is none to be
// given one before it is established; TCP_CONGESTION has the stack give it its own again.
func (e *Endpoint) steer() {
	in := e.cur.Load()
	if in.steered.Load() {
		return
	}
	t, ok := in.ep.(*tcp.Endpoint)
	if !ok {
		return
	}
	t.LockUser()
	defer t.UnlockUser()
	if steer(t, func(snd *tcp.TCPSenderState, own controller) controller { return &cubic{snd: snd, own: own} }) {
		in.steered.Store(true)
	}
}
