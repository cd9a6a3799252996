package inet

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"garrison/sentry/linux"
)

// ipv6Options is the options of level SOL_IPV6 that are ints, ipv6(7).
var ipv6Options = map[optionKey]intOption{
	{linux.SOL_IPV6, linux.IPV6_V6ONLY}:               {get: v6only, set: setV6only},
	{linux.SOL_IPV6, linux.IPV6_UNICAST_HOPS}:         {get: hops, set: setHops},
	{linux.SOL_IPV6, linux.IPV6_TCLASS}:               {get: tclass, set: setTclass},
	{linux.SOL_IPV6, linux.IPV6_MTU_DISCOVER}:         {get: pmtu, set: setPMTU},
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_HOPS}:       readable((*Endpoint).isPackets, intOption{get: multicastHops, set: setMulticastHops}),
	{linux.SOL_IPV6, linux.IPV6_RECVTCLASS}:           flag((*tcpip.SocketOptions).GetReceiveTClass, (*tcpip.SocketOptions).SetReceiveTClass),
	{linux.SOL_IPV6, linux.IPV6_RECVORIGDSTADDR}:      flag((*tcpip.SocketOptions).GetReceiveOriginalDstAddress, (*tcpip.SocketOptions).SetReceiveOriginalDstAddress),
	{linux.SOL_IPV6, linux.IPV6_RECVERR}:              flag((*tcpip.SocketOptions).GetIPv6RecvError, (*tcpip.SocketOptions).SetIPv6RecvError),
	{linux.SOL_IPV6, linux.IPV6_FREEBIND}:             keptBool(freebind),
	{linux.SOL_IPV6, linux.IPV6_MINHOPCOUNT}:          kept(minHop6, 0, 255),
	{linux.SOL_IPV6, linux.IPV6_MTU}:                  {get: mtu, set: setMTU6},
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_IF}:         readable((*Endpoint).isPackets, intOption{get: multicastIf6, set: setMulticastIf6}),
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_LOOP}:       strict(flag((*tcpip.SocketOptions).GetMulticastLoop, (*tcpip.SocketOptions).SetMulticastLoop)),
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_ALL}:        {get: keptFrom(multicastAll6, 0, 1, 1).get, set: setMulticastAll6},
	{linux.SOL_IPV6, linux.IPV6_RECVPKTINFO}:          received(pktinfo6, pktinfo2292, (*tcpip.SocketOptions).SetIPv6ReceivePacketInfo),
	{linux.SOL_IPV6, linux.IPV6_2292PKTINFO}:          received(pktinfo2292, pktinfo6, (*tcpip.SocketOptions).SetIPv6ReceivePacketInfo),
	{linux.SOL_IPV6, linux.IPV6_RECVHOPLIMIT}:         received(hoplimit6, hoplimit2292, (*tcpip.SocketOptions).SetReceiveHopLimit),
	{linux.SOL_IPV6, linux.IPV6_2292HOPLIMIT}:         received(hoplimit2292, hoplimit6, (*tcpip.SocketOptions).SetReceiveHopLimit),
	{linux.SOL_IPV6, linux.IPV6_CHECKSUM}:             only((*Endpoint).isRaw, number(tcpip.IPv6Checksum, -1, 1<<31-1)),
	{linux.SOL_IPV6, linux.IPV6_HDRINCL}:              only((*Endpoint).isRaw, intOption{get: kept(headerIncluded6, 0, 0).get, set: refuseHeader}),
	{linux.SOL_IPV6, linux.IPV6_DONTFRAG}:             least(-1, keptBool(dontfrag6)),
	{linux.SOL_IPV6, linux.IPV6_AUTOFLOWLABEL}:        least(-1, onFirst(flowlabel6)),
	{linux.SOL_IPV6, linux.IPV6_ADDR_PREFERENCES}:     {get: preferences, set: setPreferences},
	{linux.SOL_IPV6, linux.IPV6_ADDRFORM}:             {get: addrForm, set: setAddrForm},
	{linux.SOL_IPV6, linux.IPV6_2292HOPOPTS}:          keptBool(hopOptions2292),
	{linux.SOL_IPV6, linux.IPV6_2292DSTOPTS}:          keptBool(destOptions2292),
	{linux.SOL_IPV6, linux.IPV6_2292RTHDR}:            keptBool(routing2292),
	{linux.SOL_IPV6, linux.IPV6_RECVHOPOPTS}:          keptBool(hopOptions6),
	{linux.SOL_IPV6, linux.IPV6_RECVDSTOPTS}:          keptBool(destOptions6),
	{linux.SOL_IPV6, linux.IPV6_RECVRTHDR}:            keptBool(routing6),
	{linux.SOL_IPV6, linux.IPV6_RECVPATHMTU}:          keptBool(pathMTU6),
	{linux.SOL_IPV6, linux.IPV6_FLOWINFO}:             keptBool(flowinfo6),
	{linux.SOL_IPV6, linux.IPV6_FLOWINFO_SEND}:        keptBool(flowinfoSend6),
	{linux.SOL_IPV6, linux.IPV6_ROUTER_ALERT}:         {get: constant(0).get},
	{linux.SOL_IPV6, linux.IPV6_ROUTER_ALERT_ISOLATE}: keptBool(alertIsolate6),
	{linux.SOL_IPV6, linux.IPV6_RECVERR_RFC4884}:      kept(errors4884For6, 0, 1),
	{linux.SOL_IPV6, linux.IPV6_TRANSPARENT}:          keptBool(transparent),
	{linux.SOL_IPV6, linux.IPV6_RECVFRAGSIZE}:         least(-1, keptBool(recvFragSize6)),
}

