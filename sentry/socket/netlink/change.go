package netlink

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// changes is the requests that change something, by type.
var changes = map[uint16]func(*Family, vfs.Ctx, *request, socket.Configurer) error{
	linux.RTM_NEWADDR: func(f *Family, _ vfs.Ctx, r *request, to socket.Configurer) error { return f.newAddress(r, to) },
	linux.RTM_DELADDR: func(f *Family, _ vfs.Ctx, r *request, to socket.Configurer) error {
		a, err := f.addressOf(r)
		if err != nil {
			return err
		}
		return to.ChangeAddress(a, false)
	},
	linux.RTM_NEWROUTE: func(f *Family, _ vfs.Ctx, r *request, to socket.Configurer) error { return changeRoute(r, to, false) },
	linux.RTM_DELROUTE: func(f *Family, _ vfs.Ctx, r *request, to socket.Configurer) error { return changeRoute(r, to, true) },
	linux.RTM_NEWNEIGH: func(f *Family, _ vfs.Ctx, r *request, to socket.Configurer) error {
		return changeNeighbor(r, to, false)
	},
	linux.RTM_DELNEIGH: func(f *Family, _ vfs.Ctx, r *request, to socket.Configurer) error { return changeNeighbor(r, to, true) },
	linux.RTM_NEWLINK:  setLink,
	linux.RTM_SETLINK:  setLink,
}

// how is what a request's flags say.
func (r *request) how(remove bool) socket.RouteChange {
	return socket.RouteChange{Remove: remove, Create: r.Flags&linux.NLM_F_CREATE != 0, Replace: r.Flags&linux.NLM_F_REPLACE != 0 && r.Flags&linux.NLM_F_EXCL == 0}
}

// address reads an attribute that is an address of a family; ok is false for another one.
func address(attrs []byte, typ uint16, family uint8) (a netip.Addr, ok bool) {
	b := attribute(attrs, typ)
	if b == nil {
		return a, true
	}
	a, ok = netip.AddrFromSlice(b)
	return a, ok && familyOf(a) == family && !a.Is4In6()
}

