package oci

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestForegroundSignals(t *testing.T) {
	script := `for s in INT TERM HUP QUIT USR1 USR2; do trap "echo $s" $s; done; trap 'echo WINCH; exit 9' WINCH; echo ready
while :; do sleep 0.02; done`
	b := newBox(t, sh(script), nil)
	cmd := b.command("run", b.id)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.start(cmd)
	copyUntil(t, out, "ready\n")
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		copyUntil(t, out, strings.TrimPrefix(unix.SignalName(s), "SIG")+"\n")
	}
	if native {
		return // runc keeps WINCH to itself
	}
	if err := cmd.Process.Signal(unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 9 {
		t.Errorf("exit status %d", code)
	}
}

func TestInitIgnoresWhatItDoesNotHandle(t *testing.T) {
	b := newBox(t, sh(`echo ready; read x; echo got $x`), nil)
	cmd := b.command("run", b.id)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	b.start(cmd)
	copyUntil(t, out, "ready\n")
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if _, err := io.WriteString(in, "word\n"); err != nil {
		t.Fatal(err)
	}
	copyUntil(t, out, "got word\n")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestOrphansAndTheEnd(t *testing.T) {
	// Orphans become init's, who may wait for them; what is left ends with init.
	b := newBox(t, sh(`(sleep 0.1 & echo $! > /tmp/orphan; exit 0); sleep 0.3; ls /proc | grep -c -x "$(cat /tmp/orphan)"; sleep 1000 & exit 4`),
		func(s *specs.Spec) { s.Root.Readonly = false; tmp(s) })
	start := time.Now()
	if r := b.run(""); r.code != 4 || r.out != "0\n" {
		t.Errorf("%+v", r)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %v", d)
	}
}

// tmp gives the container a /tmp of its own.
func tmp(s *specs.Spec) {
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=1777"}})
}

func TestClosedDescriptors(t *testing.T) {
	b := newBox(t, sh(`cat; echo lost; echo lost >&2; exit 6`), nil)
	cmd := exec.Command("/bin/sh", "-c", `exec "$0" "$@" <&- >&- 2>&-`, runtime, "--root", b.root, "run", b.id)
	cmd.Dir = b.bundle
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 6 {
		t.Errorf("exit status %d", code)
	}
}

// TestSharedOutput gives one file as both outputs, as `> file 2>&1` does.
func TestSharedOutput(t *testing.T) {
	b := newBox(t, sh(`for i in 1 2 3; do echo out $i; echo err $i >&2; done`), nil)
	f, err := os.Create(filepath.Join(t.TempDir(), "both"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, _ = f.WriteString("before\n")
	cmd := b.command("run", b.id)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("after\n")
	if data, _ := os.ReadFile(f.Name()); string(data) != "before\nout 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nafter\n" {
		t.Errorf("%q", data)
	}
}

func TestBrokenPipe(t *testing.T) {
	b := newBox(t, sh(`trap 'exit 8' PIPE; while :; do echo line || exit 8; done`), nil)
	cmd := b.command("run", b.id)
	out, _ := cmd.StdoutPipe()
	b.start(cmd)
	copyUntil(t, out, "line\n")
	out.Close()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 8 {
		t.Errorf("exit status %d", code)
	}
}

func TestUserAndPlace(t *testing.T) {
	umask := uint32(0o027)
	b := newBox(t, sh(`id -u; id -g; id -G; pwd; echo $A; umask; ulimit -n; hostname; touch f; stat -c %a f; grep NoNewPrivs /proc/self/status`), func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{9, 7, 8}, Umask: &umask}
		s.Process.Cwd = "/tmp"
		s.Process.Env = append(s.Process.Env, "A=b c")
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 88}}
		s.Hostname = "inside"
		tmp(s)
	})
	want := "1000\n1000\n1000 7 8 9\n/tmp\nb c\n0027\n77\ninside\n640\nNoNewPrivs:\t1\n"
	if r := b.run(""); r.code != 0 || r.out != want {
		t.Errorf("%+v", r)
	}
}

func TestDomainName(t *testing.T) {
	b := newBox(t, sh(`cat /proc/sys/kernel/domainname`), func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"kernel.domainname": "example.org"} // as Docker's --domainname
	})
	if r := b.run(""); r.code != 0 || r.out != "example.org\n" {
		t.Errorf("%+v", r)
	}
}

func TestHostNames(t *testing.T) {
	b := newBox(t, sh(`hostname; cat /proc/sys/kernel/domainname`), func(s *specs.Spec) {
		s.Hostname = ""
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.UTSNamespace })
	})
	var names unix.Utsname
	if err := unix.Uname(&names); err != nil {
		t.Fatal(err)
	}
	want := unix.ByteSliceToString(names.Nodename[:]) + "\n" + unix.ByteSliceToString(names.Domainname[:]) + "\n"
	if r := b.run(""); r.code != 0 || r.out != want {
		t.Errorf("%+v, want %q", r, want)
	}
}

