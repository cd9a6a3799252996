package inet

import (
	"bytes"
	"encoding/binary"
	"math/rand"
	"runtime"
	"testing"
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

type host struct {
	*testing.T
	net *socket.Network
	c   *sockettest.Ctx
}

func newHost(t *testing.T) host {
	n := socket.NewNetwork()
	f := New(n)
	t.Cleanup(f.Close)
	return host{t, n, sockettest.New(1)}
}

func (h host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h host) socket(family uint16, typ linux.SockType) *socket.Socket {
	h.Helper()
	s, err := h.net.Socket(h.c, socket.Kind{Family: family, Type: typ})
	h.must(err)
	return s
}

func (h host) send(s *socket.Socket, text string) {
	h.Helper()
	if n, err := s.Transmit(h.c, usermem.FromBytes([]byte(text)), 0, nil); err != nil || n != int64(len(text)) {
		h.Fatal(n, err)
	}
}

func (h host) recv(s *socket.Socket, want string) {
	h.Helper()
	b := make([]byte, 100)
	n, err := s.Receive(h.c, usermem.FromBytes(b), 0, nil)
	if err != nil || string(b[:n]) != want {
		h.Fatalf("%q %v, want %q", b[:n], err, want)
	}
}

func in4(port uint16, ip ...byte) []byte {
	b := make([]byte, 16)
	b[0] = linux.AF_INET
	binary.BigEndian.PutUint16(b[2:], port)
	copy(b[4:], ip)
	return b
}

func in6(port uint16, last byte) []byte {
	b := make([]byte, 28)
	b[0] = linux.AF_INET6
	binary.BigEndian.PutUint16(b[2:], port)
	b[23] = last
	return b
}

func (h host) port(s *socket.Socket) uint16 {
	h.Helper()
	var a socket.Addr
	h.must(s.Name(&a, false))
	return binary.BigEndian.Uint16(a.Bytes()[2:])
}

func (h host) listener(family uint16) (*socket.Socket, uint16) {
	h.Helper()
	l := h.socket(family, linux.SOCK_STREAM)
	h.must(l.Listen(h.c, 5))
	return l, h.port(l)
}

// until waits for s to report exactly want of the events mask.
func (h host) until(s *socket.Socket, mask, want wait.Events) {
	h.Helper()
	var r wait.Events
	for range 200 {
		if r = s.Ready(mask); r == want {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	h.Fatalf("events %#x, want %#x", r, want)
}

const (
	polled  = wait.In | wait.Out | wait.RdHup
	noFlags = linux.MsgFlags(0)
)

func TestChoose(t *testing.T) {
	h := newHost(t)
	for _, c := range []struct {
		k    socket.Kind
		want error
	}{
		{socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_STREAM, Protocol: linux.IPPROTO_UDP}, linux.EPROTONOSUPPORT},
		{socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_DGRAM, Protocol: linux.IPPROTO_TCP}, linux.EPROTONOSUPPORT},
		{socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_SEQPACKET}, linux.ESOCKTNOSUPPORT},
		{socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_RAW}, linux.EPROTONOSUPPORT},
		{socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_STREAM, Protocol: 300}, linux.EINVAL},
		{socket.Kind{Family: linux.AF_INET, Type: 12}, linux.EINVAL},
		{socket.Kind{Family: linux.AF_X25, Type: linux.SOCK_STREAM}, linux.EAFNOSUPPORT},
		{socket.Kind{Family: 1000, Type: linux.SOCK_STREAM}, linux.EAFNOSUPPORT},
		{socket.Kind{Family: linux.AF_INET6, Type: linux.SOCK_RAW, Protocol: linux.IPPROTO_ICMPV6}, nil},
	} {
		if _, err := h.net.Socket(h.c, c.k); err != c.want {
			t.Errorf("%+v: %v, want %v", c.k, err, c.want)
		}
	}
	if _, err := h.net.Socket(sockettest.New(1).As(5), socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_RAW, Protocol: 1}); err != linux.EPERM {
		t.Error(err)
	}
	if _, _, err := h.net.Pair(h.c, socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_STREAM}); err != linux.EOPNOTSUPP {
		t.Error(err)
	}
}

