package hostinet

import (
	"encoding/binary"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A poller waits in a goroutine of its own.
type poller struct {
	ep int
	mu sync.Mutex
	by map[int32]*wait.Queue
}

func newPoller(t *testing.T) *poller {
	t.Helper()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	p := &poller{ep: ep, by: map[int32]*wait.Queue{}}
	end := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var e [8]unix.EpollEvent
			n, _ := unix.EpollWait(ep, e[:], 5)
			for _, e := range e[:max(n, 0)] {
				p.mu.Lock()
				q := p.by[e.Fd]
				p.mu.Unlock()
				if q != nil {
					q.Notify(wait.Events(e.Events) | wait.Readable | wait.Writable)
				}
			}
			select {
			case <-end:
				return
			default:
			}
		}
	}()
	t.Cleanup(func() { close(end); <-ended; unix.Close(ep) })
	return p
}

func (p *poller) Add(fd int, q *wait.Queue) (int32, bool, error) {
	p.mu.Lock()
	p.by[int32(fd)] = q
	p.mu.Unlock()
	const all = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET
	return int32(fd), true, unix.EpollCtl(p.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: uint32(all & (1<<32 - 1)), Fd: int32(fd)})
}

func (p *poller) Remove(fd int, _ int32) {
	_ = unix.EpollCtl(p.ep, unix.EPOLL_CTL_DEL, fd, &unix.EpollEvent{})
	p.mu.Lock()
	delete(p.by, int32(fd))
	p.mu.Unlock()
}

func (p *poller) Settle() {}

// links is a namespace without any.
type links struct{}

func (links) Links() []socket.Link         { return nil }
func (links) Addresses() []socket.LinkAddr { return nil }
func (links) Routes() []socket.Route       { return nil }
func (links) Neighbors() []socket.Neighbor { return nil }

func newNetwork(t *testing.T, bindLow func(int, []byte) error) *socket.Network {
	n := socket.NewNetwork()
	New(n, Config{Poller: newPoller(t), Interfaces: links{}, BindLow: bindLow, Table: func(name string) string {
		text, _ := os.ReadFile("/proc/thread-self/net/" + name)
		return string(text)
	}})
	return n
}

// TestLikeLinux plays scenarios on the host and here: each call must have the same outcome.
func TestLikeLinux(t *testing.T) {
	for name, play := range scenarios {
		t.Run(name, func(t *testing.T) {
			k := &sockettest.Kernel{Net: newNetwork(t, nil), C: sockettest.New(1), Sys: vfs.New(nil), Pause: 200 * time.Millisecond}
			sockettest.Compare(t, &sockettest.Host{Pause: 5 * time.Millisecond}, k, play)
		})
	}
}

const (
	stream = int(linux.SOCK_STREAM)
	dgram  = int(linux.SOCK_DGRAM)
	v4     = linux.AF_INET
	v6     = linux.AF_INET6
)

