package linux

// Options of level SOL_TCP, tcp(7).
const (
	TCP_NODELAY              = 1
	TCP_MAXSEG               = 2
	TCP_CORK                 = 3
	TCP_KEEPIDLE             = 4
	TCP_KEEPINTVL            = 5
	TCP_KEEPCNT              = 6
	TCP_SYNCNT               = 7
	TCP_LINGER2              = 8
	TCP_DEFER_ACCEPT         = 9
	TCP_WINDOW_CLAMP         = 10
	TCP_INFO                 = 11
	TCP_QUICKACK             = 12
	TCP_CONGESTION           = 13
	TCP_MD5SIG               = 14
	TCP_THIN_LINEAR_TIMEOUTS = 16
	TCP_THIN_DUPACK          = 17
	TCP_USER_TIMEOUT         = 18
	TCP_REPAIR               = 19
	TCP_REPAIR_QUEUE         = 20
	TCP_QUEUE_SEQ            = 21
	TCP_REPAIR_OPTIONS       = 22
	TCP_FASTOPEN             = 23
	TCP_TIMESTAMP            = 24
	TCP_NOTSENT_LOWAT        = 25
	TCP_CC_INFO              = 26
	TCP_SAVE_SYN             = 27
	TCP_SAVED_SYN            = 28
	TCP_REPAIR_WINDOW        = 29
	TCP_FASTOPEN_CONNECT     = 30
	TCP_ULP                  = 31
	TCP_FASTOPEN_KEY         = 33
	TCP_FASTOPEN_NO_COOKIE   = 34
	TCP_ZEROCOPY_RECEIVE     = 35
	TCP_INQ                  = 36
	TCP_IS_MPTCP             = 43
	TCP_RTO_MAX_MS           = 44
	TCP_RTO_MIN_US           = 45
	TCP_DELACK_MAX_US        = 46
)

// A TCPState is a connection's state, as TCP_INFO and /proc/net/tcp show it.
type TCPState uint8

// States of TCP, <net/tcp_states.h>. Other kinds of sockets use them too.
const (
	TCP_ESTABLISHED TCPState = iota + 1
	TCP_SYN_SENT
	TCP_SYN_RECV
	TCP_FIN_WAIT1
	TCP_FIN_WAIT2
	TCP_TIME_WAIT
	TCP_CLOSE
	TCP_CLOSE_WAIT
	TCP_LAST_ACK
	TCP_LISTEN
	TCP_CLOSING
)

// TCP_CA_NAME_MAX is the size of a congestion control's name, with its NUL.
const TCP_CA_NAME_MAX = 16

// TCPInfo is struct tcp_info, tcp(7).
type TCPInfo struct {
	State       TCPState
	CAState     uint8
	Retransmits uint8
	Probes      uint8
	Backoff     uint8
	Options     uint8
	WScale      uint8 // send in the low 4 bits, receive in the high ones
	Flags       uint8

	RTO    uint32 // microseconds
	ATO    uint32
	SndMSS uint32
	RcvMSS uint32

	Unacked, Sacked, Lost, Retrans, Fackets uint32

	LastDataSent, LastAckSent, LastDataRecv, LastAckRecv uint32 // milliseconds ago

	PMTU        uint32
	RcvSsthresh uint32
	RTT         uint32 // microseconds
	RTTVar      uint32
	SndSsthresh uint32
	SndCwnd     uint32
	AdvMSS      uint32
	Reordering  uint32

	RcvRTT       uint32
	RcvSpace     uint32
	TotalRetrans uint32

	PacingRate    uint64
	MaxPacingRate uint64
	BytesAcked    uint64
	BytesReceived uint64
	SegsOut       uint32
	SegsIn        uint32

	NotsentBytes uint32
	MinRTT       uint32
	DataSegsIn   uint32
	DataSegsOut  uint32

	DeliveryRate  uint64
	BusyTime      uint64
	RwndLimited   uint64
	SndbufLimited uint64

	Delivered    uint32
	DeliveredCE  uint32
	BytesSent    uint64
	BytesRetrans uint64
	DsackDups    uint32
	ReordSeen    uint32
	RcvOoopack   uint32
	SndWnd       uint32
	RcvWnd       uint32
	Rehash       uint32

	TotalRTO           uint16
	TotalRTORecoveries uint16
	TotalRTOTime       uint32
}

// Bits of TCPInfo.Options.
const (
	TCPI_OPT_TIMESTAMPS = 1
	TCPI_OPT_SACK       = 2
	TCPI_OPT_WSCALE     = 4
	TCPI_OPT_ECN        = 8
)
