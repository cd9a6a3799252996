package uplink

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Two addresses, and what a network has besides. They are of RFC 3927's, which no router
// passes on: whatever the host reaches, they hide nothing but neighbours that have no
// address but such.
const subnetBits = 30

// metadataNet is the third byte of the address at which clouds have something to say to
// their machines.
const metadataNet = 169

// freeSubnet is a network at random that nothing on the host has to do with.
func freeSubnet() (netip.Prefix, error) {
	used, err := usedByHost()
	if err != nil {
		return netip.Prefix{}, err
	}
	for range 1000 {
		var b [2]byte
		if _, err := rand.Read(b[:]); err != nil {
			return netip.Prefix{}, err
		}
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, b[0], b[1]}), subnetBits).Masked()
		if usable(b[0]) && !overlaps(p, used) {
			return p, nil
		}
	}
	return netip.Prefix{}, errors.New("there is no network of 169.254.0.0/16 that the host has no use for")
}

// usable says whether RFC 3927 leaves 169.254.third.0/24 to anybody, and no cloud has it.
func usable(third byte) bool { return third != 0 && third != 255 && third != metadataNet }

func overlaps(p netip.Prefix, used []netip.Prefix) bool {
	for _, u := range used {
		if u.Overlaps(p) {
			return true
		}
	}
	return false
}

// usedByHost are the networks that the host has an address of or a route to, but for those
// that have all of RFC 3927's in them.
func usedByHost() (used []netip.Prefix, err error) {
	add := func(n *net.IPNet) {
		if n == nil {
			return
		}
		bits, _ := n.Mask.Size()
		if a, ok := netip.AddrFromSlice(n.IP); ok && bits > 16 {
			used = append(used, netip.PrefixFrom(a.Unmap(), bits).Masked())
		}
	}
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("the host's addresses: %w", err)
	}
	for _, a := range addresses {
		add(&net.IPNet{IP: a.IP, Mask: net.CIDRMask(32, 32)})
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("the host's routes: %w", err)
	}
	for _, r := range routes {
		add(r.Dst)
	}
	return used, nil
}
