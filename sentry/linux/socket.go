package linux

// Address families, socket(2).
const (
	AF_UNSPEC    = 0
	AF_UNIX      = 1
	AF_INET      = 2
	AF_AX25      = 3
	AF_IPX       = 4
	AF_APPLETALK = 5
	AF_X25       = 9
	AF_INET6     = 10
	AF_NETLINK   = 16
	AF_PACKET    = 17
	AF_ALG       = 38
	AF_VSOCK     = 40
	AF_XDP       = 44
	AF_MAX       = 46
)

// A SockType is what socket(2) takes as its type, without the flags.
type SockType int32

// Types of sockets.
const (
	SOCK_STREAM    SockType = 1
	SOCK_DGRAM     SockType = 2
	SOCK_RAW       SockType = 3
	SOCK_RDM       SockType = 4
	SOCK_SEQPACKET SockType = 5
	SOCK_DCCP      SockType = 6
	SOCK_PACKET    SockType = 10
	SOCK_MAX       SockType = 11

	SOCK_TYPE_MASK = 0xf
	SOCK_CLOEXEC   = 0x80000
	SOCK_NONBLOCK  = 0x800
)

// Ways of shutdown(2).
const (
	SHUT_RD   = 0
	SHUT_WR   = 1
	SHUT_RDWR = 2
)

// A MsgFlags is the flags of send(2) and recv(2).
type MsgFlags uint32

// Flags of messages.
const (
	MSG_OOB          MsgFlags = 0x1
	MSG_PEEK         MsgFlags = 0x2
	MSG_DONTROUTE    MsgFlags = 0x4
	MSG_CTRUNC       MsgFlags = 0x8
	MSG_PROBE        MsgFlags = 0x10
	MSG_TRUNC        MsgFlags = 0x20
	MSG_DONTWAIT     MsgFlags = 0x40
	MSG_EOR          MsgFlags = 0x80
	MSG_WAITALL      MsgFlags = 0x100
	MSG_FIN          MsgFlags = 0x200
	MSG_SYN          MsgFlags = 0x400
	MSG_CONFIRM      MsgFlags = 0x800
	MSG_RST          MsgFlags = 0x1000
	MSG_ERRQUEUE     MsgFlags = 0x2000
	MSG_NOSIGNAL     MsgFlags = 0x4000
	MSG_MORE         MsgFlags = 0x8000
	MSG_WAITFORONE   MsgFlags = 0x10000
	MSG_BATCH        MsgFlags = 0x40000
	MSG_ZEROCOPY     MsgFlags = 0x4000000
	MSG_FASTOPEN     MsgFlags = 0x20000000
	MSG_CMSG_CLOEXEC MsgFlags = 0x40000000
)

// Levels of options, getsockopt(2).
const (
	SOL_IP      = 0
	SOL_SOCKET  = 1
	SOL_TCP     = 6
	SOL_UDP     = 17
	SOL_IPV6    = 41
	SOL_ICMPV6  = 58
	SOL_UDPLITE = 136
	SOL_RAW     = 255
	SOL_PACKET  = 263
	SOL_NETLINK = 270
)

