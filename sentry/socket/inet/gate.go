package inet

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"garrison/sentry/linux"
	"garrison/sentry/socket/bpf"
)

// A gate is what a socket lets in of what the stack has for it. The stack knows gates, and
// they don't know the Family.
type gate struct {
	filter bpf.Slot
	// own says that packets to groups that the socket is in get in, and to no others, of
	// IPv4 and IPv6: IP_MULTICAST_ALL.
	own [2]atomic.Bool
	// types has a bit for each of the first 32 types of ICMP that do not get in: ICMP_FILTER.
	types  atomic.Uint32
	mu     sync.Mutex // for changing groups, and is held from looking at them on
	groups atomic.Pointer[[]membership]
}

// pass is what of p gets in, which the caller has a reference to; nil for none. from is
// where in p the socket's data begins, and whole how much of that is never cut off.
func (g *gate) pass(p *stack.PacketBuffer, from, whole int) *stack.PacketBuffer {
	f, ok := g.filter.Program()
	if !ok {
		return p.IncRef()
	}
	b := viewOf(p)
	b.At = b.Network + from
	n := int(f.Run(&b))
	switch all := len(b.Data) - b.At; {
	case n == 0:
		return nil
	case n >= all:
		return p.IncRef()
	}
	return cut(p, b.Data[b.Network:min(b.At+max(n, whole), len(b.Data))])
}

// viewOf is p as programs see it, with an empty header of the link if it has none.
func viewOf(p *stack.PacketBuffer) bpf.Packet {
	b := bpf.Packet{Network: linux.ETH_HLEN, Index: int32(p.NICID), Protocol: uint16(p.NetworkProtocolNumber), Hardware: linux.ARPHRD_ETHER}
	if b.Index == loopbackIndex {
		b.Hardware = linux.ARPHRD_LOOPBACK
	}
	switch {
	case p.NetworkPacketInfo.LocalAddressBroadcast:
		b.Type = linux.PACKET_BROADCAST
	case isMulticast(p.Network().DestinationAddress()):
		b.Type = linux.PACKET_MULTICAST
	}
	b.Data = make([]byte, b.Network, b.Network+p.Size())
	if l := p.LinkHeader().Slice(); len(l) == b.Network {
		copy(b.Data, l)
	} else {
		binary.BigEndian.PutUint16(b.Data[b.Network-2:], b.Protocol)
	}
	b.Data = append(b.Data, p.NetworkHeader().Slice()...)
	b.Data = append(b.Data, p.TransportHeader().Slice()...)
	b.Data = append(b.Data, p.Data().AsRange().ToSlice()...)
	return b
}

// cut is a packet as p, of b: what is left of the headers and the data.
func cut(p *stack.PacketBuffer, b []byte) *stack.PacketBuffer {
	n := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	n.NICID, n.NetworkProtocolNumber, n.TransportProtocolNumber = p.NICID, p.NetworkProtocolNumber, p.TransportProtocolNumber
	n.NetworkPacketInfo, n.PktType = p.NetworkPacketInfo, p.PktType
	n.RXChecksumValidated = true // of the whole
	n.NetworkHeader().Consume(len(p.NetworkHeader().Slice()))
	n.TransportHeader().Consume(min(len(p.TransportHeader().Slice()), n.Data().Size()))
	return n
}

// gates is the gates of a stack's sockets that do not let everything in.
type gates struct {
	count atomic.Int32 // of all
	mu    sync.RWMutex
	all   map[tcpip.Endpoint]*gate // protected by mu
}

// put gives a socket of the stack a gate.
func (x *gates) put(ep tcpip.Endpoint, g *gate) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.all == nil {
		x.all = map[tcpip.Endpoint]*gate{}
	}
	x.all[ep] = g
	x.count.Store(int32(len(x.all)))
}

// drop takes a socket's gate away.
func (x *gates) drop(ep tcpip.Endpoint) {
	if x.count.Load() == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.all, ep)
	x.count.Store(int32(len(x.all)))
}

