package posture

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// networkFeature is the part of the allow-lists that only sentries with the host's sockets
// have.
func networkFeature(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(runtime, "debug", "--seccomp").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(out), "host network\n")
	if !ok {
		t.Fatalf("no table: %s", out)
	}
	var lines []string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "  ") {
			break
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

// TestHostNetworkTable asserts which sockets a sentry with the host's can make: the
// Internet's, of exact types and protocols. Not those of AF_UNIX, AF_NETLINK or AF_PACKET.
func TestHostNetworkTable(t *testing.T) {
	table := networkFeature(t)
	sockets := regexp.MustCompile(`(?m)^socket.*$`).FindAllString(table, -1)
	if len(sockets) != 8 {
		t.Errorf("%d ways to make sockets: %v", len(sockets), sockets)
	}
	exact := regexp.MustCompile(`^socket\(== 0x(2|a), == 0x8080[12], == 0x[0-9a-f]+\)$`)
	for _, s := range sockets {
		if !exact.MatchString(s) {
			t.Errorf("%s", s)
		}
	}
	for call := range strings.Lines(table) {
		name, _, _ := strings.Cut(strings.TrimSpace(call), "(")
		switch name {
		case "socket", "bind", "connect", "listen", "ioctl", "setsockopt", "getsockopt":
		default:
			t.Errorf("%s is in the table", name)
		}
		if strings.HasSuffix(name, "sockopt") && strings.Count(call, "==") != 2 {
			t.Errorf("%s: any option", call)
		}
	}
}

// TestHostNetworkProcesses asserts what a sandbox with the host's sockets gives up, which is
// all but the network namespace, and what the process may do that binds low ports.
func TestHostNetworkProcesses(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, func(s *specs.Spec) {
		var kept []specs.LinuxNamespace
		for _, n := range s.Linux.Namespaces {
			if n.Type != specs.NetworkNamespace {
				kept = append(kept, n)
			}
		}
		s.Linux.Namespaces = kept
	})
	before := processesCalled("runsc-binder")
	b.start()
	if namespace(t, b.sentry, "net") != namespace(t, os.Getpid(), "net") {
		t.Error("the sentry is not in the host's network namespace")
	}
	all := namespaces
	namespaces = []string{"mnt", "pid", "ipc", "uts", "cgroup"}
	confined(t, "sentry", b.sentry, noCapabilities)
	for _, pid := range children(b.sentry) {
		confined(t, "stub", pid, noCapabilities)
	}
	namespaces = all
	if namespace(t, b.sentry, "user") == namespace(t, os.Getpid(), "user") {
		t.Error("sentry: shares the host's user namespace")
	}
	confined(t, "gofer", b.gofer, "000000008800001f")
	var binders []int
	for pid := range processesCalled("runsc-binder") {
		if !before[pid] {
			binders = append(binders, pid)
		}
	}
	if len(binders) != 1 {
		t.Fatalf("%d binders", len(binders))
	}
	confined(t, "binder", binders[0], "0000000000000400") // NET_BIND_SERVICE
	undumpable(t, "binder", binders[0])
	if out, err := b.command("delete", "--force", b.id).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for end := time.Now().Add(5 * time.Second); processesCalled("runsc-binder")[binders[0]]; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the binder lives on")
		}
	}
}

// processesCalled are the processes of that name which have not ended.
func processesCalled(name string) map[int]bool {
	found := map[int]bool{}
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		var pid int
		if _, err := fmt.Sscan(d.Name(), &pid); err != nil {
			continue
		}
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.HasPrefix(string(args), name) && !strings.Contains(string(stat), ") Z ") {
			found[pid] = true
		}
	}
	return found
}
