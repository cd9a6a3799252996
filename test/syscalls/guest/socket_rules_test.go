package guest

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnixSocketRules(t *testing.T) {
	covers(t, "sendmsg", "recvmsg", "recvfrom", "shutdown", "sendto")
	t.Run("a datagram of nothing is a datagram", func(t *testing.T) {
		x, y := socketPair(t, unix.SOCK_DGRAM)
		ok(t, unix.Sendto(x, nil, 0, nil))
		put(t, x, "next")
		equal(t, "first", take(t, y), "")
		equal(t, "second", take(t, y), "next")
	})
	t.Run("MSG_PEEK leaves a datagram", func(t *testing.T) {
		x, y := socketPair(t, unix.SOCK_DGRAM)
		put(t, x, "stays")
		_, _, err := unix.Recvfrom(y, make([]byte, 2), unix.MSG_PEEK)
		ok(t, err)
		equal(t, "still whole", take(t, y), "stays")
	})
	t.Run("the rest of a datagram is lost", func(t *testing.T) {
		x, y := socketPair(t, unix.SOCK_DGRAM)
		put(t, x, "long")
		put(t, x, "next")
		unix.Read(y, make([]byte, 2))
		equal(t, "second", take(t, y), "next")
	})
	t.Run("a stream joins what was written", func(t *testing.T) {
		x, y := socketPair(t, unix.SOCK_STREAM)
		put(t, x, "one")
		put(t, x, "two")
		equal(t, "read", take(t, y), "onetwo")
	})
	t.Run("a stream's parts with descriptors stay apart", func(t *testing.T) {
		x, y := socketPair(t, unix.SOCK_STREAM)
		ok(t, unix.Sendmsg(x, []byte("one"), unix.UnixRights(0), nil, 0))
		put(t, x, "two")
		n, _, _, _, err := unix.Recvmsg(y, make([]byte, 10), make([]byte, 64), unix.MSG_CMSG_CLOEXEC)
		ok(t, err)
		equal(t, "read", n, 3)
	})
	t.Run("descriptors without room are cut off", func(t *testing.T) {
		x, y := socketPair(t, unix.SOCK_STREAM)
		ok(t, unix.Sendmsg(x, []byte("x"), unix.UnixRights(0), nil, 0))
		_, _, flags, _, err := unix.Recvmsg(y, make([]byte, 10), make([]byte, 4), 0)
		ok(t, err)
		equal(t, "MSG_CTRUNC", flags&unix.MSG_CTRUNC, unix.MSG_CTRUNC)
	})
	t.Run("shutdown for reading is the end", func(t *testing.T) {
		x, _ := socketPair(t, unix.SOCK_STREAM)
		ok(t, unix.Shutdown(x, unix.SHUT_RD))
		equal(t, "read", take(t, x), "")
	})
	t.Run("shutdown for reading breaks the peer's pipe", func(t *testing.T) {
		x, y := socketPair(t, unix.SOCK_STREAM)
		ok(t, unix.Shutdown(x, unix.SHUT_RD))
		fails(t, unix.Sendto(y, []byte("x"), unix.MSG_NOSIGNAL, nil), unix.EPIPE)
	})
	t.Run("shutdown in no known way", func(t *testing.T) {
		x, _ := socketPair(t, unix.SOCK_STREAM)
		fails(t, unix.Shutdown(x, 3), unix.EINVAL)
	})
	t.Run("shutdown for writing is told by poll", func(t *testing.T) {
		x, y := socketPair(t, unix.SOCK_STREAM)
		ok(t, unix.Shutdown(x, unix.SHUT_WR))
		equal(t, "poll", pollNow(t, y), unix.POLLIN|unix.POLLOUT|unix.POLLRDHUP)
	})
	t.Run("a peer that closes with unread data resets", func(t *testing.T) {
		x, y := socketPair(t, unix.SOCK_STREAM)
		put(t, x, "unread")
		unix.Close(y)
		_, err := unix.Read(x, make([]byte, 1))
		fails(t, err, unix.ECONNRESET)
	})
	t.Run("a datagram larger than the buffer", func(t *testing.T) {
		x, _ := socketPair(t, unix.SOCK_DGRAM)
		ok(t, unix.SetsockoptInt(x, unix.SOL_SOCKET, unix.SO_SNDBUF, 5000))
		_, err := unix.Write(x, []byte(strings.Repeat("x", 50_000)))
		fails(t, err, unix.EMSGSIZE)
	})
	t.Run("out of band where there is none", func(t *testing.T) {
		x, _ := socketPair(t, unix.SOCK_DGRAM)
		fails(t, unix.Sendto(x, []byte("x"), unix.MSG_OOB, nil), unix.EOPNOTSUPP)
	})
	t.Run("seek", func(t *testing.T) {
		x, _ := socketPair(t, unix.SOCK_STREAM)
		_, err := unix.Seek(x, 0, unix.SEEK_CUR)
		fails(t, err, unix.ESPIPE)
	})
}

