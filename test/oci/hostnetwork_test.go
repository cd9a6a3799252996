package oci

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hostBox is a container that has the sockets of the namespace inside, which it names, and
// runs args. runc gives every container with a network namespace such.
func (w *wire) hostBox(args []string, edit func(*specs.Spec)) *box {
	w.t.Helper()
	if _, err := netguest(); err != nil {
		w.t.Fatal(err)
	}
	return newBox(w.t, args, func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if n := &s.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
				n.Path = "/run/netns/" + w.inside
			}
		}
		if edit != nil {
			edit(s)
		}
	})
}

// onHost are the flags with which a container uses the host's sockets.
func onHost(args ...string) []string {
	if native {
		return args
	}
	return append([]string{"--network=host"}, args...)
}

func (b *box) mustOnHost(args ...string) string { b.t.Helper(); return b.must(onHost(args...)...) }

// TestHostNetwork has a container that uses the host's sockets send and receive, to and
// from another machine, and to and from other processes of its own namespace.
func TestHostNetwork(t *testing.T) {
	w := newWire(t)
	b := w.hostBox([]string{"/bin/netguest", "serve"}, nil)
	b.mustOnHost("run", "--detach", b.id)
	eventually(t, "the server, which the host sees", func() bool {
		return strings.Contains(w.in(w.inside, "cat", "/proc/net/tcp6"), ":1E61") // 7777
	})
	path, _ := netguest()
	w.serveOutside()
	for _, prefix := range []string{"10.77.0.", "fd77::"} {
		for _, kind := range []string{"tcp", "udp"} {
			w.in(w.outside, path, kind, prefix+"2")
			b.must("exec", b.id, "/bin/netguest", kind, prefix+"1")
		}
	}
	// The loopback is the host's.
	w.in(w.inside, path, "tcp", "127.0.0.1")
	b.must("exec", b.id, "/bin/netguest", "tcp", "::1")
	if got := b.must("exec", b.id, "cat", "/proc/net/tcp6"); !strings.Contains(got, ":1E61") {
		t.Errorf("/proc/net/tcp6: %s", got)
	}
	// It ends with the container.
	b.must("kill", b.id, "KILL")
	b.await("stopped")
	b.must("delete", b.id)
	if got := w.in(w.inside, "cat", "/proc/net/tcp6"); strings.Contains(got, " 0A ") {
		t.Errorf("something listens still: %s", got)
	}
	b.checkGone()
}

// TestHostNetworkCaller is a container without a network namespace: it is in the caller's.
func TestHostNetworkCaller(t *testing.T) {
	w := newWire(t)
	for _, path := range []string{"", "/proc/self/ns/net"} {
		b := newBox(t, sh("ip addr; ip route"), func(s *specs.Spec) {
			var kept []specs.LinuxNamespace
			for _, n := range s.Linux.Namespaces {
				if n.Type == specs.NetworkNamespace {
					if n.Path = path; path == "" {
						continue
					}
				}
				kept = append(kept, n)
			}
			s.Linux.Namespaces = kept
			// sysfs of a network namespace that is not the container's can't be mounted.
			s.Mounts = withoutSysfs(s.Mounts)
		})
		cmd := b.command("run", b.id)
		cmd.Args = append([]string{"nsenter", "--net=/run/netns/" + w.inside}, cmd.Args...)
		nsenter, err := exec.LookPath("nsenter")
		if err != nil {
			t.Skip(err)
		}
		cmd.Path = nsenter
		if r := b.finish(cmd, ""); r.code != 0 || !strings.Contains(r.out, "10.77.0.2/24") || !strings.Contains(r.out, "default via 10.77.0.1") {
			t.Errorf("%q: %+v", path, r)
		}
	}
}

func withoutSysfs(all []specs.Mount) (kept []specs.Mount) {
	for _, m := range all {
		if m.Type != "sysfs" {
			kept = append(kept, m)
		}
	}
	return kept
}