// Options of level SOL_SOCKET, socket(7).
const (
	SO_DEBUG                         = 1
	SO_REUSEADDR                     = 2
	SO_TYPE                          = 3
	SO_ERROR                         = 4
	SO_DONTROUTE                     = 5
	SO_BROADCAST                     = 6
	SO_SNDBUF                        = 7
	SO_RCVBUF                        = 8
	SO_KEEPALIVE                     = 9
	SO_OOBINLINE                     = 10
	SO_NO_CHECK                      = 11
	SO_PRIORITY                      = 12
	SO_LINGER                        = 13
	SO_BSDCOMPAT                     = 14
	SO_REUSEPORT                     = 15
	SO_PASSCRED                      = 16
	SO_PEERCRED                      = 17
	SO_RCVLOWAT                      = 18
	SO_SNDLOWAT                      = 19
	SO_RCVTIMEO                      = 20
	SO_SNDTIMEO                      = 21
	SO_SECURITY_AUTHENTICATION       = 22
	SO_SECURITY_ENCRYPTION_TRANSPORT = 23
	SO_SECURITY_ENCRYPTION_NETWORK   = 24
	SO_BINDTODEVICE                  = 25
	SO_ATTACH_FILTER                 = 26
	SO_DETACH_FILTER                 = 27
	SO_PEERNAME                      = 28
	SO_TIMESTAMP                     = 29
	SO_ACCEPTCONN                    = 30
	SO_PEERSEC                       = 31
	SO_SNDBUFFORCE                   = 32
	SO_RCVBUFFORCE                   = 33
	SO_PASSSEC                       = 34
	SO_TIMESTAMPNS                   = 35
	SO_MARK                          = 36
	SO_TIMESTAMPING                  = 37
	SO_PROTOCOL                      = 38
	SO_DOMAIN                        = 39
	SO_RXQ_OVFL                      = 40
	SO_WIFI_STATUS                   = 41
	SO_PEEK_OFF                      = 42
	SO_NOFCS                         = 43
	SO_LOCK_FILTER                   = 44
	SO_SELECT_ERR_QUEUE              = 45
	SO_BUSY_POLL                     = 46
	SO_MAX_PACING_RATE               = 47
	SO_BPF_EXTENSIONS                = 48
	SO_INCOMING_CPU                  = 49
	SO_ATTACH_BPF                    = 50
	SO_ATTACH_REUSEPORT_CBPF         = 51
	SO_ATTACH_REUSEPORT_EBPF         = 52
	SO_CNX_ADVICE                    = 53
	SO_MEMINFO                       = 55
	SO_INCOMING_NAPI_ID              = 56
	SO_COOKIE                        = 57
	SO_PEERGROUPS                    = 59
	SO_ZEROCOPY                      = 60
	SO_TXTIME                        = 61
	SO_BINDTOIFINDEX                 = 62
	SO_TIMESTAMP_NEW                 = 63
	SO_TIMESTAMPNS_NEW               = 64
	SO_TIMESTAMPING_NEW              = 65
	SO_RCVTIMEO_NEW                  = 66
	SO_SNDTIMEO_NEW                  = 67
	SO_DETACH_REUSEPORT_BPF          = 68
	SO_PREFER_BUSY_POLL              = 69
	SO_BUSY_POLL_BUDGET              = 70
	SO_NETNS_COOKIE                  = 71
	SO_BUF_LOCK                      = 72
	SO_RESERVE_MEM                   = 73
	SO_TXREHASH                      = 74
	SO_RCVMARK                       = 75
	SO_PASSPIDFD                     = 76
	SO_PEERPIDFD                     = 77
	SO_RCVPRIORITY                   = 82
	SO_PASSRIGHTS                    = 83
)

// SO_BUF_LOCK's bits: which buffers have a size that somebody chose.
const (
	SOCK_SNDBUF_LOCK   = 1
	SOCK_RCVBUF_LOCK   = 2
	SOCK_BUF_LOCK_MASK = SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK
)

// SO_TIMESTAMPING's flags, as far as they are told apart.
const (
	SOF_TIMESTAMPING_RX_SOFTWARE = 1 << 3
	SOF_TIMESTAMPING_SOFTWARE    = 1 << 4
	SOF_TIMESTAMPING_OPT_ID      = 1 << 7
	SOF_TIMESTAMPING_OPT_TSONLY  = 1 << 11
	SOF_TIMESTAMPING_OPT_STATS   = 1 << 12
	SOF_TIMESTAMPING_BIND_PHC    = 1 << 15
	SOF_TIMESTAMPING_OPT_ID_TCP  = 1 << 16
	SOF_TIMESTAMPING_MASK        = 1<<19 - 1
	// SOF_TIMESTAMPING_TX_RECORD_MASK is those that a message may give of one packet.
	SOF_TIMESTAMPING_TX_RECORD_MASK = 1<<0 | 1<<1 | 1<<8 | 1<<9 | 1<<18

	SOF_TXTIME_FLAGS_MASK = 3
)

// SO_MEMINFO's array.
const (
	SK_MEMINFO_RCVBUF = 1
	SK_MEMINFO_SNDBUF = 3
	SK_MEMINFO_VARS   = 9
)

// SKF_AD_MAX is SO_BPF_EXTENSIONS: what packet filters can ask for besides the packet.
const SKF_AD_MAX = 64

// SockFprogLen is the size of SockFprog.
const SockFprogLen = 16

