package inet

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// NewPacketLink carries a link's frames over fd, a host AF_PACKET socket bound to the
// host's end of it, which the link owns from now on. The error is the host's.
func NewPacketLink(fd int, mtu uint32, hardware [6]byte) (stack.LinkEndpoint, error) {
	return fdbased.New(&fdbased.Options{
		FDs:                []int{fd},
		MTU:                mtu,
		EthernetHeader:     true,
		Address:            tcpip.LinkAddress(hardware[:]),
		PacketDispatchMode: fdbased.RecvMMsg,
		RXChecksumOffload:  true,
	})
}

// Links implements socket.Interfaces.
func (f *Family) Links() []socket.Link {
	out := []socket.Link{{
		Index: loopbackIndex,
		Name:  "lo",
		Flags: linux.IFF_UP | linux.IFF_LOOPBACK | linux.IFF_RUNNING | linux.IFF_LOWER_UP,
		MTU:   loopbackMTU,
		Type:  linux.ARPHRD_LOOPBACK,
	}}
	for _, l := range f.conf.Links {
		out = append(out, socket.Link{
			Index:    l.Index,
			Name:     l.Name,
			Flags:    linux.IFF_UP | linux.IFF_BROADCAST | linux.IFF_RUNNING | linux.IFF_MULTICAST | linux.IFF_LOWER_UP,
			MTU:      l.MTU,
			Type:     linux.ARPHRD_ETHER,
			Hardware: l.Hardware,
		})
	}
	if s := f.current(); s != nil {
		for i := range out {
			out[i].Stats = statsOf(s, out[i].Index)
		}
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
	for _, p := range loopbackPrefixes {
		out = append(out, socket.LinkAddr{Link: loopbackIndex, Prefix: p, Scope: linux.RT_SCOPE_HOST, Label: "lo"})
	}
	for _, l := range f.conf.Links {
		for _, p := range l.Addresses {
			a := socket.LinkAddr{Link: l.Index, Prefix: p, Scope: linux.RT_SCOPE_UNIVERSE, Label: l.Name, Broadcast: broadcast(p)}
			if p.Addr().IsLinkLocalUnicast() {
				a.Scope = linux.RT_SCOPE_LINK
			}
			out = append(out, a)
		}
	}
	return out
}

// broadcast is the last address of an IPv4 network that has more than two.
func broadcast(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Addr().As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])|^uint32(0)>>p.Bits())
	return netip.AddrFrom4(b)
}

// Routes implements socket.Interfaces: first table main, then local, as Linux fills
// it for the addresses there are.
func (f *Family) Routes() (out []socket.Route) {
	for _, r := range f.routes() {
		t := socket.Route{Dst: r.Dst, Gateway: r.Gateway, Link: r.Link, Table: linux.RT_TABLE_MAIN, Type: linux.RTN_UNICAST}
		if !r.Gateway.IsValid() {
			t.Scope = linux.RT_SCOPE_LINK
			t.Source = f.source(r)
		}
		out = append(out, t)
	}
	for _, a := range f.Addresses() {
		host := netip.PrefixFrom(a.Prefix.Addr(), a.Prefix.Addr().BitLen())
		t := socket.Route{Dst: host, Source: a.Prefix.Addr(), Link: a.Link, Table: linux.RT_TABLE_LOCAL, Type: linux.RTN_LOCAL, Scope: linux.RT_SCOPE_HOST}
		if a.Prefix.Addr().Is6() {
			t.Source, t.Scope = netip.Addr{}, 0
		}
		if a.Link == loopbackIndex && a.Prefix.Addr().Is4() {
			net := t
			net.Dst = a.Prefix.Masked()
			out = append(out, net)
		}
		out = append(out, t)
		b := a.Broadcast
		if a.Link == loopbackIndex {
			b = broadcast(a.Prefix) // not of the address, but there all the same
		}
		if b.IsValid() {
			t.Dst, t.Type, t.Scope = netip.PrefixFrom(b, 32), linux.RTN_BROADCAST, linux.RT_SCOPE_LINK
			out = append(out, t)
		}
	}
	return out
}

// source is the address that packets on r leave from.
func (f *Family) source(r RouteConfig) netip.Addr {
	for _, l := range f.conf.Links {
		for _, p := range l.Addresses {
			if l.Index == r.Link && p.Addr().Is4() && r.Dst.Contains(p.Addr()) {
				return p.Addr()
			}
		}
	}
	return netip.Addr{}
}
