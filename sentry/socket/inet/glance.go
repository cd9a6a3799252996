package inet

import (
	"time"

	"garrison/platform/park"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// Who sends much by a link receives what acknowledges that himself: after each piece, as Linux
// does when it has put a frame on a device, and while he waits for room. The host's kernel has an
// acknowledgement there before the call that sends the frame is over; to wake the link's
// goroutine for each costs two switches, and the processor that the other end may be on.

// longPiece is how much has to be sent at once for somebody to look for acknowledgements.
const longPiece = 16 << 10

// glance fetches what there is, if nobody receives.
func (l *packetLink) glance() {
	if !l.turn.take() {
		return
	}
	if _, errno := l.fetch(false); errno != 0 {
		l.turn.pass() // the link's goroutine finds it, too
		return
	}
	l.turn.leave()
}

// A room is a link as it is slept at by who waits for room to send: that comes when half of what
// the socket holds has been acknowledged, by tens of packets.
type room struct{ *packetLink }

// maxVainRoom is maxVain of who waits for room.
const maxVainRoom = 64

// Sleep implements wait.Source.
func (r room) Sleep(s *park.Spot, timeout time.Duration) (woke bool) {
	return r.sleep(s, timeout, maxVainRoom)
}

// fetchesRoom has who calls fetch what comes while it waits for room to send.
func (e *Endpoint) fetchesRoom(c vfs.Ctx) {
	l := e.fam.only.Load()
	if l == nil || !e.isTCP() {
		return
	}
	if f, ok := c.(wait.Fetcher); ok {
		f.Fetches(room{l})
	}
}
