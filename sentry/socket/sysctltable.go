package socket

import "strconv"

const (
	portRange  = "ipv4/ip_local_port_range"
	pingGroups = "ipv4/ping_group_range"
	maxInt     = 1<<31 - 1
)

// within is a parameter of numbers from lo to hi.
func within(name, def string, lo, hi int64) Sysctl {
	return Sysctl{Name: name, Default: def, min: lo, max: hi}
}

func on(name string) Sysctl  { return within(name, "1", 0, 1) }
func off(name string) Sysctl { return within(name, "0", 0, 1) }

// fixed is a parameter that tells what the stack does, and can't be changed.
func fixed(name, def string) Sysctl { return Sysctl{Name: name, Default: def, Fixed: true} }

// Congestion is the algorithms of congestion control, tcp(7).
var Congestion = []string{"reno", "cubic"}

// Sysctls is the parameters that a network has, but for those of links: of those that Linux
// 6.18 has in a network namespace of its own, the ones that hold here. Their defaults are
// Linux's where it does the same; the others' say what the stack does.
var Sysctls = [...]Sysctl{
	fixed("core/optmem_max", "131072"),
	fixed("core/rmem_default", strconv.Itoa(DefaultBuffer)), // these four are the whole kernel's
	fixed("core/rmem_max", strconv.Itoa(MaxBuffer)),
	fixed("core/wmem_default", strconv.Itoa(DefaultBuffer)),
	fixed("core/wmem_max", strconv.Itoa(MaxBuffer)),
	within("core/somaxconn", "4096", 0, maxInt),

	off("ipv4/icmp_echo_ignore_all"),
	fixed("ipv4/icmp_echo_ignore_broadcasts", "1"),
	within("ipv4/icmp_msgs_burst", "50", 0, maxInt),
	within("ipv4/icmp_msgs_per_sec", "1000", 0, maxInt),
	within("ipv4/ip_default_ttl", "64", 1, 255),
	off("ipv4/ip_forward"),
	within(portRange, "32768\t60999", 1, 65535),
	fixed("ipv4/ip_local_reserved_ports", ""),
	fixed("ipv4/ip_no_pmtu_disc", "0"),
	fixed("ipv4/ip_nonlocal_bind", "0"),
	within("ipv4/ip_unprivileged_port_start", "1024", 0, 65535),
	within(pingGroups, "1\t0", 0, maxInt),
	fixed("ipv4/tcp_abort_on_overflow", "0"),
	fixed("ipv4/tcp_allowed_congestion_control", "reno cubic"),
	fixed("ipv4/tcp_available_congestion_control", "reno cubic"),
	{Name: "ipv4/tcp_congestion_control", Default: "cubic", words: Congestion},
	fixed("ipv4/tcp_dsack", "0"),
	fixed("ipv4/tcp_ecn", "0"),
	fixed("ipv4/tcp_fastopen", "0"),
	within("ipv4/tcp_fin_timeout", "60", 0, 120),
	within("ipv4/tcp_invalid_ratelimit", "500", 0, maxInt),
	within("ipv4/tcp_keepalive_intvl", "75", 1, 32767),
	within("ipv4/tcp_keepalive_probes", "9", 1, 255),
	within("ipv4/tcp_keepalive_time", "7200", 1, maxInt/1000),
	on("ipv4/tcp_moderate_rcvbuf"),
	fixed("ipv4/tcp_mtu_probing", "0"),
	fixed("ipv4/tcp_no_metrics_save", "1"),
	within("ipv4/tcp_recovery", "1", 0, 7),
	within("ipv4/tcp_retries2", "15", 0, 255),
	fixed("ipv4/tcp_rfc1337", "0"),
	within("ipv4/tcp_rmem", "4096\t131072\t6291456", 1, maxInt),
	within("ipv4/tcp_rto_max_ms", "120000", 1000, 120000),
	within("ipv4/tcp_rto_min_us", "200000", 1, maxInt),
	on("ipv4/tcp_sack"),
	fixed("ipv4/tcp_slow_start_after_idle", "1"),
	within("ipv4/tcp_syn_retries", "6", 1, 127),
	within("ipv4/tcp_syncookies", "1", 1, 2),
	fixed("ipv4/tcp_timestamps", "1"),
	within("ipv4/tcp_tw_reuse", "2", 0, 2),
	fixed("ipv4/tcp_window_scaling", "1"),
	within("ipv4/tcp_wmem", "4096\t262144\t4194304", 1, maxInt),

	off("ipv6/bindv6only"),
	off("ipv6/icmp/echo_ignore_all"),
	fixed("ipv6/ip_nonlocal_bind", "0"),

	within("unix/max_dgram_qlen", "10", 0, maxInt),
}

// LinkSysctls is the parameters that each link has, below conf of its family.
var LinkSysctls = [...]Sysctl{
	fixed("ipv4/accept_local", "0"),
	fixed("ipv4/accept_redirects", "0"),
	fixed("ipv4/accept_source_route", "0"),
	fixed("ipv4/arp_announce", "0"),
	fixed("ipv4/arp_filter", "0"),
	fixed("ipv4/arp_ignore", "0"),
	off("ipv4/forwarding"),
	fixed("ipv4/log_martians", "0"),
	fixed("ipv4/mc_forwarding", "0"),
	fixed("ipv4/proxy_arp", "0"),
	fixed("ipv4/route_localnet", "0"),
	fixed("ipv4/rp_filter", "0"),
	fixed("ipv4/secure_redirects", "0"),
	fixed("ipv4/send_redirects", "0"),
	fixed("ipv4/src_valid_mark", "0"),
	fixed("ipv6/accept_dad", "0"),
	fixed("ipv6/accept_ra", "0"),
	fixed("ipv6/accept_redirects", "0"),
	fixed("ipv6/accept_source_route", "0"),
	fixed("ipv6/addr_gen_mode", "0"),
	fixed("ipv6/autoconf", "0"),
	off("ipv6/disable_ipv6"),
	off("ipv6/forwarding"),
	fixed("ipv6/hop_limit", "64"),
	fixed("ipv6/mtu", "1280"),
	fixed("ipv6/use_tempaddr", "0"),
}
