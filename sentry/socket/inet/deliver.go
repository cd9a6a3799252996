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
func (l *packetLink) deliver(packets []*stack.PacketBuffer) {
	var ids [batch]stack.TransportEndpointID
	var of [batch]bool
	for i, p := range packets {
		ids[i], of[i] = connectionOf(p)
	}
	var room [batch]*stack.PacketBuffer
	for i, p := range packets {
		switch {
		case p == nil: // it has gone with one before
		case !of[i]:
			pass(l.in.to, p)
		default:
			together := append(room[:0], p)
			for k := i + 1; k < len(packets); k++ {
				if of[k] && ids[k] == ids[i] {
					together = append(together, packets[k])
					packets[k], of[k] = nil, false
				}
			}
			l.deliverTo(l.endpoint(p, ids[i]), together)
		}
	}
}

// deliverTo gives packets of one connection to the stack, which are for e, nil for none. If a
// guest is at it that sends, they are left for that.
func (l *packetLink) deliverTo(e *tcp.Endpoint, packets []*stack.PacketBuffer) {
	mine := e != nil && claim(e)
	switch {
	case mine:
		if left := l.desk.take(e); len(left) > 0 {
			packets = append(left, packets...) // in the order they came in
		}
	case l.desk.leave(e, packets):
		l.in.left = true
		return
	}
	l.hand(e, mine, packets)
}

// hand gives packets to the stack, and has them dealt with if e is the caller's. If somebody
// else is at it, that is for them, or for whom they tell.
func (l *packetLink) hand(e *tcp.Endpoint, mine bool, packets []*stack.PacketBuffer) {
	if l.gates.count.Load() == 0 { // programs see all
		packets = withoutOutdone(packets)
	}
	for _, p := range packets {
		if l.gates.lets(e, p) {
			pass(l.in.to, p)
		} else {
			p.DecRef()
		}
	}
	switch {
	case !mine:
	case l.late.about(e):
		work(e)
		l.late.tell()
	default:
		work(e)
	}
}

// withoutOutdone is packets of one connection without those that do nothing but acknowledge less
// than the next one, if that does nothing else either: the stack would send as much as each lets
// it, in shorter segments than the last one alone. The others are used up.
func withoutOutdone(packets []*stack.PacketBuffer) []*stack.PacketBuffer {
	if len(packets) == 1 {
		return packets
	}
	left := packets[:0]
	var last uint32
	bare := false // the last of left is such a one
	for _, p := range packets {
		ack, is := acknowledgement(p)
		if is && bare && int32(ack-last) > 0 && p.RXChecksumValidated {
			left[len(left)-1].DecRef()
			left = left[:len(left)-1]
		}
		left = append(left, p)
		last, bare = ack, is
	}
	return left
}

// acknowledgement is what p acknowledges, a whole packet of TCP whose headers have not been
// read, if it does nothing else.
func acknowledgement(p *stack.PacketBuffer) (ack uint32, is bool) {
	const most = header.IPv4MaximumHeaderSize + header.TCPHeaderMaximumSize
	n := p.Data().Size()
	if n > most {
		return 0, false
	}
	whole, ok := p.Data().PullUp(n)
	if !ok {
		return 0, false
	}
	var at, end int // of the segment: a short frame has something behind it
	if p.NetworkProtocolNumber == ipv4.ProtocolNumber {
		h := header.IPv4(whole)
		at, end = int(h.HeaderLength()), int(h.TotalLength())
	} else {
		at, end = header.IPv6MinimumSize, header.IPv6MinimumSize+int(header.IPv6(whole).PayloadLength())
	}
	if end > len(whole) || at+header.TCPMinimumSize > end {
		return 0, false
	}
	h := header.TCP(whole[at:end])
	if int(h.DataOffset()) != len(h) || !bareHeader(h) {
		return 0, false
	}
	return h.AckNumber(), true
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
