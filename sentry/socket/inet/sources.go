package inet

import (
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"garrison/sentry/linux"
)

// A membership is a group that a socket is in on a link, and whose packets to it the socket
// wants: those of sources only, or all others. It never changes.
type membership struct {
	group   tcpip.Address
	link    tcpip.NICID
	include bool
	sources []tcpip.Address
}

// wants reports whether what source sends is wanted.
func (m *membership) wants(source tcpip.Address) bool {
	return slices.Contains(m.sources, source) == m.include
}

// Most sources of one membership: net.ipv4.igmp_max_msf and net.ipv6.mld_max_msf as they
// are at first.
const (
	maxSources4 = 10
	maxSources6 = 64
)

func (m *membership) most() int {
	if m.group.Len() == 4 {
		return maxSources4
	}
	return maxSources6
}

// find is the membership of a group on a link, which is 0 for any, or nil.
func (g *gate) find(group tcpip.Address, link tcpip.NICID) *membership {
	all := g.groups.Load()
	if all == nil {
		return nil
	}
	for i := range *all {
		if m := &(*all)[i]; m.group == group && (link == 0 || m.link == link) {
			return m
		}
	}
	return nil
}

// replace has m in the place of the membership of its group and link, if there is one, or
// nothing if m is to go. mu is held.
func (g *gate) replace(m membership, goes bool) {
	var all []membership
	if old := g.groups.Load(); old != nil {
		all = slices.DeleteFunc(slices.Clone(*old), func(x membership) bool { return x.group == m.group && x.link == m.link })
	}
	if !goes {
		all = append(all, m)
	}
	g.groups.Store(&all)
}

// heard reports whether a socket gets a packet to a group: as its membership says; without
// one if it is for groups of others, and those want it from its source.
func (x *gates) heard(g *gate, p *stack.PacketBuffer) bool {
	if x.count.Load() == 0 {
		return true
	}
	n := p.Network()
	group, source := n.DestinationAddress(), n.SourceAddress()
	if !isMulticast(group) {
		return true
	}
	link := p.NICID
	if group.Len() == 16 {
		link = 0 // a socket of IPv6 has the same of all links, on Linux, too
	}
	if g != nil {
		if m := g.find(group, link); m != nil {
			return m.wants(source)
		}
		if g.own[bit(group.Len() == 16)].Load() {
			return false
		}
	}
	return x.wanted(group, p.NICID, source)
}

// wanted reports whether any member of a group on a link wants what source sends: the host
// hears nothing else. Groups that the host itself is in have no members here.
func (x *gates) wanted(group tcpip.Address, link tcpip.NICID, source tcpip.Address) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	members := false
	for _, g := range x.all {
		if m := g.find(group, link); m != nil {
			if m.wants(source) {
				return true
			}
			members = true
		}
	}
	return !members
}

// A sourceRequest is what one of the options about sources asks for.
type sourceRequest struct {
	tcpip.MembershipOption
	source  tcpip.Address
	include bool // it is about sources that are wanted
	add     bool
}

// changeSource does a sourceRequest: EINVAL, ENODEV, EADDRNOTAVAIL, ENOBUFS.
func (e *Endpoint) changeSource(r sourceRequest) error {
	e.gate.mu.Lock()
	defer e.gate.mu.Unlock()
	if !isMulticast(r.MulticastAddr) {
		return linux.EINVAL
	}
	if r.include && r.add {
		if err := e.join(r.MembershipOption, true); err != nil && err != linux.EADDRINUSE {
			return err
		}
	}
	link, err := e.linkOf(r.MembershipOption)
	if err != nil {
		return err
	}
	old := e.gate.find(r.MulticastAddr, link)
	if old == nil || len(old.sources) > 0 && old.include != r.include {
		return linux.EINVAL
	}
	m := *old
	m.include = r.include // which an empty list may change
	at := slices.Index(m.sources, r.source)
	switch {
	case r.add == (at >= 0):
		return linux.EADDRNOTAVAIL
	case !r.add && m.include && len(m.sources) == 1:
		r.NIC = link
		return e.leave(r.MembershipOption)
	case !r.add:
		m.sources = slices.Delete(slices.Clone(m.sources), at, at+1)
	case len(m.sources) >= m.most():
		return linux.ENOBUFS
	default:
		m.sources = append(slices.Clone(m.sources), r.source)
	}
	e.gate.replace(m, false)
	return nil
}

// setSources has a membership be of all sources at once: EINVAL, ENODEV, EADDRNOTAVAIL. One
// that wants none is left.
func (e *Endpoint) setSources(o tcpip.MembershipOption, mode uint32, sources []tcpip.Address) error {
	e.gate.mu.Lock()
	defer e.gate.mu.Unlock()
	if !isMulticast(o.MulticastAddr) || mode != linux.MCAST_INCLUDE && mode != linux.MCAST_EXCLUDE {
		return linux.EINVAL
	}
	link, err := e.linkOf(o)
	if err != nil {
		return err
	}
	include := mode == linux.MCAST_INCLUDE
	if include && len(sources) == 0 {
		o.NIC = link
		return e.leave(o)
	}
	old := e.gate.find(o.MulticastAddr, link)
	if old == nil {
		return linux.EINVAL
	}
	e.gate.replace(membership{old.group, old.link, include, sources}, false)
	return nil
}

// linkOf is the link that a membership is on: ENODEV.
func (e *Endpoint) linkOf(o tcpip.MembershipOption) (tcpip.NICID, error) {
	s := e.fam.current()
	net := tcpip.NetworkProtocolNumber(header.IPv4ProtocolNumber)
	if o.MulticastAddr.Len() == 16 {
		net = header.IPv6ProtocolNumber
	}
	switch {
	case o.NIC != 0:
		if !e.fam.hasLink(int32(o.NIC)) {
			return 0, linux.ENODEV
		}
		return o.NIC, nil
	case o.InterfaceAddr.BitLen() != 0 && o.InterfaceAddr != header.IPv4Any:
		if id := s.CheckLocalAddress(0, net, o.InterfaceAddr); id != 0 {
			return id, nil
		}
		return 0, linux.ENODEV
	}
	r, err := s.FindRoute(0, tcpip.Address{}, o.MulticastAddr, net, false)
	if err != nil {
		return 0, linux.ENODEV
	}
	defer r.Release()
	return r.NICID(), nil
}

// join joins a group, of which all is wanted, or nothing yet. The gate's mu is held.
func (e *Endpoint) join(o tcpip.MembershipOption, include bool) error {
	link, failed := e.linkOf(o)
	a := tcpip.AddMembershipOption(o)
	err := e.ep().SetSockOpt(&a)
	if _, ok := err.(*tcpip.ErrPortInUse); ok {
		return linux.EADDRINUSE
	}
	if err == nil && failed == nil {
		e.gate.replace(membership{group: o.MulticastAddr, link: link, include: include}, false)
		e.guard()
	}
	return errno(err)
}

// leave leaves a group. The gate's mu is held.
func (e *Endpoint) leave(o tcpip.MembershipOption) error {
	link, failed := e.linkOf(o)
	r := tcpip.RemoveMembershipOption(o)
	err := e.ep().SetSockOpt(&r)
	if err == nil && failed == nil {
		e.gate.replace(membership{group: o.MulticastAddr, link: link}, true)
	}
	return errno(err)
}
