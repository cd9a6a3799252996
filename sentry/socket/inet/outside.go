package inet

import (
	"cmp"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"garrison/sentry/linux"
)

// An Outside is the links of a network namespace to the outside, and its routes by way of
// them.
type Outside struct {
	// Loopback is the loopback, of which Configure does not decide.
	Loopback LinkConfig
	Links    []LinkConfig
	Routes   []RouteConfig // those of the table main, for the links' own networks, too
	// Neighbors are those that were there for good when they were configured. What is
	// made of them inside, the stack alone knows.
	Neighbors []NeighborConfig
}

// A NeighborConfig is who has an address on a link, whoever else says so.
type NeighborConfig struct {
	Link     int32
	Addr     netip.Addr
	Hardware [6]byte
}

// A LinkConfig is a link to the outside.
type LinkConfig struct {
	Name      string
	Index     int32 // from 2 on
	MTU       uint32
	Flags     uint32 // IFF_*
	Hardware  [6]byte
	Endpoint  stack.LinkEndpoint // what carries its frames: see NewPacketLink
	Addresses []AddressConfig
}

// An AddressConfig is an address of a link, with the length of its network's prefix.
type AddressConfig struct {
	netip.Prefix
	Broadcast netip.Addr // zero if there is none
}

// A RouteConfig is a route by way of a link.
type RouteConfig struct {
	Dst      netip.Prefix
	Gateway  netip.Addr // zero if Dst is on the link
	Source   netip.Addr // preferred; zero if none
	Link     int32
	Metric   uint32
	Scope    uint8 // RT_SCOPE_*
	Protocol uint8 // RTPROT_*
}

// Configure gives the namespace the links and routes of o, where they are not those that the
// last call gave it: what who administers it has changed since stays. A link stays, and with it
// what is under way, if its index and endpoint are the same; of one that goes, the endpoint is
// closed. If it fails, what could be done has been.
func (f *Family) Configure(o *Outside) error {
	s, err := f.stack()
	if err != nil {
		return err
	}
	f.configuring.Lock()
	defer f.configuring.Unlock()
	next := f.outside.Load().after(f.host, o)
	f.host = o
	return f.install(s, next)
}

// install makes o what the namespace has, and tells of what changes so. configuring is held.
func (f *Family) install(s *stack.Stack, o *Outside) error {
	before, old := f.state(), f.outside.Load()
	// Who looks meanwhile sees what is coming: what is going can't be used any more.
	f.outside.Store(o)
	for i := range o.Links {
		if l := &o.Links[i]; old.same(l) == nil {
			f.net.StartLink(l.Name)
		}
	}
	f.heeded.Store(heed(f.net))
	for i := range old.Links {
		if l := &old.Links[i]; o.same(l) == nil {
			l.detach()
			s.RemoveNIC(tcpip.NICID(l.Index))
		}
	}
	first := f.change(s, &old.Loopback, &o.Loopback)
	for i := range o.Links {
		l := &o.Links[i]
		if err := f.change(s, old.same(l), l); err != nil && first == nil {
			first = err
		}
	}
	var only *packetLink
	if len(o.Links) == 1 {
		only, _ = o.Links[0].Endpoint.(*packetLink)
	}
	f.only.Store(only)
	s.SetRouteTable(o.table())
	settleNeighbors(s, old, o)
	f.tuneLinks(s)
	after := f.state()
	f.net.Tell(&before, &after)
	return first
}

// settleNeighbors gives s the neighbours that o has and old had not, and takes away those that
// only old had. A link that is new has none.
func settleNeighbors(s *stack.Stack, old, o *Outside) {
	for _, n := range old.Neighbors {
		if !slices.Contains(o.Neighbors, n) {
			s.RemoveNeighbor(tcpip.NICID(n.Link), protocolOf(n.Addr), toTCPIP(n.Addr)) // unless the link has gone
		}
	}
	for _, n := range o.Neighbors {
		if l := o.link(n.Link); l != nil && (old.same(l) == nil || !slices.Contains(old.Neighbors, n)) {
			s.AddStaticNeighbor(tcpip.NICID(n.Link), protocolOf(n.Addr), toTCPIP(n.Addr), tcpip.LinkAddress(n.Hardware[:]))
		}
	}
}

// detach ends the receiving of packets. To remove a link waits for one that is being
// received, with a lock held which that may need.
func (l *LinkConfig) detach() { l.Endpoint.Attach(nil) }

// same is the link of o that l is, or nil.
func (o *Outside) same(l *LinkConfig) *LinkConfig {
	for i := range o.Links {
		if m := &o.Links[i]; m.Index == l.Index && m.Endpoint == l.Endpoint {
			return m
		}
	}
	return nil
}

// change makes the link was what l says, or makes one if was is nil.
func (f *Family) change(s *stack.Stack, was, l *LinkConfig) error {
	id := tcpip.NICID(l.Index)
	var had []AddressConfig
	if was == nil {
		if p, ok := l.Endpoint.(*packetLink); ok {
			p.of, p.id, p.late, p.taps, p.gates = s, id, f.late, f.taps, f.gates
		}
		// No name: the stack could not change it while packets come, and nobody asks it.
		if err := s.CreateNICWithOptions(id, l.Endpoint, stack.NICOptions{}); err != nil {
			return errno(err)
		}
	} else {
		had = was.Addresses
		s.SetNICMTU(id, l.MTU)
		if l.Index != loopbackIndex {
			s.SetNICAddress(id, tcpip.LinkAddress(l.Hardware[:]))
		}
		switch up := l.Flags&linux.IFF_UP != 0; {
		case up == (was.Flags&linux.IFF_UP != 0):
		case up:
			s.EnableNIC(id)
		default:
			s.DisableNIC(id)
		}
	}
	for _, p := range had {
		if !slices.Contains(l.Addresses, p) {
			s.RemoveAddress(id, toTCPIP(p.Addr()))
		}
	}
	for _, p := range l.Addresses {
		if slices.Contains(had, p) {
			continue
		}
		if err := addAddress(s, id, p.Prefix); err != nil {
			return err
		}
	}
	return nil
}

// table is the routes of o as the stack has them: of those for the same network, the one
// with the lowest metric first.
func (o *Outside) table() (out []tcpip.Route) {
	for _, a := range o.Loopback.Addresses {
		out = append(out, tcpip.Route{Destination: subnet(a.Prefix), NIC: loopbackIndex})
	}
	routes := slices.Clone(o.Routes)
	slices.SortStableFunc(routes, func(a, b RouteConfig) int { return cmp.Compare(a.Metric, b.Metric) })
	for _, r := range routes {
		t := tcpip.Route{Destination: subnet(r.Dst), NIC: tcpip.NICID(r.Link)}
		if r.Gateway.IsValid() {
			t.Gateway = toTCPIP(r.Gateway)
		}
		if r.Source.IsValid() {
			t.SourceHint = toTCPIP(r.Source)
		}
		out = append(out, t)
	}
	return out
}

// owner is the link that has the address a, or nil. The loopback has all of its networks'.
func (o *Outside) owner(a netip.Addr) *LinkConfig {
	for _, p := range o.Loopback.Addresses {
		if p.Contains(a) {
			return &o.Loopback
		}
	}
	for i := range o.Links {
		for _, p := range o.Links[i].Addresses {
			if p.Addr() == a {
				return &o.Links[i]
			}
		}
	}
	return nil
}
