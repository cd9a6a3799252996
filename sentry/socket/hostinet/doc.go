// Package hostinet is AF_INET and AF_INET6 by sockets of the host, in the network
// namespace that the sentry's process is in: ip(7), ipv6(7), tcp(7), udp(7). A guest's
// call is one call of the host's, which never waits; what a guest may ask of a socket, by
// options and control messages, is what tables here name. Addresses, links and routes are
// the host's, for guests to see and not to change.
package hostinet
