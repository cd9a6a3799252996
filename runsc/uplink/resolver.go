package uplink

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strings"
)

// Resolver is the first name server that the host's resolv.conf(5) names, if that is on the
// host's own loopback of IPv4, which nobody reaches from another network namespace.
func Resolver() (netip.AddrPort, bool) {
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return netip.AddrPort{}, false
	}
	defer f.Close()
	return resolver(f)
}

func resolver(conf io.Reader) (netip.AddrPort, bool) {
	for lines := bufio.NewScanner(conf); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		a, err := netip.ParseAddr(words[1])
		return netip.AddrPortFrom(a, 53), err == nil && a.Is4() && a.IsLoopback()
	}
	return netip.AddrPort{}, false
}
