package inet

import (
	"bytes"
	"encoding/binary"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// setSpecial sets an option whose value is no int, or which is for some only;
// ENOPROTOOPT if it is none of those.
func (e *Endpoint) setSpecial(c vfs.Ctx, level, name int32, val []byte) error {
	switch level {
	case linux.SOL_SOCKET:
		return e.setSocketSpecial(c, name, val)
	case linux.SOL_TCP:
		return e.setTCPSpecial(name, val)
	case linux.SOL_IP:
		return e.setIPSpecial(name, val)
	case linux.SOL_IPV6:
		return e.setIPv6Special(name, val)
	case linux.SOL_ICMPV6:
		if name == linux.ICMPV6_FILTER {
			return e.setFilter6(val)
		}
	case linux.SOL_RAW:
		if name == linux.ICMP_FILTER && e.kind.Family == linux.AF_INET {
			return e.setFilter4(val)
		}
	}
	return linux.ENOPROTOOPT
}

func (e *Endpoint) setSocketSpecial(c vfs.Ctx, name int32, val []byte) error {
	switch name {
	case linux.SO_LINGER:
		return e.setLinger(val)
	case linux.SO_BINDTODEVICE:
		return e.bindToDevice(string(val))
	case linux.SO_BINDTOIFINDEX:
		v, err := socket.Int(val)
		if err != nil || v < 0 {
			return linux.EINVAL
		}
		return errno(e.ep().SocketOptions().SetBindToDevice(v))
	case linux.SO_SNDBUFFORCE, linux.SO_RCVBUFFORCE:
		return e.forceBuffer(c, name, val)
	case linux.SO_ATTACH_FILTER, linux.SO_DETACH_FILTER:
		err := e.gate.filter.SetOption(c, e.opts, name, val)
		if err == nil && name == linux.SO_ATTACH_FILTER {
			e.guard()
		}
		return err
	case linux.SO_PEEK_OFF:
		v, err := socket.Int(val)
		switch {
		case !e.isTCP() && !e.isUDP():
			return linux.EOPNOTSUPP
		case err == nil:
			e.opts.SetPeekOff(int(v))
		}
		return err
	}
	return linux.ENOPROTOOPT
}

func (e *Endpoint) setTCPSpecial(name int32, val []byte) error {
	if name == linux.TCP_FASTOPEN_KEY && len(val) != tcpKey && len(val) != 2*tcpKey {
		return linux.EINVAL
	}
	if len(val) < 1 || len(val) < 4 && name != linux.TCP_CONGESTION && name != linux.TCP_ULP {
		return linux.EINVAL
	}
	switch name {
	case linux.TCP_CONGESTION:
		return e.setCongestion(val)
	case linux.TCP_ULP:
		return linux.ENOENT // no module of that name (tls)
	case linux.TCP_FASTOPEN_KEY:
		key := append([]byte(nil), val...)
		e.fastopenKey.Store(&key)
		return nil
	case linux.TCP_REPAIR_QUEUE, linux.TCP_REPAIR_WINDOW:
		return linux.EPERM // without TCP_REPAIR
	case linux.TCP_QUEUE_SEQ, linux.TCP_REPAIR_OPTIONS:
		return linux.EINVAL
	}
	return linux.ENOPROTOOPT
}

// tcpKey is the size of a key of TCP_FASTOPEN_KEY: the second is one that still holds.
const tcpKey = 16

func (e *Endpoint) setIPSpecial(name int32, val []byte) error {
	switch name {
	case linux.IP_OPTIONS:
		return e.setOptions(val)
	case linux.IP_ADD_MEMBERSHIP, linux.IP_DROP_MEMBERSHIP:
		return e.membership4(val, name == linux.IP_ADD_MEMBERSHIP)
	case linux.MCAST_JOIN_GROUP, linux.MCAST_LEAVE_GROUP:
		return e.group(linux.AF_INET, val, name == linux.MCAST_JOIN_GROUP)
	case linux.IP_MULTICAST_IF:
		return e.multicastIf(val)
	case linux.IP_UNICAST_IF:
		return e.setUnicastIf(unicastIf, val)
	}
	return e.setSourceOption(linux.AF_INET, name, val)
}

func (e *Endpoint) setIPv6Special(name int32, val []byte) error {
	switch name {
	case linux.IPV6_ADD_MEMBERSHIP, linux.IPV6_DROP_MEMBERSHIP:
		return e.membership6(val, name == linux.IPV6_ADD_MEMBERSHIP)
	case linux.MCAST_JOIN_GROUP, linux.MCAST_LEAVE_GROUP:
		return e.group(linux.AF_INET6, val, name == linux.MCAST_JOIN_GROUP)
	case linux.IPV6_UNICAST_IF:
		return e.setUnicastIf(unicastIf6, val)
	case linux.IPV6_JOIN_ANYCAST, linux.IPV6_LEAVE_ANYCAST:
		return anycast(val, name == linux.IPV6_JOIN_ANYCAST)
	case linux.IPV6_HOPOPTS, linux.IPV6_RTHDRDSTOPTS, linux.IPV6_RTHDR, linux.IPV6_DSTOPTS:
		if len(val) == 0 {
			return nil // there are none
		}
		if len(val)%8 != 0 || name == linux.IPV6_RTHDR {
			return linux.EINVAL
		}
	case linux.IPV6_PKTINFO:
		return e.setPktinfo6(val)
	case linux.IPV6_ROUTER_ALERT:
		if len(val) < 4 {
			return linux.EINVAL
		}
	}
	return e.setSourceOption(linux.AF_INET6, name, val)
}

// special is the value of such an option.
func (e *Endpoint) special(level, name int32, size int) ([]byte, error) {
	switch level {
	case linux.SOL_SOCKET:
		return e.socketSpecial(name, size)
	case linux.SOL_TCP:
		return e.tcpSpecial(name, size)
	case linux.SOL_IP:
		return e.ipSpecial(name)
	case linux.SOL_IPV6:
		return e.ipv6Special(name, size)
	case linux.SOL_ICMPV6:
		if name == linux.ICMPV6_FILTER {
			var o tcpip.ICMPv6Filter
			if err := e.ep().GetSockOpt(&o); err != nil {
				return nil, errno(err)
			}
			return usermem.AsBytes(&o.DenyType), nil
		}
	case linux.SOL_RAW:
		if name == linux.ICMP_FILTER && e.kind.Family == linux.AF_INET {
			if e.kind.Protocol != linux.IPPROTO_ICMP {
				return nil, linux.EOPNOTSUPP
			}
			return socket.IntBytes(int32(e.gate.types.Load())), nil
		}
	}
	return nil, linux.ENOPROTOOPT
}

func (e *Endpoint) socketSpecial(name int32, size int) ([]byte, error) {
	switch name {
	case linux.SO_LINGER:
		o := e.ep().SocketOptions().GetLinger()
		v := linux.Linger{On: int32(bit(o.Enabled)), Seconds: int32(o.Timeout / time.Second)}
		return usermem.AsBytes(&v), nil
	case linux.SO_BINDTODEVICE:
		return e.boundDevice(size)
	case linux.SO_BINDTOIFINDEX:
		return socket.IntBytes(e.ep().SocketOptions().GetBindToDevice()), nil
	case linux.SO_PEEK_OFF:
		if !e.isTCP() && !e.isUDP() {
			return nil, linux.EOPNOTSUPP
		}
		return socket.IntBytes(int32(e.opts.PeekOff())), nil
	}
	return nil, linux.ENOPROTOOPT
}

func (e *Endpoint) tcpSpecial(name int32, size int) ([]byte, error) {
	switch name {
	case linux.TCP_CONGESTION:
		return e.congestion(size)
	case linux.TCP_INFO:
		return e.tcpInfo(), nil
	case linux.TCP_CC_INFO, linux.TCP_SAVED_SYN, linux.TCP_ULP:
		return nil, nil // cubic tells nothing; no SYN was kept; no protocol is above
	case linux.TCP_FASTOPEN_KEY:
		if key := e.fastopenKey.Load(); key != nil {
			return *key, nil
		}
		return nil, nil
	case linux.TCP_REPAIR_QUEUE, linux.TCP_QUEUE_SEQ, linux.TCP_REPAIR_WINDOW:
		return nil, linux.EINVAL
	}
	return nil, linux.ENOPROTOOPT
}

func (e *Endpoint) ipSpecial(name int32) ([]byte, error) {
	switch name {
	case linux.IP_MULTICAST_IF:
		if e.isStream() {
			return socket.IntBytes(0), nil
		}
		var o tcpip.MulticastInterfaceOption
		if err := e.ep().GetSockOpt(&o); err != nil {
			return nil, errno(err)
		}
		return appendV4(nil, o.InterfaceAddr), nil
	case linux.IP_OPTIONS:
		if o := e.options.Load(); o != nil {
			return *o, nil
		}
		return nil, nil
	case linux.IP_PKTOPTIONS:
		if e.isStream() {
			return nil, nil
		}
	}
	return nil, linux.ENOPROTOOPT
}

func (e *Endpoint) ipv6Special(name int32, size int) ([]byte, error) {
	switch name {
	case linux.IPV6_2292PKTOPTIONS:
		if e.isStream() {
			return nil, nil
		}
	case linux.IPV6_HOPOPTS, linux.IPV6_RTHDRDSTOPTS, linux.IPV6_RTHDR, linux.IPV6_DSTOPTS:
		return nil, nil
	case linux.IPV6_UNICAST_IF:
		return socket.IntBytes(e.small[unicastIf6].Load()), nil
	case linux.IPV6_PATHMTU:
		return e.pathMTU(size)
	}
	return nil, linux.ENOPROTOOPT
}

// setOptions is IP_OPTIONS: those that only fill space, which are all that this stack
// would send. EINVAL.
func (e *Endpoint) setOptions(val []byte) error {
	if len(val) > 40 {
		return linux.EINVAL
	}
	for i, b := range val {
		if b == byte(header.IPv4OptionListEndType) {
			val = append(append([]byte(nil), val[:i]...), make([]byte, len(val)-i)...)
			break
		}
		if b != byte(header.IPv4OptionNOPType) {
			return linux.EINVAL
		}
	}
	val = append(val[:len(val):len(val)], make([]byte, -len(val)&3)...)
	e.options.Store(&val)
	return nil
}

// setUnicastIf is IP_UNICAST_IF and IPV6_UNICAST_IF, a link's index in network order:
// EADDRNOTAVAIL if there is none.
func (e *Endpoint) setUnicastIf(which small, val []byte) error {
	if len(val) != 4 {
		return linux.EINVAL
	}
	if i := binary.BigEndian.Uint32(val); i != 0 && !e.fam.hasLink(int32(i)) {
		return linux.EADDRNOTAVAIL
	}
	e.small[which].Store(int32(binary.LittleEndian.Uint32(val)))
	return nil
}

// setPktinfo6 is IPV6_PKTINFO, what packets have whose senders don't say: the link. The
// address is for nobody, on Linux, too. EINVAL.
func (e *Endpoint) setPktinfo6(val []byte) error {
	if len(val) < 20 {
		return linux.EINVAL
	}
	link := int32(binary.LittleEndian.Uint32(val[16:]))
	if own := e.ep().SocketOptions().GetBindToDevice(); own != 0 && link != own {
		return linux.EINVAL
	}
	e.small[stickyLink6].Store(link)
	return nil
}

// pathMTU is IPV6_PATHMTU's struct ip6_mtuinfo: ENOTCONN.
func (e *Endpoint) pathMTU(size int) ([]byte, error) {
	if size < linux.SockaddrInet6Len+4 {
		return nil, linux.EINVAL
	}
	v, err := mtu(e)
	if err != nil {
		return nil, linux.ENOTCONN
	}
	var a socket.Addr
	to, _ := e.ep().GetRemoteAddress()
	encode(linux.AF_INET6, to, &a)
	return append(append([]byte(nil), a.Bytes()...), socket.IntBytes(int32(v))...), nil
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

// setFilter6 is ICMPV6_FILTER: a bit for each type that is not wanted.
func (e *Endpoint) setFilter6(val []byte) error {
	if e.kind.Type != linux.SOCK_RAW || e.kind.Protocol != linux.IPPROTO_ICMPV6 {
		return linux.ENOPROTOOPT
	}
	var o tcpip.ICMPv6Filter
	copy(usermem.AsBytes(&o.DenyType), val)
	return errno(e.ep().SetSockOpt(&o))
}

// setFilter4 is ICMP_FILTER: a bit for each type that is not wanted.
func (e *Endpoint) setFilter4(val []byte) error {
	if e.kind.Protocol != linux.IPPROTO_ICMP {
		return linux.EOPNOTSUPP
	}
	var v [4]byte
	copy(v[:], val)
	e.gate.types.Store(binary.LittleEndian.Uint32(v[:]))
	e.guard()
	return nil
}
