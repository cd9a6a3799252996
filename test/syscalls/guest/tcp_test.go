package guest

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var loopback = [4]byte{127, 0, 0, 1}

// portOf is the port that a socket is bound to.
func portOf(t *testing.T, fd int) int {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	ok(t, err)
	if six, is := sa.(*unix.SockaddrInet6); is {
		return six.Port
	}
	return sa.(*unix.SockaddrInet4).Port
}

// tcpListener listens on a port of the kernel's choice.
func tcpListener(t *testing.T) (fd, port int) {
	t.Helper()
	fd = newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
	ok(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback}))
	ok(t, unix.Listen(fd, 8))
	return fd, portOf(t, fd)
}

// tcpPair is two connected sockets.
func tcpPair(t *testing.T) (client, server int) {
	t.Helper()
	l, port := tcpListener(t)
	client = newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
	ok(t, unix.Connect(client, &unix.SockaddrInet4{Addr: loopback, Port: port}))
	server, _, err := unix.Accept(l)
	ok(t, err)
	closeLater(t, server)
	return client, server
}

// pollFor waits for events on fd, and returns what came.
func pollFor(t *testing.T, fd int, events int16, wait time.Duration) int16 {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for end := time.Now().Add(wait); ; {
		n, err := unix.Poll(p, int(max(0, time.Until(end).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		ok(t, err)
		if n == 0 {
			return 0
		}
		return p[0].Revents
	}
}

func TestTCPHalfClose(t *testing.T) {
	covers(t, "shutdown", "read", "write", "poll")
	c, s := tcpPair(t)
	ok(t, unix.Shutdown(c, unix.SHUT_WR))
	_, err := unix.Write(c, []byte("x"))
	fails(t, err, unix.EPIPE)
	got := pollFor(t, s, unix.POLLIN|unix.POLLRDHUP, soon)
	equal(t, "end to read", got, unix.POLLIN|unix.POLLRDHUP)
	n, err := unix.Read(s, make([]byte, 1))
	ok(t, err)
	equal(t, "end", n, 0)
	_, err = unix.Write(s, []byte("back"))
	ok(t, err)
	b := make([]byte, 8)
	n, err = unix.Read(c, b)
	ok(t, err)
	equal(t, "still comes", string(b[:n]), "back")
}

func TestTCPLingerZeroResets(t *testing.T) {
	covers(t, "setsockopt", "close", "poll")
	c, s := tcpPair(t)
	ok(t, unix.SetsockoptLinger(c, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	ok(t, unix.Close(c))
	got := pollFor(t, s, unix.POLLIN, soon)
	equal(t, "error and hangup", got&(unix.POLLERR|unix.POLLHUP), unix.POLLERR|unix.POLLHUP)
	_, err := unix.Read(s, make([]byte, 1))
	fails(t, err, unix.ECONNRESET)
	n, err := unix.Read(s, make([]byte, 1))
	ok(t, err)
	equal(t, "once only", n, 0)
}

func TestTCPCloseWithUnreadResets(t *testing.T) {
	covers(t, "close", "read")
	c, s := tcpPair(t)
	_, err := unix.Write(c, []byte("unread"))
	ok(t, err)
	equal(t, "arrived", pollFor(t, s, unix.POLLIN, soon), unix.POLLIN)
	ok(t, unix.Close(s))
	_, err = unix.Read(c, make([]byte, 1))
	fails(t, err, unix.ECONNRESET)
}

func TestTCPRefused(t *testing.T) {
	covers(t, "connect", "getsockopt", "poll")
	l, port := tcpListener(t)
	ok(t, unix.Close(l))
	c := newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
	fails(t, unix.Connect(c, &unix.SockaddrInet4{Addr: loopback, Port: port}), unix.ECONNREFUSED)
	c = newSocket(t, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
	fails(t, unix.Connect(c, &unix.SockaddrInet4{Addr: loopback, Port: port}), unix.EINPROGRESS, unix.ECONNREFUSED)
	pollFor(t, c, unix.POLLOUT, soon)
	_, err := unix.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
	ok(t, err)
	v, err := unix.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
	ok(t, err)
	equal(t, "read once", v, 0)
}

func TestTCPAddressInUse(t *testing.T) {
	covers(t, "bind", "listen")
	_, port := tcpListener(t)
	other := newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
	at := &unix.SockaddrInet4{Addr: loopback, Port: port}
	fails(t, unix.Bind(other, at), unix.EADDRINUSE)
	ok(t, unix.SetsockoptInt(other, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	fails(t, unix.Bind(other, at), unix.EADDRINUSE) // the other listens
	fails(t, unix.Bind(other, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}}), unix.EADDRNOTAVAIL)
}

func TestTCPReuseAddress(t *testing.T) {
	covers(t, "setsockopt", "bind", "listen")
	var fds [2]int
	port := 0
	for i := range fds {
		fds[i] = newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
		ok(t, unix.SetsockoptInt(fds[i], unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
		ok(t, unix.Bind(fds[i], &unix.SockaddrInet4{Addr: loopback, Port: port}))
		port = portOf(t, fds[i])
	}
	ok(t, unix.Listen(fds[0], 1))
	fails(t, unix.Listen(fds[1], 1), unix.EADDRINUSE)
}

func TestTCPEphemeralPort(t *testing.T) {
	covers(t, "listen", "getsockname", "connect")
	l := newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
	ok(t, unix.Listen(l, 1)) // binds by itself
	port := portOf(t, l)
	equal(t, "a port", port >= 1024, true)
	c := newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
	ok(t, unix.Connect(c, &unix.SockaddrInet4{Addr: loopback, Port: port}))
	equal(t, "another port", portOf(t, c) != port && portOf(t, c) >= 1024, true)
	fails(t, unix.Connect(c, &unix.SockaddrInet4{Addr: loopback, Port: port}), unix.EISCONN)
}

func TestIPv6Only(t *testing.T) {
	covers(t, "setsockopt", "bind", "listen")
	const tries = 20 // another test may have bound the same port by IPv4
	for try := 1; ; try++ {
		six := newSocket(t, unix.AF_INET6, unix.SOCK_STREAM)
		ok(t, unix.SetsockoptInt(six, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
		ok(t, unix.Bind(six, &unix.SockaddrInet6{}))
		ok(t, unix.Listen(six, 1))
		four := newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
		err := unix.Bind(four, &unix.SockaddrInet4{Port: portOf(t, six)})
		if err == unix.EADDRINUSE && try < tries {
			continue
		}
		ok(t, err)
		fails(t, unix.SetsockoptInt(six, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0), unix.EINVAL)
		return
	}
}

func TestIPv6Dual(t *testing.T) {
	covers(t, "bind", "accept", "connect")
	six := newSocket(t, unix.AF_INET6, unix.SOCK_STREAM)
	ok(t, unix.SetsockoptInt(six, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0))
	ok(t, unix.Bind(six, &unix.SockaddrInet6{}))
	ok(t, unix.Listen(six, 1))
	c := newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
	fails(t, unix.Bind(c, &unix.SockaddrInet4{Port: portOf(t, six)}), unix.EADDRINUSE)
	ok(t, unix.Connect(c, &unix.SockaddrInet4{Addr: loopback, Port: portOf(t, six)}))
	s, sa, err := unix.Accept(six)
	ok(t, err)
	closeLater(t, s)
	mapped := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	equal(t, "mapped address", sa.(*unix.SockaddrInet6).Addr, mapped)
}

func TestUDPConnectedRefused(t *testing.T) {
	covers(t, "connect")
	gone := newSocket(t, unix.AF_INET, unix.SOCK_DGRAM)
	ok(t, unix.Bind(gone, &unix.SockaddrInet4{Addr: loopback}))
	port := portOf(t, gone)
	ok(t, unix.Close(gone))
	c := newSocket(t, unix.AF_INET, unix.SOCK_DGRAM)
	ok(t, unix.Connect(c, &unix.SockaddrInet4{Addr: loopback, Port: port}))
	_, err := unix.Write(c, []byte("x"))
	ok(t, err)
	equal(t, "error", pollFor(t, c, unix.POLLIN, soon)&unix.POLLERR, unix.POLLERR)
	_, err = unix.Read(c, make([]byte, 1))
	fails(t, err, unix.ECONNREFUSED)
}

func TestUDPConnectedHearsOnePeer(t *testing.T) {
	covers(t, "connect", "sendto", "recvfrom")
	var fds [3]int
	for i := range fds {
		fds[i] = newSocket(t, unix.AF_INET, unix.SOCK_DGRAM)
		ok(t, unix.Bind(fds[i], &unix.SockaddrInet4{Addr: loopback}))
	}
	to := &unix.SockaddrInet4{Addr: loopback, Port: portOf(t, fds[0])}
	ok(t, unix.Connect(fds[0], &unix.SockaddrInet4{Addr: loopback, Port: portOf(t, fds[1])}))
	ok(t, unix.Sendto(fds[2], []byte("stranger"), 0, to))
	ok(t, unix.Sendto(fds[1], []byte("peer"), 0, to))
	b := make([]byte, 20)
	n, _, err := unix.Recvfrom(fds[0], b, 0)
	ok(t, err)
	equal(t, "from the peer", string(b[:n]), "peer")
}
