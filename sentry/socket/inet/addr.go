package inet

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// parse reads a struct sockaddr_in or sockaddr_in6, for a socket of family: EINVAL,
// EAFNOSUPPORT. strict refuses AF_UNSPEC, which some calls take for AF_INET.
func parse(family uint16, b []byte, strict bool) (a tcpip.FullAddress, err error) {
	if len(b) < 2 {
		return a, linux.EINVAL
	}
	got := socket.FamilyOf(b)
	if family == linux.AF_INET {
		if len(b) < linux.SockaddrInetLen {
			return a, linux.EINVAL
		}
		ip := [4]byte(b[4:8])
		if got != linux.AF_INET && (strict || got != linux.AF_UNSPEC || ip != [4]byte{}) {
			return a, linux.EAFNOSUPPORT
		}
		a.Port = binary.BigEndian.Uint16(b[2:])
		if ip != [4]byte{} {
			a.Addr = tcpip.AddrFrom4(ip)
		}
		return a, nil
	}
	if got != linux.AF_INET6 {
		if got == linux.AF_INET && !strict {
			return parseMapped(b)
		}
		if len(b) < linux.SockaddrInet6Short {
			return a, linux.EINVAL
		}
		return a, linux.EAFNOSUPPORT
	}
	if len(b) < linux.SockaddrInet6Short {
		return a, linux.EINVAL
	}
	a.Port = binary.BigEndian.Uint16(b[2:])
	if ip := [16]byte(b[8:24]); ip != [16]byte{} {
		a.Addr = tcpip.AddrFrom16(ip)
	}
	if header.IsV6LinkLocalUnicastAddress(a.Addr) && len(b) >= linux.SockaddrInet6Len {
		a.NIC = tcpip.NICID(binary.LittleEndian.Uint32(b[24:]))
	}
	return a, nil
}

// parseMapped reads a sockaddr_in given to an IPv6 socket: sendto(2) takes one.
func parseMapped(b []byte) (tcpip.FullAddress, error) {
	a, err := parse(linux.AF_INET, b, true)
	if err == nil && a.Addr.Len() == 4 {
		a.Addr = mapped(a.Addr)
	}
	return a, err
}

// mapped is an IPv4 address as IPv6 writes it.
func mapped(a tcpip.Address) tcpip.Address {
	b := [16]byte{10: 0xff, 11: 0xff}
	v4 := a.As4()
	copy(b[12:], v4[:])
	return tcpip.AddrFrom16(b)
}

// toLoopback replaces the address "any" by this host, as connect(2) and sendto(2) do.
func toLoopback(family uint16, a tcpip.FullAddress) tcpip.FullAddress {
	switch {
	case a.Addr.BitLen() == 0 && family == linux.AF_INET:
		a.Addr = tcpip.AddrFrom4([4]byte{127, 0, 0, 1})
	case a.Addr.BitLen() == 0:
		a.Addr = header.IPv6Loopback
	case a.Addr == mapped(header.IPv4Any):
		a.Addr = mapped(tcpip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return a
}

// encode writes a as a struct sockaddr of the socket's family.
func encode(family uint16, a tcpip.FullAddress, out *socket.Addr) {
	if family == linux.AF_INET {
		b := out.Make(linux.AF_INET, linux.SockaddrInetLen)
		binary.BigEndian.PutUint16(b[2:], a.Port)
		if a.Addr.Len() == 4 {
			v4 := a.Addr.As4()
			copy(b[4:], v4[:])
		}
		return
	}
	b := out.Make(linux.AF_INET6, linux.SockaddrInet6Len)
	binary.BigEndian.PutUint16(b[2:], a.Port)
	switch a.Addr.Len() {
	case 4:
		v4 := a.Addr.As4()
		b[18], b[19] = 0xff, 0xff
		copy(b[20:], v4[:])
	case 16:
		v6 := a.Addr.As16()
		copy(b[8:], v6[:])
	}
	if header.IsV6LinkLocalUnicastAddress(a.Addr) {
		binary.LittleEndian.PutUint32(b[24:], uint32(a.NIC))
	}
}

// addrPort is a for /proc/net; any is the address of the socket's family.
func addrPort(family uint16, a tcpip.FullAddress) netip.AddrPort {
	ip, ok := netip.AddrFromSlice(a.Addr.AsSlice())
	if !ok {
		ip = netip.IPv4Unspecified()
	}
	if family == linux.AF_INET6 {
		if !ok {
			ip = netip.IPv6Unspecified()
		}
		ip = netip.AddrFrom16(ip.As16())
	}
	return netip.AddrPortFrom(ip, a.Port)
}

// toTCPIP is an address as the stack has it.
func toTCPIP(a netip.Addr) tcpip.Address {
	if a.Is4() {
		return tcpip.AddrFrom4(a.As4())
	}
	return tcpip.AddrFrom16(a.As16())
}