func number(attrs []byte, typ uint16) uint32 {
	if b := attribute(attrs, typ); len(b) >= 4 {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// addressOf is the address that a request tells: EINVAL, ENODEV.
func (f *Family) addressOf(r *request) (out socket.LinkAddr, err error) {
	q, attrs := head[linux.Ifaddrmsg](r)
	a, ok := address(attrs, linux.IFA_LOCAL, q.Family)
	if ok && !a.IsValid() {
		a, ok = address(attrs, linux.IFA_ADDRESS, q.Family)
	}
	if !ok || !a.IsValid() || int(q.Prefixlen) > a.BitLen() || a.IsMulticast() || a.IsUnspecified() {
		return out, linux.EINVAL
	}
	if !containsLink(f.net.Interfaces().Links(), int32(q.Index)) {
		return out, linux.ENODEV
	}
	out = socket.LinkAddr{Link: int32(q.Index), Prefix: netip.PrefixFrom(a, int(q.Prefixlen))}
	out.Broadcast, ok = address(attrs, linux.IFA_BROADCAST, q.Family)
	if !ok {
		return out, linux.EINVAL
	}
	return out, nil
}

// newAddress is RTM_NEWADDR. A new network's loopback has its own address and is up from the
// beginning, so that who brings it up by hand, address first (bubblewrap does), is told that
// it has worked, once.
func (f *Family) newAddress(r *request, to socket.Configurer) error {
	a, err := f.addressOf(r)
	if err != nil {
		return err
	}
	err = to.ChangeAddress(a, true)
	if err != linux.EEXIST {
		return err
	}
	if len(f.net.Interfaces().Links()) == 1 && a.Prefix.Addr().Is4() && a.Prefix.Addr().IsLoopback() && !f.claimed.Swap(true) {
		return nil
	}
	if r.Flags&linux.NLM_F_REPLACE != 0 {
		return nil
	}
	return complaint{linux.EEXIST, "the link has that address already"}
}

// changeRoute is RTM_NEWROUTE and RTM_DELROUTE, of unicast routes of the table main:
// EOPNOTSUPP for others.
func changeRoute(r *request, to socket.Configurer, remove bool) error {
	q, attrs := head[linux.Rtmsg](r)
	t := socket.Route{Link: int32(number(attrs, linux.RTA_OIF)), Metric: number(attrs, linux.RTA_PRIORITY), Scope: q.Scope, Protocol: q.Protocol}
	dst, ok := address(attrs, linux.RTA_DST, q.Family)
	var ok2, ok3 bool
	t.Gateway, ok2 = address(attrs, linux.RTA_GATEWAY, q.Family)
	t.Source, ok3 = address(attrs, linux.RTA_PREFSRC, q.Family)
	table := uint32(q.Table)
	if n := number(attrs, linux.RTA_TABLE); n != 0 {
		table = n
	}
	switch {
	case q.Family != linux.AF_INET && q.Family != linux.AF_INET6:
		return linux.EAFNOSUPPORT
	case !ok || !ok2 || !ok3:
		return linux.EINVAL
	case table != linux.RT_TABLE_MAIN && table != linux.RT_TABLE_UNSPEC:
		return complaint{linux.EOPNOTSUPP, "only the table main can be changed"}
	case q.Type != linux.RTN_UNICAST && !(remove && q.Type == linux.RTN_UNSPEC) || attribute(attrs, linux.RTA_MULTIPATH) != nil:
		return complaint{linux.EOPNOTSUPP, "only unicast routes by one link can be changed"}
	case !dst.IsValid() && q.Family == linux.AF_INET:
		dst = netip.IPv4Unspecified()
	case !dst.IsValid():
		dst = netip.IPv6Unspecified()
	}
	if t.Dst = netip.PrefixFrom(dst, int(q.DstLen)); !t.Dst.IsValid() || t.Dst != t.Dst.Masked() {
		return complaint{linux.EINVAL, "the destination has bits beyond its prefix"}
	}
	if t.Dst.Addr().Is6() && t.Metric == 0 && !remove {
		t.Metric = 1024 // as Linux has it
	}
	if t.Dst.Addr().Is6() {
		t.Scope = 0
	}
	err := to.ChangeRoute(t, r.how(remove))
	if err == linux.ENETUNREACH {
		return complaint{linux.ENETUNREACH, "no link leads to the gateway"}
	}
	return err
}

// changeNeighbor is RTM_NEWNEIGH and RTM_DELNEIGH. Those that are made stay, whatever state
// they are made in but NUD_PERMANENT and NUD_NOARP is not known here: EOPNOTSUPP.
func changeNeighbor(r *request, to socket.Configurer, remove bool) error {
	q, attrs := head[linux.Ndmsg](r)
	a, ok := address(attrs, linux.NDA_DST, q.Family)
	hardware := attribute(attrs, linux.NDA_LLADDR)
	n := socket.Neighbor{Link: q.Index, Addr: a}
	copy(n.Hardware[:], hardware)
	switch {
	case !ok || !a.IsValid() || q.Index == 0:
		return linux.EINVAL
	case remove:
	case q.State&(linux.NUD_PERMANENT|linux.NUD_NOARP) == 0:
		return complaint{linux.EOPNOTSUPP, "only permanent neighbours can be made"}
	case len(hardware) != len(n.Hardware):
		return linux.EINVAL
	}
	return to.ChangeNeighbor(n, r.how(remove))
}

// setLink is RTM_NEWLINK and RTM_SETLINK of a link that is there: up or down, and its MTU.
// None is made.
func setLink(f *Family, c vfs.Ctx, r *request, to socket.Configurer) error {
	ifs := f.net.Interfaces()
	q, l, err := named(r, ifs)
	if err == linux.ENODEV && r.Flags&linux.NLM_F_CREATE != 0 {
		return complaint{linux.EOPNOTSUPP, "links can't be made"}
	}
	if err != nil {
		return err
	}
	_, attrs := head[linux.Ifinfomsg](r)
	if name := cstring(attribute(attrs, linux.IFLA_IFNAME)); name != "" && name != l.Name {
		return complaint{linux.EOPNOTSUPP, "a link keeps its name"}
	}
	if attribute(attrs, linux.IFLA_ADDRESS) != nil || attribute(attrs, linux.IFLA_MASTER) != nil {
		return complaint{linux.EOPNOTSUPP, "a link keeps its address and its master"}
	}
	if mtu := attribute(attrs, linux.IFLA_MTU); mtu != nil {
		if err := to.SetMTU(l.Index, number(attrs, linux.IFLA_MTU)); err != nil {
			return err
		}
	}
	if q.Flags&q.Change&linux.IFF_UP != 0 {
		f.claimed.Store(true)
	}
	return l.SetFlags(c, f.net, q.Flags, q.Change)
}

func containsLink(links []socket.Link, index int32) bool {
	return slices.ContainsFunc(links, func(l socket.Link) bool { return l.Index == index })
}
