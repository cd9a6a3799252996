package inet

import (
	"strings"
	"testing"
	"time"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/vfs"
)

// TestLikeLinux plays scenarios on the host and here: each call must have the same
// outcome.
func TestLikeLinux(t *testing.T) {
	for name, play := range scenarios {
		t.Run(name, func(t *testing.T) {
			n := socket.NewNetwork()
			f := New(n)
			defer f.Close()
			k := &sockettest.Kernel{Net: n, C: sockettest.New(1), Sys: vfs.New(nil), Pause: 150 * time.Millisecond}
			sockettest.Compare(t, &sockettest.Host{Pause: 2 * time.Millisecond}, k, play)
		})
	}
}

const (
	stream  = int(linux.SOCK_STREAM)
	dgram   = int(linux.SOCK_DGRAM)
	v4      = linux.AF_INET
	v6      = linux.AF_INET6
	sol     = linux.SOL_SOCKET
	peek    = int(linux.MSG_PEEK)
	trunc   = int(linux.MSG_TRUNC)
	waitall = int(linux.MSG_WAITALL)
	oob     = int(linux.MSG_OOB)
)

// addrOf is the address of s on the loopback; its port is shown by name from now on.
func addrOf(l *sockettest.Log, s int, name string) []byte {
	b, err := l.W.Name(s, false)
	if err != nil {
		panic(err)
	}
	l.Hide(b[2:4], name)
	b = append([]byte(nil), b...)
	if b[0] == linux.AF_INET {
		copy(b[4:], []byte{127, 0, 0, 1})
	} else {
		b[23] = 1
	}
	return b
}

// connected makes a listener, a client and the accepted end, as sockets 0, 1 and 2.
func connected(l *sockettest.Log, family int) {
	l.Socket(family, stream, 0)
	l.Listen(0, 5)
	l.Socket(family, stream, 0)
	l.Connect(1, addrOf(l, 0, "SERVER"))
	l.Settle()
	addrOf(l, 1, "CLIENT")
	l.Accept(0)
}

