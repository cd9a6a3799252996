package inet

import (
	"net/netip"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A loopbackLink is the loopback's, from which datagrams to one address may be taken out.
type loopbackLink struct {
	stack.LinkEndpoint
	taps       *taps
	to         atomic.Pointer[diversion]
	dispatcher atomic.Pointer[stack.NetworkDispatcher]
}

type diversion struct {
	to   netip.AddrPort
	take func(from netip.AddrPort, datagram []byte)
}

// Divert has take called, by who sends it, with every UDP datagram to an IPv4 address of
// the loopback, whoever listens there: as a rule of the firewall does that gives such packets
// another destination. No port is in use for it. Answer brings an answer back.
func (f *Family) Divert(to netip.AddrPort, take func(from netip.AddrPort, datagram []byte)) error {
	if _, err := f.stack(); err != nil {
		return err
	}
	f.lo.to.Store(&diversion{to, take})
	return nil
}

// Answer delivers a datagram that comes from the address that Divert was given.
func (f *Family) Answer(to netip.AddrPort, datagram []byte) {
	v, d := f.lo.to.Load(), f.lo.dispatcher.Load()
	const headers = header.IPv4MinimumSize + header.UDPMinimumSize
	if v == nil || d == nil || *d == nil || headers+len(datagram) > loopbackMTU-1 {
		return
	}
	b := make([]byte, headers, headers+len(datagram))
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(headers + len(datagram)), TTL: 64, Protocol: uint8(header.UDPProtocolNumber),
		SrcAddr: toTCPIP(v.to.Addr()), DstAddr: toTCPIP(to.Addr()),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	// Without a checksum, as on a loopback.
	header.UDP(b[header.IPv4MinimumSize:]).Encode(&header.UDPFields{
		SrcPort: v.to.Port(), DstPort: to.Port(), Length: uint16(header.UDPMinimumSize + len(datagram)),
	})
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(append(b, datagram...))})
	defer p.DecRef()
	(*d).DeliverNetworkPacket(ipv4.ProtocolNumber, p)
}

// Attach implements stack.LinkEndpoint.
func (l *loopbackLink) Attach(d stack.NetworkDispatcher) {
	l.dispatcher.Store(&d)
	l.LinkEndpoint.Attach(d)
}

// WritePackets implements stack.LinkEndpoint.
func (l *loopbackLink) WritePackets(ps stack.PacketBufferList) (int, tcpip.Error) {
	if l.taps.on() {
		for _, p := range ps.AsSlice() {
			l.show(p)
		}
	}
	v := l.to.Load()
	if v == nil {
		return l.LinkEndpoint.WritePackets(ps)
	}
	var rest stack.PacketBufferList
	for _, p := range ps.AsSlice() {
		if from, ok := v.matches(p); ok {
			v.take(from, p.Data().AsRange().ToSlice())
			continue
		}
		rest.PushBack(p) // the list's owner has the reference
	}
	if _, err := l.LinkEndpoint.WritePackets(rest); err != nil {
		return 0, err
	}
	return ps.Len(), nil
}

// matches says whether p is a datagram to v, and where it comes from.
func (v *diversion) matches(p *stack.PacketBuffer) (from netip.AddrPort, ok bool) {
	if p.NetworkProtocolNumber != ipv4.ProtocolNumber || p.TransportProtocolNumber != header.UDPProtocolNumber {
		return from, false
	}
	ip, udp := header.IPv4(p.NetworkHeader().Slice()), header.UDP(p.TransportHeader().Slice())
	if len(ip) < header.IPv4MinimumSize || len(udp) < header.UDPMinimumSize {
		return from, false
	}
	if netip.AddrPortFrom(plain(ip.DestinationAddress()), udp.DestinationPort()) != v.to {
		return from, false
	}
	return netip.AddrPortFrom(plain(ip.SourceAddress()), udp.SourcePort()), true
}
