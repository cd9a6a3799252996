package guest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func socketPair(t *testing.T, typ int) (a, b int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, typ, 0)
	ok(t, err)
	closeLater(t, p[0], p[1])
	return p[0], p[1]
}

func newSocket(t *testing.T, family, typ int) int {
	t.Helper()
	fd, err := unix.Socket(family, typ, 0)
	ok(t, err)
	closeLater(t, fd)
	return fd
}

func TestSocketErrors(t *testing.T) {
	covers(t, "socket", "socketpair", "bind", "listen", "accept", "connect", "shutdown")
	_, err := unix.Socket(9999, unix.SOCK_STREAM, 0)
	fails(t, err, unix.EAFNOSUPPORT)
	_, err = unix.Socket(unix.AF_UNIX, 99, 0)
	fails(t, err, unix.EINVAL)
	_, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 99)
	fails(t, err, unix.EPROTONOSUPPORT)
	_, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 99)
	fails(t, err, unix.EPROTONOSUPPORT)
	_, err = unix.Socketpair(unix.AF_INET, unix.SOCK_STREAM, 0)
	fails(t, err, unix.EOPNOTSUPP)
	s := newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM)
	fails(t, unix.Listen(s, 1), unix.EINVAL)
	fails(t, unix.Shutdown(newSocket(t, unix.AF_INET, unix.SOCK_STREAM), unix.SHUT_RD), unix.ENOTCONN)
	_, _, err = unix.Accept(s)
	fails(t, err, unix.EINVAL)
	_, fd := file(t, "")
	fails(t, unix.Listen(fd, 1), unix.ENOTSOCK)
	fails(t, unix.Bind(fd, &unix.SockaddrUnix{Name: "x"}), unix.ENOTSOCK)
	fails(t, unix.Connect(999, &unix.SockaddrUnix{Name: "x"}), unix.EBADF)
	fails(t, unix.Shutdown(fd, 0), unix.ENOTSOCK)
	_, _, err = unix.Accept(fd)
	fails(t, err, unix.ENOTSOCK)
}

func TestUnixStream(t *testing.T) {
	covers(t, "socket", "bind", "listen", "connect", "accept", "accept4", "getsockname", "getpeername", "shutdown", "sendto", "recvfrom")
	name := dir(t) + "/sock"
	l := newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM)
	ok(t, unix.Bind(l, &unix.SockaddrUnix{Name: name}))
	fails(t, unix.Bind(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: name}), unix.EADDRINUSE)
	c := newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM)
	fails(t, unix.Connect(c, &unix.SockaddrUnix{Name: name}), unix.ECONNREFUSED)
	ok(t, unix.Listen(l, 5))
	ok(t, unix.Connect(c, &unix.SockaddrUnix{Name: name}))
	fails(t, unix.Connect(c, &unix.SockaddrUnix{Name: name}), unix.EISCONN)
	a, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	ok(t, err)
	closeLater(t, a)
	_, _, err = unix.Accept4(l, 1)
	fails(t, err, unix.EINVAL)
	sa, err := unix.Getsockname(a)
	ok(t, err)
	equal(t, "own name", sa.(*unix.SockaddrUnix).Name, name)
	sa, err = unix.Getpeername(c)
	ok(t, err)
	equal(t, "peer's name", sa.(*unix.SockaddrUnix).Name, name)
	_, err = unix.Getpeername(l)
	fails(t, err, unix.ENOTCONN)
	ok(t, unix.Sendto(c, []byte("hello"), unix.MSG_NOSIGNAL, nil))
	b := make([]byte, 20)
	n, _, err := unix.Recvfrom(a, b, unix.MSG_PEEK)
	ok(t, err)
	equal(t, "peeked", string(b[:n]), "hello")
	n, _, err = unix.Recvfrom(a, b[:2], 0)
	ok(t, err)
	equal(t, "part", string(b[:n]), "he")
	n, _, err = unix.Recvfrom(a, b, 0)
	ok(t, err)
	equal(t, "rest", string(b[:n]), "llo")
	_, _, err = unix.Recvfrom(a, b, unix.MSG_DONTWAIT)
	fails(t, err, unix.EAGAIN)
	ok(t, unix.Shutdown(c, unix.SHUT_WR))
	n, err = unix.Read(a, b)
	ok(t, err)
	equal(t, "end", n, 0)
	fails(t, unix.Sendto(c, []byte("x"), unix.MSG_NOSIGNAL, nil), unix.EPIPE)
	_, err = unix.Write(a, []byte("back"))
	ok(t, err)
	unix.Close(a)
	n, err = unix.Read(c, b)
	ok(t, err)
	equal(t, "back", string(b[:n]), "back")
	st, err := os.Stat(name)
	ok(t, err)
	equal(t, "a socket", st.Mode()&os.ModeSocket != 0, true)
}

