package oci

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A wire is two network namespaces with a pair of links between them: inside is for a
// container, outside has the addresses .1 and ::1.
type wire struct {
	t               *testing.T
	inside, outside string
}

const wireMTU = 1400

func newWire(t *testing.T) *wire {
	t.Helper()
	name := fmt.Sprintf("oci%d-%d", os.Getpid(), boxes.Add(1))
	w := &wire{t, name, name + "o"}
	for _, n := range []string{w.inside, w.outside} {
		w.ip("netns", "add", n)
		t.Cleanup(func() { w.ip("netns", "del", n) })
		w.in(n, "ip", "link", "set", "lo", "up")
	}
	w.ip("-n", w.inside, "link", "add", "eth0", "mtu", fmt.Sprint(wireMTU), "type", "veth", "peer", "name", "peer", "netns", w.outside)
	w.ip("-n", w.outside, "link", "set", "peer", "mtu", fmt.Sprint(wireMTU), "up")
	for _, a := range []string{"10.77.0.1/24", "fd77::1/64"} {
		w.in(w.outside, "ip", "addr", "add", a, "dev", "peer")
	}
	for _, a := range []string{"10.77.0.2/24", "fd77::2/64"} {
		w.in(w.inside, "ip", "addr", "add", a, "dev", "eth0")
	}
	w.in(w.inside, "ip", "link", "set", "eth0", "up")
	w.in(w.inside, "ip", "route", "add", "default", "via", "10.77.0.1")
	w.in(w.inside, "ip", "route", "add", "10.78.0.0/16", "via", "10.77.0.1", "metric", "7")
	w.in(w.inside, "ip", "-6", "route", "add", "default", "via", "fd77::1")
	// Addresses of IPv6 can be used when it is known that nobody else has them.
	for _, n := range []string{w.inside, w.outside} {
		eventually(t, "addresses", func() bool { return !strings.Contains(w.in(n, "ip", "addr"), "tentative") })
	}
	return w
}

func (w *wire) ip(args ...string) { w.t.Helper(); w.run(exec.Command("ip", args...)) }

// in runs a program in one of the namespaces and returns what it says.
func (w *wire) in(ns string, args ...string) string {
	w.t.Helper()
	return w.run(exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...))
}

func (w *wire) run(cmd *exec.Cmd) string {
	w.t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

var netguest = sync.OnceValues(func() (string, error) { return buildGuest("netguest") })

// buildGuest makes the program in the directory name, and puts it into rootfs.
func buildGuest(name string) (string, error) {
	path := filepath.Join(rootfs, "bin", name)
	build := exec.Command("go", "build", "-o", path, "./"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
}

// box is a container that is inside, and serves.
func (w *wire) box() *box {
	w.t.Helper()
	if _, err := netguest(); err != nil {
		w.t.Fatal(err)
	}
	b := newBox(w.t, []string{"/bin/netguest", "serve"}, func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if n := &s.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
				n.Path = "/run/netns/" + w.inside
			}
		}
		for _, set := range []*[]string{&s.Process.Capabilities.Bounding, &s.Process.Capabilities.Effective, &s.Process.Capabilities.Permitted} {
			*set = append(*set, "CAP_NET_RAW")
		}
	})
	b.must("run", "--detach", b.id)
	eventually(w.t, "the server", func() bool {
		return strings.Contains(b.must("exec", b.id, "cat", "/proc/net/tcp6"), ":1E61") // 7777
	})
	return b
}

// serveOutside has the other end serve.
func (w *wire) serveOutside() {
	w.t.Helper()
	path, _ := netguest()
	cmd := exec.Command("ip", "netns", "exec", w.outside, path, "serve")
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	copyUntil(w.t, out, "ready")
}

