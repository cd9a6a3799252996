package inet

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// Links implements socket.Interfaces.
func (f *Family) Links() []socket.Link {
	out := f.links()
	if s := f.current(); s != nil {
		for i := range out {
			out[i].Stats = statsOf(s, out[i].Index)
		}
	}
	return out
}

// hasLink reports whether there is a link of that index.
func (f *Family) hasLink(index int32) bool {
	return slices.ContainsFunc(f.links(), func(l socket.Link) bool { return l.Index == index })
}

// links is the links without their counters.
func (f *Family) links() []socket.Link {
	o := f.outside.Load()
	out := []socket.Link{{Index: loopbackIndex, Name: "lo", Flags: o.Loopback.Flags, MTU: o.Loopback.MTU, Type: linux.ARPHRD_LOOPBACK}}
	for _, l := range o.Links {
		out = append(out, socket.Link{
			Index:    l.Index,
			Name:     l.Name,
			Flags:    l.Flags,
			MTU:      l.MTU,
			Type:     linux.ARPHRD_ETHER,
			Hardware: l.Hardware,
		})
	}
	return out
}

func statsOf(s *stack.Stack, index int32) (out socket.LinkStats) {
	n, ok := s.SingleNICInfo(tcpip.NICID(index))
	if !ok {
		return out
	}
	return socket.LinkStats{
		RxBytes:   n.Stats.Rx.Bytes.Value(),
		RxPackets: n.Stats.Rx.Packets.Value(),
		TxBytes:   n.Stats.Tx.Bytes.Value(),
		TxPackets: n.Stats.Tx.Packets.Value(),
	}
}

// Addresses implements socket.Interfaces.
func (f *Family) Addresses() (out []socket.LinkAddr) {
	h, o := f.heeded.Load(), f.outside.Load()
	for _, l := range append([]LinkConfig{o.Loopback}, o.Links...) {
		for _, p := range l.Addresses {
			if p.Addr().Is6() && !h.ipv6(l.Name) {
				continue
			}
			a := socket.LinkAddr{Link: l.Index, Prefix: p.Prefix, Scope: linux.RT_SCOPE_UNIVERSE, Label: l.Name, Broadcast: p.Broadcast}
			switch {
			case p.Addr().IsLoopback():
				a.Scope = linux.RT_SCOPE_HOST
			case p.Addr().IsLinkLocalUnicast():
				a.Scope = linux.RT_SCOPE_LINK
			}
			out = append(out, a)
		}
	}
	return out
}

// broadcast is the broadcast address of a network of IPv4, zero if it has none.
func broadcast(p netip.Prefix) netip.Addr {
	if p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Addr().As4()
	last := binary.BigEndian.Uint32(b[:]) | ^uint32(0)>>p.Bits()
	binary.BigEndian.PutUint32(b[:], last)
	return netip.AddrFrom4(b)
}

// Routes implements socket.Interfaces: first table main, then local, as Linux fills
// it for the addresses there are.
func (f *Family) Routes() (out []socket.Route) {
	for _, r := range f.outside.Load().Routes {
		out = append(out, socket.Route{
			Dst: r.Dst, Gateway: r.Gateway, Source: r.Source, Link: r.Link, Metric: r.Metric,
			Table: linux.RT_TABLE_MAIN, Type: linux.RTN_UNICAST, Scope: r.Scope, Protocol: r.Protocol,
		})
	}
	for _, a := range f.Addresses() {
		host := netip.PrefixFrom(a.Prefix.Addr(), a.Prefix.Addr().BitLen())
		t := socket.Route{Dst: host, Source: a.Prefix.Addr(), Link: a.Link, Table: linux.RT_TABLE_LOCAL, Type: linux.RTN_LOCAL, Scope: linux.RT_SCOPE_HOST, Protocol: linux.RTPROT_KERNEL}
		if a.Prefix.Addr().Is6() {
			t.Source, t.Scope = netip.Addr{}, 0
		}
		if a.Link == loopbackIndex && a.Prefix.Addr().Is4() && a.Prefix.Bits() < 32 {
			net := t
			net.Dst = a.Prefix.Masked()
			out = append(out, net)
		}
		out = append(out, t)
		b := a.Broadcast
		if a.Link == loopbackIndex && a.Prefix.Addr().Is4() {
			b = broadcast(a.Prefix) // not of the address, but there all the same
		}
		if b.IsValid() {
			t.Dst, t.Type, t.Scope = netip.PrefixFrom(b, 32), linux.RTN_BROADCAST, linux.RT_SCOPE_LINK
			out = append(out, t)
		}
	}
	for _, l := range f.outside.Load().Links {
		if slices.ContainsFunc(l.Addresses, func(a AddressConfig) bool { return a.Addr().Is6() }) {
			out = append(out, socket.Route{
				Dst: netip.MustParsePrefix("ff00::/8"), Link: l.Index, Metric: 256,
				Table: linux.RT_TABLE_LOCAL, Type: linux.RTN_MULTICAST, Protocol: linux.RTPROT_KERNEL,
			})
		}
	}
	return out
}
