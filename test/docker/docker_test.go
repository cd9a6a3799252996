package docker

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"garrison/test/engines"
)

func TestDocker(t *testing.T) {
	e, _ := startDocker(t, "d")
	e.load()
	run := func(args ...string) []string {
		return append([]string{"run", "--runtime=runsc", "--network=none"}, args...)
	}

	t.Run("run", func(t *testing.T) {
		e := e.in(t)
		e.expect(0, ourVersion, run("--rm", "box", "cat", "/proc/version")...)
		e.expect(7, "", run("--rm", "box", "sh", "-c", "exit 7")...)
		e.expect(127, "executable file not found in $PATH", run("--rm", "box", "nosuch")...)
		e.expect(126, "permission denied", run("--rm", "box", "/etc/passwd")...)
		e.expect(139, "", run("--rm", "box", "sh", "-c", "sh -c 'kill -SEGV $$'; exit $?")...)
		e.expect(0, "5.5.5", run("--rm", "--user", "5:5", "-w", "/tmp", "-e", "A=5", "box", "sh", "-c", "echo $(id -u).$(id -g).$A")...)
		if r := e.do(strings.NewReader("piped\n"), run("--rm", "-i", "box", "cat")...); r.code != 0 || r.out != "piped\n" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("volume", func(t *testing.T) {
		e, host := e.in(t), t.TempDir()
		e.expect(0, "", run("--rm", "-v", host+":/v", "box", "sh", "-c", "echo kept > /v/f")...)
		if data, err := os.ReadFile(filepath.Join(host, "f")); err != nil || string(data) != "kept\n" {
			t.Errorf("%q %v", data, err)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		e := e.in(t)
		// The job itself says that it has begun: the shell would say so before the
		// terminal is the job's, and take the interrupt for its own.
		job := `tty; sh -c 'echo be""gin; exec sleep 100'` + "\r"
		code, out := e.onTerminal([][2]string{{"# ", job}, {"begin", "\x03"}, {"# ", "exit 9\r"}}, run("--rm", "-it", "box", "sh")...)
		if code != 9 || !strings.Contains(out, "/dev/pts/0") {
			t.Errorf("%d: %q", code, out)
		}
	})
	t.Run("exec and stop", func(t *testing.T) {
		e := e.in(t)
		id := e.must(run("-d", "box", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done")...)
		e.expect(5, "in exec", "exec", id, "sh", "-c", "echo in exec; exit 5")
		if r := e.do(nil, "exec", id, "nosuch"); r.code != 126 && r.code != 127 || !strings.Contains(r.out+r.err, "executable file not found") {
			t.Errorf("%+v", r) // which of the two depends on Docker's version
		}
		if code, out := e.onTerminal([][2]string{{"# ", "exit 4\r"}}, "exec", "-it", id, "sh"); code != 4 {
			t.Errorf("%d: %q", code, out)
		}
		e.expect(0, "up", "logs", id)
		e.expect(0, "sh -c trap 'exit 3' TERM;", "top", id, "-eo", "pid,args")
		e.must("pause", id)
		e.must("unpause", id)
		e.must("stop", id)
		e.expect(0, "3", "inspect", "-f", "{{.State.ExitCode}}", id)
		e.must("rm", id)
		leftovers(t, id)
	})
	t.Run("kill", func(t *testing.T) {
		e := e.in(t)
		id := e.must(run("-d", "-m", "64m", "--cpus", "1", "--pids-limit", "100", "box", "sleep", "1000")...)
		e.must("kill", id)
		e.expect(0, "137", "wait", id)
		e.must("start", id)
		e.must("rm", "-f", id)
		leftovers(t, id)
	})
	t.Run("commit", func(t *testing.T) {
		e := e.in(t)
		id := e.must(run("-d", "box", "sh", "-c", "echo kept > /etc/mark; sleep 1000")...)
		e.must("exec", id, "sh", "-c", "while [ ! -s /etc/mark ]; do sleep 0.01; done")
		e.expect(0, "A /etc/mark", "diff", id)
		e.must("rm", "-f", e.must("ps", "-q", "-l"))
		leftovers(t, id)
	})
}

// startDocker starts a dockerd with our runtime as runsc, with directories below
// name and more flags, and returns its client. stop ends it, to be started again.
func startDocker(t *testing.T, name string, flags ...string) (e *engine, stop func()) {
	t.Helper()
	return startDockerBy(t, nil, name, flags...)
}

// startDockerBy is startDocker for a dockerd that another command starts.
func startDockerBy(t *testing.T, command []string, name string, flags ...string) (e *engine, stop func()) {
	t.Helper()
	engines.Need(t, "dockerd", "docker", "containerd")
	dir := filepath.Join(work, name)
	socket := "unix://" + dir + "/s"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	e = &engine{t: t, args: []string{"docker", "-H", socket}, env: []string{"DOCKER_CONFIG=" + dir, "DOCKER_CLI_HINTS=false"}}
	args := append(slices.Clone(command), "dockerd", "--data-root", dir+"/data", "--exec-root", dir+"/exec", "--host", socket, "--pidfile", dir+"/pid",
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--add-runtime", "runsc="+runtime)
	stop = engines.Daemon(t, work, func() bool { return e.command("version").Run() == nil }, append(args, flags...)...)
	return e, stop
}

// load gives the engine the image box.
func (e *engine) load() {
	e.t.Helper()
	if r := e.do(bytes.NewReader(engines.Box(e.t)), "import", "-", "box"); r.code != 0 {
		e.t.Fatalf("import: %+v", r)
	}
}

// in is e for a subtest.
func (e *engine) in(t *testing.T) *engine { return &engine{t: t, args: e.args, env: e.env} }
