package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/test/bundle"
)

// joins is a container, not created yet, that has the namespace of b's, as an engine
// that was told "container:b" names it, and all others for itself.
func (b *box) joins(args []string, kind specs.LinuxNamespaceType, name string, edit func(*specs.Spec)) *box {
	b.t.Helper()
	j := newBox(b.t, args, func(s *specs.Spec) {
		b.join(s, kind, name)
		if edit != nil {
			edit(s)
		}
	})
	j.root = b.root
	return j
}

func (b *box) joinsNetwork(args []string, edit func(*specs.Spec)) *box {
	b.t.Helper()
	return b.joins(args, specs.NetworkNamespace, "net", edit)
}

// serveWord answers a word at a port.
func serveWord(port int, word string) []string {
	return sh(fmt.Sprintf("while :; do echo %s | nc -l -p %d; done", word, port))
}

// gets waits until a container of the box's root is answered a word at an address.
func (b *box) gets(addr string, port int, word string) {
	b.t.Helper()
	eventually(b.t, fmt.Sprintf("%s at %s:%d", word, addr, port), func() bool {
		return b.do("", "exec", b.id, "nc", "-w", "2", addr, strconv.Itoa(port)).out == word+"\n"
	})
}

// TestJoinNetwork asks that a container which joins the network of another shares that, and
// nothing else.
func TestJoinNetwork(t *testing.T) {
	w := newWire(t)
	x := w.box()
	y := x.joinsNetwork(serveWord(80, "joined"), func(s *specs.Spec) { s.Hostname = "y" })
	y.must("run", "--detach", y.id)
	path, _ := netguest()
	w.in(w.outside, path, "tcp", "10.77.0.2") // x's server
	eventually(t, "y's server from outside", func() bool { return w.in(w.outside, "busybox", "nc", "-w", "2", "10.77.0.2", "80") == "joined\n" })
	x.gets("127.0.0.1", 80, "joined")
	y.must("exec", y.id, "/bin/netguest", "tcp", "127.0.0.1")
	if r := y.do("", "exec", y.id, "sh", "-c", "hostname; ps -o comm | grep -c netguest; ip addr | grep -c 10.77.0.2/24"); r.out != "y\n0\n1\n" {
		t.Errorf("%+v", r)
	}
	if r := x.do("", "exec", x.id, "sh", "-c", "hostname"); r.out == "y\n" {
		t.Errorf("%+v", r)
	}
	third := y.joinsNetwork(sh("nc -w 2 127.0.0.1 80"), nil)
	if r := third.run(""); r.out != "joined\n" {
		t.Errorf("by way of one that has joined: %+v", r)
	}
}

// TestJoinNetworkLife asks that containers which share a network live and end apart.
func TestJoinNetworkLife(t *testing.T) {
	w := newWire(t)
	w.serveOutside()
	x := w.box()
	y := x.joinsNetwork(serveWord(80, "joined"), nil)
	y.must("run", "--detach", y.id)
	alive := func(b *box) {
		t.Helper()
		b.must("exec", b.id, "/bin/netguest", "tcp", "10.77.0.1")
	}
	x.must("kill", x.id, "KILL")
	x.await("stopped")
	alive(y)
	x.must("delete", x.id)
	alive(y)
	y.gets("127.0.0.1", 80, "joined")
	if strings.Contains(y.must("list", "-q"), x.id) {
		t.Error("the one that has ended is still there")
	}
	// The network is there for it when it comes back.
	x.must("run", "--detach", x.id)
	x.gets("127.0.0.1", 80, "joined")
	y.must("delete", "--force", y.id)
	alive(x)
	x.must("delete", "--force", x.id)
	x.must("run", "--detach", x.id)
	alive(x)
}

// TestJoinRestart has a container end and begin anew, in another network namespace, while
// one that has joined it lives on.
func TestJoinRestart(t *testing.T) {
	x := newBox(t, serveWord(80, "first"), nil)
	x.must("run", "--detach", x.id)
	y := x.joinsNetwork(serveWord(81, "joined"), nil)
	y.must("run", "--detach", y.id)
	y.gets("127.0.0.1", 80, "first")
	x.must("delete", "--force", x.id)
	x.must("run", "--detach", x.id)
	y.gets("127.0.0.1", 81, "joined")
	x.gets("127.0.0.1", 80, "first")
	if r := x.do("", "exec", x.id, "nc", "-w", "1", "127.0.0.1", "81"); r.out != "" {
		t.Errorf("the old network: %+v", r)
	}
	y.must("delete", "--force", y.id)
	s := y.config()
	x.join(s, specs.NetworkNamespace, "net")
	y.save(s)
	y.must("run", "--detach", y.id)
	y.gets("127.0.0.1", 80, "first")
}

