// Package netns puts the families together that a network namespace has.
package netns

import (
	"garrison/sentry/memfile"
	"garrison/sentry/socket"
	"garrison/sentry/socket/hostinet"
	"garrison/sentry/socket/inet"
	"garrison/sentry/socket/netlink"
	"garrison/sentry/socket/packet"
	"garrison/sentry/socket/unix"
	"garrison/sentry/vfs"
)

// A Maker makes the networks of one kernel, which share the files in flight between
// their unix sockets. The zero Maker is ready to use.
type Maker struct {
	// Memory is where memory lies that sockets share with who calls. Set before the first
	// network is made; nil if they can share none.
	Memory func(vfs.Ctx) *memfile.File

	flight unix.Flight
}

// New returns a network: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK and AF_PACKET, with what a new
// network namespace has, a loopback.
func (m *Maker) New() *socket.Network {
	n := socket.NewNetwork()
	unix.New(n, &m.flight)
	inet.New(n)
	netlink.New(n)
	packet.New(n, m.Memory)
	return n
}

// Host returns a network whose AF_INET and AF_INET6 are the host's sockets. Of AF_UNIX and
// AF_NETLINK it has its own.
func (m *Maker) Host(c hostinet.Config) *socket.Network {
	n := socket.NewNetwork()
	unix.New(n, &m.flight)
	hostinet.New(n, c)
	netlink.New(n)
	return n
}
