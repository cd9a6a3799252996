package docker

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// trap is a shell script that ends as code when it gets sig, and says when it is ready.
func trap(sig, code string) []string {
	return []string{"box", "sh", "-c", "trap 'exit " + code + "' " + sig + "; echo up; while :; do sleep 0.05; done"}
}

const (
	status   = "{{.State.Status}}"
	exitCode = "{{.State.ExitCode}}"
)

func testLife(t *testing.T, e *engine) {
	id := e.start(append([]string{"--stop-signal", "USR1"}, trap("USR1", "9")...)...)
	e.eventually("up", "logs", id)
	e.must("pause", id)
	e.expect(0, "paused", "inspect", "-f", status, id)
	e.expect(1, "is paused", "exec", id, "true")
	e.must("unpause", id)
	e.must("stop", id)
	e.expect(0, "9", "inspect", "-f", exitCode, id)
	e.must("start", id)
	e.expect(1, "running container", "rm", id)
	e.must("kill", "-s", "KILL", id)
	e.expect(0, "137", "wait", id)
	e.must("rm", id)

	id = e.start("--stop-timeout", "1", "box", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
	e.eventually("up", "logs", id)
	e.must("stop", id)
	e.expect(0, "137", "inspect", "-f", exitCode, id)

	// Signals by number and by name, to what has a handler and what has none.
	id = e.start(trap("HUP", "3")...)
	e.eventually("up", "logs", id)
	e.must("kill", "-s", "TERM", id) // init ignores what it does not handle
	e.must("kill", "-s", "STOP", id)
	e.must("kill", "-s", "CONT", id)
	e.must("kill", "-s", "1", id)
	e.expect(0, "3", "wait", id)

	id = e.must("create", "--network=none", "box", "sh", "-c", "echo once; exit 3")
	e.remove(id)
	e.expect(3, "once", "start", "-a", id)
	e.expect(3, "once", "start", "-a", id)
	if out := e.must("logs", id); out != "once\nonce" {
		t.Errorf("logs: %q", out)
	}

	e.says(6, "", "--init", "box", "sh", "-c", "exit 6")
	e.says(143, "", "--init", "box", "sh", "-c", "kill -TERM $$")
	e.says(0, "/sbin/docker-init", "--init", "box", "sh", "-c", `tr '\0' '\n' < /proc/1/cmdline | head -n 1`)
}

func testRestart(t *testing.T, e *engine) {
	failing := e.start("--restart", "on-failure:1", "box", "sh", "-c", "exit 3")
	always := e.start("--restart", "always", "box", "sh", "-c", "echo up; sleep 0.1; [ -e /second ] || { touch /second; exit 0; }; exec sleep 1000")
	e.eventually("1 3 exited", "inspect", "-f", "{{.RestartCount}} {{.State.ExitCode}} {{.State.Status}}", failing)
	e.eventually("1 running", "inspect", "-f", "{{.RestartCount}} {{.State.Status}}", always)
	e.eventually("up\nup", "logs", always)
	e.must("restart", "-t", "0", always)
	e.eventually("up\nup\nup", "logs", always)
	e.must("stop", "-t", "0", always)
	e.expect(0, "exited", "inspect", "-f", status, always)
}

func testStreams(t *testing.T, e *engine) {
	id := e.start("-i", "box", "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done; exit 2")
	if out := e.must("logs", "-f", id); strings.Count(out, "line") != 5 {
		t.Errorf("logs -f: %q", out)
	}
	e.expect(0, "line 5", "logs", "--tail", "1", id)

	id = e.start("box", "sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; echo out; echo err >&2; exit 5")
	time.AfterFunc(500*time.Millisecond, func() { _ = e.command("exec", id, "touch", "/go").Run() })
	if r := e.do(nil, "attach", "--no-stdin", id); r.code != 5 || r.out != "out\n" || r.err != "err\n" {
		t.Errorf("attach: %+v", r)
	}

	data := make([]byte, 8<<20)
	_, _ = rand.Read(data)
	id = e.start("box", "sleep", "1000")
	for _, args := range [][]string{{"run", "--rm", "-i", "--network=none", "box", "cat"}, {"exec", "-i", id, "cat"}} {
		if r := e.do(bytes.NewReader(data), args...); r.code != 0 || r.out != string(data) {
			t.Errorf("%v: %d, %d bytes of %d: %s", args, r.code, len(r.out), len(data), r.err)
		}
	}
	// The end of the input is seen while output goes on.
	if r := e.do(strings.NewReader("in\n"), "exec", "-i", id, "sh", "-c", "cat; echo end; exit 4"); r.code != 4 || r.out != "in\nend\n" {
		t.Errorf("half close: %+v", r)
	}

	// The client's signals are the container's.
	cmd := e.command(append([]string{"run", "--rm", "--network=none"}, trap("TERM", "8")...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Error(err)
	}
	_ = cmd.Process.Signal(unix.SIGTERM)
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 8 {
		t.Errorf("signal proxy: %v", cmd.ProcessState)
	}
}

func testTerminals(t *testing.T, e *engine) {
	id := e.start("-it", "box", "sh")
	// Detached by keys, it goes on; attached again, it is the same shell.
	if _, out := e.onTerminal([][2]string{{"", "A=kept\r"}, {"# ", "\x10\x11"}}, "attach", id); !strings.Contains(out, "read escape sequence") {
		t.Errorf("detach: %q", out)
	}
	e.expect(0, "running", "inspect", "-f", status, id)
	if code, out := e.onTerminal([][2]string{{"", "echo is $A\r"}, {"is kept", "exit 3\r"}}, "attach", id); code != 3 {
		t.Errorf("attach: %d %q", code, out)
	}
	// The size is that of the client's terminal (33×99 by onTerminal), now and later.
	id = e.start("box", "sleep", "1000")
	for _, args := range [][]string{{"run", "--rm", "-it", "--network=none", "box", "sh"}, {"exec", "-it", id, "sh"}} {
		keys := [][2]string{{"# ", "trap 'stty size' WINCH; while ! stty size | grep '33 99'; do sleep 0.1; done; echo be\"\"gin\r"},
			{"begin", resize + "44 88"}, {"# ", "while ! stty size | grep '44 88'; do sleep 0.1; done; exit 7\r"}}
		if code, out := e.onTerminal(keys, args...); code != 7 || !strings.Contains(out, "33 99\r\n") || !strings.Contains(out, "44 88\r\n") {
			t.Errorf("%v: %d %q", args, code, out)
		}
	}
	if code, out := e.onTerminal([][2]string{{"# ", "\x01q"}}, "exec", "-it", "--detach-keys", "ctrl-a,q", id, "sh"); !strings.Contains(out, "read escape sequence") {
		t.Errorf("detach from exec: %d %q", code, out)
	}
}

func testExec(t *testing.T, e *engine) {
	id := e.start("-e", "OF=init", "box", "sleep", "1000")
	e.expect(0, "uid=5 gid=6 groups=6\n/tmp\n1 init\n", "exec", "-u", "5:6", "-w", "/tmp", "-e", "Q=1", id, "sh", "-c", "id; pwd; echo $Q $OF")
	e.expect(137, "", "exec", id, "sh", "-c", "kill -9 $$")
	e.expect(126, `chdir to cwd ("/nosuch") set in config.json failed: no such file or directory`, "exec", "-w", "/nosuch", id, "true")
	e.must("exec", "-d", id, "sh", "-c", "echo bg > /bg")
	e.eventually("bg", "exec", id, "cat", "/bg")
	e.must("exec", "-d", id, "sleep", "1001")
	e.eventually("sleep 1001\n", "top", id)
	e.expect(0, "sleep 1000\n", "top", id)
	if !native() { // which may not raise what this host's root has not got
		e.expect(0, "CapEff:\t0000003fffffffff", "exec", "--privileged", id, "grep", "CapEff", "/proc/self/status")
	}
}

func testHealth(t *testing.T, e *engine) {
	id := e.start("--health-cmd", "test -e /ok", "--health-interval", "200ms", "--health-retries", "2", "--health-timeout", "10s", "box", "sleep", "1000")
	const health = "{{.State.Health.Status}}"
	e.eventually("unhealthy", "inspect", "-f", health, id)
	e.must("exec", id, "touch", "/ok")
	e.eventually("healthy", "inspect", "-f", "="+health, id)
	e.eventually("unhealthy", "events", "--since", "1m", "--until", "0s", "--filter", "event=health_status", "--filter", "container="+id)
}

func testInfo(t *testing.T, e *engine) {
	id := e.start("box", "sh", "-c", "sleep 1000; true")
	e.expect(0, "sh                  sh -c sleep 1000; true\n", "top", id, "-eo", "pid,comm,args")
	e.eventually("iB", "stats", "--no-stream", "--format", "{{.MemUsage}} {{.CPUPerc}} {{.PIDs}}", id)
	e.expect(0, `"runsc"`, "inspect", "-f", "{{json .HostConfig.Runtime}}", id)
	e.must("rename", id, "renamed")
	e.must("kill", "renamed")
	e.expect(0, "137", "wait", id)
	e.eventually("create\nstart\ntop\nrename\nkill\ndie\n", "events", "--since", "1m", "--until", "0s", "--filter", "container="+id, "--format", "{{.Action}}")
}