// TestNetworkTraffic has both ends send and receive, and ping each other.
func TestNetworkTraffic(t *testing.T) {
	w := newWire(t)
	b := w.box()
	w.serveOutside()
	path, _ := netguest()
	for _, prefix := range []string{"10.77.0.", "fd77::"} {
		for _, kind := range []string{"tcp", "udp"} {
			w.in(w.outside, path, kind, prefix+"2")
			b.must("exec", b.id, "/bin/netguest", kind, prefix+"1")
		}
		w.in(w.outside, "busybox", "ping", "-c", "3", "-i", "0.1", "-W", "2", prefix+"2")
		b.must("exec", b.id, "ping", "-c", "3", "-i", "0.1", "-W", "2", prefix+"1")
		// To itself, by way of the address that others know.
		b.must("exec", b.id, "/bin/netguest", "tcp", prefix+"2")
	}
}

// volatile is what ip(8) says of a link on the host alone, and the state of addresses.
var volatile = regexp.MustCompile(`@[^:]+|link-netns\S* \S+|qdisc \S+|qlen \d+|valid_lft .*| nodad| noprefixroute`)

// TestNetworkViews compares what programs see of the network with what Linux says of the
// namespace.
func TestNetworkViews(t *testing.T) {
	w := newWire(t)
	lines := func(s string) map[string]bool {
		m := map[string]bool{}
		for line := range strings.Lines(volatile.ReplaceAllString(s, "")) {
			m[strings.Join(strings.Fields(line), " ")] = true
		}
		return m
	}
	commands := []string{"ip addr", "ip -4 route", "ip -6 route", "ifconfig eth0 | grep -v -e RX -e TX", "route -n", "cat /proc/net/if_inet6", "cat /proc/net/route"}
	want := map[string]string{}
	for _, c := range commands {
		words := strings.Fields(c)
		if words[0] != "cat" {
			c = "busybox " + c
		}
		want[strings.Join(words, " ")] = w.in(w.inside, "sh", "-c", c)
	}
	b := w.box()
	for _, c := range commands {
		ours, theirs := lines(b.must(append([]string{"exec", b.id}, sh(c)...)...)), lines(want[c])
		for line := range theirs {
			if !ours[line] {
				t.Errorf("%s: lacks %q", c, line)
			}
			delete(ours, line)
		}
		for line := range ours {
			t.Errorf("%s: has %q", c, line)
		}
	}
	// Who has been spoken to is known.
	b.must("exec", b.id, "ping", "-c", "1", "10.77.0.1")
	hardware := strings.TrimSpace(w.in(w.outside, "cat", "/sys/class/net/peer/address"))
	for _, c := range []string{"ip neigh", "cat /proc/net/arp"} {
		if got := b.must(append([]string{"exec", b.id}, sh(c)...)...); !strings.Contains(got, "10.77.0.1 ") || !strings.Contains(got, hardware) {
			t.Errorf("%s: %q, not %s", c, got, hardware)
		}
	}
	for name, value := range map[string]string{"mtu": fmt.Sprint(wireMTU), "operstate": "up", "carrier": "1"} {
		if got := strings.TrimSpace(b.must("exec", b.id, "cat", "/sys/class/net/eth0/"+name)); got != value {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestNetworkChanges changes the namespace below a container, as engines do.
func TestNetworkChanges(t *testing.T) {
	w := newWire(t)
	b := w.box()
	soon := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not in a second", what)
			}
		}
	}
	ping := func(addr string) bool {
		return exec.Command("ip", "netns", "exec", w.outside, "busybox", "ping", "-c", "1", "-W", "1", addr).Run() == nil
	}
	shows := func(what, word string) func() bool {
		return func() bool { return strings.Contains(b.must("exec", b.id, "ip", what), word) }
	}
	not := func(f func() bool) func() bool { return func() bool { return !f() } }
	w.in(w.inside, "ip", "addr", "add", "10.77.0.3/24", "dev", "eth0")
	soon("another address", shows("addr", "10.77.0.3/24"))
	if !ping("10.77.0.3") {
		t.Error("the new address does not answer")
	}
	w.in(w.inside, "ip", "addr", "del", "10.77.0.3/24", "dev", "eth0")
	soon("an address less", not(shows("addr", "10.77.0.3/24")))
	for range 2 { // the same name comes back
		w.ip("-n", w.inside, "link", "add", "eth1", "type", "veth", "peer", "name", "peer1", "netns", w.outside)
		w.in(w.outside, "ip", "link", "set", "peer1", "up")
		w.in(w.outside, "ip", "addr", "add", "10.79.0.1/24", "dev", "peer1")
		w.in(w.inside, "ip", "addr", "add", "10.79.0.2/24", "dev", "eth1")
		w.in(w.inside, "ip", "link", "set", "eth1", "up")
		soon("another link", shows("addr", "10.79.0.2/24"))
		eventually(t, "its answer", func() bool { return ping("10.79.0.2") })
		w.in(w.inside, "ip", "link", "set", "eth1", "down")
		w.in(w.inside, "ip", "link", "set", "eth1", "up")
		eventually(t, "its answer when it has been down", func() bool { return ping("10.79.0.2") })
		w.in(w.inside, "ip", "link", "del", "eth1")
		soon("a link less", not(shows("addr", "eth1")))
	}
	if !ping("10.77.0.2") {
		t.Error("the first link does not answer any more")
	}
}

