package oci

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A line is one of `events`.
type line struct {
	Type, ID string
	Data     struct {
		CPU struct {
			Usage      struct{ Total, Kernel, User uint64 }
			Throttling struct{ ThrottledPeriods uint64 }
		}
		Memory struct {
			Usage struct{ Limit, Usage, Failcnt uint64 }
		}
		Pids struct{ Current, Limit uint64 }
	}
}

func (b *box) stats() (l line) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.must("events", "--stats", b.id)), &l); err != nil {
		b.t.Fatal(err)
	}
	if l.Type != "stats" || l.ID != b.id {
		b.t.Errorf("%+v", l)
	}
	return l
}

// spin uses processor time that counts in any clock.
var spin = sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")

func testStats(t *testing.T, b *box) {
	s := b.config()
	s.Process.Args = sh("mkfifo /dev/shm/go; read x </dev/shm/go; sleep 1000 & sleep 1000 & sleep 1000 & wait")
	b.save(s)
	b.must("run", "--detach", b.id)
	var before line
	eventually(t, "one process", func() bool { before = b.stats(); return before.Data.Pids.Current == 1 })
	b.must("exec", b.id, "sh", "-c", "echo > /dev/shm/go")
	eventually(t, "four processes", func() bool { return b.stats().Data.Pids.Current == 4 })
	b.must(append([]string{"exec", b.id}, spin...)...)
	b.must("exec", b.id, "dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=20")
	after := b.stats()
	if used := after.Data.CPU.Usage.Total - before.Data.CPU.Usage.Total; used < 20e6 || used > 60e9 {
		t.Errorf("%d ns of processor time", used)
	}
	if more := int64(after.Data.Memory.Usage.Usage) - int64(before.Data.Memory.Usage.Usage); more < 20*mebibyte {
		t.Errorf("%d bytes more memory, want 20 MiB", more)
	}
}

func TestStats(t *testing.T) {
	b := limited(t, &specs.LinuxResources{Memory: memoryLimit(128 * mebibyte), Pids: &specs.LinuxPids{Limit: ptr[int64](77)}})
	testStats(t, b)
	s := b.stats()
	if s.Data.Pids.Limit != 77 {
		t.Errorf("limit of %d processes", s.Data.Pids.Limit)
	}
	// The room for the sandbox's kernel is part of what the cgroup allows.
	if room := int64(s.Data.Memory.Usage.Limit) - 128*mebibyte; room < 0 || room == 0 != native {
		t.Errorf("limit of %d bytes", s.Data.Memory.Usage.Limit)
	}
}

// Without a cgroup on the host the sandbox's own kernel tells.
func TestStatsWithoutCgroup(t *testing.T) {
	ours(t)
	testStats(t, limited(t, nil))
}

// TestStatsShape compares the names of all figures with runc's.
func TestStatsShape(t *testing.T) {
	ours(t)
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Skip("no runc to compare with")
	}
	shape := func() []string {
		b := limited(t, &specs.LinuxResources{Memory: memoryLimit(128 * mebibyte), Pids: &specs.LinuxPids{Limit: ptr[int64](77)}})
		b.must("run", "--detach", b.id)
		var all any
		if err := json.Unmarshal([]byte(b.must("events", "--stats", b.id)), &all); err != nil {
			t.Fatal(err)
		}
		b.must("delete", "--force", b.id)
		return keys("", all)
	}
	got := shape()
	our := runtime
	runtime = runc
	defer func() { runtime = our }()
	for _, k := range shape() {
		if !slices.Contains(got, k) {
			t.Errorf("runc has %s", k)
		}
	}
}

// keys are the paths of v's members.
func keys(prefix string, v any) (out []string) {
	m, ok := v.(map[string]any)
	if !ok {
		return []string{prefix}
	}
	for k, x := range m {
		out = append(out, keys(prefix+"."+k, x)...)
	}
	return append(out, prefix)
}

