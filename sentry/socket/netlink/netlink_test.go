package netlink

import (
	"strings"
	"syscall"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/inet"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/socket/unix"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

func newSocket(t *testing.T, protocol int32) (*socket.Socket, *sockettest.Ctx) {
	t.Helper()
	n := socket.NewNetwork()
	New(n)
	unix.New(n, &unix.Flight{})
	inet.New(n)
	c := sockettest.New(42)
	s, err := n.Socket(c, socket.Kind{Family: linux.AF_NETLINK, Type: linux.SOCK_RAW, Protocol: protocol})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// ask sends one request and returns the messages of the answer, as the standard
// library takes them apart.
func ask(t *testing.T, s *socket.Socket, c *sockettest.Ctx, typ, flags uint16, body []byte) (out []syscall.NetlinkMessage) {
	t.Helper()
	h := linux.NlMsghdr{Len: uint32(linux.NlMsghdrLen + len(body)), Type: typ, Flags: flags | linux.NLM_F_REQUEST, Seq: 7}
	if _, err := s.Transmit(c, usermem.FromBytes(append(append([]byte(nil), usermem.AsBytes(&h)...), body...)), 0, nil); err != nil {
		t.Fatal(err)
	}
	for s.Ready(wait.Readable) != 0 {
		b := make([]byte, 32<<10)
		n, err := s.Receive(c, usermem.FromBytes(b), linux.MSG_DONTWAIT, nil)
		if err != nil {
			t.Fatal(err)
		}
		ms, err := syscall.ParseNetlinkMessage(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ms...)
	}
	return out
}

func TestLinks(t *testing.T) {
	s, c := newSocket(t, linux.NETLINK_ROUTE)
	ms := ask(t, s, c, linux.RTM_GETLINK, linux.NLM_F_DUMP, make([]byte, 16))
	if len(ms) != 2 || ms[0].Header.Type != linux.RTM_NEWLINK || ms[1].Header.Type != linux.NLMSG_DONE || ms[0].Header.Seq != 7 || ms[0].Header.Pid != 42 {
		t.Fatalf("%+v", ms)
	}
	attrs, err := syscall.ParseNetlinkRouteAttr(&ms[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range attrs {
		if a.Attr.Type == linux.IFLA_IFNAME && string(a.Value) == "lo\x00" {
			return
		}
	}
	t.Fatal("no name")
}

func TestAddressesAndRoutes(t *testing.T) {
	s, c := newSocket(t, linux.NETLINK_ROUTE)
	ms := ask(t, s, c, linux.RTM_GETADDR, linux.NLM_F_DUMP, []byte{linux.AF_INET, 0, 0, 0, 0, 0, 0, 0})
	if len(ms) != 2 || ms[0].Header.Type != linux.RTM_NEWADDR {
		t.Fatalf("%+v", ms)
	}
	ms = ask(t, s, c, linux.RTM_GETROUTE, linux.NLM_F_DUMP, make([]byte, 12))
	if len(ms) != 5 || ms[0].Header.Type != linux.RTM_NEWROUTE {
		t.Fatalf("%+v", ms)
	}
	ms = ask(t, s, c, linux.RTM_GETROUTE, 0, append(make([]byte, 12), 8, 0, linux.RTA_DST, 0, 127, 0, 0, 5))
	if len(ms) != 1 || ms[0].Header.Type != linux.RTM_NEWROUTE {
		t.Fatalf("%+v", ms)
	}
}

func TestErrors(t *testing.T) {
	s, c := newSocket(t, linux.NETLINK_ROUTE)
	for _, x := range []struct {
		typ, flags uint16
		want       linux.Errno
	}{
		{linux.NLMSG_NOOP, linux.NLM_F_ACK, 0},
		{linux.RTM_NEWLINK, linux.NLM_F_ACK, linux.EINVAL},
		{linux.RTM_DELLINK, linux.NLM_F_ACK, linux.EOPNOTSUPP},
		{200, 0, linux.EOPNOTSUPP},
		{linux.RTM_GETLINK, 0, linux.EINVAL},
	} {
		ms := ask(t, s, c, x.typ, x.flags, make([]byte, 16))
		if len(ms) != 1 || ms[0].Header.Type != linux.NLMSG_ERROR {
			t.Fatalf("%+v", ms)
		}
		v, _ := socket.Int(ms[0].Data)
		if linux.Errno(-v) != x.want {
			t.Errorf("%d: %v, want %v", x.typ, linux.Errno(-v), x.want)
		}
	}
}

func TestPorts(t *testing.T) {
	s, c := newSocket(t, linux.NETLINK_ROUTE)
	o, err := s.Network().Socket(c, s.Kind())
	if err != nil {
		t.Fatal(err)
	}
	addr := []byte{linux.AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}
	for _, x := range []*socket.Socket{s, o} {
		if err := x.Bind(c, addr); err != nil {
			t.Fatal(err)
		}
	}
	var a, b socket.Addr
	if s.Name(&a, false) != nil || o.Name(&b, false) != nil || a.Bytes()[4] != 42 || string(a.Bytes()) == string(b.Bytes()) || a.Bytes()[8] != 1 {
		t.Fatal(a.Bytes(), b.Bytes())
	}
	addr[4] = 42
	third, _ := s.Network().Socket(c, s.Kind())
	if err := third.Bind(c, addr); err != linux.EADDRINUSE {
		t.Fatal(err)
	}
}

func TestUnixDiag(t *testing.T) {
	s, c := newSocket(t, linux.NETLINK_SOCK_DIAG)
	u, err := s.Network().Socket(c, socket.Kind{Family: linux.AF_UNIX, Type: linux.SOCK_STREAM})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Bind(c, []byte{1, 0, 0, 'x'}); err != nil {
		t.Fatal(err)
	}
	q := linux.UnixDiagReq{Family: linux.AF_UNIX, States: ^uint32(0), Show: linux.UDIAG_SHOW_NAME}
	ms := ask(t, s, c, linux.SOCK_DIAG_BY_FAMILY, linux.NLM_F_DUMP, usermem.AsBytes(&q))
	if len(ms) != 2 || string(ms[0].Data[20:22]) != "\x00x" {
		t.Fatalf("%+v", ms)
	}
}

// FuzzRequests: whatever a guest sends, the answer is well formed.
func FuzzRequests(f *testing.F) {
	f.Add([]byte{20, 0, 0, 0, 18, 0, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{16, 0, 0, 0, 26, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := socket.NewNetwork()
		New(n)
		unix.New(n, &unix.Flight{})
		inet.New(n)
		c := sockettest.New(1)
		for _, p := range []int32{linux.NETLINK_ROUTE, linux.NETLINK_SOCK_DIAG} {
			s, err := n.Socket(c, socket.Kind{Family: linux.AF_NETLINK, Type: linux.SOCK_RAW, Protocol: p})
			if err != nil {
				t.Fatal(err)
			}
			s.Transmit(c, usermem.FromBytes(b), linux.MSG_DONTWAIT, nil)
			for s.Ready(wait.Readable) != 0 {
				buf := make([]byte, 64<<10)
				k, err := s.Receive(c, usermem.FromBytes(buf), linux.MSG_DONTWAIT, nil)
				if err != nil {
					t.Fatal(err)
				}
				for buf = buf[:k]; len(buf) > 0; {
					_, rest, ok := split(buf)
					if !ok {
						t.Fatalf("malformed answer %x", buf)
					}
					buf = rest
				}
			}
		}
	})
}

// TestWords has a refusal say why, to those who want to hear it.
func TestWords(t *testing.T) {
	s, c := newSocket(t, linux.NETLINK_ROUTE)
	q := linux.Ifaddrmsg{Family: linux.AF_INET, Prefixlen: 8, Index: 1}
	body := append(usermem.AsBytes(&q), 8, 0, linux.IFA_LOCAL, 0, 127, 0, 0, 1)
	for _, words := range []bool{false, true} {
		if err := s.SetOption(c, linux.SOL_NETLINK, linux.NETLINK_EXT_ACK, socket.IntBytes(int32(len(body))*map[bool]int32{true: 1}[words])); err != nil {
			t.Fatal(err)
		}
		ask(t, s, c, linux.RTM_NEWADDR, linux.NLM_F_ACK, body) // who brings the loopback up: once
		ms := ask(t, s, c, linux.RTM_NEWADDR, linux.NLM_F_ACK, body)
		if len(ms) != 1 || ms[0].Header.Type != linux.NLMSG_ERROR || words != (ms[0].Header.Flags&linux.NLM_F_ACK_TLVS != 0) {
			t.Fatalf("%+v", ms)
		}
		if got := strings.Contains(string(ms[0].Data), "has that address already\x00"); got != words {
			t.Errorf("%v: %q", words, ms[0].Data)
		}
	}
}