// TestNetworkSilence asserts that the host's kernel does not answer for the container.
func TestNetworkSilence(t *testing.T) {
	ours(t)
	w := newWire(t)
	b := w.box()
	path, _ := netguest()
	// What listens in the namespace outside the sandbox is not to be reached.
	cmd := exec.Command("ip", "netns", "exec", w.inside, "busybox", "nc", "-l", "-p", "8888")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "a listener", func() bool {
		return strings.Contains(w.in(w.inside, "cat", "/proc/net/tcp", "/proc/net/tcp6"), ":22B8")
	})
	if exec.Command("ip", "netns", "exec", w.outside, "busybox", "nc", "-w", "2", "10.77.0.2", "8888").Run() == nil {
		t.Error("connected to a program outside the sandbox")
	}
	// Nor does anybody answer when the container has ended.
	b.must("kill", b.id, "KILL")
	b.await("stopped")
	for _, addr := range []string{"10.77.0.2", "fd77::2"} {
		if exec.Command("ip", "netns", "exec", w.outside, "busybox", "ping", "-c", "1", "-W", "1", addr).Run() == nil {
			t.Errorf("%s answers though the container has ended", addr)
		}
	}
	// The next one can have the namespace.
	b.must("delete", b.id)
	next := w.box()
	w.in(w.outside, path, "tcp", "10.77.0.2")
	// But not another one of which the runtime does not know that it may.
	second := newBox(t, sh("ip addr"), func(s *specs.Spec) { *s = *next.config(); s.Process.Args = sh("ip addr") })
	if r := second.run(""); r.code == 0 || !strings.Contains(r.err, "another sandbox's, which is not on record in "+second.root) {
		t.Errorf("%+v", r)
	}
}

// TestNetworkFirstPort has somebody without privileges bind a port that a parameter of the
// network gives to everybody.
func TestNetworkFirstPort(t *testing.T) {
	for first, code := range map[string]int{"1024": 1, "80": 0} {
		b := newBox(t, sh("timeout 1 nc -l -p 80 & sleep 0.3; grep -q :0050 /proc/net/tcp /proc/net/tcp6"), func(s *specs.Spec) {
			s.Process.User.UID = 1000
			s.Process.Capabilities = nil
			s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": first}
		})
		if r := b.run(""); r.code != code {
			t.Errorf("%s: %+v", first, r)
		}
	}
}

// TestNetworkPortRange has a socket that chooses no port get one of few.
func TestNetworkPortRange(t *testing.T) {
	const script = "ip link set lo up 2>/dev/null; sleep 2 | nc -l -p 8080 & sleep 0.2; sleep 2 | nc 127.0.0.1 8080 & sleep 0.5; cat /proc/net/tcp"
	b := newBox(t, sh(script), func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_local_port_range": "40000 40010"}
	})
	// From 0x9C40 on, to 8080.
	if r := b.run(""); !regexp.MustCompile(`0100007F:9C4[0-9A] 0100007F:1F90`).MatchString(r.out) {
		t.Errorf("%+v", r)
	}
}
