package socket

import "garrison/sentry/linux"

// InetProtocol settles the protocol of a socket of AF_INET or AF_INET6: ESOCKTNOSUPPORT,
// EPROTONOSUPPORT, EINVAL.
func InetProtocol(family uint16, typ linux.SockType, protocol int32) (int32, error) {
	if protocol < 0 || protocol >= linux.IPPROTO_MAX {
		return 0, linux.EINVAL
	}
	ping := int32(linux.IPPROTO_ICMP)
	if family == linux.AF_INET6 {
		ping = linux.IPPROTO_ICMPV6
	}
	switch typ {
	case linux.SOCK_STREAM:
		if protocol == 0 || protocol == linux.IPPROTO_TCP {
			return linux.IPPROTO_TCP, nil
		}
	case linux.SOCK_DGRAM:
		if protocol == 0 || protocol == linux.IPPROTO_UDP {
			return linux.IPPROTO_UDP, nil
		}
		if protocol == ping || protocol == linux.IPPROTO_UDPLITE {
			return protocol, nil
		}
	case linux.SOCK_RAW:
		if protocol != linux.IPPROTO_IP {
			return protocol, nil
		}
	default:
		return 0, linux.ESOCKTNOSUPPORT
	}
	return 0, linux.EPROTONOSUPPORT
}
