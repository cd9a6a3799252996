package uplink

import (
	"net/netip"
	"strings"
	"testing"
)

func TestResolver(t *testing.T) {
	for conf, want := range map[string]string{
		"nameserver 127.0.0.53\noptions edns0\n":       "127.0.0.53:53",
		"# nameserver 8.8.8.8\n\nnameserver 127.0.0.1": "127.0.0.1:53",
		"nameserver 10.0.0.1\nnameserver 127.0.0.1\n":  "",
		"search example.\nnameserver ::1\n":            "",
		"nameserver\nnameserver x\n":                   "",
		"":                                             "",
	} {
		got, ok := resolver(strings.NewReader(conf))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v %v", conf, got, ok)
		}
	}
}

func TestSubnets(t *testing.T) {
	for third, want := range map[byte]bool{0: false, 1: true, 168: true, 169: false, 254: true, 255: false} {
		if usable(third) != want {
			t.Errorf("169.254.%d.0/24", third)
		}
	}
	used := []netip.Prefix{netip.MustParsePrefix("169.254.7.2/32"), netip.MustParsePrefix("169.254.8.0/24")}
	for subnet, want := range map[string]bool{"169.254.7.0/30": true, "169.254.7.4/30": false, "169.254.8.252/30": true} {
		if overlaps(netip.MustParsePrefix(subnet), used) != want {
			t.Errorf("%s overlaps: %v", subnet, !want)
		}
	}
	used, err := usedByHost()
	if err != nil || !overlaps(netip.MustParsePrefix("127.0.0.0/30"), used) {
		t.Errorf("used by the host: %v, %v", used, err)
	}
}