var scenarios = map[string]func(*sockettest.Log){
	"kinds": func(l *sockettest.Log) {
		for _, family := range []int{v4, v6} {
			for typ := range 7 {
				for _, p := range []int{0, 1, 6, 17, 58, 255, 263, -1} {
					if typ == 3 && p != 0 && p != 263 || typ == 2 && p == 58 && family == v6 || typ == 2 && p == 1 && family == v4 {
						continue // depends on rights, and on ping_group_range
					}
					l.Socket(family, typ, p)
				}
			}
		}
		l.Socket(3, 1, 0)
		l.Socket(5, 1, 0)
		l.Socket(45, 1, 0)
		l.Socket(46, 1, 0)
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
			l.Shutdown(i, 0)
			l.Shutdown(i, 2)
			l.Poll(i)
			l.Int(i, sol, linux.SO_ERROR)
			if k[1] == dgram {
				l.Listen(i, 1)
			}
		}
	},
	"stream": func(l *sockettest.Log) {
		connected(l, v4)
		l.Name(1, false)
		l.Name(1, true)
		l.Name(2, false)
		l.Name(2, true)
		l.Poll(0)
		l.Poll(1)
		l.Poll(2)
		l.Send(1, "hello", 0)
		l.Send(1, "world", 0)
		l.Settle()
		l.Poll(2)
		l.Ioctl(2, linux.SIOCINQ)
		l.Recv(2, 0, 0)
		l.Recv(2, 3, peek)
		l.Recv(2, 3, 0)
		l.Recv(2, 3, trunc)
		l.Recv(2, 100, waitall)
		l.Recv(2, 100, 0)
		l.Recv(2, 1, oob)
		l.Connect(1, addrOf(l, 0, "SERVER"))
		l.Listen(1, 1)
		l.Bind(1, in4(0))
		l.SendTo(1, "addressed", 0, in4(9, 127, 0, 0, 1), 0)
		l.Settle()
		l.Recv(2, 100, 0)
		l.Shutdown(1, 1)
		l.Settle()
		l.Poll(1)
		l.Poll(2)
		l.Recv(2, 100, 0)
		l.Send(1, "x", 0)
		l.Send(2, "tail", 0)
		l.Settle()
		l.Recv(1, 100, 0)
		l.Close(2)
		l.Settle()
		l.Poll(1)
		l.Recv(1, 100, 0)
		l.Int(1, sol, linux.SO_ERROR)
		l.Name(1, true)
	},
	"half closed by the reader": func(l *sockettest.Log) {
		connected(l, v4)
		l.Shutdown(1, 0)
		l.Settle()
		l.Poll(1)
		l.Poll(2)
		l.Recv(1, 5, 0)
		l.Shutdown(1, 2)
		l.Settle()
		l.Poll(1)
		l.Poll(2)
		l.Recv(2, 5, 0)
		l.Shutdown(1, 2)
	},
	"refused": func(l *sockettest.Log) {
		l.Socket(v4, stream, 0)
		l.Bind(0, in4(0, 127, 0, 0, 1))
		at := addrOf(l, 0, "BOUND")
		l.Socket(v4, stream, 0)
		l.Connect(1, at)
		l.Settle()
		l.Poll(1)
		l.Connect(1, at)
		l.Poll(1)
		l.Int(1, sol, linux.SO_ERROR)
		l.Socket(v4, stream, 0)
		l.Connect(2, at)
		l.Settle()
		l.Int(2, sol, linux.SO_ERROR)
		l.Int(2, sol, linux.SO_ERROR)
		l.Poll(2)
		l.Listen(0, 1)
		l.Connect(2, at)
		l.Settle()
		l.Poll(2)
	},
	"reset": func(l *sockettest.Log) {
		connected(l, v4)
		l.Send(1, "unread", 0)
		l.Settle()
		l.Close(2)
		l.Settle()
		l.Poll(1)
		l.Recv(1, 5, 0)
		l.Recv(1, 5, 0)
		l.Poll(1)
		l.Send(1, "x", 0)
	},
	"urgent": func(l *sockettest.Log) {
		connected(l, v4)
		l.Recv(2, 1, oob)
		l.Send(1, "abc!", oob)
		l.Settle()
		l.Poll(2)
		l.Ioctl(2, linux.SIOCATMARK)
		l.Ioctl(2, linux.SIOCINQ)
		l.Recv(2, 10, oob|peek)
		l.Recv(2, 10, oob)
		l.Recv(2, 10, oob)
		l.Poll(2)
		l.Send(1, "def", 0)
		l.Settle()
		l.Recv(2, 10, 0)
		l.Ioctl(2, linux.SIOCATMARK)
		l.Poll(2)
		l.Recv(2, 10, peek)
		l.Recv(2, 10, 0)
		l.Ioctl(2, linux.SIOCATMARK)
		l.Recv(2, 10, oob)
		l.Send(1, "x", oob)
		l.Settle()
		l.Poll(2)
		l.Ioctl(2, linux.SIOCATMARK)
		l.Recv(2, 10, 0)
		l.Poll(2)
		l.Recv(2, 10, oob)
		l.Send(1, "12", oob)
		l.Send(1, "34", oob)
		l.Settle()
		l.Ioctl(2, linux.SIOCINQ)
		l.Recv(2, 10, 0)
		l.Recv(2, 10, oob)
		l.Recv(2, 10, 0)
		l.SetInt(2, sol, linux.SO_OOBINLINE, 1)
		l.Send(1, "in!", oob)
		l.Send(1, "line", 0)
		l.Settle()
		l.Poll(2)
		l.Recv(2, 10, oob)
		l.Recv(2, 10, 0)
		l.Ioctl(2, linux.SIOCATMARK)
		l.Recv(2, 10, 0)
		l.Poll(2)
	},
	"send to the dead": func(l *sockettest.Log) {
		connected(l, v4)
		l.Close(2)
		l.Settle()
		l.Poll(1)
		l.Send(1, "x", 0)
		l.Settle()
		l.Send(1, "x", 0)
		l.Recv(1, 5, 0)
	},
	"listener": func(l *sockettest.Log) {
		l.Socket(v4, stream, 0)
		l.Listen(0, 1)
		l.Poll(0)
		l.Int(0, sol, linux.SO_ACCEPTCONN)
		l.Recv(0, 1, 0)
		l.Send(0, "x", 0)
		l.Connect(0, in4(9, 127, 0, 0, 1))
		l.Ioctl(0, linux.SIOCINQ)
		l.Listen(0, 5)
		l.Socket(v4, stream, 0)
		l.Bind(1, addrOf(l, 0, "PORT"))
		l.SetInt(1, sol, linux.SO_REUSEADDR, 1)
		l.Bind(1, addrOf(l, 0, "PORT"))
		l.Socket(v4, stream, 0)
		l.Connect(2, addrOf(l, 0, "PORT"))
		l.Settle()
		l.Poll(0)
		l.Close(0)
		l.Settle()
		l.Poll(2)
		l.Recv(2, 1, 0)
	},
	"dual stack": func(l *sockettest.Log) {
		l.Socket(v6, stream, 0)
		l.Listen(0, 5)
		at := addrOf(l, 0, "SERVER")
		l.Socket(v4, stream, 0)
		l.Connect(1, append(in4(0, 127, 0, 0, 1)[:2:2], append(at[2:4:4], in4(0, 127, 0, 0, 1)[4:]...)...))
		l.Settle()
		addrOf(l, 1, "CLIENT")
		l.Accept(0)
		l.Name(2, false)
		l.Name(2, true)
		l.Socket(v6, dgram, 0)
		l.Int(3, linux.SOL_IPV6, linux.IPV6_V6ONLY)
		l.Bind(3, in6(0, 0))
		l.SetInt(3, linux.SOL_IPV6, linux.IPV6_V6ONLY, 1)
		l.Bind(3, in4(0, 127, 0, 0, 1))
	},
	"datagrams": func(l *sockettest.Log) {
		l.Socket(v4, dgram, 0)
		l.Socket(v4, dgram, 0)
		l.Bind(0, in4(0, 127, 0, 0, 1))
		at := addrOf(l, 0, "A")
		l.SendTo(1, "one", 0, at, 0)
		from := addrOf(l, 1, "B")
		l.SendTo(1, "", 0, at, 0)
		l.SendTo(1, "three", 0, at, 0)
		l.Settle()
		l.Poll(0)
		l.Ioctl(0, linux.SIOCINQ)
		l.Recv(0, 2, peek)
		l.Recv(0, 2, trunc)
		l.Recv(0, 2, 0)
		l.Recv(0, 0, 0)
		l.Recv(0, 2, 0)
		l.Connect(0, from)
		l.Name(0, true)
		l.Send(0, "back", 0)
		l.Settle()
		l.Recv(1, 10, 0)
		l.Connect(0, make([]byte, 16))
		l.Name(0, true)
		l.Send(0, "x", 0)
		l.SendTo(1, strings.Repeat("x", 65508), 0, at, 0)
		l.SendTo(1, "x", 0, in4(0, 127, 0, 0, 1), 0)
		l.SendTo(1, "x", 0, at[:8], 0)
		l.SendTo(1, "x", 0, in6(5, 1), 0)
		l.Close(0)
		l.Connect(1, at)
		l.Send(1, "x", 0)
		l.Settle()
		l.Poll(1)
		l.Send(1, "x", 0)
		l.Settle()
		l.Recv(1, 5, 0)
		l.Recv(1, 5, 0)
		l.Shutdown(1, 1)
		l.Poll(1)
		l.Send(1, "x", 0)
		l.Shutdown(1, 0)
		l.Poll(1)
	},
	"addresses": func(l *sockettest.Log) {
		l.Socket(v4, stream, 0)
		l.Bind(0, nil)
		l.Bind(0, in4(0)[:15])
		l.Bind(0, in6(0, 0))
		l.Bind(0, in4(0, 1, 2, 3, 4))
		l.Bind(0, make([]byte, 16))
		l.Connect(0, in4(0)[:15])
		l.Connect(0, in6(5, 1))
		l.Connect(0, []byte{0})
		l.Socket(v6, stream, 0)
		l.Bind(1, in4(0))
		l.Bind(1, in6(0, 0)[:23])
		l.Bind(1, in6(0, 9))
		l.Connect(1, in4(5))
		l.Connect(1, in6(5, 1)[:20])
		l.Socket(v4, stream, 0)
		l.Bind(2, in4(0, 127, 3, 2, 1))
		l.Bind(2, in4(0, 127, 0, 0, 1))
	},
	"options": func(l *sockettest.Log) {
		l.Socket(v4, stream, 0)
		l.Socket(v6, dgram, 0)
		l.Socket(v6, stream, 0)
		for _, o := range optionCases {
			for s := range 3 {
				l.Int(s, o[0], o[1])
				for _, v := range o[2:] {
					l.SetInt(s, o[0], o[1], v)
					l.Int(s, o[0], o[1])
				}
			}
		}
	},
}