// defaultHops is what IPv6's packets have, net.ipv6.conf.*.hop_limit.
const defaultHops = 64

func hops(e *Endpoint) (int, tcpip.Error) {
	v, err := e.ep().GetSockOptInt(tcpip.IPv6HopLimitOption)
	if v == tcpip.UseDefaultIPv6HopLimit {
		v = defaultHops
	}
	return v, err
}

func setHops(e *Endpoint, v int) error {
	if v < -1 || v > 255 {
		return linux.EINVAL
	}
	return errno(e.ep().SetSockOptInt(tcpip.IPv6HopLimitOption, v))
}

func tclass(e *Endpoint) (int, tcpip.Error) {
	return e.ep().GetSockOptInt(tcpip.IPv6TrafficClassOption)
}

func setTclass(e *Endpoint, v int) error {
	if v < -1 || v > 255 {
		return linux.EINVAL
	}
	return errno(e.ep().SetSockOptInt(tcpip.IPv6TrafficClassOption, max(v, 0)))
}

// multicastHops is an option of its own, though the stack has one for both protocols:
// what is kept is one more, so that 0 is the default.
func multicastHops(e *Endpoint) (int, tcpip.Error) {
	if v := e.small[hopsMulticast6].Load(); v != 0 {
		return int(v - 1), nil
	}
	return 1, nil
}

func setMulticastHops(e *Endpoint, v int) error {
	if err := setMulticastTTL(e, v); err != nil {
		return err
	}
	if v == -1 {
		v = 1
	}
	e.small[hopsMulticast6].Store(int32(v + 1))
	return nil
}

func v6only(e *Endpoint) (int, tcpip.Error) { return bit(e.ep().SocketOptions().GetV6Only()), nil }

// setV6only is refused once the socket has an address.
func setV6only(e *Endpoint, v int) error {
	if a, err := e.ep().GetLocalAddress(); err == nil && a.Port != 0 {
		return linux.EINVAL
	}
	e.ep().SocketOptions().SetV6Only(v != 0)
	return nil
}

// strict is o that takes nothing but 0 and 1.
func strict(o intOption) intOption {
	set := o.set
	o.set = func(e *Endpoint, v int) error {
		if v < 0 || v > 1 {
			return linux.EINVAL
		}
		return set(e, v)
	}
	return o
}

// onFirst is keptBool for an option that begins as 1.
func onFirst(s small) intOption {
	o := keptFrom(s, 0, 1, 1)
	set := o.set
	o.set = func(e *Endpoint, v int) error { return set(e, bit(v != 0)) }
	return o
}

func setMulticastAll6(e *Endpoint, v int) error {
	e.ownGroups(1, v == 0)
	return onFirst(multicastAll6).set(e, v)
}

