package oci

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

// do runs `runsc do` in directory dir.
func do(t *testing.T, dir, in string, args ...string) result {
	t.Helper()
	ours(t)
	b := &box{t: t, root: filepath.Join(t.TempDir(), "root"), bundle: dir}
	r := b.do(in, append([]string{"do"}, args...)...)
	if entries, _ := os.ReadDir(b.root); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	return r
}

func TestDo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("MARK", "inherited value")
	r := do(t, dir, "some input\n", "--", "sh", "-c", `pwd; echo $MARK; cat; echo lost > f; cat f; id -u; exit 17`)
	if want := fmt.Sprintf("%s\ninherited value\nsome input\nlost\n%d\n", dir, os.Getuid()); r.code != 17 || r.out != want {
		t.Errorf("%+v, want %q", r, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "f")); err == nil {
		t.Error("a write reached the host")
	}
}

func TestDoVolumes(t *testing.T) {
	rw, ro := t.TempDir(), t.TempDir()
	r := do(t, "/", "", "-v", rw+":/mnt/rw", "-v", ro+":/mnt/ro:ro", "sh", "-c", `echo kept > /mnt/rw/f; echo x > /mnt/ro/f`)
	if r.code == 0 || !strings.Contains(r.err, "Read-only file system") {
		t.Errorf("%+v", r)
	}
	if data, err := os.ReadFile(filepath.Join(rw, "f")); err != nil || string(data) != "kept\n" {
		t.Errorf("%q %v", data, err)
	}
}

func TestDoErrors(t *testing.T) {
	if r := do(t, "/", "", "no-such-program"); r.code != 127 || !strings.Contains(r.err, "executable file not found in $PATH") {
		t.Errorf("%+v", r)
	}
	if r := do(t, "/", "", "/etc/passwd"); r.code != 126 || !strings.Contains(r.err, "permission denied") {
		t.Errorf("%+v", r)
	}
	if r := do(t, "/", "", "-v", "relative", "true"); r.code != 1 || !strings.Contains(r.err, "SOURCE:DESTINATION") {
		t.Errorf("%+v", r)
	}
	if r := do(t, "/", "", "sh", "-c", "kill -SEGV $$"); r.code != 139 {
		t.Errorf("%+v", r)
	}
}

// TestDoInterrupt asks that Ctrl-C ends a command that knows nothing of signals.
func TestDoInterrupt(t *testing.T) {
	ours(t)
	cmd := exec.Command(runtime, "--root", t.TempDir(), "do", "sh", "-c", "echo ready; exec sleep 1000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	copyUntil(t, out, "ready\n")
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// So that a shell which runs it in a loop ends the loop too.
	if w := cmd.ProcessState.Sys().(syscall.WaitStatus); !w.Signaled() || w.Signal() != unix.SIGINT {
		t.Errorf("wait status %#x", w)
	}
}

// TestDoLeash asks that a sandbox does not outlive the runsc do that made it.
func TestDoLeash(t *testing.T) {
	ours(t)
	root := t.TempDir()
	cmd := exec.Command(runtime, "--root", root, "do", "sh", "-c", "echo ready; exec sleep 1000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	copyUntil(t, out, "ready\n")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	id := entries[0].Name()
	eventually(t, "the sandbox ends", func() bool {
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
		return len(leftovers(id).processes) == 0
	})
	// The next do removes what nobody was there to delete.
	if out, err := exec.Command(runtime, "--root", root, "do", "true").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if entries, err = os.ReadDir(root); err != nil || len(entries) != 0 {
		t.Error("left on record: ", entries, err)
	}
}
