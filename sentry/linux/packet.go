package linux

// Types of packets, packet(7): sll_pkttype.
const (
	PACKET_HOST      = 0
	PACKET_BROADCAST = 1
	PACKET_MULTICAST = 2
	PACKET_OTHERHOST = 3
	PACKET_OUTGOING  = 4
)

// Options of level SOL_PACKET.
const (
	PACKET_ADD_MEMBERSHIP  = 1
	PACKET_DROP_MEMBERSHIP = 2
	PACKET_RX_RING         = 5
	PACKET_STATISTICS      = 6
	PACKET_COPY_THRESH     = 7
	PACKET_AUXDATA         = 8
	PACKET_ORIGDEV         = 9
	PACKET_VERSION         = 10
	PACKET_HDRLEN          = 11
	PACKET_RESERVE         = 12
	PACKET_TX_RING         = 13
	PACKET_LOSS            = 14
	PACKET_FANOUT          = 18
	PACKET_TX_HAS_OFF      = 19
	PACKET_QDISC_BYPASS    = 20
	PACKET_FANOUT_DATA     = 22
	PACKET_IGNORE_OUTGOING = 23
)

// How the sockets of PACKET_FANOUT share frames.
const (
	PACKET_FANOUT_HASH                 = 0
	PACKET_FANOUT_LB                   = 1
	PACKET_FANOUT_CPU                  = 2
	PACKET_FANOUT_ROLLOVER             = 3
	PACKET_FANOUT_RND                  = 4
	PACKET_FANOUT_QM                   = 5
	PACKET_FANOUT_CBPF                 = 6
	PACKET_FANOUT_FLAG_ROLLOVER        = 0x1000
	PACKET_FANOUT_FLAG_UNIQUEID        = 0x2000
	PACKET_FANOUT_FLAG_IGNORE_OUTGOING = 0x4000
)

// What PACKET_ADD_MEMBERSHIP asks for.
const (
	PACKET_MR_MULTICAST = 0
	PACKET_MR_PROMISC   = 1
	PACKET_MR_ALLMULTI  = 2
	PACKET_MR_UNICAST   = 3
)

// Status of a packet for who reads it.
const (
	TP_STATUS_KERNEL             = 0
	TP_STATUS_USER               = 1 << 0
	TP_STATUS_COPY               = 1 << 1
	TP_STATUS_LOSING             = 1 << 2
	TP_STATUS_CSUMNOTREADY       = 1 << 3
	TP_STATUS_BLK_TMO            = 1 << 5
	TP_STATUS_CSUM_VALID         = 1 << 7
	TP_STATUS_TS_SOFTWARE        = 1 << 29
	TPACKET_ALIGNMENT            = 16
	TPACKET_V1             int32 = 0
	TPACKET_V2             int32 = 1
	TPACKET_V3             int32 = 2
)

// Status of a frame that who writes it wants sent.
const (
	TP_STATUS_AVAILABLE    = 0
	TP_STATUS_SEND_REQUEST = 1 << 0
	TP_STATUS_WRONG_FORMAT = 1 << 2
)

// Protocols of Ethernet, <linux/if_ether.h>.
const (
	ETH_P_ALL   = 3
	ETH_P_IP    = 0x800
	ETH_P_IPV6  = 0x86dd
	ETH_P_802_2 = 4 // what has a length in the place of a protocol
	ETH_P_802_3 = 0x600
	ETH_HLEN    = 14
)

// SockaddrLLLen is the length of a SockaddrLL; its address may be longer.
const SockaddrLLLen = 20

// SockaddrLL is struct sockaddr_ll.
type SockaddrLL struct {
	Family   uint16
	Protocol [2]byte // in network order
	Index    int32
	Hatype   uint16
	Pkttype  uint8
	Halen    uint8
	Addr     [8]byte
}

// PacketMreq is struct packet_mreq.
type PacketMreq struct {
	Index   int32
	Type    uint16
	Alen    uint16
	Address [8]byte
}

// TpacketAuxdata is struct tpacket_auxdata.
type TpacketAuxdata struct {
	Status, Len, Snaplen              uint32
	MAC, Net, VLANTCI, VLANProtocolID uint16
}

// Offsets of classic BPF that mean more than bytes of a packet, <linux/filter.h>.
const (
	SKF_AD_OFF              = 0xfffff000 // -0x1000
	SKF_NET_OFF             = 0xfff00000 // -0x100000: from the network header on
	SKF_LL_OFF              = 0xffe00000 // -0x200000: from the link's header on
	SKF_AD_PROTOCOL         = 0
	SKF_AD_PKTTYPE          = 4
	SKF_AD_IFINDEX          = 8
	SKF_AD_HATYPE           = 28
	SKF_AD_CPU              = 36
	SKF_AD_VLAN_TAG         = 44
	SKF_AD_VLAN_TAG_PRESENT = 48
	SKF_AD_VLAN_TPID        = 60
)

// TpacketReq is struct tpacket_req.
type TpacketReq struct{ BlockSize, BlockNr, FrameSize, FrameNr uint32 }

// TpacketReq3 is struct tpacket_req3, which begins like a TpacketReq.
type TpacketReq3 struct {
	BlockSize, BlockNr, FrameSize, FrameNr   uint32
	RetireBlkTov, SizeofPriv, FeatureReqWord uint32
}
