package inet

import (
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// The library tells of packets that it finds strange. Nobody else shall decide how much is
// written, and a time of day in words takes a file, for whose opening a sentry is killed.
// Parts of the library have taken its logger already, so that is not replaced, but silenced.
func init() { log.Log().Emitter = silent{} }

// silent is a log that keeps nothing.
type silent struct{}

// Emit implements log.Emitter.
func (silent) Emit(int, log.Level, time.Time, string, ...any) {}

// loopbackIndex is the loopback's index, and its MTU is Linux's.
const (
	loopbackIndex = 1
	loopbackMTU   = 65536
)

// A Family is AF_INET and AF_INET6 of one network namespace.
type Family struct {
	net    *socket.Network
	heeded atomic.Pointer[heeded] // see Heed

	configuring sync.Mutex
	host        *Outside `save:"-"` // protected by configuring: what Configure was given last
	// outside is the links to the outside and the routes by them. Who holds configuring
	// may replace it as a whole.
	outside atomic.Pointer[Outside] `save:"-"`
	// only is the only link to the outside there is, if it is a packetLink.
	only atomic.Pointer[packetLink] `save:"-"`

	// lo is the loopback. The stack knows it, and it doesn't know the Family: see stack.
	lo   *loopbackLink `save:"-"`
	hush *hush         `save:"-"`
	// streams is what DivertStreams was given, shared what Share was.
	streams atomic.Pointer[streamDiversion] `save:"-"`
	shared  *sharing                        `save:"-"`

	late *late `save:"-"` // of what links work at
	taps *taps `save:"-"` // of all links

	gates *gates `save:"-"` // of all sockets that have one

	mu  sync.Mutex
	stk *stack.Stack           `save:"-"` // protected by mu; nil until it is needed
	all map[*Endpoint]struct{} // protected by mu
	// listening is the TCP sockets that listen, by port; protected by mu.
	listening map[uint16][]*Endpoint
	turn      int // protected by mu: counts connections, for SO_REUSEPORT
}

// New adds AF_INET and AF_INET6 to a network, with a loopback, index 1, which is always there
// and up. Other links are for Configure. The stack is made on first use.
func New(n *socket.Network) *Family {
	t := new(taps)
	f := &Family{net: n, lo: &loopbackLink{LinkEndpoint: loopback.New(), taps: t}, taps: t, hush: new(hush), shared: new(sharing), late: new(late), gates: new(gates), all: map[*Endpoint]struct{}{}, listening: map[uint16][]*Endpoint{}}
	f.host = new(Outside)
	f.outside.Store(&Outside{Loopback: loopbackConfig()})
	f.heeded.Store(heed(n))
	n.Add(linux.AF_INET, &member{f, linux.AF_INET})
	n.Add(linux.AF_INET6, &member{f, linux.AF_INET6})
	return f
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
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocolCUBIC, f.gates.newUDP, f.gates.newPing4, f.gates.newPing6},
		HandleLocal:        true,
		Clock:              ticking{tcpip.NewStdClock()},
		RawFactory:         raw.EndpointFactory{},
		NUDDisp:            neighborhood{weak.Make(f)},
	})
	if err := f.addLoopback(s); err != nil {
		s.Destroy()
		return nil, err
	}
	f.hush.over(s)
	f.shared.over(s)
	f.tune(s)
	f.tuneLinks(s)
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
		f.configuring.Lock()
		defer f.configuring.Unlock()
		for _, l := range f.outside.Load().Links {
			l.detach()
		}
		s.Destroy()
	}
}

// addLoopback gives s its loopback.
func (f *Family) addLoopback(s *stack.Stack) error {
	if err := s.CreateNICWithOptions(loopbackIndex, f.lo, stack.NICOptions{Name: "lo"}); err != nil {
		return errno(err)
	}
	o := f.outside.Load()
	for _, a := range o.Loopback.Addresses {
		if err := addAddress(s, loopbackIndex, a.Prefix); err != nil {
			return err
		}
	}
	s.SetRouteTable(o.table())
	return nil
}

// loopbackConfig is a new namespace's loopback.
func loopbackConfig() LinkConfig {
	l := LinkConfig{Name: "lo", Index: loopbackIndex, MTU: loopbackMTU, Flags: linux.IFF_LOOPBACK | upFlags}
	for _, p := range loopbackPrefixes {
		l.Addresses = append(l.Addresses, AddressConfig{Prefix: p})
	}
	return l
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

// networkOf is the network protocol of a family.
func networkOf(family uint16) tcpip.NetworkProtocolNumber {
	if family == linux.AF_INET6 {
		return header.IPv6ProtocolNumber
	}
	return header.IPv4ProtocolNumber
}
