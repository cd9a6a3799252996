package oci

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestRun(t *testing.T) {
	b := newBox(t, sh(`echo out; echo err >&2; cat; exit 3`), nil)
	r := b.run("input\n")
	if r.code != 3 || r.out != "out\ninput\n" || r.err != "err\n" {
		t.Fatalf("%+v", r)
	}
	if again := b.run(""); again.code != 3 {
		t.Fatalf("the id is not free again: %+v", again)
	}
}

func TestRunTrue(t *testing.T) {
	if r := newBox(t, []string{"true"}, nil).run(""); r != (result{}) {
		t.Fatalf("%+v", r)
	}
}

func TestCrash(t *testing.T) {
	// A fault of pid 1's own kills it, whatever it is pid 1 of.
	b := newBox(t, sh(`sh -c 'kill -SEGV $$'; echo $?; sh -c 'kill -9 $$'; exit $?`), nil)
	if r := b.run(""); r.code != 137 || !strings.HasPrefix(r.out, "139\n") {
		t.Fatalf("%+v", r)
	}
}

func TestLife(t *testing.T) {
	b := newBox(t, sh(`trap 'exit 7' TERM; echo ready > /vol/ready; while :; do sleep 0.05; done`), func(s *specs.Spec) {
		s.Annotations = map[string]string{"org.example.key": "value"}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: t.TempDir(), Options: []string{"rbind", "rw"}})
	})
	vol := b.config().Mounts[len(b.config().Mounts)-1].Source
	pidFile := filepath.Join(t.TempDir(), "pid")
	b.must("create", "--pid-file", pidFile, b.id)
	s := b.state()
	if s.Status != "created" || s.ID != b.id || s.Bundle != b.bundle || s.Annotations["org.example.key"] != "value" {
		t.Errorf("%+v", s)
	}
	data, err := os.ReadFile(pidFile)
	if pid, _ := strconv.Atoi(string(data)); err != nil || pid != s.PID || pid <= 0 {
		t.Errorf("pid file: %q %v, state: %d", data, err, s.PID)
	}
	if r := b.do("", "create", b.id); r.code == 0 || !strings.Contains(r.err, "container with given ID already exists") {
		t.Errorf("second create: %+v", r)
	}
	b.must("start", b.id)
	if got := b.state(); got.Status != "running" || got.PID != s.PID {
		t.Errorf("%+v", got)
	}
	if r := b.do("", "start", b.id); r.code == 0 || !strings.Contains(r.err, "cannot start an already running container") {
		t.Errorf("second start: %+v", r)
	}
	if r := b.do("", "delete", b.id); r.code == 0 || !strings.Contains(r.err, "that is not stopped") {
		t.Errorf("delete of a running container: %+v", r)
	}
	eventually(t, "container is ready", func() bool { _, err := os.Stat(filepath.Join(vol, "ready")); return err == nil })
	b.must("kill", b.id, "TERM")
	// The process that callers see ends as init ended, as a child of theirs.
	if w := b.reap(s.PID); !w.Exited() || w.ExitStatus() != 7 {
		t.Errorf("wait status %#x", w)
	}
	b.await("stopped")
	if got := b.state(); got.PID != 0 {
		t.Errorf("a stopped container has pid %d", got.PID)
	}
	if r := b.do("", "kill", b.id); r.code == 0 || !strings.Contains(r.err, "container not running") {
		t.Errorf("kill of a stopped container: %+v", r)
	}
	if r := b.do("", "exec", b.id, "true"); r.code == 0 {
		t.Errorf("exec in a stopped container: %+v", r)
	}
	b.must("delete", b.id)
	if r := b.do("", "state", b.id); r.code == 0 || !strings.Contains(r.err, "container does not exist") {
		t.Errorf("state after delete: %+v", r)
	}
}

func TestKillFromOutside(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("create", b.id)
	b.must("start", b.id)
	pid := b.state().PID
	b.must("kill", b.id, "KILL")
	if w := b.reap(pid); !w.Signaled() || w.Signal() != unix.SIGKILL {
		t.Errorf("wait status %#x", w)
	}
}

func TestDeleteCreated(t *testing.T) {
	b := newBox(t, []string{"true"}, nil)
	b.must("create", b.id)
	b.must("delete", b.id)
}

func TestDeleteForce(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("create", b.id)
	b.must("start", b.id)
	b.must("delete", "--force", b.id)
	b.must("delete", "--force", b.id) // there is no such container: fine
	if r := b.do("", "delete", b.id); r.code == 0 || !strings.Contains(r.err, "container does not exist") {
		t.Errorf("%+v", r)
	}
}

