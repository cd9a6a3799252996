package docker

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"garrison/test/engines"
)

// TestDockerNetwork is Docker's bridges, published ports and names, by a dockerd that has a
// network namespace of its own: its rules and bridges are not this machine's.
func TestDockerNetwork(t *testing.T) {
	engines.Need(t, "ip", "iptables", "docker-proxy")
	for _, proxy := range []bool{true, false} {
		if !proxy && os.Getenv("GARRISON_DOCKER") == "" {
			continue // one of the two is smoke enough
		}
		t.Run(fmt.Sprintf("proxy=%v", proxy), func(t *testing.T) { testDockerHost(t, proxy) })
	}
}

// testDockerHost tests a dockerd on a machine of its own, as far as networks go.
func testDockerHost(t *testing.T, proxy bool) {
	m := newMachines(t, fmt.Sprintf("n%v", proxy), fmt.Sprintf("--userland-proxy=%v", proxy))
	serveNames(t, m.path("far"), "10.70.0.2:53", [4]byte{10, 70, 0, 99})
	m.docker.load()
	testDockerNetwork(t, m.docker, m.on)
}

// machines are a network namespace of the host's with a dockerd, host, and one by its side,
// which is its way out: far.
type machines struct {
	t      *testing.T
	prefix string
	docker *engine
}

