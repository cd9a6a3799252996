package inet

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
)

// TestPeekOff: SO_PEEK_OFF of a connection by a link, whose bytes the stack has. Those of
// the sandbox's own are a conformance case.
func TestPeekOff(t *testing.T) {
	h, _ := outsideLink(t)
	c, s, _ := h.called()
	h.must(s.SetOption(h.c, linux.SOL_SOCKET, linux.SO_PEEK_OFF, socket.IntBytes(0)))
	write := func(text string) {
		_, err := unix.Write(c, []byte(text))
		h.must(err)
	}
	get := func(size int, flags linux.MsgFlags, want string) {
		t.Helper()
		b := make([]byte, size)
		n, err := s.Receive(h.c, usermem.FromBytes(b), flags, nil)
		if err != nil || string(b[:n]) != want {
			t.Fatalf("%q, %v; want %q", b[:n], err, want)
		}
	}
	write("abcdef")
	get(2, linux.MSG_PEEK, "ab")
	get(3, linux.MSG_PEEK, "cde")
	get(9, linux.MSG_PEEK, "f")
	if n, err := s.Receive(h.c, usermem.FromBytes(make([]byte, 9)), linux.MSG_PEEK|linux.MSG_DONTWAIT, nil); err != linux.EAGAIN {
		t.Fatal(n, err)
	}
	later := time.AfterFunc(50*time.Millisecond, func() { _, _ = unix.Write(c, []byte("ghi")) })
	defer later.Stop()
	get(9, linux.MSG_PEEK, "ghi") // which waits
	get(4, 0, "abcd")
	if s.Options().PeekOff() != 5 {
		t.Fatal(s.Options().PeekOff())
	}
	h.must(unix.Shutdown(c, unix.SHUT_WR))
	get(9, linux.MSG_PEEK, "")
	get(9, 0, "efghi")
	get(9, linux.MSG_PEEK, "")
}