func TestDetached(t *testing.T) {
	b := newBox(t, sh("exit 5"), nil)
	pidFile := filepath.Join(t.TempDir(), "pid")
	b.must("run", "--detach", "--pid-file", pidFile, b.id)
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(string(data))
	if w := b.reap(pid); w.ExitStatus() != 5 {
		t.Errorf("wait status %#x", w)
	}
	b.await("stopped")
}

func TestList(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	if out := b.must("list", "--format", "json"); strings.TrimSpace(out) != "null" {
		t.Errorf("no containers: %s", out)
	}
	b.must("run", "--detach", b.id)
	pid := b.state().PID
	if out := b.must("list", "-q"); out != b.id+"\n" {
		t.Errorf("%q", out)
	}
	lines := strings.Split(b.must("list"), "\n")
	if f := strings.Fields(lines[0]); strings.Join(f, " ") != "ID PID STATUS BUNDLE CREATED OWNER" {
		t.Errorf("%q", lines[0])
	}
	if f := strings.Fields(lines[1]); len(f) != 6 || f[0] != b.id || f[1] != strconv.Itoa(pid) || f[2] != "running" || f[3] != b.bundle || f[5] != "root" {
		t.Errorf("%q", lines[1])
	}
	var all []struct {
		ID, Status string
		PID        int
		Created    time.Time
	}
	if err := json.Unmarshal([]byte(b.must("list", "-f", "json")), &all); err != nil || len(all) != 1 || all[0].ID != b.id || all[0].PID != pid || all[0].Created.IsZero() {
		t.Errorf("%+v %v", all, err)
	}
	if out := b.must("ps", "--format", "json", b.id); native && strings.TrimSpace(out) != "["+strconv.Itoa(pid)+"]" {
		t.Errorf("ps: %s", out)
	}
	b.showsNames("sleep sleep 1000")
	out := b.must("ps", b.id)
	f := strings.Fields(strings.Split(out, "\n")[1])
	now := time.Now()
	minutes := []string{now.Add(-time.Minute).Format("15:04"), now.Format("15:04")}
	if !strings.Contains(out, "sleep 1000") || !slices.Contains(minutes, f[4]) {
		t.Errorf("ps at %s: %s", minutes[1], out)
	}
}

func TestPause(t *testing.T) {
	ours(t) // runc needs a freezer cgroup
	dir := t.TempDir()
	b := newBox(t, sh(`i=0; while :; do i=$((i+1)); echo $i > /vol/n; sleep 0.01; done`), func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: dir, Options: []string{"bind"}})
	})
	b.must("run", "--detach", b.id)
	read := func() string { data, _ := os.ReadFile(filepath.Join(dir, "n")); return string(data) }
	eventually(t, "counting", func() bool { return read() != "" })
	b.must("pause", b.id)
	if s := b.state().Status; s != "paused" {
		t.Errorf("status %s", s)
	}
	time.Sleep(30 * time.Millisecond)
	before := read()
	time.Sleep(100 * time.Millisecond)
	if after := read(); after != before {
		t.Errorf("it counts on: %s, %s", before, after)
	}
	b.must("resume", b.id)
	eventually(t, "counting again", func() bool { return read() != before })
}

// What a sandbox's own works say of themselves.
func TestDebug(t *testing.T) {
	ours(t)
	b := newBox(t, []string{"sleep", "100"}, nil)
	b.must("run", "--detach", b.id)
	if out := b.must("debug", "--stacks", b.id); !strings.Contains(out, "goroutine ") {
		t.Errorf("--stacks: %q", out)
	}
	if out := b.must("debug", "--gofer-stats", b.id); !regexp.MustCompile(`(?m)^attach +[1-9]`).MatchString(out) {
		t.Errorf("--gofer-stats: %q", out)
	}
	out := b.must("debug", "--platform-stats", b.id)
	lines := strings.Fields(out)
	if len(lines) < 2 || lines[0] != "platform" {
		t.Fatalf("--platform-stats: %q", out)
	}
	if lines[1] != "systrap" {
		return
	}
	// A program that has started has made calls, and has memory.
	for _, count := range []string{"trap-block", "operations", "verified"} {
		if !regexp.MustCompile(`(?m)^` + count + ` +[1-9]`).MatchString(out) {
			t.Errorf("--platform-stats has no %s:\n%s", count, out)
		}
	}
}