// Types of control messages of level SOL_SOCKET, unix(7).
const (
	SCM_RIGHTS      = 1
	SCM_CREDENTIALS = 2
	SCM_SECURITY    = 3
	SCM_PIDFD       = 4

	// SCM_MAX_FD is how many descriptors one message carries.
	SCM_MAX_FD = 253
)

// Msghdr is struct msghdr, recvmsg(2).
type Msghdr struct {
	Name       uint64
	Namelen    int32
	_          int32
	Iov        uint64
	Iovlen     uint64
	Control    uint64
	Controllen uint64
	Flags      MsgFlags
	_          int32
}

// Mmsghdr is struct mmsghdr, recvmmsg(2).
type Mmsghdr struct {
	Hdr Msghdr
	Len uint32
	_   int32
}

// Sizes of control messages, cmsg(3).
const (
	CmsgHdrLen = 16 // struct cmsghdr
	CmsgAlign  = 8
)

// Ucred is struct ucred, unix(7).
type Ucred struct {
	PID      int32
	UID, GID uint32
}

// Linger is struct linger, socket(7).
type Linger struct{ On, Seconds int32 }

// SockaddrMax is sizeof(struct sockaddr_storage): the longest address.
const SockaddrMax = 128

// Sizes of socket addresses.
const (
	SockaddrUnixLen    = 110
	SockaddrInetLen    = 16
	SockaddrInet6Len   = 28
	SockaddrInet6Short = 24 // sockaddr_in6 of old, without sin6_scope_id
	SockaddrNetlinkLen = 12
)

// ioctl(2) commands of sockets, <linux/sockios.h>.
const (
	FIOSETOWN      = 0x8901
	SIOCSPGRP      = 0x8902
	FIOGETOWN      = 0x8903
	SIOCGPGRP      = 0x8904
	SIOCATMARK     = 0x8905
	SIOCGSTAMP     = 0x8906
	SIOCGSTAMPNS   = 0x8907
	SIOCINQ        = FIONREAD
	SIOCOUTQ       = 0x5411
	SIOCGIFNAME    = 0x8910
	SIOCGIFCONF    = 0x8912
	SIOCGIFFLAGS   = 0x8913
	SIOCSIFFLAGS   = 0x8914
	SIOCGIFADDR    = 0x8915
	SIOCSIFADDR    = 0x8916
	SIOCGIFDSTADDR = 0x8917
	SIOCGIFBRDADDR = 0x8919
	SIOCGIFNETMASK = 0x891b
	SIOCSIFNETMASK = 0x891c
	SIOCGIFMETRIC  = 0x891d
	SIOCGIFMEM     = 0x891f
	SIOCGIFMTU     = 0x8921
	SIOCSIFMTU     = 0x8922
	SIOCGIFHWADDR  = 0x8927
	SIOCGIFPFLAGS  = 0x8935
	SIOCGIFINDEX   = 0x8933
	SIOCGIFTXQLEN  = 0x8942
	SIOCETHTOOL    = 0x8946
	SIOCGIFMAP     = 0x8970
	SIOCUNIXFILE   = 0x89e0
	SIOCPROTO      = 0x89e0
	SIOCDEVPRIVATE = 0x89f0
)

// Ifreq is struct ifreq, netdevice(7).
type Ifreq struct {
	Name [IFNAMSIZ]byte
	Data [24]byte // a union
}

// Ifconf is struct ifconf, netdevice(7).
type Ifconf struct {
	Len int32
	_   int32
	Ptr uint64
}

// IFNAMSIZ is the size of an interface's name, with its NUL.
const IFNAMSIZ = 16

// Flags of interfaces, netdevice(7).
const (
	IFF_UP          = 0x1
	IFF_BROADCAST   = 0x2
	IFF_LOOPBACK    = 0x8
	IFF_POINTOPOINT = 0x10
	IFF_RUNNING     = 0x40
	IFF_NOARP       = 0x80
	IFF_PROMISC     = 0x100
	IFF_ALLMULTI    = 0x200
	IFF_MULTICAST   = 0x1000
	IFF_LOWER_UP    = 0x10000
)

// Types of hardware, <linux/if_arp.h>.
const (
	ARPHRD_ETHER    = 1
	ARPHRD_LOOPBACK = 772
	ARPHRD_NONE     = 0xfffe
)
