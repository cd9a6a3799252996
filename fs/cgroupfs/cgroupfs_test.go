package cgroupfs_test

import (
	"testing"

	"garrison/fs/cgroupfs"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/test/idle"
)

func TestLimits(t *testing.T) {
	w := idle.New(t)
	limits := cgroupfs.Limits{Memory: 64 << 20, CPUQuota: 50000, Pids: 100, Swap: cgroupfs.NoSwap}
	w.Mount("/cg", cgroupfs.Type(w.K, func(*kernel.Container) cgroupfs.Limits { return limits }), "")
	w.Walk("/cg", func(name string, a vfs.Attr) {
		if a.Mode&0o444 != 0 {
			if _, err := w.Read(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	for name, want := range map[string]string{
		"memory.max": "67108864\n", "cpu.max": "50000 100000\n", "pids.max": "100\n", "memory.swap.max": "0\n",
		"cpu.weight": "100\n", "memory.high": "max\n", "pids.current": "1\n", "cgroup.procs": "1\n",
		"cpuset.cpus.effective": "0-1\n", "pids.peak": "1\n", "pids.events": "max 0\n", "cpu.idle": "0\n", "cpu.max.burst": "0\n",
	} {
		if got, err := w.Read("/cg/" + name); err != nil || got != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	limits.Memory = 0 // as `update` does
	if got, _ := w.Read("/cg/memory.max"); got != "max\n" {
		t.Error(got)
	}
	if err := w.Write("/cg/memory.max", "1\n"); err != linux.EPERM {
		t.Error(err)
	}
}