// of is a socket's gate, nil if it has none.
func (x *gates) of(ep any) *gate {
	if x.count.Load() == 0 {
		return nil
	}
	e, ok := ep.(tcpip.Endpoint)
	if !ok {
		return nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.all[e]
}

// lets reports whether a segment, of which no headers have been read, gets in to e, if that is
// a socket: a program takes or drops it whole.
func (x *gates) lets(e *tcp.Endpoint, p *stack.PacketBuffer) bool {
	if e == nil {
		return true
	}
	g := x.of(e)
	if g == nil {
		return true
	}
	f, ok := g.filter.Program()
	if !ok {
		return true
	}
	b := bpf.Packet{Network: linux.ETH_HLEN, Index: int32(p.NICID), Protocol: uint16(p.NetworkProtocolNumber), Hardware: linux.ARPHRD_ETHER}
	b.Data = append(make([]byte, b.Network), p.Data().AsRange().ToSlice()...)
	copy(b.Data, p.LinkHeader().Slice())
	b.At = b.Network + header.IPv6MinimumSize
	if ip := header.IPv4(b.Data[b.Network:]); p.NetworkProtocolNumber == header.IPv4ProtocolNumber {
		b.At = b.Network + int(ip.HeaderLength())
	}
	return b.At <= len(b.Data) && f.Run(&b) != 0
}

// inheritFilter gives a connection the program of from, which listens.
func (e *Endpoint) inheritFilter(from *Endpoint) {
	if _, ok := from.gate.filter.Program(); ok {
		e.gate.filter.Inherit(&from.gate.filter)
		e.guard()
	}
}

// guard has e's gate looked at from now on, by which what is attached to it takes effect.
func (e *Endpoint) guard() { e.fam.gates.put(e.ep(), e.gate) }

// ownGroups is IP_MULTICAST_ALL, off if on is set, of IPv4 and IPv6.
func (e *Endpoint) ownGroups(of int, on bool) {
	if e.gate.own[of].Store(on); on && e.isPackets() {
		e.guard()
	}
}

// Filter implements socket.Filterer.
func (e *Endpoint) Filter() []linux.SockFilter {
	p, _ := e.gate.filter.Program()
	return p
}

// A guarded is a transport protocol whose sockets have gates.
type guarded struct {
	stack.TransportProtocol
	gates *gates
}

// newUDP is UDP, with gates.
func (x *gates) newUDP(s *stack.Stack) stack.TransportProtocol {
	return &guarded{udp.NewProtocol(s), x}
}

// QueuePacket is called by the stack in place of ep.HandlePacket.
func (t *guarded) QueuePacket(ep stack.TransportEndpoint, id stack.TransportEndpointID, p *stack.PacketBuffer) {
	g := t.gates.of(ep)
	if !t.gates.heard(g, p) {
		return
	}
	if g == nil {
		ep.HandlePacket(id, p)
		return
	}
	isUDP := t.Number() == udp.ProtocolNumber
	if isUDP && !validUDP(p) {
		return
	}
	q := g.pass(p, len(p.NetworkHeader().Slice()), len(p.TransportHeader().Slice()))
	if q == nil {
		return
	}
	defer q.DecRef()
	if h := header.UDP(q.TransportHeader().Slice()); isUDP && q != p {
		h.SetLength(uint16(len(h) + q.Data().Size()))
	}
	ep.HandlePacket(id, q)
}

// validUDP reports whether a datagram is as it was sent: no program sees any other.
func validUDP(p *stack.PacketBuffer) bool {
	n := p.Network()
	length, sum := header.UDPValid(header.UDP(p.TransportHeader().Slice()), func() uint16 { return p.Data().Checksum() },
		uint16(p.Data().Size()), p.NetworkProtocolNumber, n.SourceAddress(), n.DestinationAddress(), p.RXChecksumValidated)
	return length && sum
}

// A rawGate is in the place of a raw socket that the stack delivers packets to.
type rawGate struct {
	stack.RawTransportEndpoint
	gates *gates
}

// HandlePacket implements stack.RawTransportEndpoint.
func (r *rawGate) HandlePacket(p *stack.PacketBuffer) {
	g := r.gates.of(r.RawTransportEndpoint)
	if !r.gates.heard(g, p) {
		return
	}
	if g == nil {
		r.RawTransportEndpoint.HandlePacket(p)
		return
	}
	if g.refusesType(p) {
		return
	}
	// A socket of IPv4 sees the header of that, too, without which the stack takes none. One
	// of ICMPv6 takes none whose checksum, which is of all of it, is wrong.
	from, whole := 0, len(p.NetworkHeader().Slice())
	if p.NetworkProtocolNumber == header.IPv6ProtocolNumber {
		from, whole = whole, p.Size()
	}
	if q := g.pass(p, from, whole); q != nil {
		r.RawTransportEndpoint.HandlePacket(q)
		q.DecRef()
	}
}

// refusesType reports whether p is of a type of ICMP that does not get in.
func (g *gate) refusesType(p *stack.PacketBuffer) bool {
	types := g.types.Load()
	if types == 0 || p.TransportProtocolNumber != header.ICMPv4ProtocolNumber {
		return false
	}
	// Some packets have their header parsed, and some do not.
	h := p.TransportHeader().Slice()
	if len(h) == 0 {
		h, _ = p.Data().PullUp(1)
	}
	return len(h) > 0 && h[0] < 32 && types>>h[0]&1 != 0
}

// guardRaw has the stack deliver packets to ep, a raw socket, by a gate.
func (e *Endpoint) guardRaw(s *stack.Stack) {
	r, ok := e.ep().(stack.RawTransportEndpoint)
	if !ok || e.kind.Protocol == linux.IPPROTO_RAW { // which gets none
		return
	}
	g := &rawGate{r, e.fam.gates}
	net, transport := networkOf(e.kind.Family), e.transport()
	s.UnregisterRawTransportEndpoint(net, transport, r)
	if s.RegisterRawTransportEndpoint(net, transport, g) == nil {
		e.raw = g
	}
}

// discard ends the stack's part of e, and takes its gate away.
func (e *Endpoint) discard() {
	defer e.cur.Load().detach()
	e.fam.gates.drop(e.ep())
	if e.raw != nil {
		e.fam.current().UnregisterRawTransportEndpoint(networkOf(e.kind.Family), e.transport(), e.raw)
	}
}