func TestTCP(t *testing.T) {
	h := newHost(t)
	l, port := h.listener(linux.AF_INET)
	s := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.until(s, polled, wait.Out|wait.Hup)
	h.must(s.Connect(h.c, in4(port, 127, 0, 0, 1), false))
	n, err := l.Accept(h.c, false)
	h.must(err)
	h.send(s, "hello")
	h.recv(n, "hello")
	h.until(n, polled, wait.Out)
	h.send(n, "world")
	b := make([]byte, 3)
	if k, err := s.Receive(h.c, usermem.FromBytes(b), linux.MSG_PEEK, nil); err != nil || string(b[:k]) != "wor" {
		t.Fatal(err)
	}
	h.recv(s, "world")
	h.must(s.Shutdown(h.c, linux.SHUT_WR))
	h.recv(n, "")
	h.until(n, polled, wait.In|wait.Out|wait.RdHup)
	if _, err := s.Transmit(h.c, usermem.FromBytes(b), 0, nil); err != linux.EPIPE {
		t.Fatal(err)
	}
	h.send(n, "last")
	h.recv(s, "last")
	n.Close(h.c)
	h.recv(s, "")
	h.until(s, polled, wait.In|wait.Out|wait.RdHup|wait.Hup)
	if err := s.Connect(h.c, in4(1, 127, 0, 0, 1), true); err == nil {
		t.Fatal("connected a second time")
	}
}

func TestTCPErrors(t *testing.T) {
	h := newHost(t)
	s := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	if err := s.Connect(h.c, in4(9, 127, 0, 0, 1), false); err != linux.ECONNREFUSED {
		t.Fatal(err)
	}
	s = h.socket(linux.AF_INET, linux.SOCK_STREAM)
	if err := s.Connect(h.c, in4(9, 127, 0, 0, 1), true); err != linux.EINPROGRESS {
		t.Fatal(err)
	}
	h.until(s, polled, wait.In|wait.Out|wait.RdHup|wait.Hup|wait.Err)
	if e := s.TakeError(); e != linux.ECONNREFUSED {
		t.Fatal(e)
	}
	h.until(s, polled, wait.In|wait.Out|wait.RdHup|wait.Hup)
	s = h.socket(linux.AF_INET, linux.SOCK_STREAM)
	if err := s.Connect(h.c, in4(9, 8, 8, 8, 8), false); err != linux.ENETUNREACH {
		t.Fatal(err)
	}
	if _, err := s.Receive(h.c, usermem.FromBytes(make([]byte, 1)), 0, nil); err != linux.ENOTCONN {
		t.Fatal(err)
	}
	if _, err := s.Transmit(h.c, usermem.FromBytes(make([]byte, 1)), 0, nil); err != linux.EPIPE {
		t.Fatal(err)
	}
	if err := s.Shutdown(h.c, linux.SHUT_RDWR); err != linux.ENOTCONN {
		t.Fatal(err)
	}
	if err := s.Bind(h.c, in4(0, 1, 2, 3, 4)); err != linux.EADDRNOTAVAIL {
		t.Fatal(err)
	}
	if err := s.Bind(h.c, in6(0, 1)); err != linux.EAFNOSUPPORT {
		t.Fatal(err)
	}
	if err := s.Bind(h.c, in4(0)[:8]); err != linux.EINVAL {
		t.Fatal(err)
	}
	var a socket.Addr
	if err := s.Name(&a, true); err != linux.ENOTCONN {
		t.Fatal(err)
	}
	low := sockettest.New(2)
	low.Who = &auth.Creds{}
	if err := s.Bind(low, in4(80)); err != linux.EACCES {
		t.Fatal(err)
	}
	_, port := h.listener(linux.AF_INET)
	if err := s.Bind(h.c, in4(port)); err != linux.EADDRINUSE {
		t.Fatal(err)
	}
}

func TestReset(t *testing.T) {
	h := newHost(t)
	l, port := h.listener(linux.AF_INET)
	s := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(s.Connect(h.c, in4(port, 127, 0, 0, 1), false))
	n, err := l.Accept(h.c, false)
	h.must(err)
	h.must(n.SetOption(h.c, linux.SOL_SOCKET, linux.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0}))
	n.Close(h.c)
	h.until(s, polled, wait.In|wait.Out|wait.RdHup|wait.Hup|wait.Err)
	if _, err := s.Receive(h.c, usermem.FromBytes(make([]byte, 1)), 0, nil); err != linux.ECONNRESET {
		t.Fatal(err)
	}
	h.recv(s, "")
}

