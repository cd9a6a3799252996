package inet

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
)

// recvControl adds what the receiver asked for by options.
func (e *Endpoint) recvControl(m *socket.Msg, cm *tcpip.ReceivableControlMessages) {
	if cm.HasTimestamp {
		e.recvTimestamp(m, cm.Timestamp.UnixNano())
	}
	if cm.HasTTL {
		m.Add(linux.SOL_IP, linux.IP_TTL, socket.IntBytes(int32(cm.TTL)))
	}
	if cm.HasTOS {
		m.Add(linux.SOL_IP, linux.IP_TOS, []byte{cm.TOS})
	}
	if cm.HasIPPacketInfo {
		i := &cm.PacketInfo
		b := binary.LittleEndian.AppendUint32(nil, uint32(i.NIC))
		b = appendV4(appendV4(b, i.LocalAddr), i.DestinationAddr)
		m.Add(linux.SOL_IP, linux.IP_PKTINFO, b)
	}
	if cm.HasHopLimit {
		e.either(m, hoplimits, socket.IntBytes(int32(cm.HopLimit)))
	}
	if cm.HasTClass {
		m.Add(linux.SOL_IPV6, linux.IPV6_TCLASS, socket.IntBytes(int32(cm.TClass)))
	}
	if cm.HasIPv6PacketInfo {
		var ip [16]byte
		if cm.IPv6PacketInfo.Addr.Len() == 16 {
			ip = cm.IPv6PacketInfo.Addr.As16()
		}
		e.either(m, pktinfos, binary.LittleEndian.AppendUint32(ip[:], uint32(cm.IPv6PacketInfo.NIC)))
	}
	if cm.HasOriginalDstAddress {
		var a socket.Addr
		encode(e.kind.Family, cm.OriginalDstAddress, &a)
		level, typ := int32(linux.SOL_IP), int32(linux.IP_RECVORIGDSTADDR)
		if e.kind.Family == linux.AF_INET6 {
			level, typ = linux.SOL_IPV6, linux.IPV6_RECVORIGDSTADDR
		}
		m.Add(level, typ, append([]byte(nil), a.Bytes()...))
	}
}

// A form is one of the two that a control message comes in, by the option that asks for it.
type form struct {
	asked small
	typ   int32
}

var (
	hoplimits = [...]form{{hoplimit6, linux.IPV6_HOPLIMIT}, {hoplimit2292, linux.IPV6_2292HOPLIMIT}}
	pktinfos  = [...]form{{pktinfo6, linux.IPV6_PKTINFO}, {pktinfo2292, linux.IPV6_2292PKTINFO}}
)

// either adds data in the forms that were asked for: see received.
func (e *Endpoint) either(m *socket.Msg, forms [2]form, data []byte) {
	for _, f := range forms {
		if e.small[f.asked].Load() != 0 {
			m.Add(linux.SOL_IPV6, f.typ, data)
		}
	}
}

// recvTimestamp adds when a packet came, ns after 1970, in the forms that were asked for.
// SO_TIMESTAMPING's is three times, of which the host's clock makes the first.
func (e *Endpoint) recvTimestamp(m *socket.Msg, ns int64) {
	ts := linux.NsecToTimespec(ns)
	for _, name := range [...]int32{linux.SO_TIMESTAMPNS, linux.SO_TIMESTAMPNS_NEW} {
		if e.opts.Has(name) {
			m.Add(linux.SOL_SOCKET, name, usermem.AsBytes(&ts))
		}
	}
	for _, name := range [...]int32{linux.SO_TIMESTAMP, linux.SO_TIMESTAMP_NEW} {
		if e.opts.Has(name) {
			tv := ts.Timeval()
			m.Add(linux.SOL_SOCKET, name, usermem.AsBytes(&tv))
		}
	}
	const soft = linux.SOF_TIMESTAMPING_RX_SOFTWARE | linux.SOF_TIMESTAMPING_SOFTWARE
	if e.opts.Timestamping()&soft == soft {
		three := [3]linux.Timespec{ts}
		m.Add(linux.SOL_SOCKET, linux.SO_TIMESTAMPING, usermem.AsBytes(&three))
	}
}

func appendV4(b []byte, a tcpip.Address) []byte {
	var ip [4]byte
	if a.Len() == 4 {
		ip = a.As4()
	}
	return append(b, ip[:]...)
}

// recvError takes one error from the queue that IP_RECVERR fills: MSG_ERRQUEUE.
func (e *Endpoint) recvError(dst usermem.Seq, m *socket.Msg) (int64, error) {
	x := e.ep().SocketOptions().DequeueErr()
	if x == nil {
		return 0, linux.EAGAIN
	}
	n := 0
	if x.Payload != nil {
		data := x.Payload.AsSlice()
		n, _ = dst.CopyOut(data)
		if m != nil && n < len(data) {
			m.Flags |= linux.MSG_TRUNC
		}
	}
	if m == nil {
		return int64(n), nil
	}
	m.Flags |= linux.MSG_ERRQUEUE
	encode(e.kind.Family, x.Dst, &m.Addr)
	// struct sock_extended_err, then the offender's address.
	no, _ := errno(x.Err).(linux.Errno)
	b := binary.LittleEndian.AppendUint32(nil, uint32(no))
	b = append(b, byte(x.Cause.Origin()), x.Cause.Type(), x.Cause.Code(), 0)
	b = binary.LittleEndian.AppendUint32(b, x.Cause.Info())
	b = binary.LittleEndian.AppendUint32(b, 0)
	family, level, typ := uint16(linux.AF_INET), int32(linux.SOL_IP), int32(linux.IP_RECVERR)
	if x.NetProto == header.IPv6ProtocolNumber {
		family, level, typ = linux.AF_INET6, linux.SOL_IPV6, linux.IPV6_RECVERR
	}
	var a socket.Addr
	encode(family, x.Offender, &a)
	if !x.Cause.Origin().IsICMPErr() {
		a.Make(linux.AF_UNSPEC, a.Len())
	}
	m.Add(level, typ, append(b, a.Bytes()...))
	return int64(n), nil
}