// TestJoinOthers asks the same for processes and for what they share memory by.
func TestJoinOthers(t *testing.T) {
	x := newBox(t, sh("touch /dev/mqueue/q; exec sleep 2000"), nil)
	x.must("run", "--detach", x.id)
	pid := x.joins(sh("ps -o args; cat /proc/net/dev | grep -c :"), specs.PIDNamespace, "pid", nil)
	if r := pid.run(""); r.code != 0 || !strings.Contains(r.out, "sleep 2000") {
		t.Errorf("pid: %+v", r)
	}
	ipc := x.joins(sh("ls /dev/mqueue; ps -o args | grep -c '[s]leep 2000'"), specs.IPCNamespace, "ipc", nil)
	if r := ipc.run(""); r.out != "q\n0\n" {
		t.Errorf("ipc: %+v", r)
	}
	uts := x.joins(sh("hostname changed"), specs.UTSNamespace, "uts", func(s *specs.Spec) {
		s.Hostname = ""
		bundle.Grant(s, bundle.Capabilities+" SYS_ADMIN")
	})
	if r := uts.run(""); r.code != 0 || x.must("exec", x.id, "hostname") != "changed\n" {
		t.Errorf("uts: %+v", r)
	}
	// Its own network is its own, though the sandbox is another's.
	w := newWire(t)
	path, _ := netguest()
	both := x.joins([]string{"/bin/netguest", "serve"}, specs.IPCNamespace, "ipc", func(s *specs.Spec) { inNetwork(s, "/run/netns/"+w.inside) })
	both.must("run", "--detach", both.id)
	eventually(t, "its server", func() bool { return strings.Contains(both.must("exec", both.id, "cat", "/proc/net/tcp6"), ":1E61") })
	w.in(w.outside, path, "tcp", "10.77.0.2")
	if r := x.do("", "exec", x.id, "ip", "addr"); strings.Contains(r.out, "10.77") {
		t.Errorf("the other network: %+v", r)
	}
	x.must("delete", "--force", x.id)
	w.in(w.outside, path, "tcp", "10.77.0.2")
}

// inNetwork puts the container of s into the network namespace at path.
func inNetwork(s *specs.Spec, path string) {
	for i := range s.Linux.Namespaces {
		if n := &s.Linux.Namespaces[i]; n.Type == specs.NetworkNamespace {
			n.Path = path
		}
	}
}

// TestJoinLimits asks that containers which share a network have their own limits, and that
// the cgroup of one that goes can be removed.
func TestJoinLimits(t *testing.T) {
	const mib = 1 << 20
	limited := func(bytes int64) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.CgroupsPath = fmt.Sprintf("/oci%d/%d", os.Getpid(), boxes.Add(1))
			s.Linux.Resources = &specs.LinuxResources{Memory: memoryLimit(bytes)}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/fill", Type: "tmpfs", Source: "tmpfs", Options: []string{"size=1g"}})
		}
	}
	t.Cleanup(func() {
		left, _ := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/oci%d", os.Getpid()))
		for _, dir := range append(left, fmt.Sprintf("/sys/fs/cgroup/oci%d", os.Getpid())) {
			_ = os.Remove(dir)
		}
	})
	x := newBox(t, []string{"sleep", "1000"}, limited(48*mib))
	x.must("run", "--detach", x.id)
	y := x.joinsNetwork([]string{"sleep", "1000"}, limited(400*mib))
	y.must("run", "--detach", y.id)
	fill := func(b *box, n, code int) {
		t.Helper()
		script := fmt.Sprintf("rm -f /fill/f; head -c %d /dev/zero >/fill/f", n)
		if r := b.do("", "exec", b.id, "sh", "-c", script); (r.code == 0) != (code == 0) {
			t.Errorf("%d MiB: %+v", n/mib, r)
		}
	}
	fill(y, 300*mib, 0)
	fill(x, 20*mib, 0)
	y.must("update", "--memory", strconv.Itoa(450*mib), "--memory-swap", strconv.Itoa(450*mib), y.id)
	fill(y, 400*mib, 0)
	x.must("delete", "--force", x.id)
	if left, _ := filepath.Glob("/sys/fs/cgroup/*" + x.config().Linux.CgroupsPath); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	fill(y, 420*mib, 0)
	if native {
		return // whose whole container may end of it
	}
	fill(y, 500*mib, 1)
	if s := y.state().Status; s != "running" {
		t.Errorf("y is %s", s)
	}
	// Its limits are those that hold for the sandbox now.
	y.must("update", "--memory", strconv.Itoa(600*mib), "--memory-swap", strconv.Itoa(600*mib), y.id)
	fill(y, 550*mib, 0)
}

