package proc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// showNetDev is /proc/pid/net/dev.
func showNetDev(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString("Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n")
	for _, l := range n.Interfaces().Links() {
		s := &l.Stats
		fmt.Fprintf(w, "%6s: %7d %7d %4d %4d %4d %5d %10d %9d %8d %7d %4d %4d %4d %5d %7d %10d\n", l.Name,
			s.RxBytes, s.RxPackets, s.RxErrors, s.RxDropped, 0, 0, 0, 0,
			s.TxBytes, s.TxPackets, s.TxErrors, s.TxDropped, 0, 0, 0, 0)
	}
	return nil
}

// linkName is the name of a link by its number.
func linkName(links []socket.Link, index int32) string {
	for _, l := range links {
		if l.Index == index {
			return l.Name
		}
	}
	return "*"
}

// Types and flags of <linux/if_arp.h>.
const (
	arpEther     = 0x1
	arpComplete  = 0x2
	arpPermanent = 0x4
)

// showARP is /proc/pid/net/arp.
func showARP(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString("IP address       HW type     Flags       HW address            Mask     Device\n")
	links := n.Interfaces().Links()
	for _, x := range n.Interfaces().Neighbors() {
		if !x.Addr.Is4() {
			continue
		}
		flags := 0
		if x.State&^(linux.NUD_INCOMPLETE|linux.NUD_FAILED) != 0 {
			flags = arpComplete
		}
		if x.State&linux.NUD_PERMANENT != 0 {
			flags |= arpPermanent
		}
		fmt.Fprintf(w, "%-16s 0x%-10x0x%-10x%-17s     *        %s\n",
			x.Addr, arpEther, flags, net.HardwareAddr(x.Hardware[:]), linkName(links, x.Link))
	}
	return nil
}

// Scopes in if_inet6 (IPV6_ADDR_*), and the flag of an address that stays.
const (
	scopeGlobal   = 0x00
	scopeLoopback = 0x10
	scopeLink     = 0x20
	permanent     = 0x80
)

// showIfInet6 is /proc/pid/net/if_inet6.
func showIfInet6(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	links := n.Interfaces().Links()
	for _, a := range n.Interfaces().Addresses() {
		addr := a.Prefix.Addr()
		if !addr.Is6() || addr.Is4In6() {
			continue
		}
		scope := scopeGlobal
		switch {
		case addr.IsLoopback():
			scope = scopeLoopback
		case addr.IsLinkLocalUnicast():
			scope = scopeLink
		}
		fmt.Fprintf(w, "%x %02x %02x %02x %02x %8s\n", addr.As16(), a.Link, a.Prefix.Bits(), scope, permanent, linkName(links, a.Link))
	}
	return nil
}

// Routing tables and flags of routes, <linux/route.h>.
const (
	tableMain  = 254
	rtfUp      = 0x0001
	rtfGateway = 0x0002
	rtfHost    = 0x0004
	rtfLocal   = 0x80000000
)

func word(a netip.Addr) uint32 {
	if !a.Unmap().Is4() {
		return 0
	}
	b := a.Unmap().As4()
	return binary.LittleEndian.Uint32(b[:])
}

// showRoute4 is /proc/pid/net/route: the main table.
func showRoute4(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	const width = 127
	fmt.Fprintf(w, "%-*s\n", width, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT")
	links := n.Interfaces().Links()
	for _, r := range n.Interfaces().Routes() {
		if !r.Dst.Addr().Is4() || r.Table != tableMain {
			continue
		}
		flags := rtfUp
		if r.Gateway.IsValid() {
			flags |= rtfGateway
		}
		if r.Dst.IsSingleIP() {
			flags |= rtfHost
		}
		var mask [4]byte
		binary.BigEndian.PutUint32(mask[:], uint32(0xffffffff<<(32-r.Dst.Bits())))
		fmt.Fprintf(w, "%-*s\n", width, fmt.Sprintf("%s\t%08X\t%08X\t%04X\t%d\t%d\t%d\t%08X\t%d\t%d\t%d",
			linkName(links, r.Link), word(r.Dst.Addr()), word(r.Gateway), flags, 0, 0, r.Metric, binary.LittleEndian.Uint32(mask[:]), 0, 0, 0))
	}
	return nil
}

// showRoute6 is /proc/pid/net/ipv6_route.
func showRoute6(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
	links := n.Interfaces().Links()
	for _, r := range n.Interfaces().Routes() {
		if !r.Dst.Addr().Is6() {
			continue
		}
		var gateway [16]byte
		flags := uint32(rtfUp)
		if r.Gateway.IsValid() {
			gateway = r.Gateway.As16()
			flags |= rtfGateway
		}
		if r.Table != tableMain {
			flags |= rtfLocal
		}
		fmt.Fprintf(w, "%x %02x %032x 00 %x %08x %08x %08x %08x %8s\n", r.Dst.Addr().As16(), r.Dst.Bits(), 0,
			gateway, r.Metric, 1, 0, flags, linkName(links, r.Link))
	}
	return nil
}
