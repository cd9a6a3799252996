package oci

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNetworkParameters has a container find the parameters that its namespace has.
func TestNetworkParameters(t *testing.T) {
	w := newWire(t)
	w.ip("-n", w.inside, "link", "add", "eth1", "type", "veth", "peer", "name", "peer1", "netns", w.outside)
	set := map[string]string{
		"core/somaxconn":                  "77",
		"ipv4/conf/all/forwarding":        "1",
		"ipv4/conf/eth1/forwarding":       "0",
		"ipv4/conf/default/forwarding":    "0",
		"ipv4/ip_local_port_range":        "40000\t40100",
		"ipv4/ip_default_ttl":             "33",
		"ipv4/ip_unprivileged_port_start": "0",
		"ipv4/ping_group_range":           "0\t2147483647",
		"ipv4/tcp_keepalive_time":         "600",
		"ipv4/tcp_rmem":                   "4096\t100000\t5000000",
		"ipv6/bindv6only":                 "1",
		"ipv6/conf/default/disable_ipv6":  "1",
		"ipv6/conf/eth1/disable_ipv6":     "1",
		"unix/max_dgram_qlen":             "33",
	}
	names := slices.Sorted(maps.Keys(set))
	for _, name := range names {
		w.in(w.inside, "sh", "-c", "echo '"+set[name]+"' >/proc/sys/net/"+name)
	}
	w.in(w.inside, "ip", "link", "set", "eth1", "up")
	// And some that nobody has set, or that go with others.
	names = append(names, "ipv4/ip_forward", "ipv4/conf/eth0/forwarding", "ipv4/conf/lo/forwarding",
		"ipv6/conf/eth0/disable_ipv6", "ipv6/conf/all/disable_ipv6", "ipv4/tcp_fin_timeout")
	script := "cd /proc/sys/net && cat " + strings.Join(names, " ")
	want := strings.Split(w.in(w.inside, "sh", "-c", script), "\n")
	b := w.box()
	got := strings.Split(b.must(append([]string{"exec", b.id}, sh(script)...)...), "\n")
	for i, name := range names {
		if got[i] != want[i] {
			t.Errorf("%s is %q, not %q", name, got[i], want[i])
		}
	}
	if addresses := b.must("exec", b.id, "ip", "addr", "show", "dev", "eth1"); strings.Contains(addresses, "inet6") {
		t.Errorf("a link without IPv6 has %s", addresses)
	}
}

// TestNetworkNeighbors has a container know the neighbours that its namespace has for good.
func TestNetworkNeighbors(t *testing.T) {
	w := newWire(t)
	set := func(what, addr, hardware string) {
		w.ip("-n", w.inside, "neigh", what, addr, "lladdr", hardware, "dev", "eth0", "nud", "permanent")
	}
	hardware := strings.TrimSpace(w.in(w.outside, "cat", "/sys/class/net/peer/address"))
	set("add", "10.77.0.9", "02:00:00:00:00:09")
	set("add", "fd77::9", "02:00:00:00:00:19")
	set("add", "10.77.0.8", hardware)
	b := w.box()
	used := regexp.MustCompile(`used \S+ probes \d+ `)
	has := func(want string) func() bool {
		return func() bool {
			return strings.Contains(used.ReplaceAllString(b.must("exec", b.id, "ip", "neigh"), ""), want)
		}
	}
	for _, want := range []string{
		"10.77.0.9 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT", "fd77::9 dev eth0 lladdr 02:00:00:00:00:19 PERMANENT",
	} {
		if !has(want)() {
			t.Errorf("%q is not among %s", want, b.must("exec", b.id, "ip", "neigh"))
		}
	}
	// It counts: nobody would answer who asked for this one.
	w.in(w.outside, "sh", "-c", "echo 8 >/proc/sys/net/ipv4/conf/all/arp_ignore")
	w.in(w.outside, "ip", "addr", "add", "10.77.0.8/32", "dev", "lo")
	b.must("exec", b.id, "ping", "-c", "1", "-W", "2", "10.77.0.8")
	// Such as come and go later do so inside.
	set("replace", "10.77.0.9", "02:00:00:00:00:29")
	eventually(t, "another neighbour", has("10.77.0.9 dev eth0 lladdr 02:00:00:00:00:29 PERMANENT"))
	w.ip("-n", w.inside, "neigh", "del", "10.77.0.9", "dev", "eth0")
	eventually(t, "a neighbour less", func() bool { return !has("10.77.0.9 ")() })
}
