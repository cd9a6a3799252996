// Package netlink is AF_NETLINK, netlink(7): what `ip` and getifaddrs(3) ask of
// NETLINK_ROUTE, what `ss` asks of NETLINK_SOCK_DIAG, and a silent
// NETLINK_KOBJECT_UEVENT. Requests are answered at once, into the socket's queue;
// nothing can be changed, which is what a process without CAP_NET_ADMIN in its
// network namespace is told.
package netlink
