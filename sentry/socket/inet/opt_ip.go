package inet

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"garrison/sentry/linux"
)

// ipOptions is the options of level SOL_IP that are ints, ip(7).
var ipOptions = map[optionKey]intOption{
	{linux.SOL_IP, linux.IP_TTL}:                  {get: ttl, set: setTTL},
	{linux.SOL_IP, linux.IP_TOS}:                  {get: tos, set: setTOS},
	{linux.SOL_IP, linux.IP_MTU_DISCOVER}:         {get: pmtu, set: setPMTU},
	{linux.SOL_IP, linux.IP_MULTICAST_TTL}:        {get: multicastTTL, set: setMulticastTTL},
	{linux.SOL_IP, linux.IP_MULTICAST_LOOP}:       flag((*tcpip.SocketOptions).GetMulticastLoop, (*tcpip.SocketOptions).SetMulticastLoop),
	{linux.SOL_IP, linux.IP_RECVTTL}:              flag((*tcpip.SocketOptions).GetReceiveTTL, (*tcpip.SocketOptions).SetReceiveTTL),
	{linux.SOL_IP, linux.IP_RECVTOS}:              flag((*tcpip.SocketOptions).GetReceiveTOS, (*tcpip.SocketOptions).SetReceiveTOS),
	{linux.SOL_IP, linux.IP_PKTINFO}:              flag((*tcpip.SocketOptions).GetReceivePacketInfo, (*tcpip.SocketOptions).SetReceivePacketInfo),
	{linux.SOL_IP, linux.IP_RECVORIGDSTADDR}:      flag((*tcpip.SocketOptions).GetReceiveOriginalDstAddress, (*tcpip.SocketOptions).SetReceiveOriginalDstAddress),
	{linux.SOL_IP, linux.IP_RECVERR}:              flag((*tcpip.SocketOptions).GetIPv4RecvError, (*tcpip.SocketOptions).SetIPv4RecvError),
	{linux.SOL_IP, linux.IP_HDRINCL}:              flag((*tcpip.SocketOptions).GetHeaderIncluded, (*tcpip.SocketOptions).SetHeaderIncluded),
	{linux.SOL_IP, linux.IP_FREEBIND}:             keptBool(freebind),
	{linux.SOL_IP, linux.IP_TRANSPARENT}:          keptBool(transparent),
	{linux.SOL_IP, linux.IP_BIND_ADDRESS_NO_PORT}: keptBool(noPort),
	{linux.SOL_IP, linux.IP_MULTICAST_ALL}:        keptBool(multicastAll),
	{linux.SOL_IP, linux.IP_MINTTL}:               kept(minTTL, 0, 255),
	{linux.SOL_IP, linux.IP_MTU}:                  {get: mtu},
}

// ipv6Options is the options of level SOL_IPV6 that are ints, ipv6(7).
var ipv6Options = map[optionKey]intOption{
	{linux.SOL_IPV6, linux.IPV6_V6ONLY}:           {get: v6only, set: setV6only},
	{linux.SOL_IPV6, linux.IPV6_UNICAST_HOPS}:     {get: hops, set: setHops},
	{linux.SOL_IPV6, linux.IPV6_TCLASS}:           {get: tclass, set: setTclass},
	{linux.SOL_IPV6, linux.IPV6_MTU_DISCOVER}:     {get: pmtu, set: setPMTU},
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_HOPS}:   {get: multicastHops, set: setMulticastHops},
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_LOOP}:   flag((*tcpip.SocketOptions).GetMulticastLoop, (*tcpip.SocketOptions).SetMulticastLoop),
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_IF}:     number(tcpip.IPv6MulticastInterfaceOption, 0, 1<<31-1),
	{linux.SOL_IPV6, linux.IPV6_RECVHOPLIMIT}:     flag((*tcpip.SocketOptions).GetReceiveHopLimit, (*tcpip.SocketOptions).SetReceiveHopLimit),
	{linux.SOL_IPV6, linux.IPV6_RECVTCLASS}:       flag((*tcpip.SocketOptions).GetReceiveTClass, (*tcpip.SocketOptions).SetReceiveTClass),
	{linux.SOL_IPV6, linux.IPV6_RECVPKTINFO}:      flag((*tcpip.SocketOptions).GetIPv6ReceivePacketInfo, (*tcpip.SocketOptions).SetIPv6ReceivePacketInfo),
	{linux.SOL_IPV6, linux.IPV6_RECVORIGDSTADDR}:  flag((*tcpip.SocketOptions).GetReceiveOriginalDstAddress, (*tcpip.SocketOptions).SetReceiveOriginalDstAddress),
	{linux.SOL_IPV6, linux.IPV6_RECVERR}:          flag((*tcpip.SocketOptions).GetIPv6RecvError, (*tcpip.SocketOptions).SetIPv6RecvError),
	{linux.SOL_IPV6, linux.IPV6_CHECKSUM}:         number(tcpip.IPv6Checksum, -1, 1<<31-1),
	{linux.SOL_IPV6, linux.IPV6_FREEBIND}:         keptBool(freebind),
	{linux.SOL_IPV6, linux.IPV6_DONTFRAG}:         keptBool(dontfrag6),
	{linux.SOL_IPV6, linux.IPV6_AUTOFLOWLABEL}:    keptBool(flowlabel6),
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_ALL}:    keptBool(multicastAll6),
	{linux.SOL_IPV6, linux.IPV6_ADDR_PREFERENCES}: kept(addrPref6, 0, 0xffff),
	{linux.SOL_IPV6, linux.IPV6_MINHOPCOUNT}:      kept(minHop6, 0, 255),
	{linux.SOL_IPV6, linux.IPV6_MTU}:              {get: mtu},
}