func TestDualStack(t *testing.T) {
	h := newHost(t)
	l, port := h.listener(linux.AF_INET6)
	s := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(s.Connect(h.c, in4(port), false)) // "any" is this host
	n, err := l.Accept(h.c, false)
	h.must(err)
	var a socket.Addr
	h.must(n.Name(&a, true))
	if want := append(in6(h.port(s), 0)[:8:8], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1, 0, 0, 0, 0); !bytes.Equal(a.Bytes(), want) {
		t.Fatal(a.Bytes(), want)
	}
	s6 := h.socket(linux.AF_INET6, linux.SOCK_STREAM)
	h.must(s6.Connect(h.c, in6(port, 1), false))
	only := h.socket(linux.AF_INET6, linux.SOCK_STREAM)
	h.must(only.SetOption(h.c, linux.SOL_IPV6, linux.IPV6_V6ONLY, socket.IntBytes(1)))
	h.must(only.Listen(h.c, 1))
	s = h.socket(linux.AF_INET, linux.SOCK_STREAM)
	if err := s.Connect(h.c, in4(h.port(only), 127, 0, 0, 1), false); err != linux.ECONNREFUSED {
		t.Fatal(err)
	}
}

func TestBulk(t *testing.T) {
	h := newHost(t)
	l, port := h.listener(linux.AF_INET)
	s := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(s.Connect(h.c, in4(port, 127, 0, 0, 1), false))
	n, err := l.Accept(h.c, false)
	h.must(err)
	want := make([]byte, 8<<20)
	rand.New(rand.NewSource(3)).Read(want)
	done := make(chan error, 1)
	go func() {
		_, err := s.Transmit(sockettest.New(2), usermem.FromBytes(want), 0, nil)
		done <- err
	}()
	got := make([]byte, len(want))
	if k, err := n.Receive(h.c, usermem.FromBytes(got), linux.MSG_WAITALL, nil); err != nil || k != int64(len(got)) || !bytes.Equal(got, want) {
		t.Fatal(k, err)
	}
	h.must(<-done)
}

func TestUDP(t *testing.T) {
	h := newHost(t)
	a, b := h.socket(linux.AF_INET, linux.SOCK_DGRAM), h.socket(linux.AF_INET, linux.SOCK_DGRAM)
	if _, err := a.Transmit(h.c, usermem.FromBytes([]byte("x")), noFlags, nil); err != linux.EDESTADDRREQ {
		t.Fatal(err)
	}
	h.must(b.Bind(h.c, in4(0, 127, 0, 0, 1)))
	m := &socket.Msg{}
	m.Addr.Set(in4(h.port(b), 127, 0, 0, 1))
	if n, err := a.Transmit(h.c, usermem.FromBytes([]byte("datagram")), 0, m); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	buf := make([]byte, 4)
	var from socket.Msg
	n, err := b.Receive(h.c, usermem.FromBytes(buf), linux.MSG_TRUNC, &from)
	if err != nil || n != 8 || string(buf) != "data" || from.Flags != linux.MSG_TRUNC {
		t.Fatal(n, err, from.Flags)
	}
	if !bytes.Equal(from.Addr.Bytes(), in4(h.port(a), 127, 0, 0, 1)) {
		t.Fatal(from.Addr.Bytes())
	}
	h.must(a.Connect(h.c, in4(9, 127, 0, 0, 1), false))
	h.send(a, "nobody")
	h.until(a, wait.Out, wait.Out|wait.Err)
	if _, err := a.Receive(h.c, usermem.FromBytes(buf), 0, nil); err != linux.ECONNREFUSED {
		t.Fatal(err)
	}
	h.must(a.Connect(h.c, make([]byte, 16), false))
	if _, err := a.Transmit(h.c, usermem.FromBytes([]byte("x")), 0, nil); err != linux.EDESTADDRREQ {
		t.Fatal(err)
	}
	if n, err := a.Transmit(h.c, usermem.FromBytes(make([]byte, 70000)), 0, m); err != linux.EMSGSIZE {
		t.Fatal(n, err)
	}
}

func TestPing(t *testing.T) {
	h := newHost(t)
	h.must(h.net.SetSysctl("ipv4/ping_group_range", "0 0"))
	s, err := h.net.Socket(h.c, socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_DGRAM, Protocol: linux.IPPROTO_ICMP})
	h.must(err)
	m := &socket.Msg{}
	m.Addr.Set(in4(0, 127, 0, 0, 1))
	echo := []byte{8, 0, 0, 0, 0, 0, 0, 1, 'p', 'i', 'n', 'g'}
	if n, err := s.Transmit(h.c, usermem.FromBytes(echo), 0, m); n != 12 || err != nil {
		t.Fatal(n, err)
	}
	b := make([]byte, 100)
	n, err := s.Receive(h.c, usermem.FromBytes(b), 0, nil)
	if err != nil || n != 12 || b[0] != 0 || string(b[8:12]) != "ping" {
		t.Fatal(b[:n], err)
	}
}

