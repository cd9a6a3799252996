package validation

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit is how long a program may take. Those that wait for what does not come
// give up after ten seconds.
const limit = time.Minute

// archive is the root filesystem of the programs' containers.
const archive = "rootfs-amd64.tar.gz"

// A runtime is what the programs are run with: a command that they can name, and
// the directory where its containers are on record.
type runtime struct {
	command, root string
}

// newRuntime is the runtime at path with records of its own.
func newRuntime(t *testing.T, path string) runtime {
	t.Helper()
	dir := t.TempDir()
	r := runtime{filepath.Join(dir, filepath.Base(path)), filepath.Join(dir, "root")}
	script := "#!/bin/sh\nexec " + path + " --root " + r.root + " \"$@\"\n"
	if err := os.WriteFile(r.command, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

// validate runs the program with r and returns what it found out, and all that it
// said. What it leaves behind, as programs that have failed do, is removed.
func (r runtime) validate(t *testing.T, program string) (points, string) {
	t.Helper()
	temp := t.TempDir()
	// The root of a user namespace is somebody else here.
	if err := os.Chmod(filepath.Dir(temp), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir = filepath.Dir(program) // where the archive and runtimetest are
	cmd.Env = append(os.Environ(), "RUNTIME="+r.command, "TMPDIR="+temp)
	// What it starts is a group of processes, and ends with it.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", program, err)
	}
	r.clean(t, temp)
	said := out.String() + errs.String()
	if ctx.Err() != nil {
		said += "(ended at its time limit)\n"
	}
	return parse(out.String(), cmd.ProcessState.ExitCode()), said
}

// clean removes the containers that are on record, what is mounted below temp, and
// the cgroups that are above a container's (cgroups.RelCgroupPath of the programs),
// which runtimes leave.
func (r runtime) clean(t *testing.T, temp string) {
	t.Helper()
	left, _ := os.ReadDir(r.root)
	for _, c := range left {
		if out, err := exec.Command(r.command, "delete", "--force", c.Name()).CombinedOutput(); err != nil {
			t.Errorf("delete --force %s: %v: %s", c.Name(), err, out)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], temp+"/") {
			_ = unix.Unmount(f[4], unix.MNT_DETACH)
		}
	}
	for _, above := range []string{"testdir/cgrouptest", "testdir"} {
		dirs, _ := filepath.Glob("/sys/fs/cgroup/*/" + above)
		for _, d := range dirs {
			_ = os.Remove(d)
		}
	}
}
