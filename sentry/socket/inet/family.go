package inet

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// A member is one of the two families that share a Family's stack.
type member struct {
	*Family
	family uint16
}

// Socket implements socket.Family.
func (m *member) Socket(c vfs.Ctx, typ linux.SockType, protocol int32) (*socket.Socket, error) {
	protocol, err := socket.InetProtocol(m.family, typ, protocol)
	if err != nil {
		return nil, err
	}
	h := m.heeded.Load()
	switch {
	case typ == linux.SOCK_RAW && !m.net.Capable(c, auth.CapNetRaw):
		return nil, linux.EPERM
	case typ == linux.SOCK_DGRAM && isPing(protocol) && !h.mayPing(c.Creds()):
		return nil, linux.EACCES
	}
	s, err := m.stack()
	if err != nil {
		return nil, linux.ENOMEM
	}
	k := socket.Kind{Family: m.family, Type: typ, Protocol: protocol}
	q := &waiter.Queue{}
	ep, terr := open(s, k, q)
	if terr != nil {
		return nil, errno(terr)
	}
	h.begin(k, ep)
	o := ep.SocketOptions()
	if k.Type == linux.SOCK_RAW || isPing(k.Protocol) { // as Linux has it
		o.SetReuseAddress(true)
		o.SetMulticastLoop(true)
	}
	if k.Type == linux.SOCK_DGRAM && k.Protocol == linux.IPPROTO_ICMPV6 {
		o.SetV6Only(true)
	}
	e := m.newEndpoint(k, ep, q, socket.NewOptions(m.net))
	e.uid = c.Creds().EUID
	if e.isRaw() {
		e.guardRaw(s)
	}
	return e.wrap(), nil
}

// open makes the stack's part of a socket. UDP-Lite is UDP whose checksum covers
// everything, in UDP's range of ports.
func open(s *stack.Stack, k socket.Kind, q *waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	net := networkOf(k.Family)
	switch {
	case k.Type == linux.SOCK_RAW:
		// IPPROTO_RAW only sends, what has its own header.
		return s.NewRawEndpoint(tcpip.TransportProtocolNumber(k.Protocol), net, q, k.Protocol != linux.IPPROTO_RAW)
	case k.Type == linux.SOCK_STREAM:
		return s.NewEndpoint(tcp.ProtocolNumber, net, q)
	case k.Protocol == linux.IPPROTO_ICMP:
		return s.NewEndpoint(icmp.ProtocolNumber4, net, q)
	case k.Protocol == linux.IPPROTO_ICMPV6:
		return s.NewEndpoint(icmp.ProtocolNumber6, net, q)
	}
	return s.NewEndpoint(udp.ProtocolNumber, net, q)
}

// Sockets implements socket.Lister.
func (m *member) Sockets() []socket.Info {
	m.mu.Lock()
	es := make([]*Endpoint, 0, len(m.all))
	for e := range m.all {
		if e.kind.Family == m.family {
			es = append(es, e)
		}
	}
	m.mu.Unlock()
	out := make([]socket.Info, 0, len(es))
	for _, e := range es {
		out = append(out, e.info())
	}
	return out
}

func (e *Endpoint) info() socket.Info {
	local, _ := e.ep().GetLocalAddress()
	remote, _ := e.ep().GetRemoteAddress()
	l := e.local.Load()
	if l != nil {
		local, remote = l.name, l.remote
	}
	i := socket.Info{
		Kind:   e.kind,
		State:  linux.TCP_CLOSE,
		Inode:  e.socket.Inode(),
		UID:    e.uid,
		Local:  addrPort(e.kind.Family, local),
		Remote: addrPort(e.kind.Family, remote),
	}
	if n, err := e.ep().GetSockOptInt(tcpip.ReceiveQueueSizeOption); err == nil {
		i.Recv = uint32(n)
	}
	i.Sent = uint32(e.unsent())
	switch {
	case l != nil:
		i.State, i.Recv, i.Sent = l.state(), uint32(l.queued(true)), uint32(l.queued(false))
	case e.isTCP():
		i.State = e.state()
		if i.Listening = i.State == linux.TCP_LISTEN; i.Listening {
			i.Recv += uint32(e.pendingLocal())
			i.Backlog = uint32(e.backlog())
		}
	case remote.Addr.BitLen() != 0:
		i.State = linux.TCP_ESTABLISHED
	}
	return i
}
