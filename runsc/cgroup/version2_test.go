package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fs2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// alone runs the calling test once more in a mount namespace of its own, in which f is called:
// what is running there, and which version of cgroups, is found out once in a process.
func alone(t *testing.T, f func()) {
	const inner = "GARRISON_ALONE"
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts")
	}
	if os.Getenv(inner) == t.Name() {
		f()
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inner+"="+t.Name())
	cmd.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "--- SKIP") {
		t.Errorf("%v\n%s", err, out)
	}
}

// version2 has the host be one whose cgroups are all of version 2, with no controllers, as
// those are version 1's.
func version2(t *testing.T) {
	t.Helper()
	if err := unix.Mount("none", "/sys/fs/cgroup", "cgroup2", 0, ""); err != nil {
		t.Fatal(err)
	}
	if !cgroups.IsCgroup2UnifiedMode() {
		t.Fatal("it is known to be version 1")
	}
}

// fakeTree has files in place of the cgroups of a host that has version 2, and controllers.
func fakeTree(t *testing.T) {
	t.Helper()
	version2(t)
	if err := unix.Mount("none", fs2.UnifiedMountpoint, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	cgroups.TestMode = true
	if err := fakeGroup(fs2.UnifiedMountpoint); err != nil {
		t.Fatal(err)
	}
}

// fakeGroup is what Linux puts into a new cgroup of the tree.
func fakeGroup(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(dir+"/cgroup.controllers", []byte("cpu memory pids\n"), 0o644)
}

// sleeper is a process, until the test's end.
func sleeper(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

// limits are some of every kind.
func limits() *specs.LinuxResources {
	memory, swap, pids, shares, quota, period := int64(100<<20), int64(150<<20), int64(10), uint64(1024), int64(50000), uint64(100000)
	return &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &memory, Swap: &swap},
		Pids:   &specs.LinuxPids{Limit: &pids},
		CPU:    &specs.LinuxCPU{Shares: &shares, Quota: &quota, Period: &period},
	}
}

// limitFiles are what limits gives the files of a cgroup of version 2, with the room that a
// sentry needs.
var limitFiles = map[string]string{
	"memory.max": "239075328", "memory.swap.max": "52428800", "pids.max": "532", "cpu.weight": "100", "cpu.max": "50000 100000",
}

func expectFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != text {
			t.Errorf("%s: %q, want %q (%v)", name, data, text, err)
		}
	}
}

// Of version 2, cgroups are made, joined, frozen and removed, which needs no controllers.
func TestVersion2Life(t *testing.T) {
	alone(t, func() {
		version2(t)
		c := Config{ID: "x", Path: fmt.Sprintf("/garrison-test-%d", os.Getpid())}
		g, err := New(c)
		if err == nil {
			err = g.Make(sleeper(t))
		}
		if err != nil {
			t.Fatal(err)
		}
		second := sleeper(t)
		if err := g.Add(second); err != nil {
			t.Fatal(err)
		}
		again, err := Open(c, g.Paths())
		if err != nil {
			t.Fatal(err)
		}
		pids, err := again.Processes()
		if err != nil || len(pids) != 2 || !slices.Contains(pids, second) {
			t.Errorf("%v %v", pids, err)
		}
		for _, frozen := range []bool{true, false} {
			if err := again.Freeze(frozen); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(g.Paths()[""] + "/cgroup.events")
			if err != nil || strings.Contains(string(data), "frozen 1") != frozen {
				t.Errorf("frozen %v: %s %v", frozen, data, err)
			}
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if err := again.Destroy(); err != nil {
			t.Error(err)
		}
	})
}

// Limits are written in version 2's words.
func TestVersion2Limits(t *testing.T) {
	alone(t, func() {
		fakeTree(t)
		err := fakeGroup(fs2.UnifiedMountpoint + "/a/b")
		if err != nil {
			t.Fatal(err)
		}
		g, err := New(Config{ID: "x", Path: "/a/b", Resources: limits()})
		if err == nil {
			err = g.Make(os.Getpid())
		}
		if err != nil {
			t.Fatal(err)
		}
		expectFiles(t, g.Paths()[""], limitFiles)
		expectFiles(t, g.Paths()[""], map[string]string{"cgroup.procs": strconv.Itoa(os.Getpid())})
		more := limits()
		*more.Memory.Limit, *more.Memory.Swap = 200<<20, -1
		if err := g.Set(more); err != nil {
			t.Fatal(err)
		}
		expectFiles(t, g.Paths()[""], map[string]string{"memory.max": "343932928", "memory.swap.max": "max", "pids.max": "532"})
	})
}
