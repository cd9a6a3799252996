package inet

import (
	"testing"

	"golang.org/x/sys/unix"

	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
)

// TestGlance: who sends much receives what acknowledges that, and the link's goroutine what comes
// when that has been sent.
func TestGlance(t *testing.T) {
	h, f := outsideLink(t)
	l := f.only.Load()
	c, s, _ := h.called()
	g := newFetcher(2)
	const size, piece = 64 << 20, 1 << 20
	sent := make(chan error, 1)
	go func() {
		b := make([]byte, piece)
		for at := int64(0); at < size; at += piece {
			pattern(b, 0, at)
			if _, err := s.Transmit(g, usermem.FromBytes(b), 0, nil); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	b, want, others := make([]byte, piece), make([]byte, piece), 0
	for at := 0; at < size; {
		n, err := unix.Read(c, b)
		h.must(err)
		if n == 0 {
			t.Fatal("the connection has ended", <-sent)
		}
		pattern(want[:n], 0, int64(at))
		if string(b[:n]) != string(want[:n]) {
			t.Fatal("other bytes than were sent, behind", at)
		}
		at += n
		if l.turn.state.Load()&turnWhose != turnOwn {
			others++
		}
	}
	h.must(<-sent)
	if others == 0 {
		t.Error("the link's goroutine has received all")
	}
	if g.from != (room{l}) {
		t.Errorf("who had no room for 64 MiB waits for %T", g.from)
	}
	_, err := unix.Write(c, []byte("at the end"))
	h.must(err)
	h.recv(s, "at the end")
}

// TestGlanceOfFew: what is short or does not wait for room leaves the receiving to others.
func TestGlanceOfFew(t *testing.T) {
	h, f := outsideLink(t)
	_, s, _ := h.called()
	g := newFetcher(2)
	if n, err := s.Transmit(g, usermem.FromBytes([]byte("short")), 0, nil); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if g.from != nil {
		t.Errorf("waits for %T", g.from)
	}
	// A caller that can't fetch, as the sentry's own are.
	e := endpointOf(f, s)
	e.fetchesRoom(nil)
	e.fetchesRoom(sockettest.New(3))
}
