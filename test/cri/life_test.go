package cri

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// testStatus is how containers end, and what is said of it.
func testStatus(k *kubelet) {
	p := k.pod(own())
	p.start("completed", "true").ended(0, "Completed")
	p.start("error", "sh", "-c", "exit 9").ended(9, "Error")
	p.start("signal", "sh", "-c", "sh -c 'kill -SEGV $$'; exit $?").ended(139, "Error")

	// There has to be a second process: the first of a sandbox is not ended so.
	greedy := p.create("oom", []string{"sh", "-c", "tail /dev/zero; exit $?"}, func(c *cri.ContainerConfig) {
		c.Linux.Resources = &cri.LinuxContainerResources{MemoryLimitInBytes: 64 << 20}
	})
	if err := greedy.start(); err != nil {
		k.t.Fatal(err)
	}
	greedy.ended(137, "OOMKilled")

	missing := p.create("missing", []string{"nosuch"})
	if err := missing.start(); err == nil || !strings.Contains(err.Error(), "executable file not found in $PATH") {
		k.t.Errorf("%v", err)
	}
	missing.ended(128, "StartError")
	p.start("after", "true").ended(0, "Completed")
	p.create("never", []string{"true"}).remove()
}

// testStop is ways to end a container and a pod.
func testStop(k *kubelet) {
	p := k.pod(own())
	polite := p.start("polite", "sh", "-c", "trap 'echo told; exit 0' TERM; echo begun; sleep 1000 & wait")
	polite.logs("stdout F begun")
	polite.stop(20)
	polite.ended(0, "Completed")
	polite.logs("stdout F begun", "stdout F told")

	deaf := p.start("deaf", "sh", "-c", "trap '' TERM; echo begun; sleep 1000 & wait")
	deaf.logs("stdout F begun")
	deaf.stop(1)
	deaf.ended(137, "Error")
	deaf.stop(1) // nothing is wrong with that

	first := p.start("first", "sleep", "1000")
	second := p.start("second", "sleep", "1000")
	first.says("", "sleep 1000 >/dev/null 2>&1 &") // ends as well
	p.stop()
	first.ended(137, "Error")
	second.ended(137, "Error")
	p.ready(cri.PodSandboxState_SANDBOX_NOTREADY)
	p.stop() // nothing is wrong with that

	k.pod(own()).start("removed", "sleep", "1000") // while it runs
}

// testStats is what containers use, each for itself, and how it can be changed.
func testStats(k *kubelet) {
	p := k.pod(own())
	busy := p.start("busy", "sh", "-c", "head -c 33554432 /dev/zero >/dev/shm/f; while :; do :; done")
	idle := p.start("idle", "sleep", "1000")
	until(k.t, func() string {
		b, i := busy.stats().Cpu.GetUsageCoreNanoSeconds().GetValue(), idle.stats().Cpu.GetUsageCoreNanoSeconds().GetValue()
		if b < 5*i || b < 5e8 {
			return fmt.Sprintf("%d ns of processor time of who is busy, %d of who is idle", b, i)
		}
		return ""
	})
	if use := idle.stats(); use.Memory.GetWorkingSetBytes().GetValue() == 0 {
		k.t.Errorf("who is idle has no memory: %v", use)
	}
	a, err := k.runtime.ListContainerStats(background, &cri.ListContainerStatsRequest{Filter: &cri.ContainerStatsFilter{PodSandboxId: p.id}})
	if err != nil || len(a.Stats) != 2 {
		k.t.Errorf("%v, %v", a, err)
	}
	_, err = k.runtime.UpdateContainerResources(background, &cri.UpdateContainerResourcesRequest{
		ContainerId: busy.id, Linux: &cri.LinuxContainerResources{MemoryLimitInBytes: 128 << 20},
	})
	if err != nil {
		k.t.Errorf("update: %v", err)
	}
	if code, _, _ := busy.do("tail", "/dev/zero"); code != 137 {
		k.t.Errorf("more memory than the new limit: %d", code)
	}
	idle.says("", "head -c 1 /dev/zero >/dev/shm/g")
}

// stats is what a container uses.
func (c *container) stats() *cri.ContainerStats {
	c.k.t.Helper()
	a, err := c.k.runtime.ContainerStats(background, &cri.ContainerStatsRequest{ContainerId: c.id})
	if err != nil {
		c.k.t.Fatalf("stats: %v", err)
	}
	return a.Stats
}

// A daemon that restarts finds pods as they are, and learns what it has missed.
func testDaemonRestarts(k *kubelet) {
	host := k.t.TempDir()
	p := k.pod(own())
	up := p.start("up", "sleep", "1000")
	ends := p.create("ends", []string{"sh", "-c", "until [ -e /host/end ]; do sleep 0.1; done; touch /host/ended; exit 5"}, func(c *cri.ContainerConfig) {
		c.Mounts = []*cri.Mount{{ContainerPath: "/host", HostPath: host}}
	})
	if err := ends.start(); err != nil {
		k.t.Fatal(err)
	}
	k.restart(func() {
		if err := os.WriteFile(filepath.Join(host, "end"), nil, 0o600); err != nil {
			k.t.Error(err)
		}
		awaitFile(k.t, filepath.Join(host, "ended"))
	})
	ends.ended(5, "Error")
	up.says("still", "echo still")
	p.start("new", "true").ended(0, "Completed")
	p.ready(cri.PodSandboxState_SANDBOX_READY)
}

func awaitFile(t *testing.T, path string) {
	t.Helper()
	until(t, func() string {
		if _, err := os.Stat(path); err != nil {
			return err.Error()
		}
		return ""
	})
}

// Of a pod whose shim is killed nothing is left once it has been removed.
func testShimKilled(k *kubelet) {
	p := k.pod(own())
	c := p.start("main", "sleep", "1000")
	shims := k.shims()
	if len(shims) != 1 {
		k.t.Fatalf("shims of a pod: %v", shims)
	}
	if err := unix.Kill(shims[0], unix.SIGKILL); err != nil {
		k.t.Fatal(err)
	}
	c.ended(255, "Error") // nobody knows
	until(k.t, func() string {
		if s := p.status(); s.State != cri.PodSandboxState_SANDBOX_NOTREADY {
			return fmt.Sprint(s)
		}
		return ""
	})
	if k.native() { // runc's leaves its socket
		sockets, _ := filepath.Glob(k.sockets())
		for _, path := range sockets {
			_ = os.Remove(path)
		}
	}
}

// shims are the pids of all shims.
func (n *node) shims() (pids []int) {
	for _, pid := range n.processes() {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		program, _, _ := bytes.Cut(line, []byte{0})
		if strings.HasPrefix(filepath.Base(string(program)), "containerd-shim-") {
			pids = append(pids, pid)
		}
	}
	return pids
}