func TestIntOptions(t *testing.T) {
	h := newHost(t)
	tcp, udp6 := h.socket(linux.AF_INET, linux.SOCK_STREAM), h.socket(linux.AF_INET6, linux.SOCK_DGRAM)
	for _, c := range []struct {
		s           *socket.Socket
		level, name int32
		first       int32 // before
		set         int32
		err         error
		then        int32
	}{
		{tcp, linux.SOL_SOCKET, linux.SO_TYPE, 1, 1, linux.ENOPROTOOPT, 1},
		{tcp, linux.SOL_SOCKET, linux.SO_PROTOCOL, 6, 1, linux.ENOPROTOOPT, 6},
		{tcp, linux.SOL_SOCKET, linux.SO_REUSEADDR, 0, 5, nil, 1},
		{tcp, linux.SOL_SOCKET, linux.SO_KEEPALIVE, 0, 1, nil, 1},
		{tcp, linux.SOL_SOCKET, linux.SO_RCVBUF, 131072, 50000, nil, 100000},
		{tcp, linux.SOL_SOCKET, linux.SO_SNDBUF, 262144, 50000, nil, 100000},
		{tcp, linux.SOL_SOCKET, linux.SO_PRIORITY, 0, 3, nil, 3},
		{tcp, linux.SOL_TCP, linux.TCP_NODELAY, 0, 1, nil, 1},
		{tcp, linux.SOL_TCP, linux.TCP_KEEPIDLE, 7200, 60, nil, 60},
		{tcp, linux.SOL_TCP, linux.TCP_KEEPIDLE, 60, 0, linux.EINVAL, 60},
		{tcp, linux.SOL_TCP, linux.TCP_KEEPINTVL, 75, 10, nil, 10},
		{tcp, linux.SOL_TCP, linux.TCP_KEEPCNT, 9, 3, nil, 3},
		{tcp, linux.SOL_TCP, linux.TCP_USER_TIMEOUT, 0, 1000, nil, 1000},
		{tcp, linux.SOL_TCP, linux.TCP_CORK, 0, 1, nil, 1},
		{tcp, linux.SOL_IP, linux.IP_TTL, 64, 10, nil, 10},
		{tcp, linux.SOL_IP, linux.IP_TTL, 10, 300, linux.EINVAL, 10},
		{tcp, linux.SOL_IP, linux.IP_TOS, 0, 0x10, nil, 0x10},
		{udp6, linux.SOL_IPV6, linux.IPV6_V6ONLY, 0, 1, nil, 1},
		{udp6, linux.SOL_IPV6, linux.IPV6_UNICAST_HOPS, 64, 3, nil, 3},
		{udp6, linux.SOL_IPV6, linux.IPV6_RECVPKTINFO, 0, 1, nil, 1},
		{udp6, linux.SOL_SOCKET, linux.SO_RCVBUF, 212992, 1, nil, 2304},
	} {
		v, err := c.s.Option(h.c, c.level, c.name, 4)
		if got, _ := socket.Int(v); err != nil || got != c.first {
			t.Errorf("option %d.%d: %d %v, want %d", c.level, c.name, got, err, c.first)
		}
		if err := c.s.SetOption(h.c, c.level, c.name, socket.IntBytes(c.set)); err != c.err {
			t.Errorf("set option %d.%d: %v, want %v", c.level, c.name, err, c.err)
		}
		v, _ = c.s.Option(h.c, c.level, c.name, 4)
		if got, _ := socket.Int(v); got != c.then {
			t.Errorf("option %d.%d: %d, want %d", c.level, c.name, got, c.then)
		}
	}
	if _, err := udp6.Option(h.c, linux.SOL_TCP, linux.TCP_NODELAY, 4); err != linux.ENOPROTOOPT {
		t.Error(err)
	}
	if _, err := tcp.Option(h.c, linux.SOL_IPV6, linux.IPV6_V6ONLY, 4); err != linux.EOPNOTSUPP {
		t.Error(err)
	}
	v, err := tcp.Option(h.c, linux.SOL_TCP, linux.TCP_CONGESTION, 16)
	if err != nil || !bytes.HasPrefix(v, []byte("cubic\x00")) || len(v) != 16 {
		t.Error(v, err)
	}
	if err := tcp.SetOption(h.c, linux.SOL_TCP, linux.TCP_CONGESTION, []byte("bbr")); err != linux.ENOENT {
		t.Error(err)
	}
	if v, err := tcp.Option(h.c, linux.SOL_TCP, linux.TCP_INFO, 300); err != nil || v[0] != byte(linux.TCP_CLOSE) {
		t.Error(v, err)
	}
}

