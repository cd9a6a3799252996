package oci

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"garrison/test/bundle"
)

// newPod is the first container of a pod, running, as containerd's CRI plugin has it:
// it only waits.
func newPod(t *testing.T, edit func(*specs.Spec)) *box {
	t.Helper()
	b := newBox(t, []string{"sleep", "1000"}, func(s *specs.Spec) {
		s.Annotations = map[string]string{"io.kubernetes.cri.container-type": "sandbox"}
		if edit != nil {
			edit(s)
		}
	})
	b.must("run", "--detach", b.id)
	return b
}

// member is one more container of the pod, not created yet. It shares the namespaces
// that Kubernetes has its pods share.
func (b *box) member(args []string, edit func(*specs.Spec)) *box {
	b.t.Helper()
	m := newBox(b.t, args, func(s *specs.Spec) {
		s.Annotations = map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": b.id}
		s.Hostname = ""
		b.join(s, specs.NetworkNamespace, "net")
		b.join(s, specs.IPCNamespace, "ipc")
		b.join(s, specs.UTSNamespace, "uts")
		if edit != nil {
			edit(s)
		}
	})
	m.root = b.root
	return m
}

// join makes a namespace of s the pod's.
func (b *box) join(s *specs.Spec, kind specs.LinuxNamespaceType, name string) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
	path := "/proc/" + strconv.Itoa(b.state().PID) + "/ns/" + name
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
}

