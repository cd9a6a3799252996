package linux

// Flags of NlMsghdr in requests that make something, and of what answers a request;
// netlink(7).
const (
	NLM_F_REPLACE  = 0x100
	NLM_F_EXCL     = 0x200
	NLM_F_APPEND   = 0x800
	NLM_F_ACK_TLVS = 0x200

	// NLMSGERR_ATTR_MSG is the attribute of an NLMSG_ERROR that says in words what was wrong.
	NLMSGERR_ATTR_MSG = 1
)

// RTM_DELNEIGH takes a neighbour away, rtnetlink(7).
const RTM_DELNEIGH = 29

// Groups of NETLINK_ROUTE, <linux/rtnetlink.h>.
const (
	RTNLGRP_LINK        = 1
	RTNLGRP_NEIGH       = 3
	RTNLGRP_IPV4_IFADDR = 5
	RTNLGRP_IPV4_ROUTE  = 7
	RTNLGRP_IPV6_IFADDR = 9
	RTNLGRP_IPV6_ROUTE  = 11
)

// More of the fields and attributes of Ndmsg and Rtmsg.
const (
	NUD_NOARP     = 0x40
	IF_OPER_DOWN  = 2
	RTA_MULTIPATH = 9
	RTN_UNSPEC    = 0
)
