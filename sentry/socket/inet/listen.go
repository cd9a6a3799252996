package inet

import (
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/socket"
	"garrison/sentry/wait"
)

// A listener is what a listening socket has for local connections. Those from outside
// wait in the stack's own queue.
type listener struct {
	addr tcpip.FullAddress // where it listens; never changes

	mu      lock.Mutex[lock.Socket]
	backlog int         // protected by mu
	queue   []*Endpoint // protected by mu: this end of connections not yet accepted
	waiting []*Endpoint // protected by mu: likewise, for which there was no room yet
	closed  bool        // protected by mu
}

// listenLocal lets e have local connections.
func (f *Family) listenLocal(e *Endpoint, backlog int) {
	if l := e.listener.Load(); l != nil {
		l.mu.Lock()
		l.backlog = backlog
		l.mu.Unlock()
		return
	}
	at, err := e.ep().GetLocalAddress()
	if err != nil {
		return
	}
	e.listener.Store(&listener{addr: at, backlog: backlog})
	f.mu.Lock()
	f.listening[at.Port] = append(f.listening[at.Port], e)
	f.mu.Unlock()
}

// unlisten ends e's part in local connections: those not accepted are reset.
func (f *Family) unlisten(e *Endpoint) {
	l := e.listener.Swap(nil)
	if l == nil {
		return
	}
	f.mu.Lock()
	port := l.addr.Port
	f.listening[port] = slices.DeleteFunc(f.listening[port], func(x *Endpoint) bool { return x == e })
	if len(f.listening[port]) == 0 {
		delete(f.listening, port)
	}
	f.mu.Unlock()
	l.mu.Lock()
	l.closed = true
	queue, waiting := l.queue, l.waiting
	l.queue, l.waiting = nil, nil
	l.mu.Unlock()
	for _, n := range queue {
		n.local.Load().close(true)
		n.discard()
	}
	for _, n := range waiting {
		n.local.Load().peer.local.Load().fail(linux.ECONNREFUSED)
		n.discard()
	}
}

// plain is an address without the wrapping that IPv6 gives to one of IPv4.
func plain(a tcpip.Address) netip.Addr {
	ip, _ := netip.AddrFromSlice(a.AsSlice())
	return ip.Unmap()
}

// isLocal reports whether connections to ip stay in the sandbox.
func (f *Family) isLocal(ip netip.Addr) bool {
	l := f.outside.Load().owner(ip)
	return l != nil && (ip.Is4() || f.heeded.Load().ipv6(l.Name))
}

// accepts judges how well e, which listens, fits a destination: 0 is not at all.
func (e *Endpoint) accepts(ip netip.Addr) int {
	l := e.listener.Load()
	if l == nil {
		return 0
	}
	at := plain(l.addr.Addr)
	switch {
	case e.kind.Family == linux.AF_INET && !ip.Is4(), e.kind.Family == linux.AF_INET6 && ip.Is4() && e.ep().SocketOptions().GetV6Only():
		return 0
	case at.IsValid() && !at.IsUnspecified():
		if at == ip {
			return 3
		}
		return 0
	case e.kind.Family == linux.AF_INET6 && ip.Is4():
		return 1
	}
	return 2
}

// listenerFor is who gets a connection to a; nil if nobody here does. Those that share
// a port by SO_REUSEPORT take turns.
func (f *Family) listenerFor(a tcpip.FullAddress) *Endpoint {
	ip := plain(a.Addr)
	if !f.isLocal(ip) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	best, score := []*Endpoint(nil), 1
	for _, e := range f.listening[a.Port] {
		switch n := e.accepts(ip); {
		case n > score:
			best, score = append(best[:0:0], e), n
		case n == score:
			best = append(best, e)
		}
	}
	if len(best) == 0 {
		return nil
	}
	f.turn++
	return best[f.turn%len(best)]
}

// connectLocal connects e to srv, which listens at a: EINPROGRESS, as a connection over
// a network is at first; EADDRNOTAVAIL, ECONNREFUSED.
func (e *Endpoint) connectLocal(srv *Endpoint, a tcpip.FullAddress) error {
	from, err := e.sourceFor(a)
	if err != nil {
		return err
	}
	l := srv.listener.Load()
	if l == nil {
		return linux.ECONNREFUSED
	}
	n, err := srv.child()
	if err != nil {
		return err
	}
	joinLocal(e, n, from, a)
	c := e.local.Load()
	l.mu.Lock()
	switch {
	case l.closed:
		l.mu.Unlock()
		e.local.Store(nil)
		n.discard()
		return linux.ECONNREFUSED
	case len(l.queue) > l.backlog:
		l.waiting = append(l.waiting, n)
		l.mu.Unlock()
		return linux.EINPROGRESS
	}
	c.up.Store(true)
	l.queue = append(l.queue, n)
	l.mu.Unlock()
	srv.Notify(wait.Readable)
	e.Notify(wait.Writable)
	return linux.EINPROGRESS
}

// child makes the other end of a connection to e, with e's options.
func (e *Endpoint) child() (*Endpoint, error) {
	s, err := e.fam.stack()
	if err != nil {
		return nil, linux.ENOMEM
	}
	q := &waiter.Queue{}
	ep, terr := open(s, e.kind, q)
	if terr != nil {
		return nil, errno(terr)
	}
	copyOptions(ep, e.ep())
	n := e.fam.newEndpoint(e.kind, ep, q, e.heritage())
	n.uid = e.uid
	n.sized.Store(e.sized.Load())
	n.small.inherit(&e.small)
	n.inheritFilter(e)
	return n, nil
}

// sourceFor is the address that e connects to a from; e gets a port if it has none.
func (e *Endpoint) sourceFor(a tcpip.FullAddress) (tcpip.FullAddress, error) {
	src := a.Addr
	if plain(a.Addr).Is4() && plain(a.Addr).IsLoopback() {
		src = tcpip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	bind := src
	if e.kind.Family == linux.AF_INET6 && bind.Len() == 4 {
		bind = mapped(bind)
	}
	if tcp.EndpointState(e.ep().State()) == tcp.StateInitial {
		if err := e.ep().Bind(tcpip.FullAddress{Addr: bind}); err != nil {
			return a, connectErrno(err)
		}
	}
	from, err := e.ep().GetLocalAddress()
	if err != nil {
		return a, errno(err)
	}
	if p := plain(from.Addr); !p.IsValid() || p.IsUnspecified() {
		from.Addr = src
	}
	return from, nil
}

// acceptLocal takes a local connection; nil if there is none.
func (e *Endpoint) acceptLocal() *socket.Socket {
	l := e.listener.Load()
	if l == nil {
		return nil
	}
	l.mu.Lock()
	if len(l.queue) == 0 {
		l.mu.Unlock()
		return nil
	}
	n := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	var next *Endpoint
	if len(l.waiting) > 0 {
		next, l.waiting = l.waiting[0], l.waiting[1:]
		l.queue = append(l.queue, next)
	}
	l.mu.Unlock()
	if next != nil {
		c := next.local.Load().peer
		c.local.Load().up.Store(true)
		c.Notify(wait.Writable)
	}
	return n.wrap()
}

// backlog is listen(2)'s second argument.
func (e *Endpoint) backlog() int {
	l := e.listener.Load()
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.backlog
}

// pendingLocal is how many local connections wait to be accepted.
func (e *Endpoint) pendingLocal() int {
	l := e.listener.Load()
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}
