package socket

import (
	"testing"

	"garrison/sentry/linux"
)

// twoLinks is a family with links, that counts how often it is told.
type twoLinks struct {
	Family
	noInterfaces
	told int
}

func (*twoLinks) Links() []Link { return []Link{{Name: "lo"}, {Name: "eth0", MTU: 1400}} }
func (f *twoLinks) Heed()       { f.told++ }

func TestSetSysctl(t *testing.T) {
	n, f := NewNetwork(), new(twoLinks)
	n.Add(linux.AF_INET, f)
	for _, x := range []struct {
		name, text string
		err        error
		shown      string
	}{
		{"core/somaxconn", " 0x10\n", nil, "16"},
		{"core/somaxconn", "1 2", linux.EINVAL, "16"},
		{"core/rmem_max", "1", linux.EACCES, "4194304"},
		{"core/rmem_max", "4194304\n", nil, "4194304"},
		{"ipv4/conf/eth0/rp_filter", "0", nil, "0"},
		{"ipv4/conf/eth0/rp_filter", "1", linux.EACCES, "0"},
		{"ipv4/ip_local_reserved_ports", "\n", nil, ""},
		{"ipv4/ip_local_reserved_ports", "80", linux.EACCES, ""},
		{"ipv4/tcp_rmem", "5000 ", nil, "5000\t131072\t6291456"},
		{"ipv4/ping_group_range", "7 3", nil, "1\t0"},
		{"ipv4/tcp_congestion_control", "reno cubic", linux.ENOENT, "cubic"},
	} {
		if err := n.SetSysctl(x.name, x.text); err != x.err {
			t.Errorf("%s=%q: %v, want %v", x.name, x.text, err, x.err)
		}
		if got, err := n.Sysctl(x.name); got != x.shown || err != nil {
			t.Errorf("%s is %q, %v, want %q", x.name, got, err, x.shown)
		}
	}
	for _, name := range []string{"core", "core/nosuch", "ipv4/conf/eth1/forwarding", "ipv4/conf/eth0", "ipv4/conf/eth0/nosuch"} {
		if err := n.SetSysctl(name, "1"); err != linux.ENOENT {
			t.Errorf("%s: %v", name, err)
		}
	}
	if mtu, _ := n.Sysctl("ipv6/conf/eth0/mtu"); mtu != "1400" {
		t.Errorf("MTU %s", mtu)
	}
	if f.told == 0 {
		t.Error("nobody was told")
	}
}

func TestSysctlsOfLinks(t *testing.T) {
	n := NewNetwork()
	n.Add(linux.AF_INET, new(twoLinks))
	set := func(name, text string) {
		t.Helper()
		if err := n.SetSysctl(name, text); err != nil {
			t.Fatal(name, err)
		}
	}
	set("ipv6/conf/all/disable_ipv6", "1")
	for _, name := range []string{"all", "default", "lo", "eth0"} {
		if n.Number("ipv6/conf/"+name+"/disable_ipv6", 0) != 1 {
			t.Errorf("%s has IPv6", name)
		}
	}
	set("ipv6/conf/eth0/disable_ipv6", "0")
	set("ipv4/conf/default/forwarding", "1")
	if n.Number("ipv4/conf/eth0/forwarding", 0) != 0 {
		t.Error("the default changed a link that is there")
	}
	n.StartLink("eth0")
	if n.Number("ipv4/conf/eth0/forwarding", 0) != 1 || n.Number("ipv6/conf/eth0/disable_ipv6", 0) != 1 {
		t.Error("a new link does not begin with the default")
	}
}