// received is a control message that comes in two forms, RFC 3542's and RFC 2292's: the
// stack is asked for it if either is wanted.
func received(own, other small, ask func(*tcpip.SocketOptions, bool)) intOption {
	o := keptBool(own)
	set := o.set
	o.set = func(e *Endpoint, v int) error {
		ask(e.ep().SocketOptions(), v != 0 || e.small[other].Load() != 0)
		return set(e, v)
	}
	return o
}

// multicastIf6 is never negative, which the stack makes of a TCP socket's.
func multicastIf6(e *Endpoint) (int, tcpip.Error) {
	v, err := e.ep().GetSockOptInt(tcpip.IPv6MulticastInterfaceOption)
	return max(v, 0), err
}

// setMulticastIf6 is IPV6_MULTICAST_IF: ENODEV for a link that is not there.
func setMulticastIf6(e *Endpoint, v int) error {
	if v < 0 {
		return linux.ENODEV
	}
	return errno(e.ep().SetSockOptInt(tcpip.IPv6MulticastInterfaceOption, v))
}

// refuseHeader is IPV6_HDRINCL: the stack writes IPv6's headers itself.
func refuseHeader(_ *Endpoint, v int) error {
	if v != 0 {
		return linux.EOPNOTSUPP
	}
	return nil
}

// setMTU6 is IPV6_MTU, the most that a packet has before it is cut up, which is the
// link's matter here.
func setMTU6(_ *Endpoint, v int) error {
	if v != 0 && v < header.IPv6MinimumMTU {
		return linux.EINVAL
	}
	return nil
}

// addrForm is IPV6_ADDRFORM, which can't be asked for.
func addrForm(e *Endpoint) (int, tcpip.Error) {
	if e.isRaw() || isPing(e.kind.Protocol) {
		return 0, &tcpip.ErrUnknownProtocolOption{}
	}
	return 0, &tcpip.ErrNotConnected{}
}

// setAddrForm is IPV6_ADDRFORM: no socket becomes one of IPv4.
func setAddrForm(e *Endpoint, v int) error {
	switch {
	case v != linux.AF_INET:
		return linux.EINVAL
	case e.isRaw(), isPing(e.kind.Protocol):
		return linux.ENOPROTOOPT
	}
	if _, err := e.ep().GetRemoteAddress(); err != nil {
		return linux.ENOTCONN
	}
	return linux.EADDRNOTAVAIL
}

// preferences is IPV6_ADDR_PREFERENCES, RFC 5014: what was chosen, and the defaults of
// the rest.
func preferences(e *Endpoint) (int, tcpip.Error) {
	v := int(e.small[addrPref6].Load())
	if v&(linux.IPV6_PREFER_SRC_TMP|linux.IPV6_PREFER_SRC_PUBLIC) == 0 {
		v |= linux.IPV6_PREFER_SRC_PUBTMP_DEFAULT
	}
	if v&linux.IPV6_PREFER_SRC_COA == 0 {
		v |= linux.IPV6_PREFER_SRC_HOME
	}
	return v, nil
}

// setPreferences takes at most one of each kind. There is one address to choose from for
// each destination, so that none makes a difference.
func setPreferences(e *Endpoint, v int) error {
	old := int(e.small[addrPref6].Load())
	const lifetime = linux.IPV6_PREFER_SRC_TMP | linux.IPV6_PREFER_SRC_PUBLIC
	next := old
	switch v & (lifetime | linux.IPV6_PREFER_SRC_PUBTMP_DEFAULT) {
	case linux.IPV6_PREFER_SRC_TMP, linux.IPV6_PREFER_SRC_PUBLIC:
		next = next&^lifetime | v&lifetime
	case linux.IPV6_PREFER_SRC_PUBTMP_DEFAULT:
		next &^= lifetime
	case 0:
	default:
		return linux.EINVAL
	}
	switch v & (linux.IPV6_PREFER_SRC_HOME | linux.IPV6_PREFER_SRC_COA) {
	case linux.IPV6_PREFER_SRC_HOME:
		next &^= linux.IPV6_PREFER_SRC_COA
	case linux.IPV6_PREFER_SRC_COA:
		next |= linux.IPV6_PREFER_SRC_COA
	case 0:
	default:
		return linux.EINVAL
	}
	if v&linux.IPV6_PREFER_SRC_CGA != 0 && v&linux.IPV6_PREFER_SRC_NONCGA != 0 {
		return linux.EINVAL
	}
	e.small[addrPref6].Store(int32(next))
	return nil
}