func TestCapabilities(t *testing.T) {
	b := newBox(t, sh(`grep Cap /proc/self/status`), func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{
			Bounding: []string{"CAP_CHOWN", "CAP_KILL"}, Permitted: []string{"CAP_CHOWN"}, Effective: []string{"CAP_CHOWN"},
		}
	})
	r := b.run("")
	for _, want := range []string{"CapPrm:\t0000000000000001", "CapEff:\t0000000000000001", "CapBnd:\t0000000000000021", "CapAmb:\t0000000000000000"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in %s", want, r.out)
		}
	}
}

func TestPreservedDescriptors(t *testing.T) {
	b := newBox(t, sh(`cat <&3; echo $LISTEN_FDS $LISTEN_PID`), nil)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.WriteString("through three\n")
	w.Close()
	cmd := b.command("run", "--preserve-fds", "1", b.id)
	cmd.ExtraFiles = []*os.File{r}
	if got := b.finish(cmd, ""); got.code != 0 || !strings.HasPrefix(got.out, "through three\n") {
		t.Errorf("%+v", got)
	}
}

func TestExec(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, func(s *specs.Spec) { tmp(s) })
	b.must("run", "--detach", b.id)
	if r := b.do("in\n", "exec", b.id, "sh", "-c", "cat; echo err >&2; exit 12"); r.code != 12 || r.out != "in\n" || r.err != "err\n" {
		t.Errorf("%+v", r)
	}
	if r := b.do("", "exec", "--cwd", "/tmp", "--env", "A=1", "--user", "1000:7", b.id, "sh", "-c", "pwd; echo $A; id -u; id -g"); r.out != "/tmp\n1\n1000\n7\n" {
		t.Errorf("%+v", r)
	}
	if r := b.do("", "exec", b.id, "sh", "-c", "kill -9 $$"); r.code != 137 {
		t.Errorf("%+v", r)
	}
	for program, want := range map[string]string{
		"nosuch": `exec: "nosuch": executable file not found in $PATH`, "/etc/plain": `exec: "/etc/plain": permission denied`,
	} {
		if r := b.do("", "exec", b.id, program); r.code == 0 || !strings.Contains(r.words(), want) {
			t.Errorf("%+v", r)
		}
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	b.must("exec", "--detach", "--pid-file", pidFile, b.id, "sh", "-c", "exit 21")
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(string(data))
	if w := b.reap(pid); w.ExitStatus() != 21 {
		t.Errorf("wait status %#x", w)
	}
	process := filepath.Join(t.TempDir(), "process.json")
	if err := os.WriteFile(process, []byte(`{"args":["pwd"],"cwd":"/etc","user":{"uid":0,"gid":0},"env":["PATH=/bin"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := b.do("", "exec", "--process", process, b.id); r.code != 0 || r.out != "/etc\n" {
		t.Errorf("%+v", r)
	}
}

func TestExecEndsWithInit(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("run", "--detach", b.id)
	pidFile := filepath.Join(t.TempDir(), "pid")
	b.must("exec", "--detach", "--pid-file", pidFile, b.id, "sleep", "1000")
	data, _ := os.ReadFile(pidFile)
	pid, _ := strconv.Atoi(string(data))
	b.must("kill", b.id, "KILL")
	if w := b.reap(pid); !w.Signaled() || w.Signal() != unix.SIGKILL {
		t.Errorf("wait status %#x", w)
	}
}

func TestHooks(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	hook := func(name string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", `read -r s; echo "$N $(pwd) $s" >> "$R"`}, Env: []string{"N=" + name, "R=" + record}}}
	}
	b := newBox(t, []string{"true"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{
			//lint:ignore SA1019 docker uses them
			Prestart:      hook("prestart"),
			CreateRuntime: hook("createRuntime"), CreateContainer: hook("createContainer"),
			Poststart: hook("poststart"), Poststop: hook("poststop"),
		}
	})
	b.must("create", b.id)
	pid := b.state().PID
	b.must("start", b.id)
	b.await("stopped")
	b.must("delete", b.id)
	data, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		f := strings.SplitN(line, " ", 3)
		name, state := f[0], f[2]
		if f[1] != b.bundle && name != "createContainer" { // which is the container's own, in runc
			t.Errorf("%s ran in %s", name, f[1])
		}
		order = append(order, name)
		if !strings.Contains(state, `"id":"`+b.id+`"`) || !strings.Contains(state, `"bundle":"`+b.bundle+`"`) {
			t.Errorf("%s: %s", name, state)
		}
		if strings.HasPrefix(name, "pre") && !strings.Contains(state, `"pid":`+strconv.Itoa(pid)+`,`) {
			t.Errorf("%s: no pid %d in %s", name, pid, state)
		}
	}
	if got := strings.Join(order, " "); got != "prestart createRuntime createContainer poststart poststop" {
		t.Errorf("order: %s", got)
	}
}

func TestStartContainerHook(t *testing.T) {
	b := newBox(t, sh("cat /tmp/state"), func(s *specs.Spec) {
		tmp(s)
		s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat > /tmp/state"}, Env: []string{"PATH=/bin"}}}}
	})
	if r := b.run(""); r.code != 0 || !strings.Contains(r.out, `"id":"`+b.id+`"`) {
		t.Errorf("%+v", r)
	}
}
