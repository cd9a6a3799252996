package docker

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/test/engines"
)

// shimName is the shim's program, which containerd looks for in $PATH.
const shimName = "containerd-shim-runsc-v1"

// shimConfig is the shim's configuration, which names the runtime to test.
func shimConfig() string { return filepath.Join(work, "runsc.toml") }

// A shimTest is containerd with our own shim.
type shimTest struct {
	*engine
	restart func()
}

// in is the same for a subtest.
func (s *shimTest) in(t *testing.T) *shimTest {
	return &shimTest{&engine{t: t, args: s.args, env: s.env}, s.restart}
}

// run is the arguments of ctr for a container of our shim: flags, its name, then
// its command.
func (s *shimTest) run(flags string, id string, args ...string) []string {
	all := append([]string{"run", "--runtime", "io.containerd.runsc.v1", "--runtime-config-path", shimConfig()}, strings.Fields(flags)...)
	return append(append(all, "localhost/box:latest", id), args...)
}

// await waits until the task's line of "ctr task ls" has this status.
func (s *shimTest) await(id, status string) {
	s.t.Helper()
	s.until(func() string {
		list := s.must("task", "ls")
		for line := range strings.Lines(list) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == id && f[2] == status {
				return ""
			}
		}
		return fmt.Sprintf("%s is not %s: %s", id, status, list)
	})
}

// until waits for nothing to be wrong.
func (s *shimTest) until(wrong func() string) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		what := wrong()
		if what == "" {
			return
		}
		if time.Now().After(end) {
			s.t.Fatal(what)
		}
	}
}

// gone waits until nothing of a container is left.
func (s *shimTest) gone(id string) {
	s.t.Helper()
	s.until(func() string {
		if left := s.remains(id); len(left) > 0 {
			return fmt.Sprintf("left behind: %q", left)
		}
		return ""
	})
}

// remains are processes, mounts, cgroups, records and sockets that belong to container id.
func (s *shimTest) remains(id string) (left []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		if line, _ := os.ReadFile(path); bytes.Contains(line, []byte(id)) {
			left = append(left, string(line))
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "/"+id+"/") {
			left = append(left, line)
		}
	}
	for _, pattern := range []string{
		"/sys/fs/cgroup/*/default/" + id, "/sys/fs/cgroup/default/" + id,
		"/run/containerd/runsc/default/" + id, s.socket(id),
	} {
		found, _ := filepath.Glob(pattern)
		left = append(left, found...)
	}
	return left
}

