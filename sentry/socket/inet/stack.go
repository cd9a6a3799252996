package inet

import (
	"net/netip"
	"runtime"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// A Config is a network namespace's links and routes. The loopback, index 1, is
// always there and up.
type Config struct {
	Links  []LinkConfig
	Routes []RouteConfig
	// FirstPort is /proc/sys/net/ipv4/ip_unprivileged_port_start: lower ports
	// need CAP_NET_BIND_SERVICE. 0 is 1024; -1 is none.
	FirstPort int
}

// A LinkConfig is a link to the outside.
type LinkConfig struct {
	Name      string
	Index     int32 // from 2 on
	MTU       uint32
	Hardware  [6]byte
	Endpoint  stack.LinkEndpoint `save:"-"` // what carries its frames: see NewPacketLink
	Addresses []netip.Prefix
}

// A RouteConfig is a route by way of a link.
type RouteConfig struct {
	Dst     netip.Prefix
	Gateway netip.Addr // zero if Dst is on the link
	Link    int32
}

// loopbackIndex is the loopback's index, and its MTU is Linux's.
const (
	loopbackIndex = 1
	loopbackMTU   = 65536
)

// Ports that are given to sockets that do not choose: ip_local_port_range.
const firstEphemeral, lastEphemeral = 32768, 60999

// A Family is AF_INET and AF_INET6 of one network namespace.
type Family struct {
	net  *socket.Network
	conf Config

	mu  sync.Mutex
	stk *stack.Stack           `save:"-"` // protected by mu; nil until it is needed
	all map[*Endpoint]struct{} // protected by mu
	// listening is the TCP sockets that listen, by port; protected by mu.
	listening map[uint16][]*Endpoint
	turn      int // protected by mu: counts connections, for SO_REUSEPORT
}

// New adds AF_INET and AF_INET6 to a network. The stack is made on first use, or at
// once if there are links: they have to answer.
func New(n *socket.Network, c Config) (*Family, error) {
	if c.FirstPort == 0 {
		c.FirstPort = 1024
	}
	f := &Family{net: n, conf: c, all: map[*Endpoint]struct{}{}, listening: map[uint16][]*Endpoint{}}
	n.Add(linux.AF_INET, &member{f, linux.AF_INET})
	n.Add(linux.AF_INET6, &member{f, linux.AF_INET6})
	if len(c.Links) > 0 {
		if _, err := f.stack(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// stack is the namespace's stack, made now if it was not yet.
func (f *Family) stack() (*stack.Stack, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stk != nil {
		return f.stk, nil
	}
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocolCUBIC, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		HandleLocal:        true,
		RawFactory:         raw.EndpointFactory{},
	})
	if err := f.configure(s); err != nil {
		s.Destroy()
		return nil, err
	}
	f.stk = s
	// A namespace ends when nobody knows it any more; the stack's goroutines, which
	// don't know it either, have to be told.
	runtime.AddCleanup(f, func(s *stack.Stack) { go s.Destroy() }, s)
	return s, nil
}

// current is the stack if there is one yet.
func (f *Family) current() *stack.Stack {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stk
}

// Close ends the stack and its links, with the namespace.
func (f *Family) Close() {
	if s := f.current(); s != nil {
		s.Destroy()
	}
}

func (f *Family) configure(s *stack.Stack) error {
	tune(s)
	if err := s.CreateNICWithOptions(loopbackIndex, loopback.New(), stack.NICOptions{Name: "lo"}); err != nil {
		return errno(err)
	}
	var routes []tcpip.Route
	for _, p := range loopbackPrefixes {
		if err := addAddress(s, loopbackIndex, p); err != nil {
			return err
		}
		routes = append(routes, tcpip.Route{Destination: subnet(p), NIC: loopbackIndex})
	}
	for _, l := range f.conf.Links {
		id := tcpip.NICID(l.Index)
		if err := s.CreateNICWithOptions(id, l.Endpoint, stack.NICOptions{Name: l.Name}); err != nil {
			return errno(err)
		}
		for _, p := range l.Addresses {
			if err := addAddress(s, id, p); err != nil {
				return err
			}
		}
	}
	for _, r := range f.routes() {
		t := tcpip.Route{Destination: subnet(r.Dst), NIC: tcpip.NICID(r.Link)}
		if r.Gateway.IsValid() {
			t.Gateway = toTCPIP(r.Gateway)
		}
		routes = append(routes, t)
	}
	s.SetRouteTable(routes)
	return nil
}

// tune sets what Linux has other defaults for.
func tune(s *stack.Stack) {
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: 256 << 10, Max: 4 << 20}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 128 << 10, Max: 6 << 20}
	reuse := tcpip.TCPTimeWaitReuseLoopbackOnly
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &send)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &receive)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &reuse)
	ttl := tcpip.DefaultTTLOption(64)
	s.SetNetworkProtocolOption(ipv4.ProtocolNumber, &ttl)
	s.SetNetworkProtocolOption(ipv6.ProtocolNumber, &ttl)
	s.SetOption(tcpip.SendBufferSizeOption{Min: 4096, Default: socket.DefaultBuffer, Max: 4 << 20})
	s.SetOption(tcpip.ReceiveBufferSizeOption{Min: 4096, Default: socket.DefaultBuffer, Max: 4 << 20})
	s.SetPortRange(firstEphemeral, lastEphemeral)
}

// loopbackPrefixes are the loopback's addresses.
var loopbackPrefixes = [...]netip.Prefix{
	netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 8),
	netip.PrefixFrom(netip.IPv6Loopback(), 128),
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

func addAddress(s *stack.Stack, id tcpip.NICID, p netip.Prefix) error {
	return errno(s.AddProtocolAddress(id, tcpip.ProtocolAddress{
		Protocol:          protocolOf(p.Addr()),
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: toTCPIP(p.Addr()), PrefixLen: p.Bits()},
	}, stack.AddressProperties{}))
}

func subnet(p netip.Prefix) tcpip.Subnet {
	p = p.Masked()
	return tcpip.AddressWithPrefix{Address: toTCPIP(p.Addr()), PrefixLen: p.Bits()}.Subnet()
}

// routes is the routes to the outside: the links' own networks, then what is configured.
func (f *Family) routes() (out []RouteConfig) {
	for _, l := range f.conf.Links {
		for _, p := range l.Addresses {
			if p.Bits() < p.Addr().BitLen() {
				out = append(out, RouteConfig{Dst: p.Masked(), Link: l.Index})
			}
		}
	}
	return append(out, f.conf.Routes...)
}

// networkOf is the network protocol of a family.
func networkOf(family uint16) tcpip.NetworkProtocolNumber {
	if family == linux.AF_INET6 {
		return header.IPv6ProtocolNumber
	}
	return header.IPv4ProtocolNumber
}
