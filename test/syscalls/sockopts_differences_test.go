package syscalls

// An optionDifference is lines of sockopts that differ from Linux's, and why.
type optionDifference struct {
	lines   string // a regular expression of how Linux's begin
	ours    string // how all of the sandbox's end
	why     string
	perhaps bool // Linux's own depend on how it was built or set up, so that they may agree
}

var optionDifferences = []optionDifference{
	{lines: `\w+ SOCKET 57 `, why: "SO_COOKIE: each socket has another number", perhaps: true},
	{lines: `tcp[46] TCP 24 `, why: "TCP_TIMESTAMP: a clock", perhaps: true},
	{lines: `tcp[46] TCP 11 `, why: "TCP_INFO: has times"},
	{lines: `tcp[46] TCP 35 `, why: "TCP_ZEROCOPY_RECEIVE: no pages are lent"},
	{lines: `raw6 RAW 7 set`, ours: "EINVAL, 4 02000000", why: "IPV6_CHECKSUM: ICMPv6 always has one"},
	{lines: `\w+ IPV6 (64|65|68|69) `, ours: "ENOPROTOOPT", why: "IP6T_SO_GET_INFO and the like: no iptables of old", perhaps: true},
	{lines: `tcp[46] TCP 13 `, why: "TCP_CONGESTION: the host's may have another default", perhaps: true},
	{lines: `tcp[46] TCP 26 `, why: "TCP_CC_INFO: cubic has none", perhaps: true},
	{lines: `tcp[46] SOCKET 7 `, why: "SO_SNDBUF: TCP's begins large, as net.ipv4.tcp_wmem says"},
	{lines: `tcp[46] SOCKET 55 `, why: "SO_MEMINFO: TCP's buffers begin larger"},
	{lines: `(unix\w*|route) SOCKET 26 set/16`, ours: "ENOPROTOOPT, 0 ", why: "SO_ATTACH_FILTER: not of sockets that no packets come to"},
	{lines: `\w+ SOCKET 51 set/16`, ours: "", why: "SO_ATTACH_REUSEPORT_CBPF: no program chooses among sockets"},
	{lines: `\w+ SOCKET (50|52) set `, ours: "EINVAL, ENOPROTOOPT", why: "SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF: no file is a program, open or not"},
	{lines: `\w+ SOCKET 62 set `, ours: "ENODEV, 4 00000000", why: "SO_BINDTOIFINDEX: of links that are there"},
	{lines: `\w+ SOCKET 80 set`, ours: "ENOPROTOOPT, ENOPROTOOPT", why: "SO_DEVMEM_DONTNEED: no device's memory"},
	{lines: `unix SOCKET 84 set`, ours: "ENOPROTOOPT, ENOPROTOOPT", why: "SO_INQ: Linux 6.18's", perhaps: true},
	{lines: `\w+ IP (16|17) |\w+ IPV6 (34|35) `, ours: "ENOPROTOOPT", why: "IP_IPSEC_POLICY, IP_XFRM_POLICY: no IPsec", perhaps: true},
	{lines: `\w+ IP 36 set/`, ours: "EINVAL, ENOPROTOOPT", why: "IP_DROP_MEMBERSHIP: of what is no group"},
	{lines: `\w+ IPV6 6 set`, ours: "", why: "IPV6_2292PKTOPTIONS: cannot be set"},
	{lines: `\w+ IPV6 32 `, ours: "ENOPROTOOPT", why: "IPV6_FLOWLABEL_MGR: no labels are lent"},
	{lines: `raw6 (IPV6|RAW) 36 set`, ours: "ENOTSUP, 4 00000000", why: "IPV6_HDRINCL: the stack writes IPv6's headers"},
	{lines: `\w+ IPV6 (54|55|59) set/(8|16|136)`, ours: "ENOPROTOOPT, 0 ", why: "IPV6_HOPOPTS and the like: no extension headers are sent"},
	{lines: `tcp[46] TCP (14|32|38|39|4[012]) set`, ours: "ENOPROTOOPT, ENOPROTOOPT", why: "TCP_MD5SIG, TCP_AO: no signed segments", perhaps: true},
	{lines: `tcp[46] TCP 19 set`, ours: "EPERM, 4 00000000", why: "TCP_REPAIR: nobody's connections are rewritten"},
	{lines: `tcp[46] TCP 37 `, ours: "ENOPROTOOPT", why: "TCP_TX_DELAY: none"},
	{lines: `udp\w+ UDP 100 set (2|3):`, ours: "ENOPROTOOPT, 4 00000000", why: "UDP_ENCAP: no IPsec", perhaps: true},
	{lines: `tcp[46] SOCKET 18 `, why: "SO_RCVLOWAT: capped at half of the largest buffer, which is another"},
}
