package hostnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A State is what a network namespace has, but for its loopback.
type State struct {
	Links     []Link // those that are up and carry Ethernet's frames
	Routes    []Route
	Neighbors []Neighbor
}

// A Neighbor is who has an address on one of the Links for good: arp(7), NUD_PERMANENT.
type Neighbor struct {
	Link     int32
	Addr     netip.Addr
	Hardware [6]byte
}

// A Link is a network interface, netdevice(7).
type Link struct {
	Index     int32
	Name      string
	MTU       uint32
	Flags     uint32 // IFF_*
	Hardware  [6]byte
	Addresses []Address
}

// An Address is one of a link, with the length of its network's prefix.
type Address struct {
	netip.Prefix
	Broadcast netip.Addr // zero if there is none
}

// A Route is a unicast route of the table main by way of one of the Links.
type Route struct {
	Dst             netip.Prefix
	Gateway, Source netip.Addr // zero if there is none
	Link            int32
	Metric          uint32
	Scope, Protocol uint8 // RT_SCOPE_*, RTPROT_*
}

// Read asks on socket, one of rtnetlink(7) that is in no group, what its namespace has. It
// takes no privilege. One goroutine at a time may do so.
func Read(socket *os.File) (*State, error) {
	s := new(State)
	for _, q := range []struct {
		typ uint16
		add func(syscall.NetlinkMessage, map[uint16][]byte)
	}{
		{unix.RTM_GETLINK, s.addLink},
		{unix.RTM_GETADDR, s.addAddress},
		{unix.RTM_GETROUTE, s.addRoute},
		{unix.RTM_GETNEIGH, s.addNeighbor},
	} {
		if err := Dump(socket, q.typ, q.add); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Dump asks on socket for all objects of a kind, RTM_GET*, and calls each with every message
// of the answer and its attributes. What Read says of its socket holds.
func Dump(socket *os.File, typ uint16, each func(syscall.NetlinkMessage, map[uint16][]byte)) error {
	if err := dump(socket, typ, each); err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	return nil
}

func dump(socket *os.File, typ uint16, each func(syscall.NetlinkMessage, map[uint16][]byte)) error {
	// All of these take a struct rtmsg, or a shorter header, that is zero: of any family.
	if err := send(socket, typ, unix.NLM_F_DUMP, make([]byte, unix.SizeofRtMsg)); err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		messages, err := receive(socket, buf)
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				return answer(m)
			}
			attrs, err := attributes(&m)
			if err != nil {
				return err
			}
			each(m, attrs)
		}
	}
}

// receive is what the host's kernel says next; buf is memory for it.
func receive(socket *os.File, buf []byte) ([]syscall.NetlinkMessage, error) {
	n, err := socket.Read(buf)
	if err != nil {
		return nil, err
	}
	return syscall.ParseNetlinkMessage(buf[:n])
}

// send sends one request to the host's kernel.
func send(socket *os.File, typ, flags uint16, body []byte) error {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint64(b, 0) // sequence number and port
	_, err := socket.Write(append(b, body...))
	return err
}

// answer is what an NLMSG_ERROR says.
func answer(m syscall.NetlinkMessage) error {
	if len(m.Data) < 4 {
		return errors.New("short answer")
	}
	if n := -int32(binary.NativeEndian.Uint32(m.Data)); n != 0 {
		return unix.Errno(n)
	}
	return nil
}

func attributes(m *syscall.NetlinkMessage) (map[uint16][]byte, error) {
	as := *m
	if as.Header.Type == unix.RTM_NEWNEIGH {
		as.Header.Type = unix.RTM_NEWROUTE // the library does not know struct ndmsg, as long as rtmsg
	}
	list, err := syscall.ParseNetlinkRouteAttr(&as)
	if err != nil {
		return nil, err
	}
	out := make(map[uint16][]byte, len(list))
	for _, a := range list {
		out[a.Attr.Type] = a.Value
	}
	return out, nil
}