func TestUnixDatagram(t *testing.T) {
	covers(t, "sendto", "recvfrom", "sendmsg", "recvmsg", "connect")
	a, b := newSocket(t, unix.AF_UNIX, unix.SOCK_DGRAM), newSocket(t, unix.AF_UNIX, unix.SOCK_DGRAM)
	ok(t, unix.Bind(a, &unix.SockaddrUnix{Name: "@abstract-a"}))
	ok(t, unix.Bind(b, &unix.SockaddrUnix{Name: "@abstract-b"}))
	ok(t, unix.Sendto(b, []byte("first message"), 0, &unix.SockaddrUnix{Name: "@abstract-a"}))
	ok(t, unix.Sendto(b, []byte("second"), 0, &unix.SockaddrUnix{Name: "@abstract-a"}))
	buf := make([]byte, 5)
	n, from, err := unix.Recvfrom(a, buf, unix.MSG_TRUNC)
	ok(t, err)
	equal(t, "true length", n, 13)
	equal(t, "sender", from.(*unix.SockaddrUnix).Name, "@abstract-b")
	n, _, flags, _, err := unix.Recvmsg(a, buf, nil, 0)
	ok(t, err)
	equal(t, "cut", [2]int{n, flags & unix.MSG_TRUNC}, [2]int{5, unix.MSG_TRUNC})
	fails(t, unix.Sendto(a, []byte("x"), 0, &unix.SockaddrUnix{Name: "@nobody"}), unix.ECONNREFUSED)
	fails(t, unix.Sendto(a, []byte("x"), 0, nil), unix.ENOTCONN)
	ok(t, unix.Connect(a, &unix.SockaddrUnix{Name: "@abstract-b"}))
	_, err = unix.Write(a, []byte("connected"))
	ok(t, err)
	n, err = unix.Read(b, make([]byte, 50))
	ok(t, err)
	equal(t, "length", n, 9)
}

