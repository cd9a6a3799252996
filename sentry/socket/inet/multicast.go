package inet

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// membership4 joins or leaves an IPv4 group: struct ip_mreq or ip_mreqn.
func (e *Endpoint) membership4(val []byte, join bool) error {
	if e.isStream() {
		return linux.EPROTO
	}
	if len(val) < 8 {
		return linux.EINVAL
	}
	o := tcpip.MembershipOption{MulticastAddr: tcpip.AddrFrom4([4]byte(val)), InterfaceAddr: tcpip.AddrFrom4([4]byte(val[4:]))}
	if len(val) >= 12 {
		o.NIC = tcpip.NICID(binary.LittleEndian.Uint32(val[8:]))
	}
	return e.membership(o, join)
}

func (e *Endpoint) membership6(val []byte, join bool) error {
	if len(val) < 20 {
		return linux.EINVAL
	}
	if e.isStream() {
		return linux.EPROTO
	}
	return e.membership(tcpip.MembershipOption{
		MulticastAddr: tcpip.AddrFrom16([16]byte(val)),
		NIC:           tcpip.NICID(binary.LittleEndian.Uint32(val[16:])),
	}, join)
}

func (e *Endpoint) membership(o tcpip.MembershipOption, join bool) error {
	e.gate.mu.Lock()
	defer e.gate.mu.Unlock()
	if join {
		return e.join(o, false)
	}
	return e.leave(o)
}

// multicastIf is IP_MULTICAST_IF: an address, struct ip_mreq or ip_mreqn. EADDRNOTAVAIL for
// what is no link's; nothing at all is the routes' choice again.
func (e *Endpoint) multicastIf(val []byte) error {
	if e.isStream() || len(val) < 4 {
		return linux.EINVAL
	}
	var o tcpip.MulticastInterfaceOption
	addr := val[:4]
	if len(val) >= 8 {
		addr = val[4:8]
	}
	if len(val) >= 12 {
		o.NIC = tcpip.NICID(binary.LittleEndian.Uint32(val[8:]))
	}
	if ip := [4]byte(addr); ip != [4]byte{} {
		o.InterfaceAddr = tcpip.AddrFrom4(ip)
	}
	if o.InterfaceAddr == header.IPv4Broadcast {
		return linux.EADDRNOTAVAIL
	}
	switch err := e.ep().SetSockOpt(&o).(type) {
	case *tcpip.ErrHostUnreachable:
		return linux.EADDRNOTAVAIL
	default:
		return errno(err)
	}
}

// group is MCAST_JOIN_GROUP and MCAST_LEAVE_GROUP, struct group_req of a level's family.
func (e *Endpoint) group(family uint16, val []byte, join bool) error {
	const size, addr = 136, 8
	if len(val) < size {
		return linux.EINVAL
	}
	o := tcpip.MembershipOption{NIC: tcpip.NICID(binary.LittleEndian.Uint32(val))}
	to := val[addr:]
	switch {
	case socket.FamilyOf(to) != family && family == linux.AF_INET:
		return linux.EINVAL
	case socket.FamilyOf(to) != family:
		return linux.EADDRNOTAVAIL
	case e.isStream():
		return linux.EPROTO
	case family == linux.AF_INET:
		o.MulticastAddr = tcpip.AddrFrom4([4]byte(to[4:]))
	default:
		o.MulticastAddr = tcpip.AddrFrom16([16]byte(to[8:]))
	}
	return e.membership(o, join)
}

// anycast is IPV6_JOIN_ANYCAST and IPV6_LEAVE_ANYCAST: no prefix here has such addresses.
func anycast(val []byte, join bool) error {
	switch {
	case len(val) < 20:
		return linux.EINVAL
	case join:
		return linux.EADDRNOTAVAIL
	}
	return linux.ENOENT
}
