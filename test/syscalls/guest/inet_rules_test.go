package guest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestSocketOptionRules: what setsockopt(2) takes, changes and refuses.
func TestSocketOptionRules(t *testing.T) {
	s := uintptr(newSocket(t, unix.AF_INET, unix.SOCK_STREAM))
	u, _ := socketPair(t, unix.SOCK_STREAM)
	one := ptr(kept(t, int32(1)))
	n4, minus := ptr(kept(t, uint32(4))), ptr(kept(t, int32(-1)))
	buf := ptr(kept(t, [64]byte{}))
	refuses(t, []refusal{
		{"setsockopt pointer", unix.SYS_SETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_REUSEADDR, nowhere, 4}, unix.EFAULT},
		{"setsockopt short", unix.SYS_SETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_REUSEADDR, one, 3}, unix.EINVAL},
		{"setsockopt of what is only read", unix.SYS_SETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_TYPE, one, 4}, unix.ENOPROTOOPT},
		{"setsockopt SO_ERROR", unix.SYS_SETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_ERROR, one, 4}, unix.ENOPROTOOPT},
		{"setsockopt short SO_LINGER", unix.SYS_SETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_LINGER, buf, 4}, unix.EINVAL},
		{"setsockopt short SO_RCVTIMEO", unix.SYS_SETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, buf, 8}, unix.EINVAL},
		{"setsockopt SO_RCVTIMEO of too many microseconds", unix.SYS_SETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, ptr(kept(t, [2]int64{0, 1e6})), 16}, unix.EDOM},
		{"setsockopt of a level that a unix socket hasn't", unix.SYS_SETSOCKOPT, a{uintptr(u), unix.IPPROTO_TCP, unix.TCP_NODELAY, one, 4}, unix.EOPNOTSUPP},
		{"setsockopt unknown TCP option", unix.SYS_SETSOCKOPT, a{s, unix.IPPROTO_TCP, 9999, one, 4}, unix.ENOPROTOOPT},
		{"setsockopt unknown IP option", unix.SYS_SETSOCKOPT, a{s, unix.IPPROTO_IP, 9999, one, 4}, unix.ENOPROTOOPT},
		{"setsockopt TCP_KEEPIDLE of nothing", unix.SYS_SETSOCKOPT, a{s, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, ptr(kept(t, int32(0))), 4}, unix.EINVAL},
		{"getsockopt length", unix.SYS_GETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_TYPE, buf, nowhere}, unix.EFAULT},
		{"getsockopt negative length", unix.SYS_GETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_TYPE, buf, minus}, unix.EINVAL},
		{"getsockopt value", unix.SYS_GETSOCKOPT, a{s, unix.SOL_SOCKET, unix.SO_TYPE, nowhere, n4}, unix.EFAULT},
		{"getsockopt unknown level", unix.SYS_GETSOCKOPT, a{s, 9999, 1, buf, n4}, unix.EOPNOTSUPP},
		{"getsockname length", unix.SYS_GETSOCKNAME, a{s, buf, nowhere}, unix.EFAULT},
		{"getsockname negative length", unix.SYS_GETSOCKNAME, a{s, buf, minus}, unix.EINVAL},
		{"getpeername of none", unix.SYS_GETPEERNAME, a{s, buf, n4}, unix.ENOTCONN},
		{"bind short address", unix.SYS_BIND, a{s, buf, 4}, unix.EINVAL},
		{"bind long address", unix.SYS_BIND, a{s, buf, 200}, unix.EINVAL},
		{"bind pointer", unix.SYS_BIND, a{s, nowhere, 16}, unix.EFAULT},
		{"connect pointer", unix.SYS_CONNECT, a{s, nowhere, 16}, unix.EFAULT},
		{"connect of another family", unix.SYS_CONNECT, a{s, ptr(kept(t, [16]byte{77})), 16}, unix.EAFNOSUPPORT},
		{"sendmsg header", unix.SYS_SENDMSG, a{uintptr(u), nowhere, 0}, unix.EFAULT},
		{"recvmsg header", unix.SYS_RECVMSG, a{uintptr(u), nowhere, 0}, unix.EFAULT},
		{"sendmsg of too many buffers", unix.SYS_SENDMSG, a{uintptr(u), ptr(kept(t, unix.Msghdr{Iovlen: 1025})), 0}, unix.EMSGSIZE},
		{"sendto buffer", unix.SYS_SENDTO, a{uintptr(u), nowhere, 4, 0, 0, 0}, unix.EFAULT},
		{"recvfrom of an unconnected stream", unix.SYS_RECVFROM, a{s, buf, 1, 0, 0, 0}, unix.ENOTCONN},
		{"accept4 of a connected socket", unix.SYS_ACCEPT4, a{uintptr(u), 0, 0, 0}, unix.EINVAL},
		{"listen of a datagram socket", unix.SYS_LISTEN, a{uintptr(newSocket(t, unix.AF_INET, unix.SOCK_DGRAM)), 1}, unix.EOPNOTSUPP},
	})
}

