package inet

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
)

// A hush keeps a stack from answering echo requests, of IPv4 and of IPv6. The stack knows
// it, and it doesn't know the Family.
type hush [2]atomic.Bool

// over gives s to h.
func (h *hush) over(s *stack.Stack) {
	s.SetTransportProtocolHandler(icmp.ProtocolNumber4, func(_ stack.TransportEndpointID, p *stack.PacketBuffer) bool {
		m := header.ICMPv4(p.TransportHeader().Slice())
		return len(m) > 0 && m.Type() == header.ICMPv4Echo && h[0].Load()
	})
	s.SetTransportProtocolHandler(icmp.ProtocolNumber6, func(_ stack.TransportEndpointID, p *stack.PacketBuffer) bool {
		m := header.ICMPv6(p.TransportHeader().Slice())
		return len(m) > 0 && m.Type() == header.ICMPv6EchoRequest && h[1].Load()
	})
}

// A pings is ICMP as transport, whose sockets get answers and no echo requests, though they
// have their number: as nobody gets those, a hush does.
type pings struct {
	guarded
	request byte // the type of echo requests
}

func (x *gates) newPing4(s *stack.Stack) stack.TransportProtocol {
	return &pings{guarded{icmp.NewProtocol4(s), x}, byte(header.ICMPv4Echo)}
}

func (x *gates) newPing6(s *stack.Stack) stack.TransportProtocol {
	return &pings{guarded{icmp.NewProtocol6(s), x}, byte(header.ICMPv6EchoRequest)}
}

// ParsePorts implements stack.TransportProtocol.
func (p *pings) ParsePorts(b []byte) (src, dst uint16, err tcpip.Error) {
	src, dst, err = p.TransportProtocol.ParsePorts(b)
	if err == nil && b[0] == p.request {
		dst = 0
	}
	return src, dst, err
}