func TestAcceptBlocks(t *testing.T) {
	h := newHost(t)
	l, port := h.listener(linux.AF_INET)
	if _, err := l.Accept(h.c, true); err != linux.EAGAIN {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := l.Accept(sockettest.New(2), false)
		done <- err
	}()
	time.Sleep(5 * time.Millisecond)
	s := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(s.Connect(h.c, in4(port, 127, 0, 0, 1), false))
	h.must(<-done)
}

func TestListOfSockets(t *testing.T) {
	h := newHost(t)
	_, port := h.listener(linux.AF_INET)
	got := h.net.Sockets(linux.AF_INET, linux.SOCK_STREAM)
	if len(got) != 1 || got[0].State != linux.TCP_LISTEN || got[0].Local.Port() != port || got[0].Remote.String() != "0.0.0.0:0" {
		t.Fatal(got)
	}
	if len(h.net.Sockets(linux.AF_INET6, 0)) != 0 {
		t.Fatal("an IPv4 socket among those of IPv6")
	}
}

// A network that nobody knows any more leaves no goroutines behind.
func TestForgottenNetwork(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		n := socket.NewNetwork()
		New(n)
		s, err := n.Socket(sockettest.New(1), socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_STREAM})
		if err != nil {
			t.Fatal(err)
		}
		s.Close(sockettest.New(1))
	}
	if n := runtime.NumGoroutine(); n < before+10 {
		t.Fatal("a stack has no goroutines?", n, before)
	}
	for range 500 {
		runtime.GC()
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(runtime.NumGoroutine(), "goroutines,", before, "before")
}

func BenchmarkStack(b *testing.B) {
	for b.Loop() {
		f := New(socket.NewNetwork())
		f.stack()
		f.Close()
	}
}

func TestBacklog(t *testing.T) {
	h := newHost(t)
	l := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(l.Listen(h.c, 0))
	at := in4(h.port(l), 127, 0, 0, 1)
	first, second, third := h.socket(linux.AF_INET, linux.SOCK_STREAM), h.socket(linux.AF_INET, linux.SOCK_STREAM), h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(first.Connect(h.c, at, false))
	done := make(chan error)
	go func() { done <- second.Connect(sockettest.New(2), at, false) }()
	select {
	case err := <-done:
		t.Fatal("did not wait", err)
	case <-time.After(10 * time.Millisecond):
	}
	if err := third.Connect(h.c, at, true); err != linux.EINPROGRESS || third.Ready(polled) != 0 {
		t.Fatal(err)
	}
	if err := third.Connect(h.c, at, true); err != linux.EALREADY {
		t.Fatal(err)
	}
	_, err := l.Accept(h.c, true)
	h.must(err)
	h.must(<-done)
	l.Close(h.c)
	if err := third.Connect(h.c, at, true); err != linux.ECONNREFUSED {
		t.Fatal(err)
	}
}

func TestReusePort(t *testing.T) {
	h := newHost(t)
	a, b := h.socket(linux.AF_INET, linux.SOCK_STREAM), h.socket(linux.AF_INET, linux.SOCK_STREAM)
	for _, s := range []*socket.Socket{a, b} {
		h.must(s.SetOption(h.c, linux.SOL_SOCKET, linux.SO_REUSEPORT, socket.IntBytes(1)))
	}
	h.must(a.Bind(h.c, in4(0)))
	h.must(b.Bind(h.c, in4(h.port(a))))
	h.must(a.Listen(h.c, 5))
	h.must(b.Listen(h.c, 5))
	for range 4 {
		h.must(h.socket(linux.AF_INET, linux.SOCK_STREAM).Connect(h.c, in4(h.port(a), 127, 0, 0, 1), false))
	}
	for _, s := range []*socket.Socket{a, b, a, b} {
		if _, err := s.Accept(h.c, true); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkTCPPingPong(b *testing.B) {
	n := socket.NewNetwork()
	f := New(n)
	defer f.Close()
	c := sockettest.New(1)
	k := socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_STREAM}
	l, _ := n.Socket(c, k)
	l.Listen(c, 1)
	var a socket.Addr
	l.Name(&a, false)
	x, _ := n.Socket(c, k)
	if err := x.Connect(c, a.Bytes(), false); err != nil {
		b.Fatal(err)
	}
	y, err := l.Accept(c, true)
	if err != nil {
		b.Fatal(err)
	}
	var mem usermem.Memory = usermem.Bytes(make([]byte, 64))
	seq := usermem.One(mem, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		x.Write(c, seq, 0)
		y.Read(c, seq, 0)
		y.Write(c, seq, 0)
		x.Read(c, seq, 0)
	}
}
