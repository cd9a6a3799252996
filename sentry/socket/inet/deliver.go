package inet

import (
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"garrison/sentry/wait"
)

// deliver gives packets to the stack, and has those of TCP dealt with at once. All of a
// connection that have come together go together, so that they are answered together. It
// uses packets up.
func (l *packetLink) deliver(d stack.NetworkDispatcher, packets []*stack.PacketBuffer) {
	for i, p := range packets {
		if p == nil {
			continue // it has gone with one before
		}
		id, ok := connectionOf(p)
		var e *tcp.Endpoint
		if ok {
			e = l.endpoint(p, id)
		}
		if !l.gates.lets(e, p) {
			p.DecRef()
			continue
		}
		if e == nil || !claim(e) {
			// If somebody is at it, it is for them, or for whom they tell.
			pass(d, p)
			continue
		}
		pass(d, p)
		for k := i + 1; k < len(packets); k++ {
			if other, ok := connectionOf(packets[k]); ok && other == id {
				if l.gates.lets(e, packets[k]) {
					pass(d, packets[k])
				} else {
					packets[k].DecRef()
				}
				packets[k] = nil
			}
		}
		if l.late.about(e) {
			work(e)
			l.late.tell()
		} else {
			work(e)
		}
	}
}

// pass gives one packet to the stack.
func pass(d stack.NetworkDispatcher, p *stack.PacketBuffer) {
	d.DeliverNetworkPacket(p.NetworkProtocolNumber, p)
	p.DecRef()
}

// endpoint is the TCP socket that a packet is for, or nil.
func (l *packetLink) endpoint(p *stack.PacketBuffer, id stack.TransportEndpointID) *tcp.Endpoint {
	e, _ := l.of.FindTransportEndpoint(p.NetworkProtocolNumber, tcp.ProtocolNumber, id, l.id).(*tcp.Endpoint)
	return e
}

// claim makes e the caller's, if nobody is at it: what is delivered to it waits for work. The
// lock is tried first, as who has it may be copying much.
func claim(e *tcp.Endpoint) bool {
	if !e.TryLock() {
		return false
	}
	e.ResumeWork()
	e.LockUser()
	return true
}

// work does what is to be done about all that was delivered to e since claim, as a goroutine
// of the stack would. What it leaves, it leaves to that.
func work(e *tcp.Endpoint) {
	e.ResumeWork() // unlocks it, and leaves it claimed: nobody is woken meanwhile
	switch s := tcp.EndpointState(e.State()); s {
	case tcp.StateListen:
		handleListen(e)
	case tcp.StateSynSent, tcp.StateSynRecv, tcp.StateConnecting:
		handleConnecting(e)
	case tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2, tcp.StateClosing, tcp.StateCloseWait, tcp.StateLastAck:
		handleConnected(e)
	}
	e.LockUser()
	e.UnlockUser()
}

// A late keeps what happens to a socket while a link works at it, until that is done. Who is
// woken by it would only wait for the socket's lock: and a goroutine that is locked to its
// thread waits for that by way of other threads.
type late struct {
	mu     sync.Mutex
	at     *tcp.Endpoint // protected by mu: what is worked at, or nil
	who    *Endpoint     // protected by mu: its socket, once something has happened to it
	events wait.Events   // protected by mu: what
}

// about says that e is worked at from now on until tell, and reports false if another link
// has said so of some socket: then things are told as they happen.
func (l *late) about(e *tcp.Endpoint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at != nil {
		return false
	}
	l.at = e
	return true
}

// put keeps events of e, if its endpoint is the one worked at.
func (l *late) put(e *Endpoint, events wait.Events) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		return false
	}
	if in := e.cur.Load(); in == nil || in.ep != tcpip.Endpoint(l.at) { // nil: it is being made
		return false
	}
	l.who = e
	l.events |= events
	return true
}

// tell says that it is done, and tells what was kept.
func (l *late) tell() {
	l.mu.Lock()
	who, events := l.who, l.events
	l.at, l.who, l.events = nil, nil, 0
	l.mu.Unlock()
	if who != nil {
		who.Notify(events)
	}
}

// connectionOf is the connection that a packet is of, if it is a whole one of TCP.
func connectionOf(p *stack.PacketBuffer) (id stack.TransportEndpointID, ok bool) {
	if p == nil {
		return id, false
	}
	const ports = 4
	var at int
	switch p.NetworkProtocolNumber {
	case ipv4.ProtocolNumber:
		b, ok := p.Data().PullUp(header.IPv4MinimumSize)
		if !ok {
			return id, false
		}
		h := header.IPv4(b)
		if h.TransportProtocol() != tcp.ProtocolNumber || h.More() || h.FragmentOffset() != 0 {
			return id, false
		}
		id.RemoteAddress, id.LocalAddress, at = h.SourceAddress(), h.DestinationAddress(), int(h.HeaderLength())
	case ipv6.ProtocolNumber:
		b, ok := p.Data().PullUp(header.IPv6MinimumSize)
		if !ok {
			return id, false
		}
		h := header.IPv6(b)
		if h.NextHeader() != uint8(tcp.ProtocolNumber) { // nor what has other headers before
			return id, false
		}
		id.RemoteAddress, id.LocalAddress, at = h.SourceAddress(), h.DestinationAddress(), header.IPv6MinimumSize
	default:
		return id, false
	}
	b, ok := p.Data().PullUp(at + ports)
	if !ok {
		return id, false
	}
	h := header.TCP(b[at:])
	id.RemotePort, id.LocalPort = h.SourcePort(), h.DestinationPort()
	return id, true
}
