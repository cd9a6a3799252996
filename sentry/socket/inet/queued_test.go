package inet

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
)

// fills writes to s, whose other end does not read, until nothing fits and nothing is sent any
// more, and says how much that was.
func (h host) fills(s *socket.Socket, e *Endpoint) (total int64) {
	h.Helper()
	b := make([]byte, 256<<10)
	for {
		n, err := s.Transmit(h.c, usermem.FromBytes(b), linux.MSG_DONTWAIT, nil)
		total += n
		if err == nil {
			continue
		}
		if err != linux.EAGAIN {
			h.Fatal(err)
		}
		before := e.unsent() // what is on its way may make room yet
		time.Sleep(20 * time.Millisecond)
		if e.unsent() == before && int64(before) >= e.ep().SocketOptions().GetSendBufferSize() {
			return total
		}
	}
}

// TestUnsent: SIOCOUTQ and /proc/net/tcp tell what a connection by a link has not sent, or what
// has not arrived.
func TestUnsent(t *testing.T) {
	h, f := outsideLink(t)
	c, s, _ := h.called()
	e := endpointOf(f, s)
	queued := func() int64 {
		t.Helper()
		b := make([]byte, 4)
		_, err := s.Ioctl(h.c, usermem.Bytes(b), linux.SIOCOUTQ, 0)
		h.must(err)
		n := int64(binary.NativeEndian.Uint32(b))
		if all := int64(e.info().Sent); all > n {
			t.Fatal("/proc/net/tcp says", all, "not", n)
		}
		return n
	}
	if n := queued(); n != 0 {
		t.Fatal(n, "bytes wait of none")
	}
	total := h.fills(s, e)
	if n := queued(); n == 0 || n > total {
		t.Fatal(n, "bytes wait of", total)
	}
	b := make([]byte, 256<<10)
	for total > 0 {
		n, err := unix.Read(c, b)
		h.must(err)
		total -= int64(n)
	}
	for range 200 {
		if queued() == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(queued(), "bytes wait when all have arrived")
}