func TestTCPRules(t *testing.T) {
	covers(t, "sendto", "recvfrom", "shutdown", "ioctl", "connect")
	t.Run("MSG_PEEK leaves the bytes", func(t *testing.T) {
		c, s := tcpPair(t)
		put(t, c, "stays")
		pollFor(t, s, unix.POLLIN, soon)
		_, _, err := unix.Recvfrom(s, make([]byte, 2), unix.MSG_PEEK)
		ok(t, err)
		equal(t, "all", take(t, s), "stays")
	})
	t.Run("MSG_TRUNC throws bytes away", func(t *testing.T) {
		c, s := tcpPair(t)
		put(t, c, "gonehere")
		pollFor(t, s, unix.POLLIN, soon)
		n, err := call(unix.SYS_RECVFROM, uintptr(s), 0, 4, unix.MSG_TRUNC, 0, 0)
		ok(t, err)
		equal(t, "thrown away", n, 4)
		equal(t, "rest", take(t, s), "here")
	})
	t.Run("FIONREAD counts what is unread", func(t *testing.T) {
		c, s := tcpPair(t)
		put(t, c, "12345")
		pollFor(t, s, unix.POLLIN, soon)
		n, err := unix.IoctlGetInt(s, unix.TIOCINQ)
		ok(t, err)
		equal(t, "unread", n, 5)
	})
	t.Run("connect again", func(t *testing.T) {
		c, _ := tcpPair(t)
		sa, err := unix.Getpeername(c)
		ok(t, err)
		fails(t, unix.Connect(c, sa), unix.EISCONN)
	})
	t.Run("bind of what is connected", func(t *testing.T) {
		c, _ := tcpPair(t)
		fails(t, unix.Bind(c, &unix.SockaddrInet4{}), unix.EINVAL)
	})
	t.Run("send after shutdown", func(t *testing.T) {
		c, _ := tcpPair(t)
		ok(t, unix.Shutdown(c, unix.SHUT_WR))
		fails(t, unix.Sendto(c, []byte("x"), unix.MSG_NOSIGNAL, nil), unix.EPIPE)
	})
	t.Run("receive after shutdown for reading", func(t *testing.T) {
		c, _ := tcpPair(t)
		ok(t, unix.Shutdown(c, unix.SHUT_RD))
		equal(t, "read", take(t, c), "")
	})
	t.Run("SO_ACCEPTCONN of a listener", func(t *testing.T) {
		l, _ := tcpListener(t)
		v, err := unix.GetsockoptInt(l, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		ok(t, err)
		equal(t, "SO_ACCEPTCONN", v, 1)
	})
	t.Run("a listener has no peer", func(t *testing.T) {
		l, _ := tcpListener(t)
		_, err := unix.Getpeername(l)
		fails(t, err, unix.ENOTCONN)
	})
	t.Run("a short buffer gets a part of the name and its true length", func(t *testing.T) {
		l, _ := tcpListener(t)
		b, n := kept(t, [16]byte{15: 0xee, 3: 0xee}), kept(t, uint32(3))
		_, err := call(unix.SYS_GETSOCKNAME, uintptr(l), ptr(b), ptr(n))
		ok(t, err)
		equal(t, "length", *n, 16)
		equal(t, "family", b[0], unix.AF_INET)
		equal(t, "beyond the buffer", b[3], 0xee)
	})
}