// shimOf is the pid of the shim that serves container id, or 0.
func shimOf(id string) int {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		line, _ := os.ReadFile(path)
		args := bytes.Split(line, []byte{0})
		if filepath.Base(string(args[0])) == shimName && bytes.Contains(line, []byte("\x00-id\x00"+id+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}

func TestContainerdShim(t *testing.T) {
	engines.Need(t, "containerd", "ctr")
	dir, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, shimName)); err != nil {
		t.Fatalf("%v: make build first", err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	e, restart := containerd(t, "s")
	if err := os.WriteFile(shimConfig(), fmt.Appendf(nil, "binary_name = %q\n", runtime), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shimTest{e, restart}
	t.Run("run", func(t *testing.T) { testShimRun(s.in(t)) })
	t.Run("streams", func(t *testing.T) { testShimStreams(s.in(t)) })
	t.Run("terminal", func(t *testing.T) { testShimTerminal(s.in(t)) })
	t.Run("task", func(t *testing.T) { testShimTask(s.in(t)) })
	t.Run("events", func(t *testing.T) { testShimEvents(s.in(t)) })
	t.Run("limits", func(t *testing.T) { testShimLimits(s.in(t)) })
	t.Run("pod", func(t *testing.T) { testShimPod(s.in(t)) })
	t.Run("restart and kill", func(t *testing.T) { testShimAlone(s.in(t)) })
}

func testShimRun(s *shimTest) {
	s.expect(3, ourVersion, s.run("--rm", "gs-r1", "sh", "-c", "cat /proc/version; exit 3")...)
	s.expect(1, "executable file not found in $PATH", s.run("--rm", "gs-r2", "nosuch")...)
	s.gone("gs-r1")
	s.gone("gs-r2")
}

func testShimStreams(s *shimTest) {
	if code, out := s.converse("piped\n", s.run("--rm", "gs-s1", "cat")...); code != 0 || out != "piped\n" {
		s.t.Errorf("%d, %q", code, out)
	}
	s.whole(s.run("--rm", "gs-s2", outputOf...)...)
}

// converse runs ctr, closes its input once that has come back, and returns its exit
// status and output. Closed sooner, ctr would not tell the shim, nor runc's.
func (s *shimTest) converse(in string, args ...string) (int, string) {
	s.t.Helper()
	cmd := s.command(args...)
	var out lockedBuffer
	cmd.Stdout = &out
	input, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_, _ = io.WriteString(input, in)
	s.until(func() string {
		if got := len(out.String()); got < len(in) {
			return fmt.Sprintf("of %d bytes %d come back", len(in), got)
		}
		return ""
	})
	input.Close()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), out.String()
}

// outputOf is a command that writes 10 MiB, and something else as the last.
var outputOf = []string{"sh", "-c", "head -c 10485760 /dev/zero; echo end >&2; exit 4"}

// whole asks that all of what outputOf writes arrives.
func (s *shimTest) whole(args ...string) {
	s.t.Helper()
	if r := s.do(nil, args...); r.code != 4 || len(r.out) != 10<<20 || r.err != "end\n" {
		s.t.Errorf("%v: %d, %d bytes, %q", args, r.code, len(r.out), r.err)
	}
}

// remove kills a container that runs, and removes it.
func (s *shimTest) remove(id string) {
	s.t.Helper()
	s.must("task", "kill", "--signal", "SIGKILL", id)
	s.await(id, "STOPPED")
	s.expect(0, "exit code 137", "task", "delete", id)
	s.must("container", "delete", id)
	s.gone(id)
}

// onTerminal is what is typed to a shell, which shall have a terminal of the size of ctr's.
var onTerminal = [][2]string{
	{"# ", `until [ "$(stty size)" = "33 99" ]; do sleep 0.05; done; tty; echo si""zed` + "\r"},
	{"sized", "exit 9\r"},
}

func testShimTerminal(s *shimTest) {
	code, out := s.onTerminal(onTerminal, s.run("--rm -t", "gs-t1", "sh")...)
	if code != 9 || !strings.Contains(out, "/dev/pts/0") {
		s.t.Errorf("%d: %q", code, out)
	}
}

// testShimExec tries exec in container id.
func testShimExec(s *shimTest, id string) {
	exec := func(execID string, args ...string) []string {
		return append([]string{"task", "exec", "--exec-id", execID, id}, args...)
	}
	s.expect(6, "in exec", exec("x", "sh", "-c", "echo in exec; exit 6")...)
	s.expect(1, "executable file not found in $PATH", exec("x", "nosuch")...)
	s.whole(exec("x", outputOf...)...)
	in := strings.Repeat("0123456789abcde\n", 1<<16)
	if code, out := s.converse(in, exec("x", "cat")...); code != 0 || out != in {
		s.t.Errorf("%d, %d bytes, want %d", code, len(out), len(in))
	}
	// Its child keeps the output, and nobody waits for that.
	began := time.Now()
	s.expect(0, "left", exec("x", "sh", "-c", "sleep 1000 & echo left")...)
	if took := time.Since(began); took > 15*time.Second {
		s.t.Errorf("took %v", took)
	}
	code, out := s.onTerminal(onTerminal, "task", "exec", "-t", "--exec-id", "x", id, "sh")
	if code != 9 || !strings.Contains(out, "/dev/pts/0") {
		s.t.Errorf("%d: %q", code, out)
	}
}

func testShimTask(s *shimTest) {
	s.must(s.run("-d", "gs-k1", "sh", "-c", "trap 'exit 5' TERM; sleep 1000 & wait")...)
	s.await("gs-k1", "RUNNING")
	testShimExec(s, "gs-k1")
	s.must("task", "pause", "gs-k1")
	s.await("gs-k1", "PAUSED")
	s.expect(1, "paused", "task", "exec", "--exec-id", "z", "gs-k1", "true")
	s.must("task", "resume", "gs-k1")
	s.await("gs-k1", "RUNNING")
	var names []string
	for _, line := range strings.Split(s.must("task", "ps", "gs-k1"), "\n")[1:] {
		comm, _ := os.ReadFile("/proc/" + strings.Fields(line)[0] + "/comm")
		names = append(names, strings.TrimSpace(string(comm)))
	}
	for _, name := range []string{"sh", "sleep"} {
		if !slices.Contains(names, name) {
			s.t.Errorf("%q has no %s", names, name)
		}
	}
	if out := s.must("task", "metrics", "gs-k1"); !strings.Contains(out, "memory.usage_in_bytes") && !strings.Contains(out, "memory.usage") {
		s.t.Errorf("%q", out)
	}
	s.expect(1, "checkpoint", "task", "checkpoint", "gs-k1")
	s.expect(1, "running", "task", "delete", "gs-k1")
	s.must("task", "kill", "gs-k1")
	s.await("gs-k1", "STOPPED")
	s.expect(1, "not found", "task", "kill", "gs-k1")
	s.expect(0, "exit code 5", "task", "delete", "gs-k1")
	s.must("container", "delete", "gs-k1")
	s.gone("gs-k1")
}

// Containers of a pod share a shim, which lives as long as any of them.
func testShimPod(s *shimTest) {
	const pod = "-d --annotation io.kubernetes.cri.sandbox-id=gs-pod"
	s.must(s.run(pod, "gs-p1", "sleep", "1000")...)
	s.must(s.run(pod, "gs-p2", "sleep", "1000")...)
	if shimOf("gs-p1") == 0 || shimOf("gs-p2") != 0 {
		s.t.Error("not one shim")
	}
	s.expect(6, "", "task", "exec", "--exec-id", "x", "gs-p2", "sh", "-c", "exit 6")
	for _, id := range []string{"gs-p1", "gs-p2"} {
		s.must("task", "kill", "--signal", "SIGKILL", id)
		s.await(id, "STOPPED")
		s.expect(0, "exit code 137", "task", "delete", id)
		s.must("container", "delete", id)
		leftovers(s.t, id)
		if id == "gs-p1" {
			s.expect(7, "", "task", "exec", "--exec-id", "y", "gs-p2", "sh", "-c", "exit 7")
		}
	}
	for _, id := range []string{"gs-p1", "gs-p2", "gs-pod"} {
		s.gone(id)
	}
}

// A shim goes on while there is no daemon; and of one that is killed nothing is left.
func testShimAlone(s *shimTest) {
	s.must(s.run("-d", "gs-a1", "sleep", "1000")...)
	s.restart()
	s.await("gs-a1", "RUNNING")
	s.expect(6, "in exec", "task", "exec", "--exec-id", "x", "gs-a1", "sh", "-c", "echo in exec; exit 6")
	pid := shimOf("gs-a1")
	if pid == 0 {
		s.t.Fatal("no shim")
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	s.gone("gs-a1")
	s.until(func() string {
		if list := s.must("task", "ls"); strings.Contains(list, "gs-a1") {
			return list
		}
		return ""
	})
	s.must("container", "delete", "gs-a1")
}
