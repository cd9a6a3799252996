package inet

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// A sending is how one packet is to be sent.
type sending struct {
	tcpip.WriteOptions
	own  bool          // what follows is not as the stack's sockets have it: see writeOwn
	tos  int           // IP_TOS or IPV6_TCLASS, -1 is the socket's
	link tcpip.NICID   // by which it goes; 0 is the routes' choice
	from tcpip.Address // where it comes from, if sourced; zero is the routes' choice
	// sourced says that a message tells from; otherwise it is the socket's address.
	sourced bool
}

// control reads the control messages that a sender gives of one packet: of the protocol that
// it goes by; w is not used for TCP, which has none. EINVAL, EPERM, ENODEV, ENETUNREACH.
func (e *Endpoint) control(c vfs.Ctx, w *sending, ms []socket.Cmsg) error {
	v6 := len(ms) > 0 && !e.isTCP() && e.sendsV6(w.To)
	for _, m := range ms {
		var err error
		switch {
		case m.Level == linux.SOL_SOCKET:
			err = e.socket.CheckControl(c, m)
		case e.isTCP():
		case m.Level == linux.SOL_UDP && e.isUDP():
			if m.Type != linux.UDP_SEGMENT {
				err = linux.EINVAL
			}
		case m.Level == linux.SOL_IP && !v6:
			err = e.control4(w, m)
		case m.Level == linux.SOL_IPV6 && v6:
			err = e.control6(w, m)
		case m.Level == linux.SOL_IPV6 && m.Type == linux.IPV6_PKTINFO && e.kind.Family == linux.AF_INET6:
			err = e.mappedSource(w, m.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sendsV6 reports whether a packet to an address, nil for that of the peer, goes by IPv6.
func (e *Endpoint) sendsV6(to *tcpip.FullAddress) bool {
	if e.kind.Family != linux.AF_INET6 {
		return false
	}
	var a tcpip.Address
	if to != nil {
		a = to.Addr
	} else if peer, err := e.ep().GetRemoteAddress(); err == nil {
		a = peer.Addr
	}
	return a.Len() == 16 && !header.IsV4MappedAddress(a)
}

// control4 reads a message of level SOL_IP.
func (e *Endpoint) control4(w *sending, m socket.Cmsg) error {
	v, err := socket.Int(m.Data)
	if len(m.Data) != 4 {
		err = linux.EINVAL
	}
	switch m.Type {
	case linux.IP_TTL:
		if err != nil || v < 1 || v > 255 {
			return linux.EINVAL
		}
		w.ControlMessages.HasTTL, w.ControlMessages.TTL = true, uint8(v)
	case linux.IP_TOS:
		if len(m.Data) == 1 {
			v, err = int32(m.Data[0]), nil
		}
		if err != nil || v < 0 || v > 255 {
			return linux.EINVAL
		}
		w.own, w.tos = true, int(v)
	case linux.IP_PKTINFO:
		if len(m.Data) != 12 {
			return linux.EINVAL
		}
		return e.source4(w, int32(binary.LittleEndian.Uint32(m.Data)), [4]byte(m.Data[4:]))
	case linux.IP_PROTOCOL:
		if err != nil || v < 1 || v > 255 {
			return linux.EINVAL
		}
	case linux.IP_RETOPTS: // which are not sent: see setOptions
	default:
		return linux.EINVAL
	}
	return nil
}

// source4 has a packet go by a link, unless that is 0, and come from an address: that of the
// routes if it is zero, though the socket have one.
func (e *Endpoint) source4(w *sending, link int32, ip [4]byte) error {
	if link != 0 {
		if !e.fam.hasLink(link) {
			return linux.ENODEV
		}
		w.link = tcpip.NICID(link)
	}
	w.own, w.sourced, w.from = true, true, tcpip.Address{}
	if ip == [4]byte{} {
		return nil
	}
	w.from = tcpip.AddrFrom4(ip)
	switch {
	case header.IsV4MulticastAddress(w.from) || w.from == header.IPv4Broadcast || ip[0] == 0:
		return linux.EINVAL
	case e.fam.current().CheckLocalAddress(0, header.IPv4ProtocolNumber, w.from) == 0:
		return linux.ENETUNREACH
	}
	return nil
}

// mappedSource is IPV6_PKTINFO for a packet of IPv4.
func (e *Endpoint) mappedSource(w *sending, data []byte) error {
	if len(data) < 20 {
		return linux.EINVAL
	}
	if !header.IsV4MappedAddress(tcpip.AddrFrom16([16]byte(data))) {
		return linux.EINVAL
	}
	return e.source4(w, int32(binary.LittleEndian.Uint32(data[16:])), [4]byte(data[12:]))
}

// control6 reads a message of level SOL_IPV6.
func (e *Endpoint) control6(w *sending, m socket.Cmsg) error {
	v, err := socket.Int(m.Data)
	if len(m.Data) != 4 {
		err = linux.EINVAL
	}
	switch m.Type {
	case linux.IPV6_HOPLIMIT, linux.IPV6_2292HOPLIMIT:
		if err != nil || v < -1 || v > 255 {
			return linux.EINVAL
		}
		w.ControlMessages.HasHopLimit, w.ControlMessages.HopLimit = v >= 0, uint8(v)
	case linux.IPV6_TCLASS:
		if err != nil || v < -1 || v > 255 {
			return linux.EINVAL
		}
		w.own, w.tos = true, int(uint8(v)) // -1 sets all bits, on Linux, too
	case linux.IPV6_DONTFRAG:
		if err != nil || v < 0 || v > 1 {
			return linux.EINVAL
		}
	case linux.IPV6_PKTINFO, linux.IPV6_2292PKTINFO:
		if len(m.Data) < 20 {
			return linux.EINVAL
		}
		return e.source6(w, [16]byte(m.Data), int32(binary.LittleEndian.Uint32(m.Data[16:])))
	default:
		return linux.EINVAL // there are no extension headers: see setIPv6Special
	}
	return nil
}

// source6 has a packet go by a link, unless that is 0, and come from an address, unless that
// is zero. A socket whose packets go by another link refuses.
func (e *Endpoint) source6(w *sending, ip [16]byte, link int32) error {
	own := e.ep().SocketOptions().GetBindToDevice()
	if own == 0 {
		own = e.small[stickyLink6].Load()
	}
	if w.To != nil && w.To.NIC != 0 {
		own = int32(w.To.NIC)
	}
	switch {
	case link != 0 && own != 0 && link != own:
		return linux.EINVAL
	case link == 0:
		link = own
	}
	a := tcpip.AddrFrom16(ip)
	local := header.IsV6LinkLocalUnicastAddress(a)
	if link != 0 {
		if !e.fam.hasLink(link) {
			return linux.ENODEV
		}
		w.own, w.link = true, tcpip.NICID(link)
	} else if local {
		return linux.EINVAL
	}
	if ip == [16]byte{} {
		return nil
	}
	on := tcpip.NICID(0) // an address of wider scope may be any link's
	if local {
		on = w.link
	}
	if e.fam.current().CheckLocalAddress(on, header.IPv6ProtocolNumber, a) == 0 {
		return linux.EINVAL
	}
	w.own, w.sourced, w.from = true, true, a
	return nil
}

// sticky has a packet go by the link of IPV6_PKTINFO as an option, if that names one.
func (e *Endpoint) sticky(w *sending) {
	link := e.small[stickyLink6].Load()
	if link == 0 || w.link != 0 || e.isTCP() || e.ep().SocketOptions().GetBindToDevice() != 0 {
		return
	}
	if w.To != nil && w.To.NIC != 0 || !e.sendsV6(w.To) {
		return
	}
	w.own, w.link = true, tcpip.NICID(link)
}
