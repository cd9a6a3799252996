package hostnet

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Parameters are what /proc/sys/net has in a network namespace: values by name below there.
type Parameters map[string]string

// parameters are those that a sandbox heeds itself, but for those of links. tcp_wmem is not
// among them: what Linux says there is where it begins, and the sandbox's buffers don't grow.
var parameters = []string{
	"core/somaxconn",
	"ipv4/icmp_echo_ignore_all", "ipv4/icmp_msgs_burst", "ipv4/icmp_msgs_per_sec",
	"ipv4/ip_default_ttl", "ipv4/ip_forward", "ipv4/ip_local_port_range", "ipv4/ip_unprivileged_port_start", "ipv4/ping_group_range",
	"ipv4/tcp_congestion_control", "ipv4/tcp_fin_timeout", "ipv4/tcp_invalid_ratelimit",
	"ipv4/tcp_keepalive_intvl", "ipv4/tcp_keepalive_probes", "ipv4/tcp_keepalive_time",
	"ipv4/tcp_moderate_rcvbuf", "ipv4/tcp_recovery", "ipv4/tcp_retries2", "ipv4/tcp_rmem",
	"ipv4/tcp_rto_max_ms", "ipv4/tcp_rto_min_us", "ipv4/tcp_sack", "ipv4/tcp_syn_retries",
	"ipv4/tcp_syncookies", "ipv4/tcp_tw_reuse",
	"ipv6/bindv6only", "ipv6/icmp/echo_ignore_all",
	"unix/max_dgram_qlen",
}

// linkParameters are those of each link, where * is its name.
var linkParameters = []string{"ipv4/conf/*/forwarding", "ipv6/conf/*/disable_ipv6", "ipv6/conf/*/forwarding"}

// readParameters is what the calling thread's network namespace has, with links. What this
// host does not know is left out.
func readParameters(links []Link) Parameters {
	dir, err := unix.Open("/proc/sys/net", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(dir)
	p := Parameters{}
	for _, name := range parameters {
		p.read(dir, name)
	}
	names := []string{"all", "default", "lo"}
	for _, l := range links {
		names = append(names, l.Name)
	}
	for _, pattern := range linkParameters {
		for _, name := range names {
			p.read(dir, strings.Replace(pattern, "*", name, 1))
		}
	}
	if p[portRangeName] == HostPorts.text() { // a sandbox that was here before has set it
		delete(p, portRangeName)
	}
	return p
}

// read adds a parameter, if there is such a file below dir.
func (p Parameters) read(dir int, name string) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var buf [256]byte
	if n, err := unix.Read(fd, buf[:]); err == nil {
		p[name] = strings.TrimSuffix(string(buf[:n]), "\n")
	}
}
