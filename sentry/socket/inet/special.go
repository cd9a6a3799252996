package inet

import (
	"bytes"
	"encoding/binary"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// setSpecial sets an option whose value is no int, or which is for some only;
// ENOPROTOOPT if it is none of those.
func (e *Endpoint) setSpecial(c vfs.Ctx, level, name int32, val []byte) error {
	switch (optionKey{level, name}) {
	case optionKey{linux.SOL_SOCKET, linux.SO_LINGER}:
		return e.setLinger(val)
	case optionKey{linux.SOL_SOCKET, linux.SO_BINDTODEVICE}:
		return e.bindToDevice(string(val))
	case optionKey{linux.SOL_SOCKET, linux.SO_SNDBUFFORCE}, optionKey{linux.SOL_SOCKET, linux.SO_RCVBUFFORCE}:
		return e.forceBuffer(c, name, val)
	case optionKey{linux.SOL_TCP, linux.TCP_CONGESTION}:
		return e.setCongestion(val)
	case optionKey{linux.SOL_TCP, linux.TCP_ULP}:
		if e.isTCP() {
			return linux.ENOENT // no module of that name (tls)
		}
	case optionKey{linux.SOL_IP, linux.IP_ADD_MEMBERSHIP}, optionKey{linux.SOL_IP, linux.IP_DROP_MEMBERSHIP}:
		return e.membership4(val, name == linux.IP_ADD_MEMBERSHIP)
	case optionKey{linux.SOL_IP, linux.IP_MULTICAST_IF}:
		return e.multicastIf(val)
	case optionKey{linux.SOL_IPV6, linux.IPV6_ADD_MEMBERSHIP}, optionKey{linux.SOL_IPV6, linux.IPV6_DROP_MEMBERSHIP}:
		return e.membership6(val, name == linux.IPV6_ADD_MEMBERSHIP)
	case optionKey{linux.SOL_ICMPV6, linux.ICMPV6_FILTER}:
		return e.setFilter6(val)
	case optionKey{linux.SOL_RAW, linux.ICMP_FILTER}:
		return e.setFilter4(val)
	}
	return linux.ENOPROTOOPT
}

// special is the value of such an option.
func (e *Endpoint) special(level, name int32, size int) ([]byte, error) {
	switch (optionKey{level, name}) {
	case optionKey{linux.SOL_SOCKET, linux.SO_LINGER}:
		o := e.ep().SocketOptions().GetLinger()
		v := linux.Linger{On: int32(bit(o.Enabled)), Seconds: int32(o.Timeout / time.Second)}
		return usermem.AsBytes(&v), nil
	case optionKey{linux.SOL_SOCKET, linux.SO_BINDTODEVICE}:
		return e.boundDevice(size)
	case optionKey{linux.SOL_TCP, linux.TCP_CONGESTION}:
		return e.congestion(size)
	case optionKey{linux.SOL_TCP, linux.TCP_INFO}:
		if e.isTCP() {
			return e.tcpInfo(), nil
		}
	case optionKey{linux.SOL_IP, linux.IP_MULTICAST_IF}:
		var o tcpip.MulticastInterfaceOption
		if err := e.ep().GetSockOpt(&o); err != nil {
			return nil, errno(err)
		}
		return appendV4(nil, o.InterfaceAddr), nil
	case optionKey{linux.SOL_IP, linux.IP_OPTIONS}:
		return nil, nil
	case optionKey{linux.SOL_ICMPV6, linux.ICMPV6_FILTER}:
		var o tcpip.ICMPv6Filter
		if err := e.ep().GetSockOpt(&o); err != nil {
			return nil, errno(err)
		}
		return usermem.AsBytes(&o.DenyType), nil
	}
	return nil, linux.ENOPROTOOPT
}

func (e *Endpoint) setLinger(val []byte) error {
	if len(val) < 8 {
		return linux.EINVAL
	}
	on, s := binary.LittleEndian.Uint32(val), int32(binary.LittleEndian.Uint32(val[4:]))
	e.ep().SocketOptions().SetLinger(tcpip.LingerOption{Enabled: on != 0, Timeout: time.Duration(max(s, 0)) * time.Second})
	return nil
}

// forceBuffer is SO_SNDBUFFORCE and SO_RCVBUFFORCE: EPERM without CAP_NET_ADMIN.
func (e *Endpoint) forceBuffer(c vfs.Ctx, name int32, val []byte) error {
	v, err := socket.Int(val)
	if err != nil {
		return err
	}
	if !c.Creds().Capable(auth.CapNetAdmin) {
		return linux.EPERM
	}
	n := 2 * int64(max(v, 2304))
	if name == linux.SO_SNDBUFFORCE {
		e.ep().SocketOptions().SetSendBufferSize(n, true)
	} else {
		e.ep().SocketOptions().SetReceiveBufferSize(n, true)
	}
	return nil
}

func (e *Endpoint) bindToDevice(name string) error {
	if i := bytes.IndexByte([]byte(name), 0); i >= 0 {
		name = name[:i]
	}
	if name == "" {
		return errno(e.ep().SocketOptions().SetBindToDevice(0))
	}
	for _, l := range e.fam.Links() {
		if l.Name == name {
			return errno(e.ep().SocketOptions().SetBindToDevice(l.Index))
		}
	}
	return linux.ENODEV
}

func (e *Endpoint) boundDevice(size int) ([]byte, error) {
	id := e.ep().SocketOptions().GetBindToDevice()
	if id == 0 {
		return nil, nil
	}
	if size < linux.IFNAMSIZ {
		return nil, linux.EINVAL
	}
	for _, l := range e.fam.Links() {
		if l.Index == id {
			return append([]byte(l.Name), 0), nil
		}
	}
	return nil, linux.ENODEV
}

// setCongestion is TCP_CONGESTION: ENOENT for an algorithm that is not there.
func (e *Endpoint) setCongestion(val []byte) error {
	if !e.isTCP() {
		return linux.ENOPROTOOPT
	}
	if len(val) < 1 {
		return linux.EINVAL
	}
	val = val[:min(len(val), linux.TCP_CA_NAME_MAX-1)]
	if i := bytes.IndexByte(val, 0); i >= 0 {
		val = val[:i]
	}
	o := tcpip.CongestionControlOption(val)
	return errno(e.ep().SetSockOpt(&o))
}

func (e *Endpoint) congestion(size int) ([]byte, error) {
	if !e.isTCP() {
		return nil, linux.ENOPROTOOPT
	}
	var o tcpip.CongestionControlOption
	if err := e.ep().GetSockOpt(&o); err != nil {
		return nil, errno(err)
	}
	b := make([]byte, min(size, linux.TCP_CA_NAME_MAX))
	copy(b, o)
	return b, nil
}

// tcpInfo is TCP_INFO as far as the stack tells.
func (e *Endpoint) tcpInfo() []byte {
	var o tcpip.TCPInfoOption
	e.ep().GetSockOpt(&o)
	mss, _ := e.ep().GetSockOptInt(tcpip.MaxSegOption)
	i := linux.TCPInfo{
		State:       e.state(),
		Options:     linux.TCPI_OPT_TIMESTAMPS | linux.TCPI_OPT_SACK | linux.TCPI_OPT_WSCALE,
		RTO:         uint32(o.RTO / time.Microsecond),
		RTT:         uint32(o.RTT / time.Microsecond),
		RTTVar:      uint32(o.RTTVar / time.Microsecond),
		SndMSS:      uint32(mss),
		RcvMSS:      uint32(mss),
		AdvMSS:      uint32(mss),
		PMTU:        loopbackMTU,
		SndCwnd:     o.SndCwnd,
		SndSsthresh: o.SndSsthresh,
		Reordering:  3,
	}
	switch o.CcState {
	case tcpip.RTORecovery:
		i.CAState = 4
	case tcpip.FastRecovery, tcpip.SACKRecovery:
		i.CAState = 3
	case tcpip.Disorder:
		i.CAState = 1
	}
	if o.ReorderSeen {
		i.ReordSeen = 1
	}
	return usermem.AsBytes(&i)
}

// membership4 joins or leaves an IPv4 group: struct ip_mreq or ip_mreqn.
func (e *Endpoint) membership4(val []byte, join bool) error {
	if len(val) < 8 || e.isTCP() {
		if e.isTCP() && len(val) >= 8 {
			return linux.EPROTO
		}
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
	return e.membership(tcpip.MembershipOption{
		MulticastAddr: tcpip.AddrFrom16([16]byte(val)),
		NIC:           tcpip.NICID(binary.LittleEndian.Uint32(val[16:])),
	}, join)
}

func (e *Endpoint) membership(o tcpip.MembershipOption, join bool) error {
	if join {
		a := tcpip.AddMembershipOption(o)
		err := e.ep().SetSockOpt(&a)
		if _, ok := err.(*tcpip.ErrPortInUse); ok {
			return linux.EADDRINUSE
		}
		return errno(err)
	}
	r := tcpip.RemoveMembershipOption(o)
	return errno(e.ep().SetSockOpt(&r))
}

func (e *Endpoint) multicastIf(val []byte) error {
	var o tcpip.MulticastInterfaceOption
	switch {
	case len(val) >= 12:
		o.InterfaceAddr = tcpip.AddrFrom4([4]byte(val[4:]))
		o.NIC = tcpip.NICID(binary.LittleEndian.Uint32(val[8:]))
	case len(val) >= 8:
		o.InterfaceAddr = tcpip.AddrFrom4([4]byte(val[4:]))
	case len(val) >= 4:
		o.InterfaceAddr = tcpip.AddrFrom4([4]byte(val))
	default:
		return linux.EINVAL
	}
	return errno(e.ep().SetSockOpt(&o))
}

// setFilter6 is ICMPV6_FILTER: a bit for each type that is not wanted.
func (e *Endpoint) setFilter6(val []byte) error {
	if e.kind.Type != linux.SOCK_RAW || e.kind.Protocol != linux.IPPROTO_ICMPV6 {
		return linux.ENOPROTOOPT
	}
	var o tcpip.ICMPv6Filter
	copy(usermem.AsBytes(&o.DenyType), val)
	return errno(e.ep().SetSockOpt(&o))
}

// setFilter4 takes ICMP_FILTER without filtering: who sets it discards what it does
// not want all the same.
func (e *Endpoint) setFilter4(val []byte) error {
	if e.kind.Type != linux.SOCK_RAW || e.kind.Protocol != linux.IPPROTO_ICMP {
		return linux.ENOPROTOOPT
	}
	return nil
}

// Ioctl implements socket.Ioctler.
func (e *Endpoint) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	o := tcpip.ReceiveQueueSizeOption
	switch cmd {
	case linux.SIOCINQ:
		if e.isTCP() && e.state() == linux.TCP_LISTEN {
			return 0, linux.EINVAL
		}
	case linux.SIOCOUTQ:
		o = tcpip.SendQueueSizeOption
	case linux.SIOCATMARK:
		if !e.isTCP() {
			return 0, linux.ENOTTY
		}
		l := e.local.Load()
		return socket.StoreInt(m, arg, bit(l != nil && l.in.state(l.inline()).mark))
	default:
		return 0, linux.ENOTTY
	}
	if l := e.local.Load(); l != nil {
		return socket.StoreInt(m, arg, l.queued(cmd == linux.SIOCINQ))
	}
	n, err := e.ep().GetSockOptInt(o)
	if err != nil {
		n = 0
	}
	return socket.StoreInt(m, arg, n)
}