func TestPassing(t *testing.T) {
	covers(t, "sendmsg", "recvmsg", "setsockopt", "getsockopt")
	a, b := socketPair(t, unix.SOCK_STREAM)
	_, fd := file(t, "passed")
	ok(t, unix.Sendmsg(a, []byte("x"), unix.UnixRights(fd), nil, 0))
	oob := make([]byte, 100)
	buf := make([]byte, 10)
	n, on, flags, _, err := unix.Recvmsg(b, buf, oob, unix.MSG_CMSG_CLOEXEC)
	ok(t, err)
	equal(t, "bytes and flags", [2]int{n, flags &^ unix.MSG_CMSG_CLOEXEC}, [2]int{1, 0})
	msgs, err := unix.ParseSocketControlMessage(oob[:on])
	ok(t, err)
	fds, err := unix.ParseUnixRights(&msgs[0])
	ok(t, err)
	closeLater(t, fds...)
	got := make([]byte, 10)
	n, err = unix.Pread(fds[0], got, 0)
	ok(t, err)
	equal(t, "content", string(got[:n]), "passed")
	fl, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0)
	ok(t, err)
	equal(t, "MSG_CMSG_CLOEXEC", fl, 1)
	fails(t, unix.Sendmsg(a, []byte("x"), unix.UnixRights(999), nil, 0), unix.EBADF)
	ok(t, unix.SetsockoptInt(b, unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
	_, err = unix.Write(a, []byte("who"))
	ok(t, err)
	_, on, _, _, err = unix.Recvmsg(b, buf, oob, 0)
	ok(t, err)
	msgs, err = unix.ParseSocketControlMessage(oob[:on])
	ok(t, err)
	cred, err := unix.ParseUnixCredentials(&msgs[0])
	ok(t, err)
	equal(t, "sender", *cred, unix.Ucred{Pid: int32(os.Getpid())})
	peer, err := unix.GetsockoptUcred(a, unix.SOL_SOCKET, unix.SO_PEERCRED)
	ok(t, err)
	equal(t, "peer", int(peer.Pid), os.Getpid())
}

func TestSocketOptions(t *testing.T) {
	covers(t, "setsockopt", "getsockopt")
	s := newSocket(t, unix.AF_INET, unix.SOCK_STREAM)
	for _, o := range []struct{ level, opt, set, want int }{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 5, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1, 1},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 77, 77},
		{unix.IPPROTO_IP, unix.IP_TOS, 16, 16},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, 50000, 100000},
	} {
		ok(t, unix.SetsockoptInt(s, o.level, o.opt, o.set))
		v, err := unix.GetsockoptInt(s, o.level, o.opt)
		ok(t, err)
		equal(t, "option "+itoa(o.level)+"/"+itoa(o.opt), v, o.want)
	}
	v, err := unix.GetsockoptInt(s, unix.SOL_SOCKET, unix.SO_TYPE)
	ok(t, err)
	equal(t, "type", v, unix.SOCK_STREAM)
	_, err = unix.GetsockoptInt(s, unix.SOL_SOCKET, 9999)
	fails(t, err, unix.ENOPROTOOPT)
	fails(t, unix.SetsockoptInt(s, unix.SOL_SOCKET, 9999, 1), unix.ENOPROTOOPT)
	a, _ := socketPair(t, unix.SOCK_STREAM)
	ok(t, unix.SetsockoptTimeval(a, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20000}))
	begin := time.Now()
	_, err = unix.Read(a, make([]byte, 1))
	fails(t, err, unix.EAGAIN)
	equal(t, "waited", time.Since(begin) >= 19*time.Millisecond, true)
	_, fd := file(t, "")
	_, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	fails(t, err, unix.ENOTSOCK)
	fails(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.ENOTSOCK)
}

func TestTCP(t *testing.T) {
	covers(t, "connect", "accept", "getsockname", "getpeername", "getsockopt")
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		l := newSocket(t, family, unix.SOCK_STREAM)
		var any unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
		if family == unix.AF_INET6 {
			any = &unix.SockaddrInet6{Addr: [16]byte{15: 1}}
		}
		ok(t, unix.Bind(l, any))
		ok(t, unix.Listen(l, 4))
		addr, err := unix.Getsockname(l)
		ok(t, err)
		c, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		ok(t, err)
		closeLater(t, c)
		if err := unix.Connect(c, addr); err != nil {
			fails(t, err, unix.EINPROGRESS)
		}
		p := []unix.PollFd{{Fd: int32(c), Events: unix.POLLOUT}}
		_, err = unix.Poll(p, 5000)
		ok(t, err)
		v, err := unix.GetsockoptInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
		ok(t, err)
		equal(t, "SO_ERROR", v, 0)
		a, _, err := unix.Accept(l)
		ok(t, err)
		closeLater(t, a)
		_, err = unix.Write(c, []byte("over tcp"))
		ok(t, err)
		b := make([]byte, 20)
		n, _, err := unix.Recvfrom(a, b[:8], unix.MSG_WAITALL)
		ok(t, err)
		equal(t, "received", string(b[:n]), "over tcp")
		ok(t, unix.Shutdown(c, unix.SHUT_WR))
		n, err = unix.Read(a, b)
		ok(t, err)
		equal(t, "end", n, 0)
		ok(t, unix.Close(l))
		d := newSocket(t, family, unix.SOCK_STREAM)
		fails(t, unix.Connect(d, addr), unix.ECONNREFUSED)
	}
}

