package linux

// Protocols of AF_NETLINK, netlink(7).
const (
	NETLINK_ROUTE          = 0
	NETLINK_USERSOCK       = 2
	NETLINK_FIREWALL       = 3
	NETLINK_SOCK_DIAG      = 4
	NETLINK_NFLOG          = 5
	NETLINK_XFRM           = 6
	NETLINK_SELINUX        = 7
	NETLINK_AUDIT          = 9
	NETLINK_NETFILTER      = 12
	NETLINK_KOBJECT_UEVENT = 15
	NETLINK_GENERIC        = 16
	NETLINK_MAX            = 32
)

// Options of level SOL_NETLINK, netlink(7).
const (
	NETLINK_ADD_MEMBERSHIP   = 1
	NETLINK_DROP_MEMBERSHIP  = 2
	NETLINK_PKTINFO          = 3
	NETLINK_BROADCAST_ERROR  = 4
	NETLINK_NO_ENOBUFS       = 5
	NETLINK_LISTEN_ALL_NSID  = 8
	NETLINK_LIST_MEMBERSHIPS = 9
	NETLINK_CAP_ACK          = 10
	NETLINK_EXT_ACK          = 11
	NETLINK_GET_STRICT_CHK   = 12
)

// SockaddrNL is struct sockaddr_nl, netlink(7).
type SockaddrNL struct {
	Family uint16
	_      uint16
	PortID uint32
	Groups uint32
}

// NlMsghdr is struct nlmsghdr, netlink(7).
type NlMsghdr struct {
	Len    uint32
	Type   uint16
	Flags  uint16
	Seq    uint32
	PortID uint32
}

// NlMsghdrLen is the size of NlMsghdr; messages and attributes are aligned to NlAlign.
const (
	NlMsghdrLen = 16
	NlAlign     = 4
)

// Flags of NlMsghdr.
const (
	NLM_F_REQUEST       = 0x1
	NLM_F_MULTI         = 0x2
	NLM_F_ACK           = 0x4
	NLM_F_ECHO          = 0x8
	NLM_F_DUMP_FILTERED = 0x20
	NLM_F_ROOT          = 0x100
	NLM_F_MATCH         = 0x200
	NLM_F_ATOMIC        = 0x400
	NLM_F_DUMP          = NLM_F_ROOT | NLM_F_MATCH
	NLM_F_CAPPED        = 0x100
	NLM_F_CREATE        = 0x400
)

// Types of NlMsghdr, rtnetlink(7), sock_diag(7).
const (
	NLMSG_NOOP  = 1
	NLMSG_ERROR = 2
	NLMSG_DONE  = 3

	NLMSG_MIN_TYPE = 0x10

	RTM_NEWLINK  = 16
	RTM_DELLINK  = 17
	RTM_GETLINK  = 18
	RTM_SETLINK  = 19
	RTM_NEWADDR  = 20
	RTM_DELADDR  = 21
	RTM_GETADDR  = 22
	RTM_NEWROUTE = 24
	RTM_DELROUTE = 25
	RTM_GETROUTE = 26
	RTM_NEWNEIGH = 28
	RTM_GETNEIGH = 30
	RTM_NEWRULE  = 32
	RTM_GETRULE  = 34
	RTM_GETQDISC = 38
	RTM_GETSTATS = 94
	RTM_MAX      = 123

	SOCK_DIAG_BY_FAMILY = 20
)

// Ifinfomsg is struct ifinfomsg, rtnetlink(7).
type Ifinfomsg struct {
	Family uint8
	_      uint8
	Type   uint16
	Index  int32
	Flags  uint32
	Change uint32
}

// Ifaddrmsg is struct ifaddrmsg, rtnetlink(7).
type Ifaddrmsg struct {
	Family, Prefixlen, Flags, Scope uint8

	Index uint32
}

// Rtmsg is struct rtmsg, rtnetlink(7).
type Rtmsg struct {
	Family, DstLen, SrcLen, TOS, Table, Protocol, Scope, Type uint8

	Flags uint32
}

// Ndmsg is struct ndmsg, rtnetlink(7).
type Ndmsg struct {
	Family uint8
	_      [3]uint8
	Index  int32
	State  uint16 // NUD_*
	Flags  uint8
	Type   uint8 // RTN_*
}

// Fields and attributes of Ndmsg.
const (
	NUD_INCOMPLETE = 0x01
	NUD_REACHABLE  = 0x02
	NUD_STALE      = 0x04
	NUD_DELAY      = 0x08
	NUD_PROBE      = 0x10
	NUD_FAILED     = 0x20
	NUD_PERMANENT  = 0x80

	NDA_DST    = 1
	NDA_LLADDR = 2
)