// defaultTTL is /proc/sys/net/ipv4/ip_default_ttl.
const defaultTTL = 64

func ttl(e *Endpoint) (int, tcpip.Error) {
	v, err := e.ep().GetSockOptInt(tcpip.IPv4TTLOption)
	if v == tcpip.UseDefaultIPv4TTL {
		v = defaultTTL
	}
	return v, err
}

func setTTL(e *Endpoint, v int) error {
	if v == -1 {
		v = tcpip.UseDefaultIPv4TTL
	} else if v < 1 || v > 255 {
		return linux.EINVAL
	}
	return errno(e.ep().SetSockOptInt(tcpip.IPv4TTLOption, v))
}

func hops(e *Endpoint) (int, tcpip.Error) {
	v, err := e.ep().GetSockOptInt(tcpip.IPv6HopLimitOption)
	if v == tcpip.UseDefaultIPv6HopLimit {
		v = defaultTTL
	}
	return v, err
}

func setHops(e *Endpoint, v int) error {
	if v < -1 || v > 255 {
		return linux.EINVAL
	}
	return errno(e.ep().SetSockOptInt(tcpip.IPv6HopLimitOption, v))
}

func tos(e *Endpoint) (int, tcpip.Error) { return e.ep().GetSockOptInt(tcpip.IPv4TOSOption) }

func setTOS(e *Endpoint, v int) error {
	return errno(e.ep().SetSockOptInt(tcpip.IPv4TOSOption, v&0xff))
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

// The stack numbers the strategies otherwise than Linux: it begins with "want".
var strategies = [...]tcpip.PMTUDStrategy{
	linux.IP_PMTUDISC_DONT:  tcpip.PMTUDiscoveryDont,
	linux.IP_PMTUDISC_WANT:  tcpip.PMTUDiscoveryWant,
	linux.IP_PMTUDISC_DO:    tcpip.PMTUDiscoveryDo,
	linux.IP_PMTUDISC_PROBE: tcpip.PMTUDiscoveryProbe,
}

func pmtu(e *Endpoint) (int, tcpip.Error) {
	v, err := e.ep().GetSockOptInt(tcpip.MTUDiscoverOption)
	if err != nil {
		return 0, err
	}
	for i, s := range strategies {
		if s == tcpip.PMTUDStrategy(v) {
			return i, nil
		}
	}
	return linux.IP_PMTUDISC_WANT, nil
}

func setPMTU(e *Endpoint, v int) error {
	if v < 0 || v > 5 {
		return linux.EINVAL
	}
	return errno(e.ep().SetSockOptInt(tcpip.MTUDiscoverOption, int(strategies[min(v, len(strategies)-1)])))
}

func multicastTTL(e *Endpoint) (int, tcpip.Error) {
	return e.ep().GetSockOptInt(tcpip.MulticastTTLOption)
}

func setMulticastTTL(e *Endpoint, v int) error {
	if v == -1 {
		v = 1
	}
	if v < 0 || v > 255 || e.isTCP() {
		return linux.EINVAL
	}
	return errno(e.ep().SetSockOptInt(tcpip.MulticastTTLOption, v))
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
	if e.isTCP() {
		return linux.ENOPROTOOPT
	}
	if err := setMulticastTTL(e, v); err != nil {
		return err
	}
	if v == -1 {
		v = 1
	}
	e.small[hopsMulticast6].Store(int32(v + 1))
	return nil
}

// mtu is the MTU of a connected socket's way: that of its link.
func mtu(e *Endpoint) (int, tcpip.Error) {
	remote, err := e.ep().GetRemoteAddress()
	if err != nil {
		return 0, &tcpip.ErrNotConnected{}
	}
	if !header.IsV4LoopbackAddress(remote.Addr) && remote.Addr != header.IPv6Loopback {
		for _, l := range e.fam.conf.Links {
			return int(l.MTU), nil
		}
	}
	return loopbackMTU, nil
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
