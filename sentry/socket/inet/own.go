package inet

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	sums "gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// writeOwn sends src as one packet, with what the stack's sockets can't be told for one
// packet only: the headers of the transport are made here.
func (e *Endpoint) writeOwn(src usermem.Seq, w *sending) (int64, tcpip.Error) {
	if err := e.prepare(w); err != nil {
		return 0, err
	}
	r, err := e.way(w)
	if err != nil {
		return 0, err
	}
	defer r.Release()
	if r.IsOutboundBroadcast() && !e.ep().SocketOptions().GetBroadcast() {
		return 0, &tcpip.ErrBroadcastDisabled{}
	}
	if n := src.Len(); n > int64(mostPayload(r.NetProto())) || e.isRaw() && n > int64(r.MTU()) {
		return 0, &tcpip.ErrMessageTooLong{}
	}
	b := make([]byte, src.Len())
	if _, err := src.CopyIn(b); err != nil {
		return 0, &tcpip.ErrBadBuffer{}
	}
	n := int64(len(b))
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.UDPMinimumSize + int(r.MaxHeaderLength()),
		Mark:               e.ep().SocketOptions().GetMark(),
	})
	defer p.DecRef()
	params, err := e.params(w, r)
	if err != nil {
		return 0, err
	}
	if err := e.fill(p, b, w, r); err != nil {
		return 0, err
	}
	if e.isRaw() && e.ep().SocketOptions().GetHeaderIncluded() {
		err = r.WriteHeaderIncludedPacket(p)
	} else {
		err = r.WritePacket(params, p)
	}
	if _, full := err.(*tcpip.ErrNoBufferSpace); full && !e.hearsErrors(r.NetProto()) {
		err = nil // as lost on the way
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// mostPayload is the most bytes of a datagram of UDP.
func mostPayload(net tcpip.NetworkProtocolNumber) int {
	const most = 0xffff - header.UDPMinimumSize
	if net == header.IPv4ProtocolNumber {
		return most - header.IPv4MinimumSize
	}
	return most
}

// prepare tells of errors that wait, and gives e an address if it has none yet.
func (e *Endpoint) prepare(w *sending) tcpip.Error {
	if err := e.ep().SocketOptions().GetLastError(); err != nil {
		return err
	}
	if e.shut.Load()&2 != 0 {
		return &tcpip.ErrClosedForSend{}
	}
	if e.isRaw() {
		return nil
	}
	if a, err := e.ep().GetLocalAddress(); err == nil && a.Port != 0 {
		return nil
	}
	if w.To == nil {
		return &tcpip.ErrDestinationRequired{}
	}
	err := e.bindTo(tcpip.FullAddress{})
	if a, failed := e.ep().GetLocalAddress(); failed == nil && a.Port != 0 {
		return nil // perhaps by another thread
	}
	return err
}

// way is the route that a packet takes.
func (e *Endpoint) way(w *sending) (*stack.Route, tcpip.Error) {
	to, link, err := e.target(w)
	if err != nil {
		return nil, err
	}
	from := w.from
	if !w.sourced {
		if a, err := e.ep().GetLocalAddress(); err == nil {
			from = unmapped(a.Addr)
		}
	}
	if from.Len() != to.Addr.Len() || from.BitLen() == 0 || header.IsV4MulticastAddress(from) || header.IsV6MulticastAddress(from) {
		from = tcpip.Address{}
	}
	net := tcpip.NetworkProtocolNumber(header.IPv4ProtocolNumber)
	if to.Addr.Len() == 16 {
		net = header.IPv6ProtocolNumber
	}
	if isMulticast(to.Addr) && net == header.IPv4ProtocolNumber {
		var o tcpip.MulticastInterfaceOption
		if err := e.ep().GetSockOpt(&o); err == nil {
			if link == 0 {
				link = o.NIC
			}
			if from == (tcpip.Address{}) {
				from = o.InterfaceAddr
			}
		}
	}
	return e.fam.current().FindRoute(link, from, to.Addr, net, e.ep().SocketOptions().GetMulticastLoop())
}

// target is where a packet goes, and by which link if that is settled.
func (e *Endpoint) target(w *sending) (to tcpip.FullAddress, link tcpip.NICID, err tcpip.Error) {
	if w.To != nil {
		to = *w.To
	} else if to, err = e.peer(); err != nil {
		return to, 0, &tcpip.ErrDestinationRequired{}
	}
	to.Addr = unmapped(to.Addr)
	switch bound := tcpip.NICID(e.ep().SocketOptions().GetBindToDevice()); {
	case w.link != 0:
		link = w.link
	case to.NIC != 0:
		link = to.NIC
	default:
		link = bound
	}
	if link == 0 && header.IsV6MulticastAddress(to.Addr) {
		if v, err := e.ep().GetSockOptInt(tcpip.IPv6MulticastInterfaceOption); err == nil {
			link = tcpip.NICID(max(v, 0))
		}
	}
	return to, link, nil
}

// peer is what e is connected to: the stack doesn't tell a raw socket's as an address.
func (e *Endpoint) peer() (tcpip.FullAddress, tcpip.Error) {
	if !e.isRaw() {
		return e.ep().GetRemoteAddress()
	}
	if i, ok := e.ep().Info().(*stack.TransportEndpointInfo); ok && i.ID.RemoteAddress.BitLen() != 0 {
		return tcpip.FullAddress{NIC: i.RegisterNICID, Addr: i.ID.RemoteAddress}, nil
	}
	return tcpip.FullAddress{}, &tcpip.ErrNotConnected{}
}

// unmapped is an IPv4 address of an IPv6 socket as IPv4 has it.
func unmapped(a tcpip.Address) tcpip.Address {
	if a.Len() == 16 && header.IsV4MappedAddress(a) {
		b := a.As16()
		return tcpip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

func isMulticast(a tcpip.Address) bool {
	return header.IsV4MulticastAddress(a) || header.IsV6MulticastAddress(a)
}

// params is the header of the network: what w says, or else e's options.
func (e *Endpoint) params(w *sending, r *stack.Route) (p stack.NetworkHeaderParams, err tcpip.Error) {
	v4 := r.NetProto() == header.IPv4ProtocolNumber
	option, hops, class := tcpip.IPv4TTLOption, tcpip.UseDefaultIPv4TTL, tcpip.IPv4TOSOption
	if !v4 {
		option, hops, class = tcpip.IPv6HopLimitOption, tcpip.UseDefaultIPv6HopLimit, tcpip.IPv6TrafficClassOption
	}
	if isMulticast(r.RemoteAddress()) {
		option = tcpip.MulticastTTLOption
	}
	ttl, err := e.ep().GetSockOptInt(option)
	if err != nil {
		return p, err
	}
	if option != tcpip.MulticastTTLOption && ttl == hops {
		ttl = int(r.DefaultTTL())
	}
	switch c := &w.ControlMessages; {
	case v4 && c.HasTTL:
		ttl = int(c.TTL)
	case !v4 && c.HasHopLimit:
		ttl = int(c.HopLimit)
	}
	tos := w.tos
	if tos < 0 {
		if tos, err = e.ep().GetSockOptInt(class); err != nil {
			return p, err
		}
	}
	d, _ := pmtu(e)
	return stack.NetworkHeaderParams{Protocol: e.transport(), TTL: uint8(ttl), TOS: uint8(tos), DF: d != linux.IP_PMTUDISC_DONT}, nil
}

// transport is the protocol that e's packets are of.
func (e *Endpoint) transport() tcpip.TransportProtocolNumber {
	if e.isUDP() {
		return header.UDPProtocolNumber
	}
	return tcpip.TransportProtocolNumber(e.kind.Protocol)
}

// fill puts b and the header of e's protocol in p. ErrInvalidOptionValue.
func (e *Endpoint) fill(p *stack.PacketBuffer, b []byte, w *sending, r *stack.Route) tcpip.Error {
	p.TransportProtocolNumber = e.transport()
	local, err := e.ep().GetLocalAddress()
	if err != nil {
		return err
	}
	pseudo := func(n int) uint16 {
		return header.PseudoHeaderChecksum(e.transport(), r.LocalAddress(), r.RemoteAddress(), uint16(n))
	}
	switch {
	case e.isUDP():
		to, _, err := e.target(w)
		if err != nil {
			return err
		}
		u := header.UDP(p.TransportHeader().Push(header.UDPMinimumSize))
		n := len(u) + len(b)
		u.Encode(&header.UDPFields{SrcPort: local.Port, DstPort: to.Port, Length: uint16(n)})
		v6 := r.NetProto() == header.IPv6ProtocolNumber
		if r.RequiresTXTransportChecksum() && (v6 || !e.ep().SocketOptions().GetNoChecksum()) {
			sum := u.CalculateChecksum(sums.Combine(pseudo(n), sums.Checksum(b, 0)))
			if sum != 0xffff { // 0 is none, RFC 768
				sum = ^sum
			}
			u.SetChecksum(sum)
		}
	case e.isRaw():
		at, err := e.ep().GetSockOptInt(tcpip.IPv6Checksum)
		if err == nil && at >= 0 {
			if len(b) < at+sums.Size {
				return &tcpip.ErrInvalidOptionValue{}
			}
			sums.Put(b[at:], 0)
			sums.Put(b[at:], ^sums.Combine(sums.Checksum(b, 0), pseudo(len(b))))
		}
	case !e.fillEcho(b, local.Port, pseudo(len(b))):
		return &tcpip.ErrInvalidOptionValue{}
	}
	data := buffer.MakeWithData(b)
	p.Data().MergeBuffer(&data)
	return nil
}

// fillEcho makes b an echo request of e: false if it is none.
func (e *Endpoint) fillEcho(b []byte, id, pseudo uint16) bool {
	request := byte(header.ICMPv4Echo)
	if e.kind.Protocol == linux.IPPROTO_ICMPV6 {
		request = byte(header.ICMPv6EchoRequest)
	} else {
		pseudo = 0
	}
	const sum, ident = 2, 4
	if len(b) < header.ICMPv4MinimumSize || b[0] != request || b[1] != 0 {
		return false
	}
	b[ident], b[ident+1] = byte(id>>8), byte(id)
	sums.Put(b[sum:], 0)
	sums.Put(b[sum:], ^sums.Checksum(b, pseudo))
	return true
}

// hearsErrors reports whether e has IP_RECVERR or IPV6_RECVERR.
func (e *Endpoint) hearsErrors(net tcpip.NetworkProtocolNumber) bool {
	if net == header.IPv4ProtocolNumber {
		return e.ep().SocketOptions().GetIPv4RecvError()
	}
	return e.ep().SocketOptions().GetIPv6RecvError()
}