// newMachines makes two machines, 10.70.0.1 and 10.70.0.2, and starts a dockerd on the first.
func newMachines(t *testing.T, name string, flags ...string) *machines {
	m := &machines{t: t, prefix: fmt.Sprintf("docker%d%s", os.Getpid(), name)}
	for _, which := range []string{"host", "far"} {
		ns := m.prefix + which
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			t.Fatalf("ip netns add: %v: %s", err, out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
		m.must(which, "ip", "link", "set", "lo", "up")
	}
	m.must("host", "ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", m.prefix+"far")
	for which, addr := range map[string]string{"host": "10.70.0.1/24", "far": "10.70.0.2/24"} {
		m.must(which, "ip", "addr", "add", addr, "dev", "wire")
		m.must(which, "ip", "link", "set", "wire", "up")
	}
	// Docker wants a way out before it serves IPv6 and names.
	m.must("host", "ip", "route", "add", "default", "via", "10.70.0.2")
	flags = append(flags, "--bridge=", "--iptables=true", "--bip=10.71.0.1/24",
		"--default-address-pool=base=10.72.0.0/16,size=24", "--default-runtime="+runtimeName())
	m.docker, _ = startDockerBy(t, []string{"nsenter", "--net=" + m.path("host")}, name, flags...)
	return m
}

// path is the network namespace of host or far.
func (m *machines) path(which string) string { return "/run/netns/" + m.prefix + which }

// on runs a command on host or far.
func (m *machines) on(which string, args ...string) (string, error) {
	out, err := exec.Command("nsenter", append([]string{"--net=" + m.path(which)}, args...)...).CombinedOutput()
	return string(out), err
}

// must is on for a command that has to succeed.
func (m *machines) must(which string, args ...string) string {
	m.t.Helper()
	out, err := m.on(which, args...)
	if err != nil {
		m.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return out
}

// runtimeName is what the tested runtime is called in Docker's configuration.
func runtimeName() string {
	if strings.HasSuffix(runtime, "runc") {
		return "runc"
	}
	return "runsc"
}

func testDockerNetwork(t *testing.T, e *engine, on func(from string, args ...string) (string, error)) {
	soon := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s: not in 5 s", what)
				return
			}
		}
	}
	serve := func(word string) string { return "while :; do echo " + word + " | nc -l -p 80; done" }
	get := func(from, addr string, port string) string {
		out, _ := on(from, "busybox", "nc", "-w", "2", addr, port)
		return strings.TrimSpace(out)
	}

	// The first bridge, and a published port.
	web := e.must("run", "-d", "-p", "10.70.0.1:8080:80", "-p", "127.0.0.1:8081:80", "box", "sh", "-c", serve("hello"))
	addr := e.must("inspect", "-f", "{{.NetworkSettings.IPAddress}}", web)
	soon("its address from the host", func() bool { return get("host", addr, "80") == "hello" })
	soon("a published port from another machine", func() bool { return get("far", "10.70.0.1", "8080") == "hello" })
	soon("a published port from the host", func() bool { return get("host", "127.0.0.1", "8081") == "hello" })
	e.expect(0, "hello", "run", "--rm", "box", "nc", "-w", "2", addr, "80")
	e.expect(0, addr+"/24", "exec", web, "ip", "addr")
	e.expect(0, " 0% packet loss", "run", "--rm", "box", "ping", "-c", "2", "10.70.0.2")

	testSharedNetwork(t, e, func(from, addr, port, word string) {
		soon(word+" from "+from, func() bool { return get(from, addr, port) == word })
	})

	// Networks of the user's, with names.
	e.must("network", "create", "--ipv6", "--subnet=fd72::/64", "--subnet=10.72.5.0/24", "net")
	e.must("network", "create", "other")
	e.must("run", "-d", "--name=first", "--network=net", "box", "sh", "-c", serve("i am first"))
	soon("a name", func() bool {
		return strings.Contains(e.do(nil, "run", "--rm", "--network=net", "box", "nc", "-w", "2", "first", "80").out, "i am first")
	})
	e.expect(0, " 0% packet loss", "run", "--rm", "--network=net", "box", "ping", "-6", "-c", "2", "first")
	if r := e.do(nil, "run", "--rm", "--network=net", "box", "nslookup", "nosuch.invalid."); r.code == 0 {
		t.Errorf("a name that there is not: %+v", r)
	}

	e.expect(0, "10.70.0.99", "run", "--rm", "--network=net", "--dns=10.70.0.2", "box", "nslookup", "outside.example.")

	// The name server by TCP, RFC 1035: its length before each question and answer.
	const question = `\000\027\022\064\001\000\000\001\000\000\000\000\000\000\005first\000\000\001\000\001`
	byTCP := "(printf '" + question + "'; sleep 0.5) | nc 127.0.0.11 53 | od -An -v -tx1 | tr -d ' \\n'"
	ours := e.must("inspect", "-f", "{{.NetworkSettings.Networks.net.IPAddress}}", "first")
	e.expect(0, fmt.Sprintf("0004%x", []byte(net.ParseIP(ours).To4())), "run", "--rm", "--network=net", "box", "sh", "-c", byTCP)

	// Networks that a running container gets and loses.
	e.must("run", "-d", "--name=second", "--network=other", "box", "sh", "-c", serve("i am second"))
	e.must("network", "connect", "other", "first")
	soon("a network more", func() bool { return strings.Contains(e.do(nil, "exec", "first", "ip", "addr").out, "eth1") })
	soon("its names", func() bool {
		return strings.Contains(e.do(nil, "exec", "first", "nc", "-w", "2", "second", "80").out, "i am second")
	})
	e.must("network", "disconnect", "other", "first")
	soon("a network less", func() bool { return !strings.Contains(e.do(nil, "exec", "first", "ip", "addr").out, "eth1") })
	e.must("restart", "-t", "0", "first")
	soon("a name after a restart", func() bool {
		return strings.Contains(e.do(nil, "run", "--rm", "--network=net", "box", "nc", "-w", "2", "first", "80").out, "i am first")
	})
	// The host's own network: its addresses, its loopback, and low ports of its own.
	e.expect(0, "10.70.0.1/24", "run", "--rm", "--network=host", "box", "ip", "addr")
	e.expect(0, "hello", "run", "--rm", "--network=host", "box", "nc", "-w", "2", "127.0.0.1", "8081")
	own := e.must("run", "-d", "--network=host", "box", "sh", "-c", serve("on the host"))
	soon("a server on the host, from another machine", func() bool { return get("far", "10.70.0.1", "80") == "on the host" })
	soon("and from itself", func() bool { return get("host", "127.0.0.1", "80") == "on the host" })
	e.must("rm", "-f", "first", "second", web, own)
	leftovers(t, web, own)
}