// Attributes of Ifinfomsg.
const (
	IFLA_ADDRESS    = 1
	IFLA_BROADCAST  = 2
	IFLA_IFNAME     = 3
	IFLA_MTU        = 4
	IFLA_QDISC      = 6
	IFLA_STATS      = 7
	IFLA_MASTER     = 10
	IFLA_TXQLEN     = 13
	IFLA_OPERSTATE  = 16
	IFLA_LINKMODE   = 17
	IFLA_LINKINFO   = 18
	IFLA_IFALIAS    = 20
	IFLA_STATS64    = 23
	IFLA_GROUP      = 27
	IFLA_EXT_MASK   = 29
	IFLA_PROMISC    = 30
	IFLA_TXQUEUES   = 31
	IFLA_RXQUEUES   = 32
	IFLA_CARRIER    = 33
	IFLA_MIN_MTU    = 50
	IFLA_MAX_MTU    = 51
	IFLA_ALT_IFNAME = 53

	IF_OPER_UNKNOWN = 0
	IF_OPER_UP      = 6
)

// RtnlLinkStats64 is the counters of IFLA_STATS64, as far as they are kept.
type RtnlLinkStats64 struct {
	RxPackets, TxPackets, RxBytes, TxBytes, RxErrors, TxErrors, RxDropped, TxDropped uint64

	Other [16]uint64
}

// Attributes of Ifaddrmsg.
const (
	IFA_ADDRESS   = 1
	IFA_LOCAL     = 2
	IFA_LABEL     = 3
	IFA_BROADCAST = 4
	IFA_CACHEINFO = 6
	IFA_FLAGS     = 8

	IFA_F_PERMANENT = 0x80
)

// IfaCacheinfo is struct ifa_cacheinfo.
type IfaCacheinfo struct{ Prefered, Valid, Cstamp, Tstamp uint32 }

// Attributes of a routing rule, whose header is an Rtmsg with an action as its type;
// <linux/fib_rules.h>.
const (
	FRA_PRIORITY           = 6
	FRA_SUPPRESS_PREFIXLEN = 14
	FRA_TABLE              = 15
	FRA_PROTOCOL           = 21

	FR_ACT_TO_TBL = 1
)

// Attributes of Rtmsg.
const (
	RTA_DST       = 1
	RTA_SRC       = 2
	RTA_IIF       = 3
	RTA_OIF       = 4
	RTA_GATEWAY   = 5
	RTA_PRIORITY  = 6
	RTA_PREFSRC   = 7
	RTA_CACHEINFO = 12
	RTA_TABLE     = 15
	RTA_PREF      = 20
	RTA_UID       = 25
)

// Fields of Rtmsg.
const (
	RT_TABLE_UNSPEC  = 0
	RT_TABLE_DEFAULT = 253
	RT_TABLE_MAIN    = 254
	RT_TABLE_LOCAL   = 255

	RTPROT_KERNEL = 2
	RTPROT_BOOT   = 3

	RT_SCOPE_UNIVERSE = 0
	RT_SCOPE_LINK     = 253
	RT_SCOPE_HOST     = 254

	RTPROT_UNSPEC = 0
	RTN_UNICAST   = 1
	RTN_LOCAL     = 2
	RTN_BROADCAST = 3
	RTN_MULTICAST = 5

	RTM_F_CLONED       = 0x200
	RTM_F_LOOKUP_TABLE = 0x1000
	RTCF_LOCAL         = 0x80000000
)

// InetDiagSockID is struct inet_diag_sockid, sock_diag(7). Ports are big-endian.
type InetDiagSockID struct {
	Sport, Dport [2]byte
	Src, Dst     [16]byte
	If           uint32
	Cookie       [2]uint32
}

// InetDiagReq is struct inet_diag_req_v2, sock_diag(7).
type InetDiagReq struct {
	Family, Protocol, Ext, _ uint8

	States uint32
	ID     InetDiagSockID
}

// InetDiagMsg is struct inet_diag_msg, sock_diag(7).
type InetDiagMsg struct {
	Family, State, Timer, Retrans uint8

	ID      InetDiagSockID
	Expires uint32
	Rqueue  uint32
	Wqueue  uint32
	UID     uint32
	Inode   uint32
}

// UnixDiagReq is struct unix_diag_req, sock_diag(7).
type UnixDiagReq struct {
	Family, Protocol uint8
	_                uint16
	States           uint32
	Ino              uint32
	Show             uint32
	Cookie           [2]uint32
}

// UnixDiagMsg is struct unix_diag_msg, sock_diag(7).
type UnixDiagMsg struct {
	Family, Type, State, _ uint8

	Ino    uint32
	Cookie [2]uint32
}

// Attributes of UnixDiagMsg, and what asks for them.
const (
	UNIX_DIAG_NAME     = 0
	UNIX_DIAG_PEER     = 2
	UNIX_DIAG_RQLEN    = 4
	UNIX_DIAG_SHUTDOWN = 6

	UDIAG_SHOW_NAME  = 0x1
	UDIAG_SHOW_PEER  = 0x4
	UDIAG_SHOW_RQLEN = 0x10
)
