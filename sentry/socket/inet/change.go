package inet

import (
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// clone is a copy of o that may be changed.
func (o *Outside) clone() *Outside {
	n := &Outside{Loopback: o.Loopback, Links: slices.Clone(o.Links), Routes: slices.Clone(o.Routes), Neighbors: slices.Clone(o.Neighbors)}
	n.Loopback.Addresses = slices.Clone(n.Loopback.Addresses)
	for i := range n.Links {
		n.Links[i].Addresses = slices.Clone(n.Links[i].Addresses)
	}
	return n
}

// link is the link with that index, the loopback, too; nil if there is none.
func (o *Outside) link(index int32) *LinkConfig {
	if index == loopbackIndex {
		return &o.Loopback
	}
	for i := range o.Links {
		if o.Links[i].Index == index {
			return &o.Links[i]
		}
	}
	return nil
}

// after is o, which somebody inside may have changed, when what is outside changes from was
// to now: what does not change there stays as it is here.
func (o *Outside) after(was, now *Outside) *Outside {
	out := now.clone()
	out.Loopback = o.Loopback
	for i := range out.Links {
		l := &out.Links[i]
		mine, old := o.same(l), was.same(l)
		if mine == nil || old == nil {
			continue
		}
		if l.MTU == old.MTU {
			l.MTU = mine.MTU
		}
		if l.Flags == old.Flags {
			l.Flags = mine.Flags
		}
		l.Addresses = merge(mine.Addresses, old.Addresses, l.Addresses)
	}
	out.Routes = slices.DeleteFunc(merge(o.Routes, was.Routes, now.Routes), func(r RouteConfig) bool { return out.link(r.Link) == nil })
	return out
}

// merge is mine with what was and is not now taken out, and what is only now put in.
func merge[T comparable](mine, was, now []T) []T {
	out := slices.DeleteFunc(slices.Clone(mine), func(x T) bool { return slices.Contains(was, x) && !slices.Contains(now, x) })
	for _, x := range now {
		if !slices.Contains(was, x) && !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// edit has change make something of what the network has.
func (f *Family) edit(change func(o *Outside) error) error {
	s, err := f.stack()
	if err != nil {
		return linux.ENOMEM
	}
	f.configuring.Lock()
	defer f.configuring.Unlock()
	o := f.outside.Load().clone()
	if err := change(o); err != nil {
		return err
	}
	return f.install(s, o)
}

// leastMTU is Linux's for Ethernet.
const leastMTU = 68

// SetMTU implements socket.Configurer. A link's is not more than it has outside.
func (f *Family) SetMTU(index int32, mtu uint32) error {
	return f.edit(func(o *Outside) error {
		l, most := o.link(index), uint32(1<<31-1)
		if l == nil {
			return linux.ENODEV
		}
		if h := f.host.link(index); h != nil && index != loopbackIndex {
			most = h.MTU
		}
		if mtu > most || index != loopbackIndex && mtu < leastMTU {
			return linux.EINVAL
		}
		l.MTU = mtu
		return nil
	})
}

// upFlags are those that a link has when it is up and its other end is.
const upFlags = linux.IFF_UP | linux.IFF_RUNNING | linux.IFF_LOWER_UP

// SetUp implements socket.Configurer. With a link that goes down its routes go, and its
// addresses of IPv6.
func (f *Family) SetUp(index int32, up bool) error {
	return f.edit(func(o *Outside) error {
		l := o.link(index)
		switch {
		case l == nil:
			return linux.ENODEV
		case up == (l.Flags&linux.IFF_UP != 0):
			return nil
		case index == loopbackIndex:
			return linux.EOPNOTSUPP
		case up:
			l.Flags |= upFlags
			for _, a := range l.Addresses {
				o.connect(index, a.Prefix)
			}
			return nil
		}
		l.Flags &^= upFlags
		o.Routes = slices.DeleteFunc(o.Routes, func(r RouteConfig) bool { return r.Link == index })
		l.Addresses = slices.DeleteFunc(l.Addresses, func(a AddressConfig) bool { return a.Addr().Is6() })
		return nil
	})
}

// metric6 is the metric of the routes that Linux makes for addresses of IPv6.
const metric6 = 256

// ownNetwork is the route to a link's own network that an address brings along; ok is false
// if it brings none.
func ownNetwork(index int32, p netip.Prefix) (r RouteConfig, ok bool) {
	if index == loopbackIndex || p.Bits() == p.Addr().BitLen() && p.Addr().Is4() {
		return r, false
	}
	r = RouteConfig{Dst: p.Masked(), Link: index, Protocol: linux.RTPROT_KERNEL}
	if p.Addr().Is4() {
		r.Source, r.Scope = p.Addr(), linux.RT_SCOPE_LINK
	} else {
		r.Metric = metric6
	}
	return r, true
}

// connect adds the route that an address brings along.
func (o *Outside) connect(index int32, p netip.Prefix) {
	if r, ok := ownNetwork(index, p); ok && !slices.Contains(o.Routes, r) {
		o.Routes = append(o.Routes, r)
	}
}

// ChangeAddress implements socket.Configurer.
func (f *Family) ChangeAddress(a socket.LinkAddr, add bool) error {
	return f.edit(func(o *Outside) error {
		l := o.link(a.Link)
		if l == nil {
			return linux.ENODEV
		}
		i := slices.IndexFunc(l.Addresses, func(x AddressConfig) bool { return x.Prefix == a.Prefix })
		switch {
		case add && i >= 0:
			return linux.EEXIST
		case add:
			l.Addresses = append(l.Addresses, AddressConfig{a.Prefix, a.Broadcast})
			if l.Flags&linux.IFF_UP != 0 {
				o.connect(a.Link, a.Prefix)
			}
			return nil
		case i < 0:
			return linux.EADDRNOTAVAIL
		}
		l.Addresses = slices.Delete(l.Addresses, i, i+1)
		left := slices.ContainsFunc(l.Addresses, func(x AddressConfig) bool { return x.Masked() == a.Prefix.Masked() })
		o.Routes = slices.DeleteFunc(o.Routes, func(r RouteConfig) bool {
			own, ok := ownNetwork(a.Link, a.Prefix)
			return r.Source == a.Prefix.Addr() || ok && r == own && !left
		})
		return nil
	})
}

// ChangeRoute implements socket.Configurer.
func (f *Family) ChangeRoute(t socket.Route, how socket.RouteChange) error {
	return f.edit(func(o *Outside) error {
		r := RouteConfig{Dst: t.Dst, Gateway: t.Gateway, Source: t.Source, Link: t.Link, Metric: t.Metric, Scope: t.Scope, Protocol: t.Protocol}
		if how.Remove {
			i := slices.IndexFunc(o.Routes, func(x RouteConfig) bool { return r.names(&x) })
			if i < 0 {
				return linux.ESRCH
			}
			o.Routes = slices.Delete(o.Routes, i, i+1)
			return nil
		}
		if err := o.complete(&r); err != nil {
			return err
		}
		i := slices.IndexFunc(o.Routes, func(x RouteConfig) bool { return x.Dst == r.Dst && x.Metric == r.Metric })
		switch {
		case i >= 0 && how.Replace:
			o.Routes[i] = r
		case i >= 0:
			return linux.EEXIST
		case !how.Create:
			return linux.ENOENT
		default:
			o.Routes = append(o.Routes, r)
		}
		return nil
	})
}

// names reports whether r, of which some may be left out, is x.
func (r *RouteConfig) names(x *RouteConfig) bool {
	return r.Dst == x.Dst && (!r.Gateway.IsValid() || r.Gateway == x.Gateway) && (r.Link == 0 || r.Link == x.Link) &&
		(r.Metric == 0 || r.Metric == x.Metric) && (r.Protocol == linux.RTPROT_UNSPEC || r.Protocol == x.Protocol) &&
		(!r.Source.IsValid() || r.Source == x.Source)
}

// complete finds the link of a route that names a gateway alone, and judges the rest.
func (o *Outside) complete(r *RouteConfig) error {
	if r.Gateway.IsValid() {
		i := slices.IndexFunc(o.Routes, func(x RouteConfig) bool {
			return !x.Gateway.IsValid() && x.Dst.Contains(r.Gateway) && (r.Link == 0 || r.Link == x.Link)
		})
		if i < 0 {
			return linux.ENETUNREACH
		}
		r.Link = o.Routes[i].Link
	}
	l := o.link(r.Link)
	switch {
	case l == nil:
		return linux.ENODEV
	case l.Flags&linux.IFF_UP == 0:
		return linux.ENETDOWN
	case r.Source.IsValid() && o.owner(r.Source) == nil:
		return linux.EINVAL
	}
	return nil
}

// ChangeNeighbor implements socket.Configurer: those that who asks has made are the only
// ones that stay.
func (f *Family) ChangeNeighbor(n socket.Neighbor, how socket.RouteChange) error {
	s, err := f.stack()
	if err != nil {
		return linux.ENOMEM
	}
	f.configuring.Lock()
	defer f.configuring.Unlock()
	if f.outside.Load().link(n.Link) == nil {
		return linux.ENODEV
	}
	there := slices.ContainsFunc(f.Neighbors(), func(x socket.Neighbor) bool { return x.Link == n.Link && x.Addr == n.Addr })
	id, protocol, addr := tcpip.NICID(n.Link), protocolOf(n.Addr), toTCPIP(n.Addr)
	switch {
	case how.Remove && !there:
		return linux.ENOENT
	case how.Remove:
		return errno(s.RemoveNeighbor(id, protocol, addr))
	case there && !how.Replace:
		return linux.EEXIST
	case !there && !how.Create:
		return linux.ENOENT
	}
	return errno(s.AddStaticNeighbor(id, protocol, addr, tcpip.LinkAddress(n.Hardware[:])))
}

// state is what the network has now.
func (f *Family) state() socket.State {
	return socket.State{Links: f.links(), Addresses: f.Addresses(), Routes: f.Routes()}
}
