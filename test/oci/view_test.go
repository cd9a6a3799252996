package oci

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestFilesOnTheHost asks that who looks below the process that callers see, as podman cp
// does, finds the container's files there, and can write what the container can.
func TestFilesOnTheHost(t *testing.T) {
	for name, edit := range map[string]func(*specs.Spec){"plain": func(*specs.Spec) {}, "user namespace": userNS} {
		t.Run(name, func(t *testing.T) { testFilesOnTheHost(t, edit) })
	}
}

func testFilesOnTheHost(t *testing.T, edit func(*specs.Spec)) {
	vol := t.TempDir()
	if err := os.Chmod(vol, 0o777); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, sh(`echo guest >/vol/guest; echo there >/vol/before; exec sleep 1000`), func(s *specs.Spec) {
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "/vol", Type: "bind", Source: vol, Options: []string{"rbind"}},
			specs.Mount{Destination: "/tmp", Type: "bind", Source: vol, Options: []string{"bind", "ro"}})
		edit(s)
	})
	b.must("run", "--detach", b.id)
	root := "/proc/" + itoa(b.state().PID) + "/root"
	reads := func(path, want string) bool {
		data, err := os.ReadFile(path)
		return err == nil && string(data) == want
	}
	for _, path := range []string{vol + "/guest", root + "/vol/guest", root + "/tmp/guest"} {
		eventually(t, path, func() bool { return reads(path, "guest\n") })
	}
	if _, err := os.Stat(root + "/bin/busybox"); err != nil {
		t.Error(err)
	}
	b.do("", "exec", b.id, "cat", "/vol/before", "/vol/new")
	for _, name := range []string{"before", "new"} {
		if err := os.WriteFile(root+"/vol/"+name, []byte("host\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "what the host writes", func() bool {
		return b.do("", "exec", b.id, "cat", "/vol/before", "/vol/new", "/tmp/new").out == "host\nhost\nhost\n"
	})
	for _, path := range []string{"/new", "/tmp/new", "/proc/sys/kernel/hostname", "/sys/new"} {
		if err := os.WriteFile(root+path, []byte("host\n"), 0o644); !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EACCES) {
			t.Errorf("%s can be written: %v", path, err)
		}
	}
	if pids, _ := filepath.Glob(root + "/proc/[0-9]*"); len(pids) < 1 || len(pids) > 2 {
		t.Errorf("processes in its /proc: %v", pids)
	}
}

// TestFilesOnTheHostAreOnlyFiles asks that no program of the container's runs on the
// host's kernel, whoever finds it below the process that callers see, and that a file
// is not left there where the container does not see it.
func TestFilesOnTheHostAreOnlyFiles(t *testing.T) {
	ours(t)
	b := newBox(t, []string{"sleep", "1000"}, func(s *specs.Spec) {
		s.Root.Readonly = false
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"})
	})
	b.must("run", "--detach", b.id)
	root := "/proc/" + itoa(b.state().PID) + "/root"
	if err := exec.Command(filepath.Join(root, "bin/busybox"), "true").Run(); !errors.Is(err, unix.EACCES) {
		t.Errorf("its program runs on the host: %v", err)
	}
	if out, err := exec.Command("nsenter", "--mount", "--target", itoa(b.state().PID), "/bin/busybox", "true").CombinedOutput(); err == nil {
		t.Errorf("its program runs on the host: %s", out)
	}
	if err := os.WriteFile(root+"/tmp/new", nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("its tmpfs can be written: %v", err)
	}
}

// TestNoFilesOnTheHost asks that an overlay in memory, below which are files that the
// container may have changed or removed, is not taken for the container's.
func TestNoFilesOnTheHost(t *testing.T) {
	ours(t)
	b := newBox(t, []string{"sleep", "1000"}, nil)
	b.must("--overlay=memory", "run", "--detach", b.id)
	if entries, err := os.ReadDir("/proc/" + itoa(b.state().PID) + "/root"); err != nil || len(entries) != 0 {
		t.Errorf("%v %v", entries, err)
	}
}
