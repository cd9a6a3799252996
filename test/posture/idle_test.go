package posture

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// longTier is set, to a duration, for tests that are to take their time.
const longTier = "GARRISON_STRESS"

// platforms are those of this host.
var platforms = []string{"systrap", "ptrace"}

// on makes the box run on the platform.
func (b *box) on(platform string) *box {
	b.platform = platform
	return b
}

// processes are the sandbox's: sentry, gofer, holder and stubs.
func (b *box) processes() map[string][]int {
	return map[string][]int{"sentry": {b.sentry}, "gofer": {b.gofer}, "holder": {b.init}, "stub": children(b.sentry)}
}

// threads are the directories in proc of the sandboxes' threads, by names that
// tell whose they are.
func threads(boxes []*box) map[string]string {
	all := map[string]string{}
	for _, b := range boxes {
		for who, pids := range b.processes() {
			for _, pid := range pids {
				tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
				for _, task := range tasks {
					all[b.name+": "+who+" "+filepath.Base(task)] = task
				}
			}
		}
	}
	return all
}

// switches is how often each thread of the sandboxes has been switched to. Those
// that are ready to run have yet to be: on a busy host some wait for seconds.
func switches(boxes []*box) (all map[string]int, ready []string) {
	all = map[string]int{}
	for name, task := range threads(boxes) {
		status, err := os.ReadFile(filepath.Join(task, "status"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			k, v, _ := strings.Cut(line, ":")
			switch v = strings.TrimSpace(v); {
			case strings.HasSuffix(k, "voluntary_ctxt_switches"):
				n, _ := strconv.Atoi(v)
				all[name] += n
			case k == "State" && strings.HasPrefix(v, "R"):
				ready = append(ready, name)
			}
		}
	}
	return all, ready
}

// afterRequest is when a sentry is through with what it was asked, as to start
// its container. It has waited for that for no longer than the 10 s of boot's
// patience; but a timer that is stopped may stay where Go's runtime keeps those of
// a processor, and then a thread wakes up for it when its time has come.
const afterRequest = 11 * time.Second

// TestIdle asserts that a sandbox whose program waits makes no thread of it run,
// not one time, once what began with it has settled.
func TestIdle(t *testing.T) {
	watch := 2 * time.Second
	if os.Getenv(longTier) != "" {
		watch = 10 * time.Second
	}
	var boxes []*box
	for _, platform := range platforms {
		for name, script := range map[string]string{
			"sleep":      "exec sleep 1000",
			"wait":       "sleep 1000 & wait",
			"read":       "sleep 1000 | cat",
			"sockets":    "sleep 1000 | nc -l -p 1000 & nc -l -p 1001 & sleep 1; sleep 1000 | nc 127.0.0.1 1000 & exec sleep 2000",
			"after work": "i=0; while [ $i -lt 100 ]; do /bin/true; cat /etc/passwd >/tmp/$i; i=$((i+1)); done; exec sleep 1000",
		} {
			b := newBox(t, []string{"sh", "-c", script}, nil).on(platform)
			b.name = platform + ", " + name
			b.start()
			boxes = append(boxes, b)
		}
		boxes = append(boxes, connected(t, platform))
	}
	time.Sleep(afterRequest)
	settle(t, boxes...)
	before, _ := switches(boxes)
	time.Sleep(watch)
	after, ready := switches(boxes)
	for _, thread := range ready {
		t.Errorf("%s: is about to run", thread)
	}
	if len(before) < 4*len(boxes) {
		t.Errorf("only these threads: %v", before)
	}
	for thread, n := range after {
		if was, ok := before[thread]; !ok || n != was {
			t.Errorf("%s: switched to %d times (it is new: %v)", thread, n-was, !ok)
		}
	}
}

// connected is a box with a link to the outside, and a connection to a server there by
// which nothing comes.
func connected(t *testing.T, platform string) *box {
	t.Helper()
	name := fmt.Sprintf("posture%d-%s", os.Getpid(), platform)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, ns := range []string{name, name + "o"} {
		run("netns", "add", ns)
		t.Cleanup(func() { run("netns", "del", ns) })
	}
	run("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", name+"o")
	for i, ns := range []string{name + "o", name} {
		// Without addresses of IPv6, for which Linux asks who is there.
		run("-n", ns, "link", "set", "eth0", "addrgenmode", "none")
		run("-n", ns, "addr", "add", fmt.Sprintf("10.76.0.%d/24", i+1), "dev", "eth0")
		run("-n", ns, "link", "set", "eth0", "up")
	}
	// Of whom it has spoken to Linux asks after some seconds whether he is still there, and the
	// sandbox's stack has a timer for how long it believes that he is.
	for i, ns := range []string{name + "o", name} {
		hardware, err := exec.Command("ip", "netns", "exec", ns, "cat", "/sys/class/net/eth0/address").Output()
		if err != nil {
			t.Fatal(err)
		}
		other := []string{name, name + "o"}[i]
		run("-n", other, "neigh", "replace", fmt.Sprintf("10.76.0.%d", i+1), "lladdr", strings.TrimSpace(string(hardware)), "nud", "permanent", "dev", "eth0")
	}
	server := exec.Command("ip", "netns", "exec", name+"o", "busybox", "nc", "-l", "-p", "1000")
	out, err := server.StdoutPipe()
	in, ierr := server.StdinPipe() // at whose end the server would end
	if err != nil || ierr != nil || server.Start() != nil {
		t.Fatal("no server:", err, ierr)
	}
	t.Cleanup(func() {
		in.Close()
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	b := newBox(t, []string{"sh", "-c", "(echo hello; exec sleep 1000) | nc 10.76.0.1 1000 & exec sleep 2000"}, func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if n := &s.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
				n.Path = "/run/netns/" + name
			}
		}
	}).on(platform)
	b.name = platform + ", connected"
	b.start()
	hello := make([]byte, 6)
	if _, err := io.ReadFull(out, hello); err != nil || string(hello) != "hello\n" {
		t.Fatalf("the server has received %q: %v", hello, err)
	}
	return b
}

// settle waits until the sandboxes have come to rest: what their start has left
// to be done later is done.
func settle(t *testing.T, boxes ...*box) {
	t.Helper()
	last, _ := switches(boxes)
	quiet := 0
	for end := time.Now().Add(time.Minute); quiet < 5; {
		time.Sleep(200 * time.Millisecond)
		now, ready := switches(boxes)
		if quiet++; len(ready) > 0 || !maps.Equal(now, last) {
			quiet = 0
		}
		last = now
		if time.Now().After(end) {
			t.Fatal("they don't come to rest")
		}
	}
}
