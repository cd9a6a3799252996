package inet

import (
	"bytes"
	"io"
	"net/netip"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
)

// TestDivert asks a server that is outside, at a port that others listen at, too.
func TestDivert(t *testing.T) {
	n := socket.NewNetwork()
	f := New(n)
	if err := n.SetSysctl("ipv4/ip_unprivileged_port_start", "0"); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	server := netip.MustParseAddrPort("127.0.0.11:53")
	if err := f.Divert(server, func(from netip.AddrPort, question []byte) {
		f.Answer(from, append(question, " answered"...))
	}); err != nil {
		t.Fatal(err)
	}
	h := host{t, n, sockettest.New(1)}
	other := h.socket(linux.AF_INET, linux.SOCK_DGRAM)
	h.must(other.Bind(h.c, in4(53, 0, 0, 0, 0)))
	ask := func(to []byte, s *socket.Socket) {
		t.Helper()
		m := &socket.Msg{}
		m.Addr.Set(to)
		_, err := s.Transmit(h.c, usermem.FromBytes([]byte("question")), 0, m)
		h.must(err)
	}
	s := h.socket(linux.AF_INET, linux.SOCK_DGRAM)
	ask(in4(53, 127, 0, 0, 11), s)
	h.recv(s, "question answered")
	connected := h.socket(linux.AF_INET, linux.SOCK_DGRAM)
	h.must(connected.Connect(h.c, in4(53, 127, 0, 0, 11), false))
	h.send(connected, "mine")
	h.recv(connected, "mine answered")
	// Other addresses of the loopback are not the server's, and come to who listens.
	ask(in4(53, 127, 0, 0, 12), s)
	h.recv(other, "question")
}

// TestDivertStreams connects to a server that is outside, at a port where another listens.
func TestDivertStreams(t *testing.T) {
	n := socket.NewNetwork()
	f := New(n)
	if err := n.SetSysctl("ipv4/ip_unprivileged_port_start", "0"); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := host{t, n, sockettest.New(1)}
	other := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(other.Bind(h.c, in4(53, 0, 0, 0, 0)))
	h.must(other.Listen(h.c, 5))
	ended := make(chan error, 1)
	f.DivertStreams(netip.MustParseAddrPort("127.0.0.11:53"), func(s *Stream) {
		defer s.Close()
		b := make([]byte, 100)
		for {
			n, err := s.Read(b)
			if err == nil {
				_, err = s.Write(append(b[:n:n], " answered"...))
			}
			if err != nil {
				ended <- err
				return
			}
		}
	})
	s := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(s.Connect(h.c, in4(53, 127, 0, 0, 11), false))
	var a socket.Addr
	h.must(s.Name(&a, true))
	if want := in4(53, 127, 0, 0, 11); !bytes.Equal(a.Bytes(), want) {
		t.Errorf("connected to %v, not %v", a.Bytes(), want)
	}
	for range 3 {
		h.send(s, "question")
		h.recv(s, "question answered")
	}
	s.Close(h.c)
	if err := <-ended; err != io.EOF {
		t.Error(err)
	}
	// Other addresses of the loopback are not the server's.
	s = h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(s.Connect(h.c, in4(53, 127, 0, 0, 12), false))
	if _, err := other.Accept(h.c, false); err != nil {
		t.Error(err)
	}
}
