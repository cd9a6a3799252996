package docker

import (
	"strings"
	"testing"
)

// testSharedNetwork has containers share the network of another, whose port 80 is published
// at 10.70.0.1:8082. answers waits for a word that is to be had from another machine.
func testSharedNetwork(t *testing.T, e *engine, answers func(from, addr, port, word string)) {
	serve := func(port, word string) []string {
		return []string{"box", "sh", "-c", "while :; do echo " + word + " | nc -l -p " + port + "; done"}
	}
	e.must(append([]string{"run", "-d", "--name=owner", "-p", "10.70.0.1:8082:80"}, serve("81", "owner")...)...)
	e.must(append([]string{"run", "-d", "--name=guest", "--network=container:owner"}, serve("80", "guest")...)...)
	// Each by the other's loopback, and one at a port that is published for the other.
	e.eventually("guest", "exec", "owner", "nc", "-w", "2", "127.0.0.1", "80")
	e.eventually("owner", "exec", "guest", "nc", "-w", "2", "127.0.0.1", "81")
	answers("far", "10.70.0.1", "8082", "guest")
	if a, b := e.must("exec", "owner", "ip", "addr"), e.must("exec", "guest", "ip", "addr"); a != b || !strings.Contains(a, "eth0") {
		t.Errorf("owner has %s\nguest has %s", a, b)
	}
	if r := e.do(nil, "exec", "guest", "ps", "-o", "args"); strings.Contains(r.out, "owner") {
		t.Errorf("guest sees the owner's processes: %+v", r)
	}
	// Who joins may go and come.
	e.must("restart", "-t", "0", "guest")
	answers("far", "10.70.0.1", "8082", "guest")
	// Who goes leaves the other its loopback, as Docker takes the links away.
	e.must("stop", "-t", "0", "owner")
	e.expect(0, "true", "inspect", "-f", "{{.State.Running}}", "guest")
	e.eventually("guest", "exec", "guest", "nc", "-w", "2", "127.0.0.1", "80")
	// Who comes back has a new network, which the other has when it has begun anew.
	e.must("start", "owner")
	e.expect(0, "true", "inspect", "-f", "{{.State.Running}}", "guest")
	e.must("restart", "-t", "0", "guest")
	answers("far", "10.70.0.1", "8082", "guest")
	e.eventually("owner", "exec", "guest", "nc", "-w", "2", "127.0.0.1", "81")
	e.must("rm", "-f", "owner")
	e.expect(0, "true", "inspect", "-f", "{{.State.Running}}", "guest")
	e.must("rm", "-f", "guest")
	leftovers(t, "owner", "guest")
}
