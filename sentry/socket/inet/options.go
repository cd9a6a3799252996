package inet

import (
	"encoding/binary"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// An optionKey names an option.
type optionKey struct{ level, name int32 }

// An intOption is an option whose value is an int. set is nil if it can only be read.
type intOption struct {
	get func(*Endpoint) (int, tcpip.Error)
	set func(*Endpoint, int) error
	// of says which sockets have it, if not all of its level: ENOPROTOOPT, but that the
	// others can read it if reads is set.
	of    func(*Endpoint) bool
	reads bool
	// least is the fewest bytes of a value if they are not its level's, negative for none;
	// most is the most of them, 0 any.
	least, most int
}

// intOptions is all of them; special ones are in special.go.
var intOptions = map[optionKey]intOption{}

func init() {
	for _, t := range []map[optionKey]intOption{socketOptions, tcpOptions, ipOptions, ipv6Options} {
		for k, o := range t {
			intOptions[k] = o
		}
	}
}

// flag is an option kept by the stack as a boolean.
func flag(get func(*tcpip.SocketOptions) bool, set func(*tcpip.SocketOptions, bool)) intOption {
	return intOption{
		get: func(e *Endpoint) (int, tcpip.Error) { return bit(get(e.ep().SocketOptions())), nil },
		set: func(e *Endpoint, v int) error { set(e.ep().SocketOptions(), v != 0); return nil },
	}
}

// number is an option kept by the stack as an int from lo to hi.
func number(o tcpip.SockOptInt, lo, hi int) intOption {
	return intOption{
		get: func(e *Endpoint) (int, tcpip.Error) { return e.ep().GetSockOptInt(o) },
		set: func(e *Endpoint, v int) error {
			if v < lo || v > hi {
				return linux.EINVAL
			}
			return errno(e.ep().SetSockOptInt(o, v))
		},
	}
}

// kept is an option that makes no difference to this stack, from lo to hi, which is
// only remembered.
func kept(s small, lo, hi int) intOption { return keptFrom(s, lo, hi, 0) }

// keptFrom is kept for an option that begins as first.
func keptFrom(s small, lo, hi, first int) intOption {
	return intOption{
		get: func(e *Endpoint) (int, tcpip.Error) { return int(e.small[s].Load()) + first, nil },
		set: func(e *Endpoint, v int) error {
			if v < lo || v > hi {
				return linux.EINVAL
			}
			e.small[s].Store(int32(v - first))
			return nil
		},
	}
}

// keptBool is kept for an option that is either on or off.
func keptBool(s small) intOption {
	o := kept(s, 0, 1)
	set := o.set
	o.set = func(e *Endpoint, v int) error { return set(e, bit(v != 0)) }
	return o
}

// constant is an option that always reads v and can't be changed.
func constant(v int) intOption {
	return intOption{get: func(*Endpoint) (int, tcpip.Error) { return v, nil }}
}

// only is o for the sockets that is says.
func only(is func(*Endpoint) bool, o intOption) intOption { o.of = is; return o }

// readable is only for an option that the others can read.
func readable(is func(*Endpoint) bool, o intOption) intOption {
	o.of, o.reads = is, true
	return o
}

// least is o whose value has n bytes at least; fewer than an int's are a char, or 0.
func least(n int, o intOption) intOption { o.least = n; return o }

func (e *Endpoint) isRaw() bool     { return e.kind.Type == linux.SOCK_RAW }
func (e *Endpoint) isStream() bool  { return e.kind.Type == linux.SOCK_STREAM }
func (e *Endpoint) isPackets() bool { return e.kind.Type != linux.SOCK_STREAM }
func (e *Endpoint) isUDPLite() bool { return e.kind.Protocol == linux.IPPROTO_UDPLITE }

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}

// A small is an option that is only remembered.
type small int

const (
	freebind small = iota
	noPort
	transparent
	tcpNodelay
	tcpClamp
	tcpDefer
	tcpFastopen
	tcpFastopenConnect
	tcpFastopenNoCookie
	tcpThinLinear
	tcpNotsent
	tcpInq
	tcpSaveSyn
	tcpRTOMax
	tcpRTOMin
	tcpDelayedAck
	udpCork
	udpGRO
	udpSegment
	udpNoCheckSend
	udpNoCheckRecv
	udpliteSend
	udpliteRecv
	routerAlert
	recvOptions
	returnOptions
	passSecurity
	noDefrag
	checksum
	recvFragSize
	recvErrors4884
	unicastIf
	portRange
	multicastAll
	multicastAll6
	dontfrag6
	flowlabel6
	addrPref6
	minTTL
	minHop6
	hopsMulticast6
	mtu6
	pktinfo6
	pktinfo2292
	hoplimit6
	hoplimit2292
	hopOptions2292
	destOptions2292
	routing2292
	hopOptions6
	destOptions6
	routing6
	pathMTU6
	flowinfo6
	flowinfoSend6
	alertIsolate6
	errors4884For6
	headerIncluded6
	unicastIf6
	recvFragSize6
	stickyLink6
	smalls
)

