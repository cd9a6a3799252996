// Package cgroupfs is the control group of a container as it sees it itself,
// cgroups(7): the root of a version 2 hierarchy with the limits that runtimes (Go,
// Java, Node) size themselves by. Groups below it can't be made; the limits are
// enforced outside (the host's cgroup, the page file's size), and changed there.
package cgroupfs

import (
	"bytes"
	"fmt"

	"garrison/fs/pseudo"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// Limits is what a container may use. Zero is no limit.
type Limits struct {
	Memory, MemoryHigh, MemoryLow uint64 // bytes
	Swap                          uint64 // bytes beside Memory; NoSwap for none
	CPUQuota, CPUPeriod, CPUBurst uint64 // microseconds
	CPUWeight                     uint64 // 1-10000
	CPUIdle                       bool   // SCHED_IDLE
	Pids                          uint64
	CPUs, Mems                    string // cpuset's lists
}

// NoSwap is a Limits.Swap of no swap at all.
const NoSwap = ^uint64(0)

// Type is the filesystem for mount(2). limits tells what holds now for a
// container.
func Type(k *kernel.Kernel, limits func(*kernel.Container) Limits) *vfs.Type {
	return &vfs.Type{
		Name:  "cgroup2",
		Magic: linux.CGROUP2_SUPER_MAGIC,
		Flags: vfs.UserMount,
		Check: vfs.KnownOptions("nsdelegate", "favordynmods", "memory_localevents", "memory_recursiveprot",
			"memory_hugetlb_accounting", "pids_localevents"),
		New: func(c vfs.Ctx, _ *vfs.NewArgs) (vfs.Inode, error) {
			t, ok := kernel.Caller(c)
			if !ok {
				return nil, linux.EPERM
			}
			return Root(c, k, t.Container(), limits), nil
		},
	}
}

// Root makes the root inode of the group of container x.
func Root(c vfs.Ctx, k *kernel.Kernel, x *kernel.Container, limits func(*kernel.Container) Limits) vfs.Inode {
	at := (&pseudo.FS{
		Magic: linux.CGROUP2_SUPER_MAGIC, Blksize: 4096, Options: "nsdelegate,memory_recursiveprot", Time: c.Now(),
	}).Root()
	return pseudo.NewDir(at, &group{k, x, limits}, pseudo.DirSpec[*group]{Mode: 0o755, Table: table()})
}

// A group is the control group of a container.
type group struct {
	k      *kernel.Kernel
	x      *kernel.Container
	limits func(*kernel.Container) Limits
}

func (g *group) now() Limits {
	if g.limits == nil {
		return Limits{}
	}
	return g.limits(g.x)
}

type entry = pseudo.Entry[*group]

// file is a file whose text is computed.
func file(name string, show func(g *group, c vfs.Ctx) string) entry {
	return entry{Name: name, Show: func(g *group, c vfs.Ctx, w *bytes.Buffer) error {
		w.WriteString(show(g, c))
		return nil
	}}
}

// limit is a file that shows a limit. It can be written to by root, and refuses
// with EPERM: limits are the outside's.
func limit(name string, show func(l Limits) string) entry {
	e := file(name, func(g *group, _ vfs.Ctx) string { return show(g.now()) + "\n" })
	e.Mode, e.Store = 0o644, refuse
	return e
}

func refuse(*group, vfs.Ctx, []byte) error { return linux.EPERM }

func fixed(name, s string) entry {
	return file(name, func(*group, vfs.Ctx) string { return s })
}

// orMax is n, or "max" where it is no limit.
func orMax(n uint64) string {
	if n == 0 {
		return "max"
	}
	return fmt.Sprint(n)
}

const pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

func table() []entry {
	return []entry{
		fixed("cgroup.controllers", "cpuset cpu memory pids\n"),
		file("cgroup.events", showEvents),
		limit("cgroup.freeze", func(Limits) string { return "0" }),
		{Name: "cgroup.kill", Mode: 0o200, Store: refuse},
		limit("cgroup.max.depth", func(Limits) string { return "max" }),
		limit("cgroup.max.descendants", func(Limits) string { return "max" }),
		{Name: "cgroup.procs", Mode: 0o644, Show: showProcs, Store: join},
		fixed("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
		limit("cgroup.subtree_control", func(Limits) string { return "" }),
		{Name: "cgroup.threads", Mode: 0o644, Show: showThreads, Store: join},
		fixed("cgroup.type", "domain\n"),
		limit("cpu.idle", cpuIdle),
		limit("cpu.max", cpuMax),
		limit("cpu.max.burst", func(l Limits) string { return fmt.Sprint(l.CPUBurst) }),
		fixed("cpu.pressure", pressure),
		file("cpu.stat", showCPUStat),
		limit("cpu.weight", func(l Limits) string { return fmt.Sprint(weight(l)) }),
		limit("cpu.weight.nice", func(Limits) string { return "0" }),
		limit("cpuset.cpus", func(l Limits) string { return l.CPUs }),
		file("cpuset.cpus.effective", func(g *group, _ vfs.Ctx) string { return effective(g.now().CPUs, g.k.CPUs()) }),
		limit("cpuset.mems", func(l Limits) string { return l.Mems }),
		fixed("cpuset.mems.effective", "0\n"),
		fixed("io.pressure", pressure),
		fixed("io.stat", ""),
		file("memory.current", func(g *group, _ vfs.Ctx) string { return fmt.Sprintln(g.memory()) }),
		file("memory.events", showMemoryEvents),
		file("memory.events.local", showMemoryEvents),
		limit("memory.high", func(l Limits) string { return orMax(l.MemoryHigh) }),
		limit("memory.low", func(l Limits) string { return fmt.Sprint(l.MemoryLow) }),
		limit("memory.max", func(l Limits) string { return orMax(l.Memory) }),
		limit("memory.min", func(Limits) string { return "0" }),
		limit("memory.oom.group", func(Limits) string { return "0" }),
		file("memory.peak", func(g *group, _ vfs.Ctx) string { return fmt.Sprintln(g.memory()) }),
		fixed("memory.pressure", pressure),
		file("memory.stat", showMemoryStat),
		fixed("memory.swap.current", "0\n"),
		fixed("memory.swap.events", "high 0\nmax 0\nfail 0\n"),
		limit("memory.swap.high", func(Limits) string { return "max" }),
		limit("memory.swap.max", swapMax),
		file("pids.current", func(g *group, _ vfs.Ctx) string { return fmt.Sprintln(g.x.Tasks().Now) }),
		file("pids.events", showPidsEvents),
		file("pids.events.local", showPidsEvents),
		limit("pids.max", func(l Limits) string { return orMax(l.Pids) }),
		file("pids.peak", func(g *group, _ vfs.Ctx) string { return fmt.Sprintln(g.x.Tasks().Peak) }),
	}
}

func cpuMax(l Limits) string {
	period := l.CPUPeriod
	if period == 0 {
		period = 100000
	}
	return fmt.Sprintf("%s %d", orMax(l.CPUQuota), period)
}

func cpuIdle(l Limits) string {
	if l.CPUIdle {
		return "1"
	}
	return "0"
}

func weight(l Limits) uint64 {
	if l.CPUWeight == 0 {
		return 100
	}
	return l.CPUWeight
}

func swapMax(l Limits) string {
	if l.Swap == NoSwap {
		return "0"
	}
	return orMax(l.Swap)
}

// effective is the processors that are there, which the kernel's count decides.
func effective(list string, n int) string {
	switch {
	case list != "":
		return list + "\n"
	case n == 1:
		return "0\n"
	}
	return fmt.Sprintf("0-%d\n", n-1)
}

// memory is the bytes in use.
func (g *group) memory() uint64 {
	n, err := g.x.Memory.Usage()
	if err != nil {
		return 0
	}
	return n
}

func showEvents(g *group, _ vfs.Ctx) string {
	populated := 0
	if g.x.Tasks().Now > 0 {
		populated = 1
	}
	return fmt.Sprintf("populated %d\nfrozen 0\n", populated)
}

// reader is the pid namespace of whoever reads.
func (g *group) reader(c vfs.Ctx) *kernel.PIDNamespace {
	if t, ok := kernel.Caller(c); ok {
		return t.PIDNamespace()
	}
	return g.x.PIDs
}

func showProcs(g *group, c vfs.Ctx, w *bytes.Buffer) error {
	for _, p := range g.x.Groups() {
		fmt.Fprintln(w, p.PID().In(g.reader(c)))
	}
	return nil
}

func showThreads(g *group, c vfs.Ctx, w *bytes.Buffer) error {
	for _, p := range g.x.Groups() {
		for _, t := range g.k.Tasks(p) {
			fmt.Fprintln(w, t.PID().In(g.reader(c)))
		}
	}
	return nil
}

// join takes a process that is here already.
func join(*group, vfs.Ctx, []byte) error { return nil }

func showCPUStat(g *group, _ vfs.Ctx) string {
	user, system := g.x.CPUTime()
	return fmt.Sprintf("usage_usec %d\nuser_usec %d\nsystem_usec %d\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n",
		(user+system)/1000, user/1000, system/1000)
}

func showPidsEvents(g *group, _ vfs.Ctx) string { return fmt.Sprintf("max %d\n", g.x.Tasks().Refused) }

func showMemoryEvents(g *group, _ vfs.Ctx) string {
	n := g.x.OutOfMemories()
	return fmt.Sprintf("low 0\nhigh 0\nmax %d\noom %d\noom_kill %d\noom_group_kill 0\n", n, n, n)
}

func showMemoryStat(g *group, _ vfs.Ctx) string {
	n := g.memory()
	return fmt.Sprintf("anon %d\nfile 0\nkernel 0\nkernel_stack 0\npagetables 0\nsock 0\nvmalloc 0\nshmem 0\nfile_mapped 0\n"+
		"file_dirty 0\nfile_writeback 0\nswapcached 0\nanon_thp 0\nfile_thp 0\nshmem_thp 0\ninactive_anon 0\nactive_anon %d\n"+
		"inactive_file 0\nactive_file 0\nunevictable 0\nslab_reclaimable 0\nslab_unreclaimable 0\nslab 0\npgfault 0\npgmajfault 0\n", n, n)
}