func TestEvents(t *testing.T) {
	b := limited(t, &specs.LinuxResources{Memory: memoryLimit(64 * mebibyte), Pids: &specs.LinuxPids{Limit: ptr[int64](77)}})
	b.must("run", "--detach", b.id)
	cmd := b.command("events", "--interval", "200ms", b.id)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.start(cmd)
	lines := make(chan line, 1000)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			var l line
			if err := json.Unmarshal(in.Bytes(), &l); err != nil {
				t.Errorf("%q: %v", in.Text(), err)
			}
			lines <- l
		}
	}()
	until := func(kind string) line {
		t.Helper()
		late := time.After(20 * time.Second)
		for {
			select {
			case l, more := <-lines:
				if !more {
					t.Fatalf("no %s", kind)
				}
				if l.Type == kind && l.ID == b.id {
					return l
				}
			case <-late:
				t.Fatalf("no %s in 20 s", kind)
			}
		}
	}
	if l := until("stats"); l.Data.Pids.Limit != 77 {
		t.Errorf("%+v", l)
	}
	until("stats")
	if r := b.do("", append([]string{"exec", b.id}, hog...)...); r.code != 137 {
		t.Errorf("above the limit: %+v", r)
	}
	until("oom")
	if l := until("stats"); l.Data.Memory.Usage.Failcnt == 0 && !native {
		t.Errorf("the limit was met, and the figures do not say so: %+v", l)
	}
	b.must("kill", b.id, "KILL")
	if native { // which goes on as long as there is the cgroup
		b.await("stopped")
		b.must("delete", b.id)
	}
	for range lines { // it ends with the container
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestEventsErrors(t *testing.T) {
	b := limited(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](77)}})
	if r := b.do("", "events", "--stats", b.id); r.code != 1 || !strings.Contains(r.err, "container does not exist") {
		t.Errorf("before it is made: %+v", r)
	}
	b.must("run", "--detach", b.id)
	if r := b.do("", "events", "--interval", "0s", b.id); r.code != 1 || !strings.Contains(r.err, "duration interval must be greater than 0") {
		t.Errorf("no interval: %+v", r)
	}
	b.must("kill", b.id, "KILL")
	b.await("stopped")
	for _, args := range [][]string{{"events", "--stats", b.id}, {"events", b.id}} {
		if r := b.do("", args...); r.code != 1 || !strings.Contains(r.err, "not running") {
			t.Errorf("%v of a stopped one: %+v", args, r)
		}
	}
}

func TestWait(t *testing.T) {
	ours(t) // runc has no such command
	status := func(out string, id string) int {
		t.Helper()
		var w struct {
			ID         string
			ExitStatus *int
		}
		if err := json.Unmarshal([]byte(out), &w); err != nil || w.ID != id || w.ExitStatus == nil {
			t.Fatalf("%q: %v", out, err)
		}
		return *w.ExitStatus
	}
	b := newBox(t, sh("trap 'exit 7' TERM; while :; do sleep 0.05; done"), nil)
	b.must("create", b.id)
	waiting := b.command("wait", b.id)
	out := new(strings.Builder)
	waiting.Stdout = out
	b.start(waiting)
	b.must("start", b.id)
	pid := b.state().PID
	time.Sleep(100 * time.Millisecond) // for the trap
	b.must("kill", b.id, "TERM")
	if err := waiting.Wait(); err != nil || status(out.String(), b.id) != 7 {
		t.Errorf("%v: %s", err, out)
	}
	if s := b.state().Status; s != "stopped" {
		t.Errorf("after wait it is %s", s)
	}
	// Nobody has waited for its process yet: this test is who will.
	if got := status(b.must("wait", b.id), b.id); got != 7 {
		t.Errorf("after its end: %d", got)
	}
	b.reap(pid)
	if r := b.do("", "wait", b.id); r.code != 1 || !strings.Contains(r.err, "how it ended is no longer known") {
		t.Errorf("after others have waited: %+v", r)
	}
	b.must("delete", b.id)
	if r := b.do("", "wait", b.id); r.code != 1 || !strings.Contains(r.err, "container does not exist") {
		t.Errorf("after delete: %+v", r)
	}
	killed := newBox(t, []string{"sleep", "1000"}, nil)
	killed.must("run", "--detach", killed.id)
	waiting, out = killed.command("wait", killed.id), new(strings.Builder)
	waiting.Stdout = out
	killed.start(waiting)
	killed.must("kill", killed.id, "KILL")
	if err := waiting.Wait(); err != nil || status(out.String(), killed.id) != 137 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCheckpoint(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("run", "--detach", b.id)
	for _, args := range [][]string{
		{"checkpoint", "--image-path", t.TempDir(), b.id},
		{"restore", "--image-path", t.TempDir(), "--bundle", b.bundle, b.id + "-restored"},
	} {
		log := filepath.Join(t.TempDir(), "log.json")
		r := b.do("", append([]string{"--log", log, "--log-format", "json"}, args...)...)
		if !native {
			checkLog(t, log, args[0]+" is not supported")
		}
		if r.code != 1 || !native && (strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, args[0]+" is not supported")) {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if s := b.state().Status; s != "running" {
		t.Errorf("after a refusal it is %s", s)
	}
	if out := b.must("list", "-q"); out != b.id+"\n" {
		t.Errorf("containers: %q", out)
	}
}
