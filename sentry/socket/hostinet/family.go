package hostinet

import (
	"sync"

	"golang.org/x/sys/unix"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Poller tells of what happens to host descriptors.
type Poller interface {
	// Add has q told of fd's events, each once; ok is false if there are none to
	// tell of.
	Add(fd int, q *wait.Queue) (id int32, ok bool, err error)
	// Remove undoes an Add, before fd is closed.
	Remove(fd int, id int32)
	// Settle is called before anything is sent: the receiver, on the host, may look
	// next at what the guest did before.
	Settle()
}

// A Config is what a network by host sockets is made with.
type Config struct {
	Poller Poller
	// Interfaces is the links, addresses and routes of the namespace.
	Interfaces socket.Interfaces
	// Table is the present text of /proc/net/NAME there, "" if it has none.
	Table func(name string) string
	// BindLow binds fd to an address whose port is the privileged's, for a guest that
	// may: EACCES. nil is for those who never may.
	BindLow func(fd int, addr []byte) error
}

// A Family is AF_INET and AF_INET6 of one network namespace of the host.
type Family struct {
	Config
	net *socket.Network

	mu  sync.Mutex
	all map[*Endpoint]struct{} // protected by mu
}

// New adds AF_INET and AF_INET6 to a network, whose links and routes nobody inside may
// change from then on.
func New(n *socket.Network, c Config) *Family {
	f := &Family{Config: c, net: n, all: map[*Endpoint]struct{}{}}
	n.Foreign = true
	n.Add(linux.AF_INET, &member{f, c.Interfaces, linux.AF_INET})
	n.Add(linux.AF_INET6, &member{f, c.Interfaces, linux.AF_INET6})
	return f
}

// A member is one of the two families.
type member struct {
	*Family
	socket.Interfaces
	family uint16
}

// Socket implements socket.Family. Of raw sockets there are none, as the sentry has no
// rights on the host: EPERM, also for who is privileged inside.
func (m *member) Socket(c vfs.Ctx, typ linux.SockType, protocol int32) (*socket.Socket, error) {
	protocol, err := socket.InetProtocol(m.family, typ, protocol)
	if err != nil {
		return nil, err
	}
	if typ == linux.SOCK_RAW {
		return nil, linux.EPERM
	}
	fd, err := unix.Socket(int(m.family), int(typ)|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return nil, errno(err)
	}
	k := socket.Kind{Family: m.family, Type: typ, Protocol: protocol}
	e, err := m.newEndpoint(k, fd, socket.NewOptions(m.net))
	if err != nil {
		return nil, err
	}
	e.uid = c.Creds().EUID
	return e.wrap(), nil
}

// newEndpoint is an endpoint of fd, which it owns, or closes if it fails: ENOBUFS.
func (f *Family) newEndpoint(k socket.Kind, fd int, o *socket.Options) (*Endpoint, error) {
	e := &Endpoint{fam: f, kind: k, fd: fd, opts: o, stream: k.Type == linux.SOCK_STREAM}
	var err error
	if e.pollID, _, err = f.Poller.Add(fd, &e.Queue); err != nil {
		unix.Close(fd)
		return nil, linux.ENOBUFS
	}
	return e, nil
}

// capableLow reports whether c may have the ports of the privileged.
func (f *Family) capableLow(c vfs.Ctx) bool {
	return f.BindLow != nil && f.net.Capable(c, auth.CapNetBindService)
}

// errno is an error of the host's as a guest sees it. Limits that are the sentry's own
// are want of memory to a guest.
func errno(err error) error {
	if err == nil {
		return nil
	}
	e, ok := err.(unix.Errno)
	switch {
	case !ok, e == unix.EBADF, e == unix.ENOTSOCK:
		return linux.EIO
	case e == unix.EMFILE, e == unix.ENFILE:
		return linux.ENOBUFS
	}
	return e
}
