package inet

import (
	"slices"
	"time"

	"golang.org/x/time/rate"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// heeded is what is looked at often of a network's parameters.
type heeded struct {
	firstPort int64 // lower ones need CAP_NET_BIND_SERVICE
	ttl       int64
	pingers   [2]int64 // the groups whose members may have ping sockets: from, to
	v6only    bool
	without6  []string // links without IPv6

	keepIdle, keepInterval, keepCount int64 // in seconds, and probes
}

// heed reads n's parameters.
func heed(n *socket.Network) *heeded {
	h := &heeded{
		firstPort:    n.Number("ipv4/ip_unprivileged_port_start", 0),
		ttl:          n.Number("ipv4/ip_default_ttl", 0),
		pingers:      [2]int64{n.Number("ipv4/ping_group_range", 0), n.Number("ipv4/ping_group_range", 1)},
		v6only:       n.Number("ipv6/bindv6only", 0) != 0,
		keepIdle:     n.Number("ipv4/tcp_keepalive_time", 0),
		keepInterval: n.Number("ipv4/tcp_keepalive_intvl", 0),
		keepCount:    n.Number("ipv4/tcp_keepalive_probes", 0),
	}
	for _, l := range n.Interfaces().Links() {
		if n.Number("ipv6/conf/"+l.Name+"/disable_ipv6", 0) != 0 {
			h.without6 = append(h.without6, l.Name)
		}
	}
	return h
}

// ipv6 reports whether a link has IPv6.
func (h *heeded) ipv6(link string) bool { return !slices.Contains(h.without6, link) }

// mayPing reports whether c may have a socket of ICMP's echo requests, icmp(7).
func (h *heeded) mayPing(c *auth.Creds) bool {
	in := func(gid uint32) bool { return int64(gid) >= h.pingers[0] && int64(gid) <= h.pingers[1] }
	return in(c.EGID) || slices.ContainsFunc(c.Groups, in)
}

func isPing(protocol int32) bool {
	return protocol == linux.IPPROTO_ICMP || protocol == linux.IPPROTO_ICMPV6
}

// begin gives a new socket what it begins with.
func (h *heeded) begin(k socket.Kind, ep tcpip.Endpoint) {
	if k.Family == linux.AF_INET6 && h.v6only {
		ep.SocketOptions().SetV6Only(true)
	}
	if k.Type == linux.SOCK_STREAM {
		h.keep(ep)
	}
}

// keep gives a TCP socket its keepalive times, where they are not those that the stack
// gives to each, which are Linux's.
func (h *heeded) keep(ep tcpip.Endpoint) {
	if h.keepIdle != int64(tcp.DefaultKeepaliveIdle/time.Second) {
		v := tcpip.KeepaliveIdleOption(time.Duration(h.keepIdle) * time.Second)
		ep.SetSockOpt(&v)
	}
	if h.keepInterval != int64(tcp.DefaultKeepaliveInterval/time.Second) {
		v := tcpip.KeepaliveIntervalOption(time.Duration(h.keepInterval) * time.Second)
		ep.SetSockOpt(&v)
	}
	if h.keepCount != tcp.DefaultKeepaliveCount {
		ep.SetSockOptInt(tcpip.KeepaliveCountOption, int(h.keepCount))
	}
}

// Heed implements socket.Heeder.
func (m *member) Heed() {
	if m.family == linux.AF_INET { // one of the two does, for both
		m.Family.heed()
	}
}

func (f *Family) heed() {
	f.configuring.Lock()
	defer f.configuring.Unlock()
	before := f.state()
	f.heeded.Store(heed(f.net))
	if s := f.current(); s != nil {
		f.tune(s)
		f.tuneLinks(s)
	}
	after := f.state()
	f.net.Tell(&before, &after)
}

// tune gives s the parameters of the network.
func (f *Family) tune(s *stack.Stack) {
	tuneTCP(s, f.net)
	s.SetPortRange(uint16(f.net.Number("ipv4/ip_local_port_range", 0)), uint16(f.net.Number("ipv4/ip_local_port_range", 1)))
	ttl := tcpip.DefaultTTLOption(f.net.Number("ipv4/ip_default_ttl", 0))
	hops := tcpip.DefaultTTLOption(defaultHops)
	s.SetNetworkProtocolOption(ipv4.ProtocolNumber, &ttl)
	s.SetNetworkProtocolOption(ipv6.ProtocolNumber, &hops)
	s.SetOption(tcpip.SendBufferSizeOption{Min: 4096, Default: socket.DefaultBuffer, Max: socket.MaxBuffer})
	s.SetOption(tcpip.ReceiveBufferSizeOption{Min: 4096, Default: socket.DefaultBuffer, Max: socket.MaxBuffer})
	f.hush[0].Store(f.net.Number("ipv4/icmp_echo_ignore_all", 0) != 0)
	f.hush[1].Store(f.net.Number("ipv6/icmp/echo_ignore_all", 0) != 0)
	s.SetICMPLimit(rate.Limit(f.net.Number("ipv4/icmp_msgs_per_sec", 0)))
	s.SetICMPBurst(int(f.net.Number("ipv4/icmp_msgs_burst", 0)))
	_ = s.SetOption(stack.TCPInvalidRateLimitOption(time.Duration(f.net.Number("ipv4/tcp_invalid_ratelimit", 0)) * time.Millisecond))
}

// tuneTCP gives s the parameters of TCP.
func tuneTCP(s *stack.Stack, n *socket.Network) {
	number := func(name string) int64 { return n.Number("ipv4/"+name, 0) }
	// The stack wants them in order.
	limits := func(name string) (least, def, most int) {
		least, def = int(n.Number("ipv4/"+name, 0)), int(n.Number("ipv4/"+name, 1))
		def = max(least, def)
		return least, def, max(def, int(n.Number("ipv4/"+name, 2)))
	}
	var send tcpip.TCPSendBufferSizeRangeOption
	send.Min, send.Default, send.Max = limits("tcp_wmem")
	var receive tcpip.TCPReceiveBufferSizeRangeOption
	receive.Min, receive.Default, receive.Max = limits("tcp_rmem")
	congestion, _ := n.Sysctl("ipv4/tcp_congestion_control")
	for _, o := range []tcpip.SettableTransportProtocolOption{
		pointer(tcpip.TCPSACKEnabled(number("tcp_sack") != 0)),
		pointer(tcpip.TCPRecovery(number("tcp_recovery"))),
		pointer(tcpip.TCPModerateReceiveBufferOption(number("tcp_moderate_rcvbuf") != 0)),
		&send, &receive,
		pointer(tcpip.CongestionControlOption(congestion)),
		pointer(tcpip.TCPLingerTimeoutOption(time.Duration(number("tcp_fin_timeout")) * time.Second)),
		pointer(tcpip.TCPTimeWaitReuseOption(number("tcp_tw_reuse"))),
		pointer(tcpip.TCPMaxRetriesOption(number("tcp_retries2"))),
		pointer(tcpip.TCPSynRetriesOption(number("tcp_syn_retries"))),
		pointer(tcpip.TCPAlwaysUseSynCookies(number("tcp_syncookies") == 2)),
		pointer(tcpip.TCPMaxRTOOption(time.Duration(number("tcp_rto_max_ms")) * time.Millisecond)),
		pointer(tcpip.TCPMinRTOOption(time.Duration(number("tcp_rto_min_us")) * time.Microsecond)),
	} {
		s.SetTransportProtocolOption(tcp.ProtocolNumber, o)
	}
}

func pointer[T any](v T) *T { return &v }

// tuneLinks has s forward packets from links as the network says, and gives links the IPv6
// addresses that they may have.
func (f *Family) tuneLinks(s *stack.Stack) {
	h, o := f.heeded.Load(), f.outside.Load()
	for _, l := range f.links() {
		id := tcpip.NICID(l.Index)
		s.SetNICForwarding(id, ipv4.ProtocolNumber, f.net.Number("ipv4/conf/"+l.Name+"/forwarding", 0) != 0)
		s.SetNICForwarding(id, ipv6.ProtocolNumber, f.net.Number("ipv6/conf/"+l.Name+"/forwarding", 0) != 0)
	}
	for _, l := range append([]LinkConfig{o.Loopback}, o.Links...) {
		allow6(s, tcpip.NICID(l.Index), l.Addresses, h.ipv6(l.Name))
	}
}

// allow6 gives a link the IPv6 addresses among all, or takes them from it.
func allow6(s *stack.Stack, id tcpip.NICID, all []AddressConfig, on bool) {
	for _, p := range all {
		switch {
		case p.Addr().Is4():
		case on:
			_ = addAddress(s, id, p.Prefix) // it may be there already
		default:
			s.RemoveAddress(id, toTCPIP(p.Addr()))
		}
	}
}
