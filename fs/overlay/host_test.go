package overlay_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/fs/fstest"
	"garrison/fs/goferfs"
	"garrison/fs/overlay"
	"garrison/gofer"
	"garrison/gofer/wire"
	"garrison/sentry/vfs"
)

// hostDirs are new directories of the host, as a gofer serves them.
func hostDirs(t *testing.T, s *vfs.System, n int) (roots []vfs.Inode) {
	t.Helper()
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	cfg := gofer.Config{Proc: proc}
	for range n {
		cfg.Mounts = append(cfg.Mounts, gofer.Mount{Path: t.TempDir()})
	}
	served := make(chan error, 1)
	go func() { served <- gofer.Serve(theirs, cfg) }()
	client, err := wire.NewClient(ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		unix.Close(proc)
	})
	for i := range n {
		root, err := goferfs.New(s.Internal(), client, uint32(i), s.Settle, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, root)
	}
	return roots
}

// hostSuite runs the suite over an overlay of host directories, n in all: the one below,
// and perhaps the one that is written to.
func hostSuite(t *testing.T, n int, lacks fstest.Lacks) {
	if os.Getuid() != 0 {
		t.Skip("needs root: files get owners")
	}
	old := unix.Umask(0)
	defer unix.Umask(old)
	fstest.Test(t, func(t *testing.T, s *vfs.System) *vfs.Filesystem {
		roots := hostDirs(t, s, n)
		k := overlay.Config{Lower: roots[:1], Redirect: n == 1}
		if n > 1 {
			k.Upper = roots[1]
		} else {
			k.Upper = newTmpfs(t, s.Internal())
		}
		return newOverlay(t, s, k)
	}, lacks|fstest.NoDirNlink)
}

// A root with --overlay=memory.
func TestSuiteOverHost(t *testing.T) { hostSuite(t, 1, 0) }

// A root with --overlay=dir=PATH.
func TestSuiteOnHost(t *testing.T) { hostSuite(t, 2, fstest.NoTimes) }
