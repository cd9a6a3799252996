package inet

import (
	"testing"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// TestRoomy: a connection by a link can be written to, poll(2) says, when a third of the room to
// send is free, and not when there is room for some bytes.
func TestRoomy(t *testing.T) {
	h, f := outsideLink(t)
	c, s, _ := h.called()
	e := endpointOf(f, s)
	room := func() int { return int(e.ep().SocketOptions().GetSendBufferSize()) }
	total := h.fills(s, e)
	if s.Ready(wait.Writable)&wait.Writable != 0 {
		t.Error("writable without any room")
	}
	some, b := 0, make([]byte, 16<<10)
	for total > 0 {
		n, err := unix.Read(c, b[:min(int64(len(b)), total)])
		h.must(err)
		total -= int64(n)
		r := s.Ready(wait.Writable)
		switch n := e.unsent(); { // which only becomes less
		case r&wait.Writable != 0 && n*3 > room()*2:
			t.Fatalf("writable, and %d of %d bytes are waiting", n, room())
		case r&wait.Writable == 0 && n < room():
			some++
		}
	}
	if some == 0 {
		t.Error("there was never a little room")
	}
	h.until(s, wait.Out, wait.Out)
	// What is shut down is writable, however much is waiting.
	_, err := s.Transmit(h.c, usermem.FromBytes(make([]byte, 8<<20)), linux.MSG_DONTWAIT, nil)
	h.must(err)
	h.must(s.Shutdown(h.c, linux.SHUT_WR))
	if s.Ready(wait.Writable)&wait.Writable == 0 {
		t.Error("what was shut down is not writable")
	}
}
