// Package inet is AF_INET and AF_INET6: TCP, UDP, ICMP and raw sockets, ip(7),
// ipv6(7), tcp(7), udp(7). The protocols are those of gvisor.dev/gvisor/pkg/tcpip;
// this package gives them Linux's system calls: addresses, options, errors, and
// which events a socket reports. A network namespace's stack is made when the first
// socket is, unless it has links to the outside, which have to answer at once.
package inet