type smallOptions [smalls]atomic.Int32

// inherit copies what a listening socket has to a connection.
func (s *smallOptions) inherit(from *smallOptions) {
	for i := range s {
		s[i].Store(from[i].Load())
	}
}

// lookup finds an option. UDP-Lite's level is another name of UDP's, and a raw socket of
// IPv6 has two of its options in the level of raw sockets, too.
func (e *Endpoint) lookup(level, name int32) (intOption, bool) {
	switch {
	case level == linux.SOL_UDPLITE:
		level = linux.SOL_UDP
	case level == linux.SOL_RAW && e.kind.Family == linux.AF_INET6 && (name == linux.IPV6_CHECKSUM || name == linux.IPV6_HDRINCL):
		level = linux.SOL_IPV6
	}
	o, ok := intOptions[optionKey{level, name}]
	return o, ok
}

// SetOption implements socket.Optioner.
func (e *Endpoint) SetOption(c vfs.Ctx, level, name int32, val []byte) error {
	if err := e.has(level); err != nil {
		return linux.ENOPROTOOPT
	}
	if err := e.setSpecial(c, level, name, val); err != linux.ENOPROTOOPT {
		return err
	}
	switch level {
	case linux.SOL_TCP, linux.SOL_UDP, linux.SOL_UDPLITE, linux.SOL_RAW:
		if len(val) < 4 && (level != linux.SOL_RAW || e.kind.Family == linux.AF_INET6) {
			return linux.EINVAL // looked at before the name
		}
	}
	o, ok := e.lookup(level, name)
	if !ok || o.set == nil || o.of != nil && !o.of(e) {
		return linux.ENOPROTOOPT
	}
	if len(val) < o.atLeast(level) || o.most != 0 && len(val) > o.most {
		return linux.EINVAL
	}
	var v int32
	switch {
	case len(val) >= 4:
		v = int32(binary.LittleEndian.Uint32(val))
	case len(val) > 0 && level == linux.SOL_IP:
		v = int32(val[0])
	}
	if level == linux.SOL_IP && name == linux.IP_TRANSPARENT || level == linux.SOL_IPV6 && name == linux.IPV6_TRANSPARENT {
		if !e.fam.net.Capable(c, auth.CapNetAdmin) && !e.fam.net.Capable(c, auth.CapNetRaw) {
			return linux.EPERM
		}
	}
	return o.set(e, int(v))
}

// atLeast is the fewest bytes of o's value: IPv4 takes a char for an int, and nothing for 0.
func (o *intOption) atLeast(level int32) int {
	switch {
	case o.least != 0:
		return o.least
	case level == linux.SOL_IP:
		return 0
	}
	return 4
}

// Option implements socket.Optioner.
func (e *Endpoint) Option(_ vfs.Ctx, level, name int32, size int) ([]byte, error) {
	if err := e.has(level); err != nil {
		return nil, err
	}
	if v, err := e.special(level, name, size); err != linux.ENOPROTOOPT {
		return v, err
	}
	o, ok := e.lookup(level, name)
	if !ok {
		return nil, linux.ENOPROTOOPT
	}
	others := o.of != nil && !o.of(e)
	if others && !o.reads {
		return nil, linux.ENOPROTOOPT
	}
	v, err := o.get(e)
	if err != nil && !others {
		return nil, errno(err)
	}
	if level == linux.SOL_IP && size > 0 && size < 4 && v >= 0 && v <= 255 {
		return []byte{byte(v)}, nil // who has no room for an int gets a char
	}
	return socket.IntBytes(int32(v)), nil
}

// has says that e's options are of level, or what getsockopt(2) fails with: IPv4 has
// another error for a level that it does not know.
func (e *Endpoint) has(level int32) error {
	v6 := e.kind.Family == linux.AF_INET6
	switch level {
	case linux.SOL_SOCKET:
		return nil
	case linux.SOL_IP:
		if !v6 || !e.isRaw() {
			return nil
		}
	case linux.SOL_IPV6:
		if v6 {
			return nil
		}
	case linux.SOL_TCP:
		if e.isTCP() {
			return nil
		}
	case linux.SOL_UDP, linux.SOL_UDPLITE:
		if e.isUDP() {
			return nil
		}
	case linux.SOL_RAW:
		if e.isRaw() {
			return nil
		}
	case linux.SOL_ICMPV6:
		if v6 && e.isRaw() {
			return nil
		}
	}
	if v6 {
		return linux.ENOPROTOOPT
	}
	return linux.EOPNOTSUPP
}
