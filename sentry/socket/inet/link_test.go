package inet

import (
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
)

// veth makes a network namespace for the calling thread with a pair of links in it: the
// host's end has 10.9.0.1, and the other one a packet socket, which is returned with its
// hardware address. The thread ends with the test.
func veth(t *testing.T) (fd int, hardware [6]byte) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread is not to be used again
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("no right to make a network namespace:", err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{"link add host type veth peer name guest", "addr add 10.9.0.1/24 dev host", "link set host up", "link set guest up"} {
		// The child is forked by this thread, and lives in its namespace.
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Skipf("ip %s: %v\n%s", args, err, out)
		}
	}
	guest, err := net.InterfaceByName("guest")
	must(err)
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	must(err)
	must(unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1))
	must(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: guest.Index}))
	return fd, [6]byte(guest.HardwareAddr)
}

// outsideLink is a network at 10.9.0.2, by a packet link to Linux's own TCP at 10.9.0.1 in
// the calling thread's namespace, which ends with the test.
func outsideLink(t *testing.T) (host, *Family) {
	t.Helper()
	fd, hardware := veth(t)
	link, err := NewPacketLink(fd, 1500, hardware, func() {})
	if err != nil {
		t.Fatal(err)
	}
	n := socket.NewNetwork()
	f := New(n)
	own := netip.MustParsePrefix("10.9.0.2/24")
	if err := f.Configure(&Outside{
		Links: []LinkConfig{{Name: "eth0", Index: 2, MTU: 1500, Hardware: hardware, Endpoint: link, Addresses: []AddressConfig{{Prefix: own}}}},
		Routes: []RouteConfig{
			{Dst: own.Masked(), Link: 2, Scope: linux.RT_SCOPE_LINK},
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.9.0.1"), Link: 2},
		},
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		unix.Close(fd)
	})
	return host{t, n, sockettest.New(1)}, f
}

// TestPacketLink speaks with Linux's own TCP over a pair of links.
func TestPacketLink(t *testing.T) {
	h, f := outsideLink(t)
	l, port := h.listener(linux.AF_INET)
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	h.must(err)
	defer unix.Close(c)
	tv := unix.NsecToTimeval(int64(5 * time.Second))
	h.must(unix.SetsockoptTimeval(c, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	h.must(unix.SetsockoptTimeval(c, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv))
	h.must(unix.Connect(c, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{10, 9, 0, 2}}))
	s, err := l.Accept(h.c, false)
	h.must(err)
	_, err = unix.Write(c, []byte("from outside"))
	h.must(err)
	h.recv(s, "from outside")
	h.send(s, "from inside")
	b := make([]byte, 50)
	k, err := unix.Read(c, b)
	if err != nil || string(b[:k]) != "from inside" {
		t.Fatal(string(b[:k]), err)
	}
	// A connection to its own address does not leave.
	self := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	h.must(self.Connect(h.c, in4(port, 10, 9, 0, 2), false))
	// One to the outside does.
	out := h.socket(linux.AF_INET, linux.SOCK_STREAM)
	if err := out.Connect(h.c, in4(9, 10, 9, 0, 1), false); err != linux.ECONNREFUSED {
		t.Fatal(err)
	}
	u := h.socket(linux.AF_INET, linux.SOCK_DGRAM)
	m := &socket.Msg{}
	m.Addr.Set(in4(9, 10, 9, 0, 1))
	if _, err := u.Transmit(h.c, usermem.FromBytes([]byte("x")), 0, m); err != nil {
		t.Fatal(err)
	}
	if links := f.Links(); len(links) != 2 || links[1].Stats.RxPackets == 0 || len(f.Routes()) < 4 {
		t.Fatal(links, f.Routes())
	}
	// Another address comes, and the link goes.
	changed := *f.outside.Load()
	changed.Links = slices.Clone(changed.Links)
	changed.Links[0].Addresses = append(slices.Clone(changed.Links[0].Addresses), AddressConfig{Prefix: netip.MustParsePrefix("10.9.0.3/24")})
	h.must(f.Configure(&changed))
	again, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	h.must(err)
	defer unix.Close(again)
	h.must(unix.Connect(again, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{10, 9, 0, 3}}))
	h.send(s, "still there")
	h.must(f.Configure(&Outside{}))
	if links := f.Links(); len(links) != 1 {
		t.Fatal(links)
	}
	if err := out.Connect(h.c, in4(9, 10, 9, 0, 1), false); err != linux.ENETUNREACH {
		t.Fatal(err)
	}
}

// called is a connection by the link of outsideLink: the host's end, a guest's, and the
// port that this listened at.
func (h host) called() (c int, s *socket.Socket, port uint16) {
	h.Helper()
	l, port := h.listener(linux.AF_INET)
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	h.must(err)
	h.Cleanup(func() { unix.Close(c) })
	h.must(unix.Connect(c, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{10, 9, 0, 2}}))
	s, err = l.Accept(h.c, false)
	h.must(err)
	return c, s, port
}
