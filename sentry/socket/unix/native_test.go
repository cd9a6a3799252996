package unix

import (
	"fmt"
	"os"
	"strings"
	"testing"

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
			New(n, &Flight{})
			sockettest.Compare(t, &sockettest.Host{}, &sockettest.Kernel{Net: n, C: sockettest.New(1), Sys: vfs.New(nil)}, play)
		})
	}
}

const (
	stream    = int(linux.SOCK_STREAM)
	dgram     = int(linux.SOCK_DGRAM)
	seqpacket = int(linux.SOCK_SEQPACKET)
	local     = linux.AF_UNIX
	sol       = linux.SOL_SOCKET
	peek      = int(linux.MSG_PEEK)
	trunc     = int(linux.MSG_TRUNC)
	waitall   = int(linux.MSG_WAITALL)
	errqueue  = int(linux.MSG_ERRQUEUE)
)

// name is an abstract address of this test process's own.
func nameOf(s string) []byte { return abstractAddr(fmt.Sprintf("garrison-%d-%s", os.Getpid(), s)) }

var scenarios = map[string]func(*sockettest.Log){
	"kinds": func(l *sockettest.Log) {
		for _, typ := range []int{0, 1, 2, 3, 4, 5, 6, 10, 11, 12} {
			l.Socket(local, typ, 0)
		}
		l.Socket(local, stream, 1)
		l.Socket(local, stream, 2)
		l.Pair(3)
	},
	"fresh": func(l *sockettest.Log) {
		for i, typ := range []int{stream, dgram, seqpacket} {
			l.Socket(local, typ, 0)
			l.Poll(i)
			l.Name(i, false)
			l.Name(i, true)
			l.Send(i, "x", 0)
			l.Recv(i, 1, 0)
			l.Accept(i)
			l.Listen(i, 1)
			l.Ioctl(i, linux.SIOCINQ)
			l.Ioctl(i, linux.SIOCOUTQ)
			l.Ioctl(i, linux.SIOCATMARK)
			l.Shutdown(i, 0)
			l.Poll(i)
			l.Shutdown(i, 1)
			l.Poll(i)
			l.Recv(i, 1, 0)
			l.Shutdown(i, 3)
		}
	},
	"stream": func(l *sockettest.Log) {
		l.Pair(stream)
		l.Send(0, "hello", 0)
		l.Send(0, "world", 0)
		l.Send(0, "", 0)
		l.Poll(1)
		l.Ioctl(1, linux.SIOCINQ)
		l.Recv(1, 3, peek)
		l.Recv(1, 0, 0)
		l.Recv(1, 3, trunc)
		l.Recv(1, 20, waitall)
		l.Recv(1, 20, 0)
		l.Recv(1, 1, errqueue)
		l.SendTo(0, "x", 0, nameOf("none"), 0)
		l.Connect(0, nameOf("none"))
		l.Listen(0, 1)
		l.Name(0, true)
		l.Shutdown(0, 1)
		l.Poll(0)
		l.Poll(1)
		l.Recv(1, 1, 0)
		l.Send(0, "x", 0)
		l.Send(1, "y", 0)
		l.Recv(0, 5, 0)
		l.Shutdown(0, 0)
		l.Send(1, "y", 0)
		l.Poll(0)
		l.Poll(1)
		l.Close(1)
		l.Poll(0)
		l.Recv(0, 5, 0)
		l.Send(0, "x", 0)
	},
	"close with data": func(l *sockettest.Log) {
		for i, typ := range []int{stream, seqpacket, dgram} {
			l.Pair(typ)
			a, b := 2*i, 2*i+1
			l.Send(a, "unread", 0)
			l.Send(b, "kept", 0)
			l.Close(b)
			l.Poll(a)
			l.Int(a, sol, linux.SO_ERROR)
			l.Poll(a)
			l.Send(a, "x", 0)
			l.Recv(a, 10, 0)
			l.Recv(a, 10, 0)
			l.Poll(a)
			l.Send(a, "x", 0)
			l.Name(a, true)
		}
	},
	"reset is told once": func(l *sockettest.Log) {
		for i, typ := range []int{stream, seqpacket} {
			l.Pair(typ)
			l.Send(2*i, "unread", 0)
			l.Close(2*i + 1)
			l.Recv(2*i, 10, 0)
			l.Recv(2*i, 10, 0)
			l.Send(2*i, "x", 0)
		}
	},
	"packets": func(l *sockettest.Log) {
		for i, typ := range []int{seqpacket, dgram} {
			l.Pair(typ)
			a, b := 2*i, 2*i+1
			l.Send(a, "first", 0)
			l.Send(a, "", 0)
			l.Send(a, "third", 0)
			l.Ioctl(b, linux.SIOCINQ)
			l.Poll(b)
			l.Recv(b, 2, peek)
			l.Recv(b, 2, trunc|peek)
			l.Recv(b, 2, 0)
			l.Recv(b, 2, 0)
			l.Recv(b, 0, trunc)
			l.Recv(b, 5, 0)
			l.Send(a, strings.Repeat("x", 212992-32), 0)
			l.Recv(b, 300000, 0)
			l.Send(a, strings.Repeat("x", 212992-31), 0)
			l.Shutdown(a, 1)
			l.Poll(a)
			l.Poll(b)
			l.Send(a, "x", 0)
			l.Recv(b, 5, 0)
			l.Shutdown(b, 0)
			l.Recv(b, 5, 0)
			l.Poll(b)
			l.Send(a, "x", 0)
			l.Send(b, "x", 0)
			l.Poll(a)
		}
	},
	"connections": func(l *sockettest.Log) {
		for i, typ := range []int{stream, seqpacket} {
			base := 5 * i
			srv, c1, c2 := base, base+1, base+2
			at := nameOf(fmt.Sprint("srv", i))
			l.Socket(local, typ, 0)
			l.Socket(local, typ, 0)
			l.Socket(local, typ, 0)
			l.Connect(c1, at)
			l.Bind(srv, at)
			l.Bind(srv, nameOf("again"))
			l.Bind(c2, at)
			l.Connect(c1, at)
			l.Listen(srv, 0)
			l.Poll(srv)
			l.Int(srv, sol, linux.SO_ACCEPTCONN)
			l.Recv(srv, 1, 0)
			l.Send(srv, "x", 0)
			l.Connect(srv, at)
			l.Bind(c1, nameOf(fmt.Sprint("client", i)))
			l.Connect(c1, at)
			l.Connect(c1, at)
			l.Poll(c1)
			l.Poll(srv)
			l.Connect(c2, at)
			l.Send(c1, "early", 0)
			l.Accept(srv)
			l.Accept(srv)
			l.Name(base+3, false)
			l.Name(base+3, true)
			l.Name(c1, true)
			l.Recv(base+3, 10, 0)
			l.Send(base+3, "answer", 0)
			l.Recv(c1, 10, 0)
			l.Connect(c2, at)
			l.Poll(srv)
			l.Close(srv)
			l.Poll(c2)
			l.Recv(c2, 1, 0)
			l.Poll(c1)
			l.Socket(local, typ, 0)
			l.Connect(base+4, at)
		}
	},
	"listener shut down": func(l *sockettest.Log) {
		l.Socket(local, stream, 0)
		l.Socket(local, stream, 0)
		l.Bind(0, nameOf("shut"))
		l.Listen(0, 5)
		l.Shutdown(0, 0)
		l.Poll(0)
		l.Connect(1, nameOf("shut"))
	},
	"datagrams": func(l *sockettest.Log) {
		for range 3 {
			l.Socket(local, dgram, 0)
		}
		at, other := nameOf("d"), nameOf("o")
		l.SendTo(1, "x", 0, at, 0)
		l.Bind(0, at)
		l.SendTo(1, "x", 0, at, 0)
		l.Recv(0, 5, 0)
		l.Bind(1, other)
		l.SendTo(1, "x", 0, at, 0)
		l.Recv(0, 5, 0)
		l.Connect(0, other)
		l.SendTo(2, "x", 0, at, 0)
		l.Connect(2, at)
		l.SendTo(1, "x", 0, at, 0)
		l.Recv(0, 5, 0)
		l.Send(0, "back", 0)
		l.Recv(1, 5, 0)
		l.Connect(0, []byte{0, 0})
		l.Send(0, "x", 0)
		l.Connect(1, at)
		for range 13 {
			l.Send(1, "fill", 0)
		}
		l.Poll(1)
		l.Recv(0, 5, 0)
		l.Poll(1)
		l.Send(1, "more", 0)
		l.Close(0)
		l.Send(1, "x", 0)
		l.Send(1, "x", 0)
		l.Poll(1)
	},
	"addresses": func(l *sockettest.Log) {
		l.Socket(local, dgram, 0)
		l.Bind(0, nil)
		l.Bind(0, []byte{1})
		l.Bind(0, []byte{2, 0, 0, 'x'})
		l.Bind(0, append([]byte{1, 0, 0}, make([]byte, 108)...))
		l.Connect(0, []byte{1, 0})
		l.Connect(0, []byte{1})
		l.Connect(0, []byte{2, 0, 0, 'x'})
		l.SendTo(0, "x", 0, []byte{1, 0}, 0)
	},
	"files": func(l *sockettest.Log) {
		for i, typ := range []int{stream, seqpacket, dgram} {
			l.Pair(typ)
			a, b := 2*i, 2*i+1
			l.Send(a, "before", 0)
			l.SendTo(a, "with", 0, nil, 2)
			l.Send(a, "after", 0)
			l.Recv(b, 100, peek)
			l.Recv(b, 3, 0)
			l.Recv(b, 100, 0)
			l.Recv(b, 100, 0)
			l.SendTo(a, "", 0, nil, 1)
			l.Recv(b, 100, 0)
			l.SendTo(a, "many", 0, nil, 253)
			l.SendTo(a, "more", 0, nil, 1)
			l.Recv(b, 1, 0)
			l.Recv(b, 100, 0)
			l.Recv(b, 100, 0)
		}
	},
	"options": func(l *sockettest.Log) {
		l.Socket(local, stream, 0)
		for name := range 82 {
			switch name {
			case linux.SO_SNDBUF, linux.SO_RCVBUF, linux.SO_PEERCRED, linux.SO_INCOMING_CPU, linux.SO_COOKIE, linux.SO_MEMINFO,
				linux.SO_ATTACH_FILTER, linux.SO_DETACH_FILTER, linux.SO_PEERGROUPS, linux.SO_BINDTODEVICE, linux.SO_PEERSEC,
				linux.SO_MAX_PACING_RATE, linux.SO_NETNS_COOKIE, linux.SO_PEERPIDFD, linux.SO_TXREHASH, linux.SO_BPF_EXTENSIONS:
				continue
			}
			l.Int(0, sol, name)
		}
		for _, name := range []int{linux.SO_DEBUG, linux.SO_REUSEADDR, linux.SO_TYPE, linux.SO_ERROR, linux.SO_BROADCAST,
			linux.SO_KEEPALIVE, linux.SO_PASSCRED, linux.SO_RCVLOWAT, linux.SO_SNDLOWAT, linux.SO_TIMESTAMP, linux.SO_ACCEPTCONN,
			linux.SO_PEEK_OFF, linux.SO_PROTOCOL, linux.SO_DOMAIN, linux.SO_REUSEPORT, linux.SO_PRIORITY, 500} {
			l.SetInt(0, sol, name, 2)
			l.Int(0, sol, name)
		}
		for _, name := range []int{linux.SO_SNDBUF, linux.SO_RCVBUF} {
			l.Int(0, sol, name)
			for _, v := range []int{0, 1, 100000, 212992, 1 << 20} {
				l.SetInt(0, sol, name, v)
				l.Int(0, sol, name)
			}
		}
		l.SetInt(0, linux.SOL_TCP, 1, 1)
		l.Int(0, linux.SOL_TCP, 1)
	},
}