// TestPod asks that the containers of a pod share what Kubernetes has them share, and
// nothing else.
func TestPod(t *testing.T) {
	pod := newPod(t, func(s *specs.Spec) { s.Hostname = "pod" })
	server := pod.member(sh(`hostname; echo $$; touch /dev/mqueue/q; nc -l -p 4000; nc -l -p 4001; hostname`), nil)
	client := pod.member(sh(`until echo hello | nc 127.0.0.1 4000; do sleep 0.05; done
hostname changed; until echo again | nc 127.0.0.1 4001; do sleep 0.05; done
echo $$; ps -o comm | grep -c sleep; ls /dev/mqueue`), func(s *specs.Spec) {
		bundle.Grant(s, bundle.Capabilities+" SYS_ADMIN")
	})
	type end struct{ server, client result }
	done := make(chan end)
	go func() {
		var e end
		got := make(chan result)
		go func() { got <- server.run("") }()
		e.client = client.run("")
		e.server = <-got
		done <- e
	}()
	select {
	case e := <-done:
		if want := "pod\n1\nhello\nagain\nchanged\n"; e.server.code != 0 || e.server.out != want {
			t.Errorf("%+v, want %q", e.server, want)
		}
		if want := "1\n0\nq\n"; e.client.code != 0 || e.client.out != want {
			t.Errorf("%+v, want %q", e.client, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the two don't find each other")
	}
	if s := pod.state().Status; s != "running" {
		t.Errorf("the pod is %s", s)
	}
}

// TestPodLives asks that each container of a pod has its own life.
func TestPodLives(t *testing.T) {
	pod := newPod(t, nil)
	a, b := pod.member([]string{"sleep", "1000"}, nil), pod.member(sh(`trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done`), nil)
	a.must("run", "--detach", a.id)
	b.must("create", b.id)
	for i, want := range []string{"running", "running", "created"} {
		if x := []*box{pod, a, b}[i]; x.state().Status != want {
			t.Errorf("container %d is %s, not %s", i, x.state().Status, want)
		}
	}
	b.must("start", b.id)
	if r := b.do("", "exec", b.id, "sh", "-c", "ps -o pid,comm | tail -n +2 | sed 's/ *//' | head -1; exit 3"); r.code != 3 || r.out != "1 sh\n" {
		t.Errorf("%+v", r)
	}
	a.must("pause", a.id)
	if r := b.do("", "exec", b.id, "echo", "on"); r.out != "on\n" {
		t.Errorf("while another is paused: %+v", r)
	}
	if s := a.state().Status; s != "paused" {
		t.Errorf("a is %s", s)
	}
	a.must("resume", a.id)
	b.must("kill", b.id, "TERM")
	b.await("stopped")
	b.must("delete", b.id)
	b.must("run", "--detach", b.id) // once more
	b.must("delete", "--force", b.id)
	for _, x := range []*box{pod, a} {
		if s := x.state().Status; s != "running" {
			t.Errorf("%s is %s", x.id, s)
		}
	}
	a.must("kill", a.id, "KILL")
	a.await("stopped")
	if r := pod.do("", "exec", pod.id, "echo", "there"); r.out != "there\n" {
		t.Errorf("%+v", r)
	}
}

// TestPodStatus asks for the exit status of a container of a pod, and for what it wrote.
func TestPodStatus(t *testing.T) {
	pod := newPod(t, nil)
	for i := range 3 {
		m := pod.member(sh(fmt.Sprintf("cat; echo out; echo err >&2; exit %d", i)), nil)
		if r := m.run("in\n"); r.code != i || r.out != "in\nout\n" || r.err != "err\n" {
			t.Errorf("%+v", r)
		}
	}
	m := pod.member(sh("kill -9 $$; kill -TERM $$; sleep 1000"), nil)
	m.must("run", "--detach", m.id)
	m.must("kill", m.id, "KILL")
	m.await("stopped")
}

// TestPodPIDs asks that containers of a pod may share the namespace of process ids, and
// that each ends with its own init all the same.
func TestPodPIDs(t *testing.T) {
	pod := newPod(t, nil)
	shared := func(s *specs.Spec) { pod.join(s, specs.PIDNamespace, "pid") }
	a := pod.member(sh("sleep 2000 & sh -c 'while :; do sleep 0 & wait; done' forks & sleep 0.2; ps -o comm,args; test $$ != 1"), shared)
	if r := a.run(""); r.code != 0 || !strings.Contains(r.out, "sleep 1000") || !strings.Contains(r.out, "sleep 2000") {
		t.Errorf("%+v", r)
	}
	if !native { // runc leaves that to delete
		r := pod.do("", "exec", pod.id, "ps", "-o", "args")
		if strings.Contains(r.out, "sleep 2000") || strings.Contains(r.out, "forks") || !strings.Contains(r.out, "sleep 1000") {
			t.Errorf("what the other left: %+v", r)
		}
	}
	a.must("delete", "--force", a.id)
	r := pod.do("", "exec", pod.id, "ps", "-o", "args")
	if strings.Contains(r.out, "sleep 2000") || strings.Contains(r.out, "forks") || !strings.Contains(r.out, "sleep 1000") {
		t.Errorf("what the other left: %+v", r)
	}
}

// TestPodMemory asks that a container of a pod has a limit of memory of its own, and that
// nobody else pays for it.
func TestPodMemory(t *testing.T) {
	ours(t)
	pod := newPod(t, nil)
	a := pod.member([]string{"sleep", "1000"}, nil)
	a.must("run", "--detach", a.id)
	for _, fill := range []string{"tail /dev/zero", "dd if=/dev/zero of=/tmp/f bs=1M count=200"} {
		m := pod.member(sh(fill+"; echo $?"), func(s *specs.Spec) {
			s.Linux.Resources = &specs.LinuxResources{Memory: memoryLimit(64 << 20)}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"})
		})
		r := m.run("")
		if r.out == "0\n" || r.code != 0 && r.code != 137 {
			t.Errorf("%s: %+v", fill, r)
		}
		m.must("delete", "--force", m.id)
	}
	if r := a.do("", "exec", a.id, "sh", "-c", "head -c 100000000 /dev/zero | tail -c 100000000 | wc -c"); r.out != "100000000\n" {
		t.Errorf("the other: %+v", r)
	}
}

// TestPodEnd asks that the others live on when the first container of a pod has ended, that
// all end with the sandbox's kernel, and that what is left of them can be deleted.
func TestPodEnd(t *testing.T) {
	ours(t)
	for _, how := range []string{"kill", "sentry"} {
		pod := newPod(t, nil)
		a, b := pod.member([]string{"sleep", "1000"}, nil), pod.member([]string{"sleep", "1000"}, nil)
		a.must("run", "--detach", a.id)
		b.must("create", b.id)
		if how == "kill" {
			pod.must("kill", pod.id, "KILL")
			pod.await("stopped")
			pod.must("delete", pod.id)
			b.must("start", b.id)
			for _, x := range []*box{a, b} {
				if r := x.do("", "exec", x.id, "echo", "there"); r.out != "there\n" {
					t.Errorf("%+v", r)
				}
				x.must("kill", x.id, "KILL")
			}
			pod = a
		} else if err := unix.Kill(pod.process("sentry"), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for _, x := range []*box{pod, a, b} {
			x.await("stopped")
		}
		for _, x := range []*box{pod, a, b} {
			x.must("delete", "--force", x.id)
		}
	}
}

// TestPodKilled asks that who is killed from outside takes no other container along.
func TestPodKilled(t *testing.T) {
	ours(t)
	pod := newPod(t, nil)
	for _, what := range []string{"init", "gofer"} {
		m := pod.member([]string{"sleep", "1000"}, nil)
		m.must("run", "--detach", m.id)
		if err := unix.Kill(m.process(what), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if what == "init" {
			m.await("stopped")
		}
		m.must("delete", "--force", m.id)
		if r := pod.do("", "exec", pod.id, "cat", "/etc/passwd"); r.code != 0 {
			t.Errorf("after the end of a %s: %+v", what, r)
		}
	}
}

// process is the pid of one of the container's host processes.
func (b *box) process(what string) int {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.root, b.id, "state.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(data), `"`+what+`":{"pid":`)
	digits, _, _ := strings.Cut(after, ",")
	pid, err := strconv.Atoi(digits)
	if !ok || err != nil {
		b.t.Fatalf("no %s in %s", what, data)
	}
	return pid
}

// TestPodGrowth asks that containers that have come and gone leave nothing in the sandbox.
func TestPodGrowth(t *testing.T) {
	ours(t)
	pod := newPod(t, nil)
	sentry := pod.process("sentry")
	count := func() int {
		fds, err := os.ReadDir("/proc/" + strconv.Itoa(sentry) + "/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	one := func() {
		m := pod.member(sh("echo x >/dev/shm/f; cat /dev/shm/f"), nil)
		if r := m.run(""); r.out != "x\n" {
			t.Fatalf("%+v", r)
		}
	}
	for range 3 {
		one()
	}
	before := count()
	for range 12 {
		one()
	}
	if after := count(); after > before+4 {
		t.Errorf("the sentry had %d descriptors, and has %d after 12 containers more", before, after)
	}
}

// TestPodErrors asks for the reason when there is no such pod, or none that could take one
// more container.
func TestPodErrors(t *testing.T) {
	ours(t)
	pod := newPod(t, nil)
	refuse := func(m *box, words ...string) {
		t.Helper()
		r := m.do("", "create", m.id)
		if r.code == 0 {
			t.Errorf("created")
		}
		for _, w := range words {
			if !strings.Contains(r.words(), w) {
				t.Errorf("%q, without %q", r.words(), w)
			}
		}
	}
	refuse(pod.member([]string{"true"}, func(s *specs.Spec) { s.Annotations["io.kubernetes.cri.sandbox-id"] = "nobody" }),
		"pod nobody", "does not exist")
	refuse(pod.member([]string{"true"}, func(s *specs.Spec) {
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.IPCNamespace })
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.IPCNamespace, Path: "/proc/self/ns/ipc"})
	}), "ipc namespace at /proc/self/ns/ipc", "none of pod "+pod.id)
	refuse(pod.member([]string{"/nowhere"}, nil), "/nowhere", "no such file")
	a := pod.member([]string{"sleep", "1000"}, nil)
	a.must("run", "--detach", a.id)
	refuse(pod.member([]string{"true"}, func(s *specs.Spec) { s.Annotations["io.kubernetes.cri.sandbox-id"] = a.id }),
		"pod "+a.id, "itself one of pod "+pod.id)
	pod.must("kill", pod.id, "KILL")
	pod.await("stopped")
	refuse(pod.member([]string{"true"}, func(s *specs.Spec) {
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Path != "" })
		for _, k := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace} {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: k})
		}
	}), "pod "+pod.id, "not running")
}
