package main

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// isolated marks a command that has its own mount namespace.
const isolated = "GARRISON_BENCH_ISOLATED"

// isolate has this command begin again in a mount namespace of its own, so that
// no mount outlives it, however it ends. There a cgroup2 beside a version 1
// hierarchy is out of sight: crun refuses hosts on which both have controllers.
func isolate() error {
	if os.Getenv(isolated) != "" {
		return nil
	}
	goruntime.LockOSThread() // namespaces belong to threads, and execve keeps this one's
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare the mount namespace: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	hs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range hs {
		if h.v2 && len(hs) > 1 {
			if err := syscall.Unmount(h.dir, 0); err != nil {
				return fmt.Errorf("umount %s: %w", h.dir, err)
			}
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), isolated+"=1"))
}

// A hierarchy is a mounted tree of cgroups.
type hierarchy struct {
	dir         string
	v2          bool
	controllers string // of version 1, as in its mount options
}

// enter moves this command to a group.
func (h hierarchy) enter(path string) error {
	procs := filepath.Join(h.dir, path, "cgroup.procs")
	return os.WriteFile(procs, []byte(strconv.Itoa(os.Getpid())), 0)
}

// has reports whether the hierarchy can have a controller of version 1's name.
func (h hierarchy) has(controller string) bool {
	return h.v2 || slices.Contains(strings.Split(h.controllers, ","), controller)
}

// hierarchies are all that are mounted.
func hierarchies() (hs []hierarchy, err error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for l := range strings.Lines(string(b)) {
		before, after, _ := strings.Cut(l, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) < 5 || len(what) < 3 || what[0] != "cgroup" && what[0] != "cgroup2" {
			continue
		}
		hs = append(hs, hierarchy{where[4], what[0] == "cgroup2", what[2]})
	}
	return hs, nil
}