// TestJoinGone asks that a container can be deleted at the same time as the one whose cgroup
// its sandbox would move to: that is gone by then.
func TestJoinGone(t *testing.T) {
	ours(t)
	own := func(s *specs.Spec) { s.Linux.CgroupsPath = fmt.Sprintf("/oci%d-gone%d", os.Getpid(), boxes.Add(1)) }
	x := newBox(t, []string{"sleep", "1000"}, own)
	x.must("run", "--detach", x.id)
	y := x.joinsNetwork([]string{"sleep", "1000"}, own)
	y.must("run", "--detach", y.id)
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*" + y.config().Linux.CgroupsPath)
	if len(dirs) == 0 {
		t.Fatal("it has no cgroup")
	}
	for _, dir := range dirs {
		pids, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, pid := range strings.Fields(string(pids)) {
			err = errors.Join(err, os.WriteFile(filepath.Join(filepath.Dir(dir), "cgroup.procs"), []byte(pid), 0o644))
		}
		if err := errors.Join(err, os.Remove(dir)); err != nil {
			t.Fatal(err)
		}
	}
	x.must("delete", "--force", x.id)
	if left, _ := filepath.Glob("/sys/fs/cgroup/*" + x.config().Linux.CgroupsPath); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if s := y.state().Status; s != "running" {
		t.Errorf("the other is %s", s)
	}
	y.must("delete", "--force", y.id)
}

// TestJoinErrors asks for the reason when a namespace can't be joined.
func TestJoinErrors(t *testing.T) {
	ours(t)
	x, z := newBox(t, []string{"sleep", "1000"}, nil), newBox(t, []string{"sleep", "1000"}, nil)
	z.root = x.root
	for _, b := range []*box{x, z} {
		b.must("run", "--detach", b.id)
	}
	for _, c := range []struct {
		edit  func(*specs.Spec)
		words []string
	}{
		{func(s *specs.Spec) { z.join(s, specs.IPCNamespace, "ipc") }, []string{"the ipc namespace at /proc/", z.id, x.id, "different sandboxes"}},
		{func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces[:0], specs.LinuxNamespace{Type: specs.PIDNamespace, Path: "/proc/self/ns/pid"},
				specs.LinuxNamespace{Type: specs.NetworkNamespace}, specs.LinuxNamespace{Type: specs.IPCNamespace}, specs.LinuxNamespace{Type: specs.UTSNamespace})
		}, []string{"the pid namespace at /proc/self/ns/pid", "none of a container that runs", x.root}},
	} {
		y := x.joinsNetwork([]string{"true"}, c.edit)
		r := y.do("", "create", y.id)
		for _, w := range c.words {
			if r.code == 0 || !strings.Contains(r.words(), w) {
				t.Errorf("%+v, without %q", r, w)
			}
		}
	}
	gone := x.joinsNetwork([]string{"true"}, nil)
	x.must("delete", "--force", x.id)
	if r := gone.do("", "create", gone.id); r.code == 0 || !strings.Contains(r.words(), "network namespace") || !strings.Contains(r.words(), "no such file") {
		t.Errorf("of a container that has ended: %+v", r)
	}
}

// TestJoinRace has containers join one that ends, and each other, all at once. Who has come
// lives; who has not leaves nothing.
func TestJoinRace(t *testing.T) {
	for range 3 {
		x := newBox(t, []string{"sleep", "1000"}, nil)
		x.must("run", "--detach", x.id)
		var all []*box
		for range 4 {
			all = append(all, x.joinsNetwork([]string{"sleep", "1000"}, nil))
		}
		var wg sync.WaitGroup
		for i, y := range all {
			wg.Go(func() {
				if i == 1 {
					_ = x.command("delete", "--force", x.id).Run()
				}
				if y.command("run", "--detach", y.id).Run() != nil {
					return
				}
				if out, err := y.command("exec", y.id, "echo", "there").Output(); err != nil || string(out) != "there\n" {
					t.Errorf("%v: %q", err, out)
				}
			})
		}
		wg.Wait()
		for _, y := range all {
			wg.Go(func() { _ = y.command("delete", "--force", y.id).Run() })
		}
		wg.Wait()
		for _, b := range append(all, x) {
			b.checkGone()
		}
	}
}
