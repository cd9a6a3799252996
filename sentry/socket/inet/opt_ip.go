package inet

import (
	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
)

// ipOptions is the options of level SOL_IP that are ints, ip(7).
var ipOptions = map[optionKey]intOption{
	{linux.SOL_IP, linux.IP_TTL}:                  {get: ttl, set: setTTL},
	{linux.SOL_IP, linux.IP_TOS}:                  {get: tos, set: setTOS},
	{linux.SOL_IP, linux.IP_MTU_DISCOVER}:         {get: pmtu, set: setPMTU},
	{linux.SOL_IP, linux.IP_MULTICAST_TTL}:        least(1, intOption{get: multicastTTL, set: setMulticastTTL}),
	{linux.SOL_IP, linux.IP_MULTICAST_LOOP}:       least(1, flag((*tcpip.SocketOptions).GetMulticastLoop, (*tcpip.SocketOptions).SetMulticastLoop)),
	{linux.SOL_IP, linux.IP_RECVTTL}:              flag((*tcpip.SocketOptions).GetReceiveTTL, (*tcpip.SocketOptions).SetReceiveTTL),
	{linux.SOL_IP, linux.IP_RECVTOS}:              flag((*tcpip.SocketOptions).GetReceiveTOS, (*tcpip.SocketOptions).SetReceiveTOS),
	{linux.SOL_IP, linux.IP_PKTINFO}:              flag((*tcpip.SocketOptions).GetReceivePacketInfo, (*tcpip.SocketOptions).SetReceivePacketInfo),
	{linux.SOL_IP, linux.IP_RECVORIGDSTADDR}:      flag((*tcpip.SocketOptions).GetReceiveOriginalDstAddress, (*tcpip.SocketOptions).SetReceiveOriginalDstAddress),
	{linux.SOL_IP, linux.IP_RECVERR}:              flag((*tcpip.SocketOptions).GetIPv4RecvError, (*tcpip.SocketOptions).SetIPv4RecvError),
	{linux.SOL_IP, linux.IP_HDRINCL}:              readable((*Endpoint).isRaw, flag((*tcpip.SocketOptions).GetHeaderIncluded, (*tcpip.SocketOptions).SetHeaderIncluded)),
	{linux.SOL_IP, linux.IP_FREEBIND}:             least(1, keptBool(freebind)),
	{linux.SOL_IP, linux.IP_TRANSPARENT}:          least(1, keptBool(transparent)),
	{linux.SOL_IP, linux.IP_BIND_ADDRESS_NO_PORT}: keptBool(noPort),
	{linux.SOL_IP, linux.IP_MULTICAST_ALL}:        least(1, intOption{get: multicastAll4, set: setMulticastAll4}),
	{linux.SOL_IP, linux.IP_MINTTL}:               least(1, kept(minTTL, 0, 255)),
	{linux.SOL_IP, linux.IP_MTU}:                  {get: mtu},
	{linux.SOL_IP, linux.IP_ROUTER_ALERT}:         {get: kept(routerAlert, 0, 1).get, set: setRouterAlert},
	{linux.SOL_IP, linux.IP_RECVOPTS}:             keptBool(recvOptions),
	{linux.SOL_IP, linux.IP_RETOPTS}:              keptBool(returnOptions),
	{linux.SOL_IP, linux.IP_PASSSEC}:              keptBool(passSecurity),
	{linux.SOL_IP, linux.IP_NODEFRAG}:             readable((*Endpoint).isRaw, keptBool(noDefrag)),
	{linux.SOL_IP, linux.IP_CHECKSUM}:             keptBool(checksum),
	{linux.SOL_IP, linux.IP_RECVFRAGSIZE}:         {get: kept(recvFragSize, 0, 1).get, set: setRecvFragSize},
	{linux.SOL_IP, linux.IP_RECVERR_RFC4884}:      kept(recvErrors4884, 0, 1),
	{linux.SOL_IP, linux.IP_LOCAL_PORT_RANGE}:     {get: kept(portRange, 0, 0).get, set: setPortRange, least: 4, most: 4},
	{linux.SOL_IP, linux.IP_UNICAST_IF}:           {get: kept(unicastIf, 0, 0).get},
	{linux.SOL_IP, linux.IP_PROTOCOL}:             {get: protocol},
}

func ttl(e *Endpoint) (int, tcpip.Error) {
	v, err := e.ep().GetSockOptInt(tcpip.IPv4TTLOption)
	if v == tcpip.UseDefaultIPv4TTL {
		v = int(e.fam.heeded.Load().ttl)
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

func tos(e *Endpoint) (int, tcpip.Error) { return e.ep().GetSockOptInt(tcpip.IPv4TOSOption) }

func setTOS(e *Endpoint, v int) error {
	return errno(e.ep().SetSockOptInt(tcpip.IPv4TOSOption, v&0xff))
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

// multicastAll4 begins as 1 for sockets of IPv4.
func multicastAll4(e *Endpoint) (int, tcpip.Error) {
	return int(e.small[multicastAll].Load()) ^ bit(e.kind.Family == linux.AF_INET), nil
}

func setMulticastAll4(e *Endpoint, v int) error {
	if v < 0 || v > 1 {
		return linux.EINVAL
	}
	e.small[multicastAll].Store(int32(v ^ bit(e.kind.Family == linux.AF_INET)))
	e.ownGroups(0, v == 0)
	return nil
}

// setRouterAlert is IP_ROUTER_ALERT, of raw sockets: EINVAL, ENOBUFS if it is off already.
// This host passes no packets on, so there is none that it would be for.
func setRouterAlert(e *Endpoint, v int) error {
	switch {
	case !e.isRaw() || e.kind.Protocol == linux.IPPROTO_RAW:
		return linux.EINVAL
	case v == 0 && e.small[routerAlert].Swap(0) == 0:
		return linux.ENOBUFS
	}
	e.small[routerAlert].Store(int32(bit(v != 0)))
	return nil
}

func setRecvFragSize(e *Endpoint, v int) error {
	if e.isStream() {
		return linux.EINVAL
	}
	e.small[recvFragSize].Store(int32(bit(v != 0)))
	return nil
}

// setPortRange is IP_LOCAL_PORT_RANGE: the lowest port and, 16 bits higher, the highest;
// 0 is net.ipv4.ip_local_port_range's.
func setPortRange(e *Endpoint, v int) error {
	lo, hi := uint16(v), uint16(v>>16)
	if lo != 0 && hi != 0 && lo > hi {
		return linux.EINVAL
	}
	e.small[portRange].Store(int32(v))
	return nil
}

// protocol is IP_PROTOCOL: a raw socket's.
func protocol(e *Endpoint) (int, tcpip.Error) {
	if e.isRaw() {
		return int(e.kind.Protocol), nil
	}
	return 0, nil
}

// mtu is the MTU of a connected socket's way: that of its link.
func mtu(e *Endpoint) (int, tcpip.Error) {
	if _, err := e.ep().GetRemoteAddress(); err != nil {
		return 0, &tcpip.ErrNotConnected{}
	}
	if local, err := e.ep().GetLocalAddress(); err == nil {
		if l := e.fam.outside.Load().owner(plain(local.Addr)); l != nil {
			return int(l.MTU), nil
		}
	}
	return loopbackMTU, nil
}
