package inet

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/park"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// A fetcher is a caller that fetches what it waits for, as tasks do.
type fetcher struct {
	*sockettest.Ctx
	spot park.Spot
	from wait.Source
}

func newFetcher(pid int32) *fetcher { return &fetcher{Ctx: sockettest.New(pid)} }

func (f *fetcher) Fetches(s wait.Source) { f.from = s }

func (f *fetcher) Wake(*wait.Watch, wait.Events) { f.spot.Wake() }

func (f *fetcher) Block(o wait.Object, e wait.Events) error {
	return f.BlockFor(o, e, -1)
}

func (f *fetcher) BlockFor(o wait.Object, e wait.Events, d time.Duration) error {
	w := wait.Watch{Mask: e, To: f}
	o.Watch(&w)
	defer o.Unwatch(&w)
	for o.Ready(e|wait.Always) == 0 {
		sleep := f.spot.Sleep
		if f.from != nil {
			sleep = func(d time.Duration) bool { return f.from.Sleep(&f.spot, d) }
		}
		if !sleep(d) {
			return linux.ETIMEDOUT
		}
	}
	return nil
}

// echo sends back what comes on s, n times.
func (f *fetcher) echo(t *testing.T, s *socket.Socket, n int) {
	b := make([]byte, 100)
	for range n {
		m := &socket.Msg{}
		k, err := s.Receive(f, usermem.FromBytes(b), 0, m)
		if err == nil {
			_, err = s.Transmit(f, usermem.FromBytes(b[:k]), 0, m)
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// drop receives once.
func (f *fetcher) drop(t *testing.T, s *socket.Socket) {
	if _, err := s.Receive(f, usermem.FromBytes(make([]byte, 100)), 0, nil); err != nil {
		t.Error(err)
	}
}

// peer is a UDP socket of the host's, connected to a socket of the sentry's, which is bound.
func (h host) peer(s *socket.Socket) int {
	h.Helper()
	h.must(s.Bind(h.c, in4(0, 10, 9, 0, 2)))
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	h.must(err)
	h.Cleanup(func() { unix.Close(c) })
	tv := unix.NsecToTimeval(int64(5 * time.Second))
	h.must(unix.SetsockoptTimeval(c, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	h.must(unix.Connect(c, &unix.SockaddrInet4{Port: int(h.port(s)), Addr: [4]byte{10, 9, 0, 2}}))
	return c
}

// converse sends to a socket that sends back what it gets, n times.
func converse(t *testing.T, c, n int) {
	b := make([]byte, 100)
	for i := range n {
		if _, err := unix.Write(c, []byte{byte(i)}); err != nil {
			t.Error(err)
			return
		}
		if k, err := unix.Read(c, b); err != nil || k != 1 || b[0] != byte(i) {
			t.Errorf("round %d: %v %v", i, b[:max(k, 0)], err)
			return
		}
	}
}

// TestTurn: who waits alone receives himself, and the link's goroutine while he does not.
func TestTurn(t *testing.T) {
	h, f := outsideLink(t)
	l := f.only.Load()
	s := h.socket(linux.AF_INET, linux.SOCK_DGRAM)
	c := h.peer(s)
	g := newFetcher(2)
	const rounds, times = 50, 40
	var end sync.WaitGroup
	end.Go(func() { g.echo(t, s, rounds*times) })
	quiet := func() bool {
		for range 20 {
			if l.turn.state.Load()&(turnWhose|turnQuiet) == turnGuest|turnQuiet {
				return true
			}
			time.Sleep(5 * time.Millisecond)
		}
		return false
	}
	converse(t, c, rounds)
	had := quiet() // and soon has nothing to do
	for range times - 2 {
		// If he did not run for long, the link's goroutine has received the last one.
		converse(t, c, rounds)
		had = had || quiet()
	}
	if !had {
		t.Errorf("the turn is %#x", l.turn.state.Load())
	}
	converse(t, c, rounds)
	end.Wait()
	// g does not wait any more, and what comes is received all the same.
	_, err := unix.Write(c, []byte("x"))
	h.must(err)
	h.until(s, wait.In, wait.In)

	// Another wake-up than by a packet, and a time that is up.
	h.recv(s, "x")
	for range 100 {
		time.AfterFunc(2*time.Millisecond, func() { g.Wake(nil, 0) })
		if !l.Sleep(&g.spot, -1) {
			t.Fatal("not woken")
		}
		if l.Sleep(&g.spot, time.Millisecond) {
			t.Fatal("woken by nobody")
		}
	}
}

// TestTurnOfMany: several that wait, of whom one has nothing to do.
func TestTurnOfMany(t *testing.T) {
	h, _ := outsideLink(t)
	const many, rounds = 3, 300
	var end sync.WaitGroup
	for i := range many + 1 {
		s := h.socket(linux.AF_INET, linux.SOCK_DGRAM)
		c := h.peer(s)
		g := newFetcher(int32(2 + i))
		if i == many {
			end.Go(func() { g.echo(t, s, 2) })
			converse(t, c, 1)
			defer end.Wait()
			defer converse(t, c, 1)
			continue
		}
		end.Go(func() { g.echo(t, s, rounds) })
		end.Go(func() { converse(t, c, rounds) })
	}
}

// TestTurnEnds: a link can go while a guest waits for its packets.
func TestTurnEnds(t *testing.T) {
	h, f := outsideLink(t)
	l := f.only.Load()
	s := h.socket(linux.AF_INET, linux.SOCK_DGRAM)
	c := h.peer(s)
	g := newFetcher(2)
	var end sync.WaitGroup
	end.Go(func() { g.echo(t, s, 100) })
	converse(t, c, 100)
	end.Wait()
	slept := make(chan bool)
	go func() { slept <- l.Sleep(&g.spot, -1) }()
	time.Sleep(20 * time.Millisecond)
	h.must(f.Configure(&Outside{}))
	select {
	case <-slept:
		t.Fatal("woken by the end of a link")
	case <-time.After(50 * time.Millisecond):
	}
	g.Wake(nil, 0)
	if !<-slept {
		t.Fatal("not woken")
	}
}