func TestUDP(t *testing.T) {
	covers(t, "sendto", "recvfrom", "sendmmsg", "recvmmsg", "bind")
	a, b := newSocket(t, unix.AF_INET, unix.SOCK_DGRAM), newSocket(t, unix.AF_INET, unix.SOCK_DGRAM)
	ok(t, unix.Bind(a, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	to, err := unix.Getsockname(a)
	ok(t, err)
	ok(t, unix.Sendto(b, []byte("datagram"), 0, to))
	buf := make([]byte, 100)
	n, from, err := unix.Recvfrom(a, buf, 0)
	ok(t, err)
	equal(t, "received", string(buf[:n]), "datagram")
	equal(t, "from", from.(*unix.SockaddrInet4).Addr, [4]byte{127, 0, 0, 1})
	_, _, err = unix.Recvfrom(a, buf, unix.MSG_DONTWAIT)
	fails(t, err, unix.EAGAIN)
	ok(t, unix.Connect(b, to))
	type mmsg struct {
		hdr unix.Msghdr
		n   uint32
		_   [4]byte
	}
	text := []byte("onetwo")
	iov := []unix.Iovec{{Base: &text[0], Len: 3}, {Base: &text[3], Len: 3}}
	out := []mmsg{{hdr: unix.Msghdr{Iov: &iov[0], Iovlen: 1}}, {hdr: unix.Msghdr{Iov: &iov[1], Iovlen: 1}}}
	m, err := call(unix.SYS_SENDMMSG, uintptr(b), ptr(&out[0]), 2, 0)
	ok(t, err)
	equal(t, "sent", [3]int{int(m), int(out[0].n), int(out[1].n)}, [3]int{2, 3, 3})
	in := make([]byte, 20)
	iovIn := []unix.Iovec{{Base: &in[0], Len: 10}, {Base: &in[10], Len: 10}}
	inMsgs := []mmsg{{hdr: unix.Msghdr{Iov: &iovIn[0], Iovlen: 1}}, {hdr: unix.Msghdr{Iov: &iovIn[1], Iovlen: 1}}}
	m, err = call(unix.SYS_RECVMMSG, uintptr(a), ptr(&inMsgs[0]), 2, 0, 0)
	ok(t, err)
	equal(t, "received", [3]string{itoa(int(m)), string(in[:3]), string(in[10:13])}, [3]string{"2", "one", "two"})
	fails(t, unix.Bind(newSocket(t, unix.AF_INET, unix.SOCK_DGRAM), to), unix.EADDRINUSE)
	fails(t, unix.Bind(newSocket(t, unix.AF_INET, unix.SOCK_DGRAM), &unix.SockaddrInet4{Addr: [4]byte{10, 9, 8, 7}}), unix.EADDRNOTAVAIL)
}

func TestSeqpacket(t *testing.T) {
	covers(t, "socketpair", "recvmsg")
	a, b := socketPair(t, unix.SOCK_SEQPACKET)
	for _, m := range []string{"one", "two two", "3"} {
		_, err := unix.Write(a, []byte(m))
		ok(t, err)
	}
	buf := make([]byte, 3)
	for _, want := range []string{"one", "two", "3"} {
		n, err := unix.Read(b, buf)
		ok(t, err)
		equal(t, "message", string(buf[:n]), want)
	}
	unix.Close(a)
	n, err := unix.Read(b, buf)
	ok(t, err)
	equal(t, "end", n, 0)
}
