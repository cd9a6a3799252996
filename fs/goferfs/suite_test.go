package goferfs

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/fs/fstest"
	"garrison/gofer"
	"garrison/gofer/wire"
	"garrison/sentry/auth"
	"garrison/sentry/vfs"
)

// serve starts a gofer for m and returns its client, which ends with the test.
func serve(t testing.TB, m gofer.Mount) *wire.Client {
	t.Helper()
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- gofer.Serve(b, gofer.Config{Mounts: []gofer.Mount{m}, Proc: proc}) }()
	c, err := wire.NewClient(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		unix.Close(proc)
	})
	return c
}

// suite runs the acceptance suite over directories that dir makes.
func suite(t *testing.T, m gofer.Mount, dir func(t *testing.T) string, lacks fstest.Lacks) {
	if os.Getuid() != 0 {
		t.Skip("needs root: files get owners")
	}
	mk := func(t *testing.T, s *vfs.System) *vfs.Filesystem {
		m.Path = dir(t)
		root, err := New(&vfs.Internal{Who: auth.Root(nil)}, serve(t, m), 0, func() {}, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		fs := root.(inode).base().fs
		t.Cleanup(func() {
			if n := fs.fds.Load(); n != 0 {
				t.Errorf("%d descriptors leaked", n)
			}
		})
		return s.NewFilesystemOf(&Type, root)
	}
	fstest.Test(t, mk, lacks|fstest.NoTimes)
}

func TestSuite(t *testing.T) {
	suite(t, gofer.Mount{}, func(t *testing.T) string { return t.TempDir() }, 0)
}

func TestSuiteShared(t *testing.T) {
	suite(t, gofer.Mount{Shared: true}, func(t *testing.T) string { return t.TempDir() }, 0)
}

// Docker's root is the host's overlayfs.
func TestSuiteOverlay(t *testing.T) {
	suite(t, gofer.Mount{}, func(t *testing.T) string { return overlay(t, nil) }, fstest.NoDirNlink)
}

// overlay is a directory on the host's overlayfs, over what fill puts in its lower one.
func overlay(t *testing.T, fill func(lower string)) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(dir+"/"+sub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if fill != nil {
		fill(dir + "/lower")
	}
	merged := dir + "/merged"
	if err := unix.Mount("overlay", merged, "overlay", 0, "lowerdir="+dir+"/lower,upperdir="+dir+"/upper,workdir="+dir+"/work"); err != nil {
		t.Skipf("no overlayfs here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(merged, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return merged
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