func TestUnixNameRules(t *testing.T) {
	covers(t, "bind", "connect", "getsockname", "listen", "accept4")
	t.Run("connect to a file that is no socket", func(t *testing.T) {
		name, _ := file(t, "")
		fails(t, unix.Connect(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: name}), unix.ECONNREFUSED)
	})
	t.Run("connect to a name that is not there", func(t *testing.T) {
		fails(t, unix.Connect(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: dir(t) + "/x"}), unix.ENOENT)
	})
	t.Run("connect to a socket of another type", func(t *testing.T) {
		l := newSocket(t, unix.AF_UNIX, unix.SOCK_DGRAM)
		sa := &unix.SockaddrUnix{Name: dir(t) + "/s"}
		ok(t, unix.Bind(l, sa))
		fails(t, unix.Connect(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), sa), unix.EPROTOTYPE)
	})
	t.Run("bind over a file", func(t *testing.T) {
		name, _ := file(t, "")
		fails(t, unix.Bind(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: name}), unix.EADDRINUSE)
	})
	t.Run("bind twice", func(t *testing.T) {
		s, d := newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), dir(t)
		ok(t, unix.Bind(s, &unix.SockaddrUnix{Name: d + "/a"}))
		fails(t, unix.Bind(s, &unix.SockaddrUnix{Name: d + "/b"}), unix.EINVAL)
	})
	t.Run("bind to no name chooses an abstract one", func(t *testing.T) {
		s := newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM)
		sa := kept(t, uint16(unix.AF_UNIX))
		_, err := call(unix.SYS_BIND, uintptr(s), ptr(sa), 2)
		ok(t, err)
		got, err := unix.Getsockname(s)
		ok(t, err)
		equal(t, "length of @ and five digits", len(got.(*unix.SockaddrUnix).Name), 6)
	})
	t.Run("bind of another family", func(t *testing.T) {
		fails(t, unix.Bind(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrInet4{}), unix.EINVAL)
	})
	t.Run("accept without waiting", func(t *testing.T) {
		s := newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
		ok(t, unix.Bind(s, &unix.SockaddrUnix{Name: dir(t) + "/s"}))
		ok(t, unix.Listen(s, 1))
		_, _, err := unix.Accept(s)
		fails(t, err, unix.EAGAIN)
	})
	t.Run("accept of a datagram socket", func(t *testing.T) {
		_, _, err := unix.Accept(newSocket(t, unix.AF_UNIX, unix.SOCK_DGRAM))
		fails(t, err, unix.EOPNOTSUPP)
	})
	t.Run("a name removed is no more reached", func(t *testing.T) {
		s := newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM)
		sa := &unix.SockaddrUnix{Name: dir(t) + "/s"}
		ok(t, unix.Bind(s, sa))
		ok(t, unix.Listen(s, 1))
		ok(t, unix.Unlink(sa.Name))
		fails(t, unix.Connect(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), sa), unix.ENOENT)
	})
	t.Run("an abstract name ends with its socket", func(t *testing.T) {
		s := newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM)
		sa := &unix.SockaddrUnix{Name: "@ends-with-its-socket"}
		ok(t, unix.Bind(s, sa))
		ok(t, unix.Close(s))
		ok(t, unix.Bind(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), sa))
	})
	t.Run("open of a socket", func(t *testing.T) {
		name := dir(t) + "/s"
		ok(t, unix.Bind(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: name}))
		_, err := unix.Open(name, unix.O_RDWR, 0)
		fails(t, err, unix.ENXIO)
	})
}
