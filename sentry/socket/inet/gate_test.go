package inet

import (
	"testing"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
)

// A reader is a caller that has memory, with a program at address 8.
type reader struct {
	*sockettest.Ctx
	usermem.Bytes
}

// attach has s take what program lets in.
func (h host) attach(s *socket.Socket, program ...linux.SockFilter) {
	h.Helper()
	const at = 8
	r := reader{h.c, make(usermem.Bytes, at)}
	for i := range program {
		r.Bytes = append(r.Bytes, usermem.AsBytes(&program[i])...)
	}
	f := linux.SockFprog{Len: uint16(len(program)), Filter: at}
	h.must(s.SetOption(r, linux.SOL_SOCKET, linux.SO_ATTACH_FILTER, usermem.AsBytes(&f)))
}

// TestFilterOfStream: a program sees the segments of a connection by a link; what it drops
// has never come, and comes again once there is none.
func TestFilterOfStream(t *testing.T) {
	h, f := outsideLink(t)
	c, s, port := h.called()
	get := func(flags linux.MsgFlags) (string, error) {
		b := make([]byte, 100)
		n, err := s.Receive(h.c, usermem.FromBytes(b), flags, nil)
		return string(b[:max(n, 0)]), err
	}
	// To that port, or nothing: offsets begin at TCP's header.
	const loadHalf, isEqual, ret, length = 0x28, 0x15, 0x06, 0x80
	h.attach(s, linux.SockFilter{Code: loadHalf, K: 2}, linux.SockFilter{Code: isEqual, JF: 1, K: uint32(port)},
		linux.SockFilter{Code: ret, K: 1 << 16}, linux.SockFilter{Code: ret})
	_, err := unix.Write(c, []byte("let in"))
	h.must(err)
	if got, err := get(0); got != "let in" || err != nil {
		t.Fatal(got, err)
	}
	// Nothing of more than a header.
	h.attach(s, linux.SockFilter{Code: length}, linux.SockFilter{Code: isEqual, JF: 1, K: 32},
		linux.SockFilter{Code: ret, K: 1 << 16}, linux.SockFilter{Code: ret})
	_, err = unix.Write(c, []byte("kept out"))
	h.must(err)
	h.must(s.SetOption(h.c, linux.SOL_SOCKET, linux.SO_RCVTIMEO, usermem.AsBytes(&linux.Timeval{Usec: 100_000})))
	if got, err := get(0); err != linux.EAGAIN {
		t.Fatal(got, err)
	}
	h.must(s.SetOption(h.c, linux.SOL_SOCKET, linux.SO_RCVTIMEO, usermem.AsBytes(&linux.Timeval{Sec: 10})))
	h.must(s.SetOption(h.c, linux.SOL_SOCKET, linux.SO_DETACH_FILTER, socket.IntBytes(0)))
	if got, err := get(0); got != "kept out" || err != nil {
		t.Fatal(got, err)
	}
	s.Close(h.c)
	if n := f.gates.count.Load(); n != 0 {
		t.Fatal(n, "gates are left")
	}
}