// optionCases is a level, an option and values to set.
var optionCases = [][]int{
	{sol, linux.SO_REUSEADDR, 2, 0},
	{sol, linux.SO_REUSEPORT, 1},
	{sol, linux.SO_KEEPALIVE, 1},
	{sol, linux.SO_BROADCAST, 1},
	{sol, linux.SO_OOBINLINE, 1},
	{sol, linux.SO_TYPE, 1},
	{sol, linux.SO_DOMAIN},
	{sol, linux.SO_PROTOCOL},
	{sol, linux.SO_ACCEPTCONN, 1},
	{sol, linux.SO_RCVLOWAT, 0, 5},
	{sol, linux.SO_PRIORITY, 6},
	{sol, linux.SO_TIMESTAMP, 1},
	{sol, 400, 1},
	{linux.SOL_IP, linux.IP_TTL, 1, 255, 0, 256, -1},
	{linux.SOL_IP, linux.IP_TOS, 0x10, 0xfc, 0x100},
	{linux.SOL_IP, linux.IP_MTU_DISCOVER, 0, 2, 3, 9},
	{linux.SOL_IP, linux.IP_MULTICAST_TTL, 5, 300},
	{linux.SOL_IP, linux.IP_MULTICAST_LOOP, 0, 5},
	{linux.SOL_IP, linux.IP_PKTINFO, 1},
	{linux.SOL_IP, linux.IP_RECVTTL, 1},
	{linux.SOL_IP, linux.IP_RECVTOS, 1},
	{linux.SOL_IP, linux.IP_RECVERR, 1},
	{linux.SOL_IP, linux.IP_FREEBIND, 1},
	{linux.SOL_IP, linux.IP_BIND_ADDRESS_NO_PORT, 1},
	{linux.SOL_IP, linux.IP_MTU},
	{linux.SOL_IP, 333, 1},
	{linux.SOL_IPV6, linux.IPV6_V6ONLY, 1, 0},
	{linux.SOL_IPV6, linux.IPV6_UNICAST_HOPS, 5, 256, -1},
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_HOPS, 5},
	{linux.SOL_IPV6, linux.IPV6_RECVPKTINFO, 1},
	{linux.SOL_IPV6, linux.IPV6_RECVHOPLIMIT, 1},
	{linux.SOL_IPV6, linux.IPV6_TCLASS, 0x10, 256},
	{linux.SOL_IPV6, linux.IPV6_RECVERR, 1},
	{linux.SOL_IPV6, 333, 1},
	{linux.SOL_TCP, linux.TCP_NODELAY, 1, 0},
	{linux.SOL_TCP, linux.TCP_CORK, 1, 0},
	{linux.SOL_TCP, linux.TCP_KEEPIDLE, 10, 0, 32768},
	{linux.SOL_TCP, linux.TCP_KEEPINTVL, 10, 0, 32768},
	{linux.SOL_TCP, linux.TCP_KEEPCNT, 5, 0, 128},
	{linux.SOL_TCP, linux.TCP_SYNCNT, 3, 0, 128},
	{linux.SOL_TCP, linux.TCP_USER_TIMEOUT, 500, -1},
	{linux.SOL_TCP, linux.TCP_LINGER2, 10, -1},
	{linux.SOL_TCP, linux.TCP_DEFER_ACCEPT, 0},
	{linux.SOL_TCP, linux.TCP_MAXSEG, 10, 1000},
	{linux.SOL_TCP, linux.TCP_FASTOPEN},
	{linux.SOL_TCP, 333, 1},
	{linux.SOL_UDP, linux.UDP_CORK, 1, 0},
	{12345, 1, 1},
}
