package hostnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/sentry/socket"
)

// newNamespace gives the calling thread a network namespace of its own. The thread ends
// with the test.
func newNamespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread is not to be used again
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("no right to make a network namespace:", err)
	}
}

func ip(t *testing.T, args string) string {
	t.Helper()
	// The child is forked by this thread, and lives in its namespace.
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestTakeNothing(t *testing.T) {
	newNamespace(t)
	taken, err := Take()
	if taken != nil || err != nil {
		t.Fatal(taken, err)
	}
	if rules := ip(t, "rule"); strings.Contains(rules, "blackhole") {
		t.Errorf("a namespace that is of no use has been changed:\n%s", rules)
	}
}

func TestTake(t *testing.T) {
	newNamespace(t)
	for _, args := range []string{
		"link set lo up", "link add eth0 mtu 1300 type veth peer name other", "link set other up", "link set eth0 up",
		"addr add 10.9.0.2/24 brd + dev eth0", "addr add fd09::2/64 dev eth0 nodad", "route add default via 10.9.0.1 metric 5",
		"link add down type veth peer name down2",
	} {
		ip(t, args)
	}
	taken, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Take(); !errors.Is(err, ErrTaken) {
		t.Errorf("taken twice: %v", err)
	}
	// That kernel answers nobody, and asks its own tables all the same.
	for _, family := range []string{"-4 rule", "-6 rule"} {
		if rules := ip(t, family); !strings.HasPrefix(rules, "0:\tnot from all iif lo blackhole") || !strings.Contains(rules, "1:\tfrom all lookup local") {
			t.Errorf("%s: %s", family, rules)
		}
	}
	s, err := Read(taken.Query)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.Links, func(l Link) bool { return l.Name == "eth0" })
	if i < 0 || len(s.Links) != 2 {
		t.Fatalf("%+v", s.Links)
	}
	l := s.Links[i]
	if l.MTU != 1300 || l.Flags&unix.IFF_UP == 0 || l.Hardware == [6]byte{} {
		t.Errorf("%+v", l)
	}
	if !slices.Contains(l.Addresses, Address{netip.MustParsePrefix("10.9.0.2/24"), netip.MustParseAddr("10.9.0.255")}) ||
		!slices.Contains(l.Addresses, Address{Prefix: netip.MustParsePrefix("fd09::2/64")}) {
		t.Errorf("%v", l.Addresses)
	}
	if !slices.ContainsFunc(s.Routes, func(r Route) bool {
		return r.Dst == netip.MustParsePrefix("0.0.0.0/0") && r.Gateway == netip.MustParseAddr("10.9.0.1") && r.Metric == 5 && r.Link == l.Index
	}) {
		t.Errorf("%+v", s.Routes)
	}
	// A change is told, and what it has come to can be read.
	ip(t, "addr del 10.9.0.2/24 dev eth0")
	if n, err := taken.Events.Read(make([]byte, 1<<16)); n == 0 || err != nil {
		t.Error(n, err)
	}
	if s, err = Read(taken.Query); err != nil || slices.ContainsFunc(s.Links[i].Addresses, func(a Address) bool { return a.Addr().Is4() }) {
		t.Errorf("%v %+v", err, s)
	}
	// Who comes after the sandbox can have it.
	taken.Close()
	again, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// TestTakeServed takes a namespace with Docker's name server, which asks others from there.
func TestTakeServed(t *testing.T) {
	newNamespace(t)
	for _, args := range []string{"link set lo up", "link add eth0 type veth peer name other", "link set eth0 up"} {
		ip(t, args)
	}
	server, err := net.ListenPacket("udp4", "127.0.0.11:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	taken, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if len(taken.Dials) != dials || taken.Answers != HostPorts {
		t.Errorf("%d sockets, answers to %v", len(taken.Dials), taken.Answers)
	}
	for _, protocol := range []string{"udp", "tcp"} {
		if rules := ip(t, "rule"); !strings.Contains(rules, "ipproto "+protocol+" sport 53 dport 61000-65534 lookup local") {
			t.Errorf("%s is not heard:\n%s", protocol, rules)
		}
	}
	got, err := os.ReadFile("/proc/sys/net/" + portRangeName)
	if err != nil || string(got) != "61000\t65534\n" {
		t.Errorf("%q %v", got, err)
	}
	// The sandbox has the ports that it had before; also the next one.
	if had := taken.Parameters[portRangeName]; had != "32768\t60999" {
		t.Errorf("the sandbox's ports: %q", had)
	}
	taken.Close()
	again, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if had, ok := again.Parameters[portRangeName]; ok {
		t.Errorf("the next sandbox's ports: %q", had)
	}
}

// TestParameters: what is read is all that a sandbox heeds, with the names that it has.
func TestParameters(t *testing.T) {
	read := map[string]bool{"ipv4/tcp_wmem": true}
	for _, name := range parameters {
		read[name] = true
	}
	for _, name := range linkParameters {
		read[strings.Replace(name, "/conf/*/", "/", 1)] = true
	}
	for _, x := range slices.Concat(socket.Sysctls[:], socket.LinkSysctls[:]) {
		if read[x.Name] == x.Fixed {
			t.Errorf("%s is read: %v; it can't be changed: %v", x.Name, read[x.Name], x.Fixed)
		}
		delete(read, x.Name)
	}
	for name := range read {
		t.Errorf("%s means nothing to a sandbox", name)
	}
}
