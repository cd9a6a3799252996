package cri

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// clean waits until nothing of any pod is left.
func (n *node) clean(t *testing.T) {
	t.Helper()
	until(t, func() string {
		if left := n.remains(); len(left) > 0 {
			return "left behind:\n" + strings.Join(left, "\n")
		}
		return ""
	})
}

// remains are processes, mounts, interfaces, addresses, cgroups, records and sockets
// of pods: all that the node has when it has any, and not when it has none.
func (n *node) remains() (left []string) {
	for _, pid := range n.processes() {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		left = append(left, fmt.Sprintf("process %d %q", pid, line))
	}
	proc := fmt.Sprintf("/proc/%d", n.machine)
	mounts, err := os.ReadFile(proc + "/mountinfo")
	if err != nil {
		return append(left, err.Error())
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); strings.HasPrefix(f[4], n.dir+"/") {
			left = append(left, "mount "+f[4])
		}
	}
	interfaces, _ := os.ReadFile(proc + "/net/dev")
	for line := range strings.Lines(string(interfaces)) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name != "lo" && name != bridge {
			left = append(left, "interface "+name)
		}
	}
	for _, pattern := range []string{
		"/sys/fs/cgroup" + n.cgroups + "/*/cgroup.procs", "/sys/fs/cgroup/*" + n.cgroups + "/*/cgroup.procs",
		n.dir + "/root/io.containerd.grpc.v1.cri/sandboxes/*", n.dir + "/root/io.containerd.grpc.v1.cri/containers/*",
		n.dir + "/state/io.containerd.grpc.v1.cri/sandboxes/*", n.dir + "/state/io.containerd.grpc.v1.cri/containers/*",
		n.dir + "/root/io.containerd.runtime.v2.task/k8s.io/*", n.dir + "/state/io.containerd.runtime.v2.task/k8s.io/*",
		n.dir + "/state/io.containerd.grpc.v1.cri/netns/*", n.dir + "/ipam/pods/10.*", n.dir + "/ipam/pods/fd88*",
		n.dir + "/runc/k8s.io/*", n.dir + "/runsc/k8s.io/*",
		n.sockets(),
	} {
		found, _ := filepath.Glob(pattern)
		left = append(left, found...)
	}
	return left
}

// seen asks that remains are found of every kind while there is a pod.
func (k *kubelet) seen() {
	k.t.Helper()
	left := strings.Join(k.remains(), "\n")
	for _, kind := range []string{
		"process ", "mount ", "interface ", "/cgroup.procs", "/sandboxes/", "/containers/", "/io.containerd.runtime.v2.task/",
		"/netns/", "/ipam/", "/" + k.handler + "/k8s.io/", "/run/containerd/s/",
	} {
		if !strings.Contains(left, kind) {
			k.t.Errorf("a pod has no %s in\n%s", kind, left)
		}
	}
}

// sockets is a pattern of what shims listen on.
func (n *node) sockets() string { return fmt.Sprintf("/proc/%d/root/run/containerd/s/*", n.machine) }

// processes are those that belong to pods: who is in the cgroup of all of them, or in
// the node's network but neither one of its own nor the test, which looks in.
func (n *node) processes() (pids []int) {
	network, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", n.machine))
	if err != nil {
		return nil
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		theirs, err := os.Readlink(dir + "/ns/net")
		groups, _ := os.ReadFile(dir + "/cgroup")
		if !slices.Contains([]int{n.machine, n.daemon, os.Getpid()}, pid) && (err == nil && theirs == network || strings.Contains(string(groups), ":"+n.cgroups+"/")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// sweep ends what a failed test has left, and removes the cgroup of all pods, which
// is the kubelet's to remove.
func (n *node) sweep(t *testing.T) {
	for _, pid := range n.processes() {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	until(t, func() string {
		if pids := n.processes(); len(pids) > 0 {
			return fmt.Sprintf("processes that can't be killed: %v", pids)
		}
		return ""
	})
	for _, pattern := range []string{"/sys/fs/cgroup" + n.cgroups, "/sys/fs/cgroup/*" + n.cgroups} {
		found, _ := filepath.Glob(pattern)
		for _, dir := range found {
			removeTree(dir)
		}
	}
}

// removeTree removes a cgroup and those below it.
func removeTree(dir string) {
	var all []string
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			all = append(all, path)
		}
		return nil
	})
	for _, path := range slices.Backward(all) {
		_ = os.Remove(path)
	}
}