// TestHostNetworkPorts: the container's root binds a low port, and nobody else.
func TestHostNetworkPorts(t *testing.T) {
	w := newWire(t)
	const script = "nc -l -p 80 </dev/null >/dev/null 2>&1 & sleep 0.3; grep -q :0050 /proc/net/tcp /proc/net/tcp6; echo $?"
	root := func(s *specs.Spec) {
		for _, set := range []*[]string{&s.Process.Capabilities.Bounding, &s.Process.Capabilities.Effective, &s.Process.Capabilities.Permitted} {
			*set = append(*set, "CAP_NET_BIND_SERVICE")
		}
	}
	user := func(s *specs.Spec) {
		root(s)
		s.Process.User.UID = 1000
		s.Process.Capabilities.Effective = nil
		s.Process.Capabilities.Permitted = nil
	}
	bare := func(s *specs.Spec) { s.Process.Capabilities = nil }
	for name, c := range map[string]struct {
		edit func(*specs.Spec)
		want string
	}{"root": {root, "0\n"}, "a user": {user, "1\n"}, "no right": {bare, "1\n"}} {
		b := w.hostBox(sh(script), c.edit)
		if r := b.do("", onHost("run", b.id)...); r.code != 0 || r.out != c.want {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestHostNetworkRefusals: what is the host's can be seen and not changed, and no socket
// but the Internet's is the host's.
func TestHostNetworkRefusals(t *testing.T) {
	ours(t)
	w := newWire(t)
	listener := exec.Command("ip", "netns", "exec", w.inside, "socat", "ABSTRACT-LISTEN:garrison-test", "-")
	if _, err := exec.LookPath("socat"); err == nil {
		if err := listener.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Process.Kill(); _ = listener.Wait() })
	}
	b := w.hostBox(sh("ip addr add 10.77.0.9/24 dev eth0; ip link set eth0 down; ip route del default; ping -c 1 10.77.0.1; cat /proc/net/unix; ip addr"),
		func(s *specs.Spec) {
			for _, set := range []*[]string{&s.Process.Capabilities.Bounding, &s.Process.Capabilities.Effective, &s.Process.Capabilities.Permitted} {
				*set = append(*set, "CAP_NET_ADMIN", "CAP_NET_RAW")
			}
		})
	r := b.do("", onHost("run", b.id)...)
	if n := strings.Count(r.err, "Operation not permitted") + strings.Count(r.err, "not permitted"); n < 3 || strings.Contains(r.out, "10.77.0.9") || !strings.Contains(r.out, "10.77.0.2/24") || strings.Contains(r.out, "garrison-test") {
		t.Errorf("%+v", r)
	}
	if got := w.in(w.inside, "ip", "addr"); strings.Contains(got, "10.77.0.9") || !strings.Contains(got, "10.77.0.2/24") {
		t.Errorf("the namespace has changed: %s", got)
	}
	if rules := w.in(w.inside, "ip", "rule"); strings.Contains(rules, "blackhole") {
		t.Errorf("the namespace has been taken over: %s", rules)
	}
}

// TestHostNetworkViews compares what programs see with what Linux says of the namespace,
// at first and when it has changed.
func TestHostNetworkViews(t *testing.T) {
	w := newWire(t)
	b := w.hostBox([]string{"sleep", "1000"}, nil)
	b.mustOnHost("run", "--detach", b.id)
	commands := []string{"ip addr", "ip -4 route", "ip -6 route", "cat /proc/net/if_inet6", "cat /proc/net/route", "ip -4 route show table local"}
	check := func(when string) {
		t.Helper()
		for _, c := range commands {
			words := strings.Fields(c)
			theirs := c
			if words[0] != "cat" {
				theirs = "busybox " + c
			}
			want, got := w.in(w.inside, "sh", "-c", theirs), b.must(append([]string{"exec", b.id}, sh(c)...)...)
			if w, g := seen(want), seen(got); w != g {
				t.Errorf("%s: %s:\n%s\non Linux:\n%s", when, c, g, w)
			}
		}
	}
	check("at first")
	w.in(w.inside, "ip", "addr", "add", "10.88.0.3/24", "dev", "eth0")
	w.in(w.inside, "ip", "link", "add", "down0", "type", "veth", "peer", "name", "down1")
	check("later")
	for name, value := range map[string]string{"mtu": fmt.Sprint(wireMTU), "operstate": "up"} {
		if got := strings.TrimSpace(b.must("exec", b.id, "cat", "/sys/class/net/eth0/"+name)); got != value {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// seen is the lines of what ip(8) says, without what only Linux tells, as of a link's other
// end. Linux lists addresses of IPv6 in no order.
func seen(s string) string {
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(volatile.ReplaceAllString(s, ""), ",M-DOWN", "")) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(lines)
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
