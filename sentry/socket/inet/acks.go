package inet

import (
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// An acks is the acknowledgement that waits for an answer of the guest's to go with, or until
// the guest sleeps again, or for a tick: the stack sends one for every batch of packets, at
// once, and to send it costs as much as to send the answer. Linux waits for 40 ms.
type acks struct {
	mu   sync.Mutex
	hold bool                // protected by mu: what is sent now may wait
	held *stack.PacketBuffer // protected by mu: what does, or nil
}

// request is how long a frame is, at most, that an answer is expected to in its turn: one of
// many, or of a long message, is to be acknowledged soon.
const request = 1024

// begin says that what is sent from now until end may wait.
func (a *acks) begin() {
	a.mu.Lock()
	a.hold = true
	a.mu.Unlock()
}

func (a *acks) end() {
	a.mu.Lock()
	a.hold = false
	a.mu.Unlock()
}

// take is what waits, which does not any more.
func (a *acks) take() *stack.PacketBuffer {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.held
	a.held = nil
	return p
}

// WritePackets implements stack.LinkEndpoint.
func (l *packetLink) WritePackets(ps stack.PacketBufferList) (int, tcpip.Error) {
	all := ps.AsSlice()
	if len(all) != 1 {
		l.acknowledge()
		return l.out(ps)
	}
	first, waits := l.acks.before(all[0])
	if first != nil {
		l.send(first)
	}
	if waits {
		return 1, nil
	}
	return l.out(ps)
}

// acknowledge sends what waits.
func (l *packetLink) acknowledge() {
	if p := l.acks.take(); p != nil {
		l.send(p)
	}
}

// send sends p, and uses it up.
func (l *packetLink) send(p *stack.PacketBuffer) {
	var one stack.PacketBufferList
	one.PushBack(p)
	_, _ = l.out(one) // one that is lost will be followed by others
	p.DecRef()
}

// before is called with a packet that is to be sent. It reports whether that waits, or is
// what has to be sent first.
func (a *acks) before(p *stack.PacketBuffer) (first *stack.PacketBuffer, waits bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil && !a.hold || p.TransportProtocolNumber != tcp.ProtocolNumber {
		return nil, false
	}
	switch {
	case a.held == nil:
	case covers(p, a.held):
		a.held.DecRef()
		a.held = nil
	case a.hold && acknowledges(p):
		first, a.held = a.held, nil
	}
	if !a.hold || !acknowledges(p) {
		return first, false
	}
	a.held = p.IncRef()
	return first, true
}

// acknowledges reports whether p does nothing else, and is none of those that tell of a loss.
func acknowledges(p *stack.PacketBuffer) bool {
	return p.Data().Size() == 0 && bareHeader(header.TCP(p.TransportHeader().Slice()))
}

// bareHeader reports whether h, of a segment without data, acknowledges and does nothing else.
func bareHeader(h header.TCP) bool {
	if len(h) < header.TCPMinimumSize || h.Flags() != header.TCPFlagAck {
		return false
	}
	for o := h[header.TCPMinimumSize:]; len(o) > 0; {
		switch {
		case o[0] == header.TCPOptionNOP:
			o = o[1:]
		case o[0] == header.TCPOptionTS && len(o) >= header.TCPOptionTSLength:
			o = o[header.TCPOptionTSLength:]
		default:
			return false
		}
	}
	return true
}

// covers reports whether p, of the same connection as old, acknowledges more than that.
func covers(p, old *stack.PacketBuffer) bool {
	h, o := header.TCP(p.TransportHeader().Slice()), header.TCP(old.TransportHeader().Slice())
	if len(h) < header.TCPMinimumSize || h.Flags()&header.TCPFlagAck == 0 ||
		h.SourcePort() != o.SourcePort() || h.DestinationPort() != o.DestinationPort() || !sameEnds(p, old) {
		return false
	}
	more := int32(h.AckNumber() - o.AckNumber())
	return more > 0 || more == 0 && (p.Data().Size() > 0 || h.Flags()&(header.TCPFlagFin|header.TCPFlagRst) != 0)
}

// sameEnds reports whether two packets go from the same address to the same one.
func sameEnds(p, q *stack.PacketBuffer) bool {
	if p.NetworkProtocolNumber != q.NetworkProtocolNumber {
		return false
	}
	a, b := p.NetworkHeader().Slice(), q.NetworkHeader().Slice()
	if p.NetworkProtocolNumber == ipv4.ProtocolNumber {
		h, o := header.IPv4(a), header.IPv4(b)
		return h.SourceAddress() == o.SourceAddress() && h.DestinationAddress() == o.DestinationAddress()
	}
	h, o := header.IPv6(a), header.IPv6(b)
	return h.SourceAddress() == o.SourceAddress() && h.DestinationAddress() == o.DestinationAddress()
}
