// Package netns puts the families together that a network namespace has.
package netns

import (
	"garrison/sentry/socket"
	"garrison/sentry/socket/inet"
	"garrison/sentry/socket/netlink"
	"garrison/sentry/socket/unix"
)

// A Maker makes the networks of one kernel, which share the files in flight between
// their unix sockets. The zero Maker is ready to use.
type Maker struct{ flight unix.Flight }

// New returns a network: AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK. The zero Config
// is what a new network namespace has, a loopback. The error is the link's.
func (m *Maker) New(c inet.Config) (*socket.Network, error) {
	n := socket.NewNetwork()
	unix.New(n, &m.flight)
	if _, err := inet.New(n, c); err != nil {
		return nil, err
	}
	netlink.New(n)
	return n, nil
}
