package netlink

import (
	"net/netip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// newAddress is RTM_NEWADDR. Addresses are those that a network is made with: a new
// network's loopback has its own and is up from the beginning, so that who brings it up
// by hand, address first (bubblewrap does), is told that it has worked, once. EEXIST,
// ENODEV, EINVAL; EOPNOTSUPP for an address that is not there.
func (f *Family) newAddress(r *request, ifs socket.Interfaces) error {
	q, attrs := head[linux.Ifaddrmsg](r)
	b := attribute(attrs, linux.IFA_LOCAL)
	if b == nil {
		b = attribute(attrs, linux.IFA_ADDRESS)
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok || int(q.Prefixlen) > a.BitLen() || familyOf(a) != q.Family {
		return linux.EINVAL
	}
	links := ifs.Links()
	if !containsLink(links, int32(q.Index)) {
		return linux.ENODEV
	}
	for _, x := range ifs.Addresses() {
		if x.Link == int32(q.Index) && x.Prefix == netip.PrefixFrom(a, int(q.Prefixlen)) {
			if len(links) == 1 && q.Family == linux.AF_INET && !f.claimed.Swap(true) {
				return nil
			}
			return linux.EEXIST
		}
	}
	return linux.EOPNOTSUPP
}

func containsLink(links []socket.Link, index int32) bool {
	for i := range links {
		if links[i].Index == index {
			return true
		}
	}
	return false
}