func loopback4(port uint16) []byte {
	b := []byte{linux.AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(b[2:], port)
	return b
}

// bound binds socket s to a free port of the loopback, whose number is shown as name.
func bound(l *sockettest.Log, s int, family int, name string) []byte {
	a := loopback4(0)
	if family == v6 {
		a = make([]byte, linux.SockaddrInet6Len)
		a[0], a[23] = linux.AF_INET6, 1
	}
	l.Bind(s, a)
	b, err := l.W.Name(s, false)
	if err != nil {
		panic(err)
	}
	l.Hide(b[2:4], name)
	return append([]byte(nil), b...)
}

// connected makes a listener, a client and the accepted end, as sockets 0, 1 and 2.
func connected(l *sockettest.Log, family int) []byte {
	l.Socket(family, stream, 0)
	at := bound(l, 0, family, "SERVER")
	l.Listen(0, 5)
	l.Socket(family, stream, 0)
	bound(l, 1, family, "CLIENT")
	l.Connect(1, at)
	l.Settle()
	l.Accept(0)
	return at
}

var scenarios = map[string]func(*sockettest.Log){
	"kinds": func(l *sockettest.Log) {
		for _, family := range []int{v4, v6} {
			for typ := range 7 {
				for _, p := range []int{0, 6, 17, 255, 263, -1} {
					if typ == 3 && p != 0 && p != 263 {
						continue // raw sockets, which take rights
					}
					l.Socket(family, typ, p)
				}
			}
		}
	},
	"fresh": func(l *sockettest.Log) {
		for i, k := range [][2]int{{v4, stream}, {v4, dgram}, {v6, stream}, {v6, dgram}} {
			l.Socket(k[0], k[1], 0)
			l.Poll(i)
			l.Name(i, false)
			l.Name(i, true)
			l.Send(i, "x", 0)
			l.Recv(i, 1, 0)
			l.Accept(i)
			l.Ioctl(i, linux.SIOCINQ)
			l.Ioctl(i, linux.SIOCOUTQ)
			l.Ioctl(i, linux.SIOCATMARK)
			l.Bind(i, []byte{1})
			l.Bind(i, make([]byte, 100))
			l.Connect(i, []byte{linux.AF_UNIX, 0, 0, 'x'})
			l.Connect(i, append([]byte{linux.AF_UNIX, 0}, make([]byte, 100)...))
			l.Shutdown(i, 2)
			l.Int(i, linux.SOL_SOCKET, linux.SO_ERROR)
		}
	},
	"stream": func(l *sockettest.Log) {
		at := connected(l, v4)
		for i := range 3 {
			l.Name(i, false)
			l.Name(i, true)
			l.Poll(i)
		}
		l.Send(1, "hello", 0)
		l.Send(1, "world", 0)
		l.Settle()
		l.Ioctl(2, linux.SIOCINQ)
		l.Recv(2, 0, 0)
		l.Recv(2, 3, int(linux.MSG_PEEK))
		l.Recv(2, 3, 0)
		l.Recv(2, 3, int(linux.MSG_TRUNC))
		l.Recv(2, 100, int(linux.MSG_WAITALL))
		l.Recv(2, 100, 0)
		l.Recv(2, 1, int(linux.MSG_OOB))
		l.Send(1, "ab!", int(linux.MSG_OOB))
		l.Settle()
		l.Poll(2)
		l.Recv(2, 100, 0)
		l.Ioctl(2, linux.SIOCATMARK)
		l.Recv(2, 1, int(linux.MSG_OOB))
		l.Connect(1, at)
		l.SendTo(1, "addressed", 0, loopback4(9), 0)
		l.Shutdown(1, 1)
		l.Settle()
		l.Poll(1)
		l.Poll(2)
		l.Recv(2, 100, 0)
		l.Recv(2, 100, 0)
		l.Send(1, "x", 0)
		l.Close(2)
		l.Settle()
		l.Poll(1)
		l.Recv(1, 100, 0)
		l.Name(1, true)
	},
	"refused": func(l *sockettest.Log) {
		l.Socket(v6, stream, 0)
		at := bound(l, 0, v6, "BOUND")
		l.Socket(v6, stream, 0)
		l.Connect(1, at)
		l.Settle()
		l.Poll(1)
		l.Int(1, linux.SOL_SOCKET, linux.SO_ERROR)
		l.Connect(1, at)
		l.Listen(0, 1)
		l.Connect(1, at)
		l.Settle()
		l.Poll(1)
	},
	"datagrams": func(l *sockettest.Log) {
		l.Socket(v4, dgram, 0)
		at := bound(l, 0, v4, "ONE")
		l.Socket(v4, dgram, 0)
		bound(l, 1, v4, "TWO")
		l.SendTo(1, "first", 0, at, 0)
		l.SendTo(1, "", 0, at, 0)
		l.SendTo(1, "third", 0, at, 0)
		l.SendTo(1, strings.Repeat("x", 70000), 0, at, 0)
		l.Settle()
		l.Poll(0)
		l.Recv(0, 2, int(linux.MSG_PEEK|linux.MSG_TRUNC))
		l.Recv(0, 2, 0)
		l.Recv(0, 10, 0)
		l.Recv(0, 0, 0)
		l.Recv(0, 10, 0)
		l.Connect(1, at)
		l.Name(1, true)
		l.Send(1, "connected", 0)
		l.Settle()
		l.Recv(0, 100000, 0)
		l.Close(0)
		l.Send(1, "nobody", 0)
		l.Settle()
		l.Poll(1)
		l.Send(1, "nobody", 0)
		l.Connect(1, make([]byte, 16))
		l.Name(1, true)
	},
	"options": func(l *sockettest.Log) {
		l.Socket(v4, stream, 0)
		l.Socket(v6, dgram, 0)
		for s := range 2 {
			for _, o := range []Option{
				{linux.SOL_SOCKET, linux.SO_REUSEADDR}, {linux.SOL_SOCKET, linux.SO_REUSEPORT}, {linux.SOL_SOCKET, linux.SO_SNDBUF},
				{linux.SOL_SOCKET, linux.SO_KEEPALIVE}, {linux.SOL_SOCKET, linux.SO_TYPE}, {linux.SOL_SOCKET, linux.SO_DOMAIN},
				{linux.SOL_SOCKET, linux.SO_ACCEPTCONN}, {linux.SOL_SOCKET, linux.SO_PRIORITY}, {linux.SOL_SOCKET, 999},
				{linux.SOL_IP, linux.IP_TTL}, {linux.SOL_IP, linux.IP_TOS}, {linux.SOL_IP, linux.IP_RECVERR}, {linux.SOL_IP, 999},
				{linux.SOL_IPV6, linux.IPV6_V6ONLY}, {linux.SOL_IPV6, linux.IPV6_UNICAST_HOPS},
				{linux.SOL_TCP, linux.TCP_NODELAY}, {linux.SOL_TCP, linux.TCP_KEEPIDLE}, {linux.SOL_TCP, linux.TCP_USER_TIMEOUT},
				{linux.SOL_UDP, linux.UDP_CORK}, {linux.SOL_UDP, linux.UDP_SEGMENT},
			} {
				l.Int(s, int(o.Level), int(o.Name))
				l.SetInt(s, int(o.Level), int(o.Name), 1)
				l.Int(s, int(o.Level), int(o.Name))
			}
		}
	},
}

func open(t *testing.T, n *socket.Network, c vfs.Ctx, typ linux.SockType) *socket.Socket {
	t.Helper()
	s, err := n.Socket(c, socket.Kind{Family: linux.AF_INET, Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(c) })
	return s
}

// TestWaiting: calls that wait are woken by what the host's other processes do, and end
// with their time-outs.
func TestWaiting(t *testing.T) {
	n, c := newNetwork(t, nil), sockettest.New(1)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s := open(t, n, c, linux.SOCK_STREAM)
	if err := s.Connect(c, loopback4(uint16(server.Addr().(*net.TCPAddr).Port)), false); err != nil {
		t.Fatal(err)
	}
	if err := s.Connect(c, loopback4(9), false); err != linux.EISCONN {
		t.Errorf("connected twice: %v", err)
	}
	peer, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	time.AfterFunc(20*time.Millisecond, func() { peer.Write([]byte("late")) })
	b := make([]byte, 10)
	if k, err := s.Receive(c, usermem.FromBytes(b), 0, nil); string(b[:k]) != "late" || err != nil {
		t.Error(k, err)
	}
	timeout := make([]byte, 16)
	binary.LittleEndian.PutUint64(timeout[8:], 10_000)
	if err := s.SetOption(c, linux.SOL_SOCKET, linux.SO_RCVTIMEO, timeout); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Receive(c, usermem.FromBytes(b), 0, nil); err != linux.EAGAIN {
		t.Error(err)
	}
	// More than the host buffers.
	go func() {
		time.Sleep(20 * time.Millisecond)
		for {
			if _, err := peer.Read(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}()
	if k, err := s.Transmit(c, usermem.FromBytes(make([]byte, 16<<20)), 0, nil); k != 16<<20 || err != nil {
		t.Error(k, err)
	}
}

// TestPieces sends and receives datagrams by several buffers, of which the last can't be
// had at once with the others.
func TestPieces(t *testing.T) {
	n, c := newNetwork(t, nil), sockettest.New(1)
	s := open(t, n, c, linux.SOCK_DGRAM)
	if err := s.Bind(c, loopback4(0)); err != nil {
		t.Fatal(err)
	}
	var a socket.Addr
	if err := s.Name(&a, false); err != nil {
		t.Fatal(err)
	}
	m := halves("0123456789")
	msg := &socket.Msg{Addr: a}
	for _, want := range []string{"01238", "0123456789"} {
		src := usermem.Seq{Mem: m, Vec: []arch.Range{{Start: 0, End: 4}, {Start: 8, End: 9}}}
		if len(want) == 10 {
			src = usermem.One(m, 0, 10)
		}
		if k, err := s.Transmit(c, src, 0, msg); int(k) != len(want) || err != nil {
			t.Fatal(k, err)
		}
		b := halves(make([]byte, 12))
		if k, err := s.Receive(c, usermem.One(b, 0, 12), 0, nil); string(b[:max(k, 0)]) != want || err != nil {
			t.Errorf("%q %v", b[:max(k, 0)], err)
		}
	}
	if k, err := s.Transmit(c, usermem.One(m, 8, 10), 0, msg); err != linux.EFAULT {
		t.Errorf("memory that is not there: %d %v", k, err)
	}
}

// halves is memory of which a view shows no more than 6 bytes.
type halves []byte

func (h halves) CopyIn(dst []byte, from arch.Addr) (int, error) {
	return usermem.Bytes(h).CopyIn(dst, from)
}
func (h halves) CopyOut(to arch.Addr, src []byte) (int, error) {
	return usermem.Bytes(h).CopyOut(to, src)
}
func (h halves) View(r arch.Range, a arch.Access, f func([][]byte) (int64, error)) (int64, error) {
	r.End = min(r.End, r.Start+6)
	return usermem.Bytes(h).View(r, a, f)
}

// TestControl: what is asked for by options comes along, and what is sent along counts.
func TestControl(t *testing.T) {
	n, c := newNetwork(t, nil), sockettest.New(1)
	s := open(t, n, c, linux.SOCK_DGRAM)
	if err := s.Bind(c, loopback4(0)); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Option{{linux.SOL_IP, linux.IP_PKTINFO}, {linux.SOL_IP, linux.IP_RECVTTL}, {linux.SOL_IP, linux.IP_RECVTOS}, {linux.SOL_SOCKET, linux.SO_TIMESTAMPNS}} {
		if err := s.SetOption(c, o.Level, o.Name, socket.IntBytes(1)); err != nil {
			t.Fatal(o, err)
		}
	}
	m := &socket.Msg{}
	if err := s.Name(&m.Addr, false); err != nil {
		t.Fatal(err)
	}
	m.Add(linux.SOL_IP, linux.IP_TTL, socket.IntBytes(7))
	if _, err := s.Transmit(c, usermem.FromBytes([]byte("x")), 0, m); err != nil {
		t.Fatal(err)
	}
	in := &socket.Msg{}
	if _, err := s.Receive(c, usermem.FromBytes(make([]byte, 1)), 0, in); err != nil {
		t.Fatal(err)
	}
	got := map[cmsgKey][]byte{}
	for _, o := range in.Others {
		got[cmsgKey{o.Level, o.Type}] = o.Data
	}
	if ttl, _ := socket.Int(got[cmsgKey{linux.SOL_IP, linux.IP_TTL}]); ttl != 7 || len(got) != 4 || len(got[cmsgKey{linux.SOL_IP, linux.IP_PKTINFO}]) != 12 {
		t.Errorf("%v", got)
	}
	for _, bad := range []socket.Cmsg{
		{Level: linux.SOL_SOCKET, Type: linux.SO_MARK, Data: socket.IntBytes(1)},
		{Level: linux.SOL_IP, Type: linux.IP_RETOPTS, Data: socket.IntBytes(1)},
		{Level: linux.SOL_IP, Type: linux.IP_TTL, Data: make([]byte, 600)},
	} {
		m.Others = []socket.Cmsg{bad}
		if _, err := s.Transmit(c, usermem.FromBytes([]byte("x")), 0, m); err != linux.EINVAL {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// TestRights: nobody gets a raw socket, or more from setsockopt(2) than is listed; low
// ports go by way of who may bind them, for those who may.
func TestRights(t *testing.T) {
	asked := 0
	n := newNetwork(t, func(fd int, addr []byte) error {
		asked++
		return linux.EADDRINUSE
	})
	root := sockettest.New(1)
	if _, err := n.Socket(root, socket.Kind{Family: linux.AF_INET, Type: linux.SOCK_RAW, Protocol: linux.IPPROTO_TCP}); err != linux.EPERM {
		t.Error(err)
	}
	s := open(t, n, root, linux.SOCK_STREAM)
	for _, o := range []Option{{linux.SOL_SOCKET, linux.SO_ATTACH_FILTER}, {linux.SOL_IP, linux.IP_TRANSPARENT}, {linux.SOL_TCP, linux.TCP_REPAIR}} {
		if err := s.SetOption(root, o.Level, o.Name, make([]byte, 16)); err != linux.ENOPROTOOPT {
			t.Errorf("%v: %v", o, err)
		}
	}
	if err := s.SetOption(root, linux.SOL_SOCKET, linux.SO_ATTACH_BPF, socket.IntBytes(0)); err != linux.EINVAL {
		t.Error(err) // the guest's own file, which is no program
	}
	if err := s.SetOption(root, linux.SOL_SOCKET, linux.SO_MARK, socket.IntBytes(1)); err != linux.EPERM {
		t.Error(err)
	}
	f := n.Family(linux.AF_INET).(*member)
	if !f.capableLow(root) || f.capableLow(sockettest.New(1).As(1000)) {
		t.Error("who may bind low ports")
	}
}

// TestTables: sockets of the sandbox are among all in the namespace, by their own numbers.
func TestTables(t *testing.T) {
	n, c := newNetwork(t, nil), sockettest.New(1)
	s := open(t, n, c, linux.SOCK_STREAM)
	s.SetInode(77)
	if err := s.Bind(c, loopback4(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(c, 5); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var a socket.Addr
	if err := s.Name(&a, false); err != nil {
		t.Fatal(err)
	}
	port := binary.BigEndian.Uint16(a.Bytes()[2:])
	found := 0
	for _, i := range n.Sockets(linux.AF_INET, linux.SOCK_STREAM) {
		switch {
		case i.Local.Port() == port && i.Local.Addr().IsLoopback() && i.State == linux.TCP_LISTEN && i.Inode == 77 && i.UID == 0:
			found |= 1
		case int(i.Local.Port()) == other.Addr().(*net.TCPAddr).Port && i.State == linux.TCP_LISTEN && i.Inode == 0:
			found |= 2
		}
	}
	if found != 3 {
		t.Errorf("%b of %+v", found, n.Sockets(linux.AF_INET, linux.SOCK_STREAM))
	}
}
