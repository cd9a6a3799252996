package inet

import (
	"io"
	"net/netip"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// A streamDiversion is what DivertStreams was given.
type streamDiversion struct {
	to   netip.AddrPort
	take func(*Stream)
}

// DivertStreams is Divert for TCP: take is called, on a goroutine of its own, with the
// other end of each connection to an IPv4 address of the loopback, which it has to close.
func (f *Family) DivertStreams(to netip.AddrPort, take func(*Stream)) {
	f.streams.Store(&streamDiversion{to, take})
}

// diverted is the diversion that connections to a take, or nil.
func (f *Family) diverted(a tcpip.FullAddress) *streamDiversion {
	if d := f.streams.Load(); d != nil && d.to == netip.AddrPortFrom(plain(a.Addr), a.Port) {
		return d
	}
	return nil
}

// connectDiverted connects e to d's taker: EINPROGRESS, as connectLocal.
func (e *Endpoint) connectDiverted(d *streamDiversion, a tcpip.FullAddress) error {
	from, err := e.sourceFor(a)
	if err != nil {
		return err
	}
	n, err := e.child()
	if err != nil {
		return err
	}
	joinLocal(e, n, from, a)
	e.local.Load().up.Store(true)
	go d.take(&Stream{n})
	e.Notify(wait.Writable)
	return linux.EINPROGRESS
}

// A Stream is an end of a connection that is the sentry's own. One goroutine may read from
// it while another writes to it.
type Stream struct{ e *Endpoint }

// Read implements io.Reader.
func (s *Stream) Read(b []byte) (n int, err error) {
	err = s.until(wait.Readable, func() error {
		k, err := s.e.recvStream(usermem.FromBytes(b), 0, nil)
		n = int(k)
		return err
	})
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (s *Stream) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		err = s.until(wait.Writable, func() error {
			k, err := s.e.Send(nil, usermem.FromBytes(b[n:]), 0, nil)
			n += int(k)
			return err
		})
	}
	return n, err
}

// End says that nothing more is written nor read: what the other end writes then resets the
// connection. A Read that waits ends.
func (s *Stream) End() { _ = s.e.Shutdown(nil, linux.SHUT_RDWR) }

// Close implements io.Closer. It must be called once, when nobody reads or writes.
func (s *Stream) Close() error {
	s.e.Close(nil)
	return nil
}

// until tries until that does not say that it would have to wait.
func (s *Stream) until(events wait.Events, try func() error) error {
	woken := make(waker, 1)
	w := wait.Watch{Mask: events, To: woken}
	s.e.Watch(&w)
	defer s.e.Unwatch(&w)
	for {
		if err := try(); err != linux.EAGAIN {
			return err
		}
		<-woken
	}
}

// A waker is woken when something can be received from it.
type waker chan struct{}

// Wake implements wait.Waker.
func (w waker) Wake(*wait.Watch, wait.Events) {
	select {
	case w <- struct{}{}:
	default: // it is already
	}
}

// A sharing is which packets are for somebody else with the same addresses. The stack knows
// it, and it doesn't know the Family.
type sharing struct{ answers atomic.Pointer[answers] }

type answers struct{ from, first, last uint16 }

// Share says that answers of TCP and UDP from one port, to those from first to last, are for
// the host's own kernel, which sees them too, unless a socket here has asked: nobody is told
// that there is none.
func (f *Family) Share(from, first, last uint16) {
	f.shared.answers.Store(&answers{from, first, last})
}

// over has s keep silent about what is for others.
func (h *sharing) over(s *stack.Stack) {
	theirs := func(id stack.TransportEndpointID, _ *stack.PacketBuffer) bool {
		a := h.answers.Load()
		return a != nil && id.RemotePort == a.from && id.LocalPort >= a.first && id.LocalPort <= a.last
	}
	s.SetTransportProtocolHandler(tcp.ProtocolNumber, theirs)
	s.SetTransportProtocolHandler(udp.ProtocolNumber, theirs)
}
