package linux

// Protocols of AF_INET and AF_INET6, <linux/in.h>.
const (
	IPPROTO_IP      = 0
	IPPROTO_ICMP    = 1
	IPPROTO_IGMP    = 2
	IPPROTO_TCP     = 6
	IPPROTO_UDP     = 17
	IPPROTO_IPV6    = 41
	IPPROTO_ICMPV6  = 58
	IPPROTO_UDPLITE = 136
	IPPROTO_RAW     = 255
	IPPROTO_MPTCP   = 262
	IPPROTO_MAX     = 263
)

// Options of level SOL_IP, ip(7).
const (
	IP_TOS                    = 1
	IP_TTL                    = 2
	IP_HDRINCL                = 3
	IP_OPTIONS                = 4
	IP_ROUTER_ALERT           = 5
	IP_RECVOPTS               = 6
	IP_RETOPTS                = 7
	IP_PKTINFO                = 8
	IP_PKTOPTIONS             = 9
	IP_MTU_DISCOVER           = 10
	IP_RECVERR                = 11
	IP_RECVTTL                = 12
	IP_RECVTOS                = 13
	IP_MTU                    = 14
	IP_FREEBIND               = 15
	IP_PASSSEC                = 18
	IP_TRANSPARENT            = 19
	IP_RECVORIGDSTADDR        = 20
	IP_MINTTL                 = 21
	IP_NODEFRAG               = 22
	IP_CHECKSUM               = 23
	IP_BIND_ADDRESS_NO_PORT   = 24
	IP_RECVFRAGSIZE           = 25
	IP_RECVERR_RFC4884        = 26
	IP_MULTICAST_IF           = 32
	IP_MULTICAST_TTL          = 33
	IP_MULTICAST_LOOP         = 34
	IP_ADD_MEMBERSHIP         = 35
	IP_DROP_MEMBERSHIP        = 36
	IP_UNBLOCK_SOURCE         = 37
	IP_BLOCK_SOURCE           = 38
	IP_ADD_SOURCE_MEMBERSHIP  = 39
	IP_DROP_SOURCE_MEMBERSHIP = 40
	IP_MSFILTER               = 41
	MCAST_JOIN_GROUP          = 42
	MCAST_BLOCK_SOURCE        = 43
	MCAST_UNBLOCK_SOURCE      = 44
	MCAST_LEAVE_GROUP         = 45
	MCAST_JOIN_SOURCE_GROUP   = 46
	MCAST_LEAVE_SOURCE_GROUP  = 47
	MCAST_MSFILTER            = 48
	IP_MULTICAST_ALL          = 49
	IP_UNICAST_IF             = 50
	IP_LOCAL_PORT_RANGE       = 51
	IP_PROTOCOL               = 52
	IPT_SO_SET_REPLACE        = 64

	IP_PMTUDISC_DONT  = 0
	IP_PMTUDISC_WANT  = 1
	IP_PMTUDISC_DO    = 2
	IP_PMTUDISC_PROBE = 3
)

// Options of level SOL_IPV6, ipv6(7).
const (
	IPV6_ADDRFORM             = 1
	IPV6_2292PKTINFO          = 2
	IPV6_2292HOPOPTS          = 3
	IPV6_2292DSTOPTS          = 4
	IPV6_2292RTHDR            = 5
	IPV6_2292PKTOPTIONS       = 6
	IPV6_CHECKSUM             = 7
	IPV6_2292HOPLIMIT         = 8
	IPV6_FLOWINFO             = 11
	IPV6_UNICAST_HOPS         = 16
	IPV6_MULTICAST_IF         = 17
	IPV6_MULTICAST_HOPS       = 18
	IPV6_MULTICAST_LOOP       = 19
	IPV6_ADD_MEMBERSHIP       = 20
	IPV6_DROP_MEMBERSHIP      = 21
	IPV6_ROUTER_ALERT         = 22
	IPV6_MTU_DISCOVER         = 23
	IPV6_MTU                  = 24
	IPV6_RECVERR              = 25
	IPV6_V6ONLY               = 26
	IPV6_JOIN_ANYCAST         = 27
	IPV6_LEAVE_ANYCAST        = 28
	IPV6_MULTICAST_ALL        = 29
	IPV6_ROUTER_ALERT_ISOLATE = 30
	IPV6_RECVERR_RFC4884      = 31
	IPV6_FLOWINFO_SEND        = 33
	IPV6_HDRINCL              = 36
	IPV6_RECVPKTINFO          = 49
	IPV6_PKTINFO              = 50
	IPV6_RECVHOPLIMIT         = 51
	IPV6_HOPLIMIT             = 52
	IPV6_RECVHOPOPTS          = 53
	IPV6_HOPOPTS              = 54
	IPV6_RTHDRDSTOPTS         = 55
	IPV6_RECVRTHDR            = 56
	IPV6_RTHDR                = 57
	IPV6_RECVDSTOPTS          = 58
	IPV6_DSTOPTS              = 59
	IPV6_RECVPATHMTU          = 60
	IPV6_PATHMTU              = 61
	IPV6_DONTFRAG             = 62
	IPV6_RECVTCLASS           = 66
	IPV6_TCLASS               = 67
	IPV6_AUTOFLOWLABEL        = 70
	IPV6_ADDR_PREFERENCES     = 72
	IPV6_MINHOPCOUNT          = 73
	IPV6_RECVORIGDSTADDR      = 74
	IPV6_TRANSPARENT          = 75
	IPV6_UNICAST_IF           = 76
	IPV6_RECVFRAGSIZE         = 77
	IPV6_FREEBIND             = 78

	IPV6_PREFER_SRC_TMP            = 0x1
	IPV6_PREFER_SRC_PUBLIC         = 0x2
	IPV6_PREFER_SRC_COA            = 0x4
	IPV6_PREFER_SRC_CGA            = 0x8
	IPV6_PREFER_SRC_PUBTMP_DEFAULT = 0x100
	IPV6_PREFER_SRC_HOME           = 0x400
	IPV6_PREFER_SRC_NONCGA         = 0x800
)

// Options of level SOL_RAW, raw(7), and SOL_ICMPV6.
const (
	ICMP_FILTER   = 1
	ICMPV6_FILTER = 1
)

// Options of level SOL_UDP, udp(7).
const (
	UDP_CORK         = 1
	UDP_ENCAP        = 100
	UDP_NO_CHECK6_TX = 101
	UDP_NO_CHECK6_RX = 102
	UDP_SEGMENT      = 103
	UDP_GRO          = 104

	UDPLITE_SEND_CSCOV = 10
	UDPLITE_RECV_CSCOV = 11
)

// IPMreqn is struct ip_mreqn, ip(7).
type IPMreqn struct {
	Multiaddr, Address [4]byte
	Ifindex            int32
}

// IPv6Mreq is struct ipv6_mreq, ipv6(7).
type IPv6Mreq struct {
	Multiaddr [16]byte
	Ifindex   int32
}

// MCAST_* is whether a list is of sources that are wanted, or not.
const (
	MCAST_EXCLUDE = 0
	MCAST_INCLUDE = 1
)
