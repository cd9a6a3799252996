package oci

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// record is what our own state.json says of the processes of a container.
func (b *box) record() (r struct{ Init, Sentry, Gofer struct{ PID int } }) {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.root, b.id, "state.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		b.t.Fatal(err)
	}
	return r
}

// TestSentryDies asks that the end of the sentry is the end of the container, as
// if by SIGKILL, and that what it leaves can be deleted.
func TestSentryDies(t *testing.T) {
	ours(t)
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("run", "--detach", b.id)
	r := b.record()
	if err := unix.Kill(r.Sentry.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if w := b.reap(r.Init.PID); !w.Signaled() || w.Signal() != unix.SIGKILL {
		t.Errorf("wait status %#x", w)
	}
	b.await("stopped")
	b.must("delete", b.id)
}

// TestSentryDiesAfterFsync asks that names are gone for good once their directory has been
// synchronised, as are those that were removed before the filesystem was.
func TestSentryDiesAfterFsync(t *testing.T) {
	ours(t)
	for _, sync := range []string{"sync /row", "sync -f /row", "sync"} {
		b, row := rowBox(t, 200)
		cmd := b.command("exec", b.id, "sh", "-c", "rm -r /row/*; "+sync+"; echo ready; exec sleep 1000")
		out, _ := cmd.StdoutPipe()
		b.start(cmd)
		copyUntil(t, out, "ready\n")
		r := b.record()
		if err := unix.Kill(r.Sentry.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		b.reap(r.Init.PID)
		_ = cmd.Wait()
		if n := namesIn(t, row); n != 0 {
			t.Errorf("%s: %d names are left", sync, n)
		}
	}
}

// TestSentryBreaks asks that whoever runs the container is told how its kernel
// ended, and that the Go stack of one that broke down is in the debug log.
func TestSentryBreaks(t *testing.T) {
	ours(t)
	for sig, want := range map[unix.Signal]string{
		unix.SIGABRT: "the sandbox's kernel broke down: SIGABRT",
		unix.SIGKILL: "the sandbox's kernel was killed from outside",
	} {
		b := newBox(t, sh("echo ready; exec sleep 1000"), nil)
		log := filepath.Join(t.TempDir(), "log")
		cmd := b.command("--debug-log", log, "run", b.id)
		out, _ := cmd.StdoutPipe()
		var errs bytes.Buffer
		cmd.Stderr = &errs
		b.start(cmd)
		copyUntil(t, out, "ready\n")
		if err := unix.Kill(b.record().Sentry.PID, sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 137 {
			t.Errorf("%v: exit status %d", sig, code)
		}
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%v: %q", sig, errs.String())
		}
		if data, _ := os.ReadFile(log); sig == unix.SIGABRT && !bytes.Contains(data, []byte("goroutine ")) {
			t.Errorf("%s", data)
		}
	}
}

// TestFewDescriptors is a caller whose hard limit is low and can't be raised.
func TestFewDescriptors(t *testing.T) {
	ours(t)
	b := newBox(t, []string{"echo", "works"}, nil)
	cmd := b.command("run", b.id)
	script := `ulimit -n 256; exec setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource "$0" "$@"`
	few := exec.Command("/bin/sh", append([]string{"-c", script}, cmd.Args...)...)
	few.Dir = cmd.Dir
	if r := b.finish(few, ""); r.code != 0 || r.out != "works\n" {
		t.Errorf("%+v", r)
	}
}

// TestKilledGuest is not taken for a killed kernel.
func TestKilledGuest(t *testing.T) {
	b := newBox(t, sh("echo ready; exec sleep 1000"), nil)
	cmd := b.command("run", b.id)
	out, _ := cmd.StdoutPipe()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	b.start(cmd)
	copyUntil(t, out, "ready\n")
	b.must("kill", b.id, "KILL")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 137 || errs.Len() > 0 {
		t.Errorf("exit status %d, %q", code, errs.String())
	}
}

// TestSentryHangs asks that kill and delete work from outside.
func TestSentryHangs(t *testing.T) {
	ours(t)
	for _, end := range [][]string{{"kill", "", "KILL"}, {"delete", "--force", ""}} {
		b := newBox(t, []string{"sleep", "1000"}, nil)
		b.must("run", "--detach", b.id)
		r := b.record()
		if err := unix.Kill(r.Sentry.PID, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		for i := range end {
			if end[i] == "" {
				end[i] = b.id
			}
		}
		start := time.Now()
		b.must(end...)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%v took %v", end, d)
		}
		b.reap(r.Init.PID)
	}
}

// TestGoferDies asks that file calls fail and the sandbox lives.
func TestGoferDies(t *testing.T) {
	ours(t)
	b := newBox(t, sh(`while :; do read line; eval "$line"; done`), func(s *specs.Spec) { tmp(s) })
	cmd := b.command("run", b.id)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	b.start(cmd)
	if _, err := in.Write([]byte("echo ready\n")); err != nil {
		t.Fatal(err)
	}
	copyUntil(t, out, "ready\n")
	if err := unix.Kill(b.record().Gofer.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// A name that nobody has asked for yet, and something that needs no host file.
	if _, err := in.Write([]byte("[ -e /etc/never-seen ] || echo no file; echo works > /tmp/f; read x < /tmp/f; echo memory $x; exit 0\n")); err != nil {
		t.Fatal(err)
	}
	copyUntil(t, out, "no file\nmemory works\n")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestHolderDies asks that killing the process that callers see ends the container.
func TestHolderDies(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("run", "--detach", b.id)
	pid := b.state().PID
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.reap(pid)
	b.await("stopped")
	b.must("delete", b.id)
}

// TestSignalsToTheProcessThatCallersSee are the container's.
func TestSignalsToTheProcessThatCallersSee(t *testing.T) {
	b := newBox(t, sh(`trap 'exit 33' USR1; echo ready; while :; do sleep 0.02; done`), nil)
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := b.command("run", "--detach", b.id)
	cmd.Stdout = f
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { data, _ := os.ReadFile(f.Name()); return string(data) == "ready\n" })
	pid := b.state().PID
	if err := unix.Kill(pid, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if w := b.reap(pid); w.ExitStatus() != 33 {
		t.Errorf("wait status %#x", w)
	}
}

// TestRuntimeDies kills runsc at random times of creation: what is left can be
// deleted, and nothing runs on.
func TestRuntimeDies(t *testing.T) {
	ours(t)
	for delay := time.Duration(0); delay < 40*time.Millisecond; delay += 4 * time.Millisecond {
		b := newBox(t, []string{"sleep", "1000"}, nil)
		cmd := b.command("create", b.id)
		b.start(cmd)
		time.Sleep(delay)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if _, err := os.Stat(filepath.Join(b.root, b.id)); err != nil {
			continue
		}
		b.must("list")
		b.must("delete", "--force", b.id)
	}
}

func TestLimits(t *testing.T) {
	limit, shares, pids := int64(256<<20), uint64(512), int64(100)
	b := newBox(t, []string{"sleep", "1000"}, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: &limit}, CPU: &specs.LinuxCPU{Shares: &shares}, Pids: &specs.LinuxPids{Limit: &pids},
		}
	})
	b.must("run", "--detach", b.id)
	data, err := os.ReadFile("/proc/" + itoa(b.state().PID) + "/cgroup")
	if err != nil || !strings.Contains(string(data), b.id) {
		t.Errorf("%s %v", data, err)
	}
	b.must("delete", "--force", b.id)
}