func number(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// addLink reads a struct ifinfomsg: family, type, index and flags.
func (s *State) addLink(m syscall.NetlinkMessage, attrs map[uint16][]byte) {
	kind, flags := binary.NativeEndian.Uint16(m.Data[2:]), number(m.Data[8:])
	hardware := attrs[unix.IFLA_ADDRESS]
	if kind != unix.ARPHRD_ETHER || flags&unix.IFF_UP == 0 || len(hardware) != 6 {
		return
	}
	s.Links = append(s.Links, Link{
		Index:    int32(number(m.Data[4:])),
		Name:     unix.ByteSliceToString(attrs[unix.IFLA_IFNAME]),
		MTU:      number(attrs[unix.IFLA_MTU]),
		Flags:    flags,
		Hardware: [6]byte(hardware),
	})
}

// link is the link with that index, or nil.
func (s *State) link(index uint32) *Link {
	for i := range s.Links {
		if s.Links[i].Index == int32(index) {
			return &s.Links[i]
		}
	}
	return nil
}

// addAddress reads a struct ifaddrmsg: family, length of the prefix, flags, scope, index.
func (s *State) addAddress(m syscall.NetlinkMessage, attrs map[uint16][]byte) {
	l := s.link(number(m.Data[4:]))
	b := attrs[unix.IFA_LOCAL] // of a link with two ends, IFA_ADDRESS is the other one
	if b == nil {
		b = attrs[unix.IFA_ADDRESS]
	}
	if a, ok := netip.AddrFromSlice(b); ok && l != nil {
		broadcast, _ := netip.AddrFromSlice(attrs[unix.IFA_BROADCAST])
		l.Addresses = append(l.Addresses, Address{netip.PrefixFrom(a, int(m.Data[1])), broadcast})
	}
}

// addRoute reads a struct rtmsg: family, lengths of destination and source, TOS, table,
// protocol, scope, type, flags.
func (s *State) addRoute(m syscall.NetlinkMessage, attrs map[uint16][]byte) {
	link := number(attrs[unix.RTA_OIF])
	if number(attrs[unix.RTA_TABLE]) != unix.RT_TABLE_MAIN || m.Data[7] != unix.RTN_UNICAST || s.link(link) == nil {
		return
	}
	r := Route{Link: int32(link), Metric: number(attrs[unix.RTA_PRIORITY]), Protocol: m.Data[5], Scope: m.Data[6]}
	dst, ok := netip.AddrFromSlice(attrs[unix.RTA_DST])
	switch {
	case ok:
	case m.Data[0] == unix.AF_INET:
		dst = netip.IPv4Unspecified()
	case m.Data[0] == unix.AF_INET6:
		dst = netip.IPv6Unspecified()
	default:
		return
	}
	r.Dst = netip.PrefixFrom(dst, int(m.Data[1]))
	r.Gateway, _ = netip.AddrFromSlice(attrs[unix.RTA_GATEWAY])
	r.Source, _ = netip.AddrFromSlice(attrs[unix.RTA_PREFSRC])
	s.Routes = append(s.Routes, r)
}

// addNeighbor reads a struct ndmsg: family, index, state, flags, type.
func (s *State) addNeighbor(m syscall.NetlinkMessage, attrs map[uint16][]byte) {
	link, hardware := number(m.Data[4:]), attrs[unix.NDA_LLADDR]
	addr, ok := netip.AddrFromSlice(attrs[unix.NDA_DST])
	if permanent(m) && ok && len(hardware) == 6 && s.link(link) != nil {
		s.Neighbors = append(s.Neighbors, Neighbor{int32(link), addr, [6]byte(hardware)})
	}
}

// permanent reports whether m, which tells of a neighbour, is of one that stays.
func permanent(m syscall.NetlinkMessage) bool {
	return len(m.Data) >= unix.SizeofNdMsg && binary.NativeEndian.Uint16(m.Data[8:])&unix.NUD_PERMANENT != 0
}

// Matters reports whether b, read from Taken's Events, tells of a change of what Read
// returns: all do but those of neighbours who come, and change, by themselves.
func Matters(b []byte) bool {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return true
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWNEIGH || permanent(m) { // who goes does not say what he was
			return true
		}
	}
	return false
}
