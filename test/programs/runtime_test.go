package programs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A runtime is an OCI runtime's command line.
type runtime struct {
	path  string
	flags []string
}

// A result is what a container left behind.
type result struct {
	out  string // stdout and stderr, as they came
	code int
}

const jobTimeout = 5 * time.Minute

// run runs one job in a fresh container: the cached root below an overlay of
// its own, so that no job sees what another wrote.
func (r runtime) run(t *testing.T, job, goprog string) result {
	t.Helper()
	bundle := t.TempDir()
	rootfs := overlay(t, bundle)
	copyFile(t, job, filepath.Join(rootfs, "job.sh"), 0o755)
	copyFile(t, goprog, filepath.Join(rootfs, "goprog"), 0o755)
	config, err := json.Marshal(spec())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), jobTimeout)
	defer cancel()
	id := filepath.Base(r.path) + "-" + filepath.Base(filepath.Dir(bundle)) + filepath.Base(bundle)
	state := filepath.Join(bundle, "state")
	args := append(append([]string{"--root", state}, r.flags...), "run", "--bundle", bundle, id)
	cmd := exec.CommandContext(ctx, r.path, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error {
		kill := append(append([]string{"--root", state}, r.flags...), "delete", "--force", id)
		exec.Command(r.path, kill...).Run()
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		t.Errorf("%s: no end after %v", r.path, jobTimeout)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", r.path, err)
	}
	return result{out.String(), cmd.ProcessState.ExitCode()}
}

func overlay(t *testing.T, bundle string) string {
	t.Helper()
	var dirs [3]string
	for i, d := range []string{"rootfs", "upper", "work"} {
		dirs[i] = filepath.Join(bundle, d)
		if err := os.Mkdir(dirs[i], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	opts := "lowerdir=" + *root + ",upperdir=" + dirs[1] + ",workdir=" + dirs[2]
	if err := syscall.Mount("overlay", dirs[0], "overlay", 0, opts); err != nil {
		t.Fatalf("mount overlay: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dirs[0], syscall.MNT_DETACH) })
	return dirs[0]
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, mode); err != nil {
		t.Fatal(err)
	}
}

// spec is an ordinary container: root inside, the usual mounts and
// capabilities, no network but loopback.
func spec() *specs.Spec {
	caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}
	nosuid := []string{"nosuid", "noexec", "nodev"}
	return &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Args: []string{"/bin/bash", "/job.sh"},
			Env:  []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb"},
			Cwd:  "/",
			Capabilities: &specs.LinuxCapabilities{
				Bounding: caps, Effective: caps, Permitted: caps,
			},
			Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 4096}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 0}},
		},
		Root:     &specs.Root{Path: "rootfs"},
		Hostname: "garrison",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: nosuid},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: append(nosuid, "mode=1777", "size=65536k")},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append(nosuid, "ro")},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "network"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}},
		},
	}
}
