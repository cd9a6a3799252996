package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// moveTimeout is how long it may take to move processes away: what they bear meanwhile is
// to be moved, too.
const moveTimeout = 5 * time.Second

// Has says whether the process pid is in the cgroups.
func (g *Group) Has(pid int) bool {
	_, err := g.each(func(member int) error {
		if member == pid {
			return fs.SkipAll
		}
		return nil
	})
	return err == fs.SkipAll
}

// MoveTo moves all processes to the cgroups to, or, if that is nil, to those that the
// caller itself is in.
func (g *Group) MoveTo(to *Group) error {
	move := g.addToCallers
	if to != nil {
		move = to.Add
	}
	for end := time.Now().Add(moveTimeout); ; {
		n, err := g.each(move)
		if err != nil || n == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("cgroup: there are still processes to move after %v", moveTimeout)
		}
	}
}

// each calls do with each process in one of the cgroups and below, until that fails, and
// says how many there are. One that has ended meanwhile is no error.
func (g *Group) each(do func(pid int) error) (n int, err error) {
	// Who was born while its parent moved may be in some of version 1's and not in others.
	for _, dir := range g.m.GetPaths() {
		pids, err := cgroups.GetAllPids(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return n, fmt.Errorf("cgroup: %w", err)
		}
		for _, pid := range pids {
			n++
			if err := do(pid); err != nil && !errors.Is(err, unix.ESRCH) {
				return n, err
			}
		}
	}
	return n, nil
}

// addToCallers moves the process pid to the cgroups that the caller is in.
func (g *Group) addToCallers(pid int) error {
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	for controller := range g.m.GetPaths() {
		dir := filepath.Join("/sys/fs/cgroup", own[""])
		if !cgroups.IsCgroup2UnifiedMode() {
			if dir, err = cgroups.GetOwnCgroupPath(controller); err != nil {
				return fmt.Errorf("cgroup: %w", err)
			}
		}
		if err := cgroups.WriteCgroupProc(dir, pid); err != nil {
			return fmt.Errorf("cgroup: add process %d: %w", pid, err)
		}
	}
	return nil
}
