// Package netlink is AF_NETLINK, netlink(7): what `ip` and getifaddrs(3) ask of
// NETLINK_ROUTE, what `ss` asks of NETLINK_SOCK_DIAG, and a silent
// NETLINK_KOBJECT_UEVENT. Requests are answered at once, into the socket's queue. Who administers the network
// may change its links, addresses, routes and neighbours, and groups hear of every change
// (news.go).
package netlink
