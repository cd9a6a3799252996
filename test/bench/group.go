package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A group is a cgroup that this command, the runtimes and everything they start
// run in. What was used and which processes there are is read from it, whoever
// their parents are.
type group struct {
	name   string               // below the root of each hierarchy
	all    []hierarchy          // runtimes make groups below name in all of them
	acct   hierarchy            // the one that counts CPU time
	shares hierarchy            // the one that shares it out
	homes  map[hierarchy]string // where this command came from, in those two
}

// newGroup makes the group and moves this command there.
func newGroup() (*group, error) {
	hs, err := hierarchies()
	if err != nil {
		return nil, err
	}
	g := &group{name: fmt.Sprintf("garrison-bench-%d", os.Getpid()), all: hs}
	for _, h := range hs {
		if h.has("cpuacct") {
			g.acct = h
		}
		if h.has("cpu") {
			g.shares = h
		}
	}
	if g.acct.dir == "" || g.shares.dir == "" {
		return nil, errors.New("no cgroup hierarchy here counts CPU time and shares it out")
	}
	if err := g.moveIn(); err != nil {
		g.moveOut()
		g.remove()
		return nil, err
	}
	return g, nil
}

// moveIn moves this command to the group, and keeps in mind where it came from.
func (g *group) moveIn() error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	g.homes = map[hierarchy]string{}
	for l := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(l), ":", 3)
		for _, h := range []hierarchy{g.acct, g.shares} {
			if len(f) != 3 || h.v2 != (f[1] == "") || !h.v2 && !h.has(strings.Split(f[1], ",")[0]) {
				continue
			}
			g.homes[h] = f[2]
			if err := os.MkdirAll(filepath.Join(h.dir, g.name, "self"), 0o755); err != nil {
				return err
			}
			if err := h.enter(filepath.Join(g.name, "self")); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *group) moveOut() {
	for h, home := range g.homes {
		_ = h.enter(home)
	}
}

func (g *group) dir() string { return filepath.Join(g.acct.dir, g.name) }

// path is the cgroupsPath of a container.
func (g *group) path(id string) string { return "/" + g.name + "/" + id }

// neighbour moves a process to the ith of some groups beside those of containers,
// each of which has as large a share of the processors as they.
func (g *group) neighbour(pid, i int) error {
	dir := filepath.Join(g.shares.dir, g.name, fmt.Sprintf("neighbour-%d", i))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// cpu is the CPU time that everything in the group has used so far, but for
// this command itself.
func (g *group) cpu() (time.Duration, error) {
	var ns int64
	var err error
	if g.acct.v2 {
		b, e := os.ReadFile(filepath.Join(g.dir(), "cpu.stat"))
		_, _ = fmt.Sscanf(string(b), "usage_usec %d", &ns)
		ns, err = ns*1000, e
	} else {
		b, e := os.ReadFile(filepath.Join(g.dir(), "cpuacct.usage"))
		_, _ = fmt.Sscan(string(b), &ns)
		err = e
	}
	var own syscall.Rusage
	if err == nil {
		err = syscall.Getrusage(syscall.RUSAGE_SELF, &own)
	}
	return time.Duration(ns - own.Utime.Nano() - own.Stime.Nano()), err
}

// processes are those in the group, but for this command.
func (g *group) processes() (pids []int) {
	_ = filepath.WalkDir(g.dir(), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // a group that has just gone
		}
		b, _ := os.ReadFile(filepath.Join(p, "cgroup.procs"))
		for _, f := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil && pid != os.Getpid() {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}

// settle waits for the processes of the group to end, for limit at most.
func (g *group) settle(limit time.Duration) {
	for end := time.Now().Add(limit); len(g.processes()) > 0 && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond)
	}
}

// sweep kills what is left in the group, and says how many processes that were.
func (g *group) sweep() int {
	g.settle(2 * time.Second)
	left := g.processes()
	for range 50 {
		for _, pid := range g.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
		}
		g.settle(100 * time.Millisecond)
		if len(g.processes()) == 0 {
			break
		}
	}
	return len(left)
}

// close ends what is in the group, and removes it.
func (g *group) close() {
	g.sweep()
	g.moveOut()
	g.remove()
}

// remove removes the group from every hierarchy, with the groups below it.
func (g *group) remove() {
	for _, h := range g.all {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(h.dir, g.name), func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, p)
			}
			return nil
		})
		for _, d := range slices.Backward(dirs) {
			_ = os.Remove(d) // there is no one to tell
		}
	}
}
