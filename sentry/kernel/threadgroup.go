package kernel

import (
	"sync/atomic"

	"garrison/sentry/auth"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/list"
)

// A ThreadGroup is a process: tasks that share a pid, signal dispositions,
// limits, and an end.
type ThreadGroup struct {
	k         *Kernel
	pid       *PID // its leader's, whoever that is
	container *Container
	limits    *limits.Set

	sig   groupSignals
	times groupTimes
	cpu   cpuTimers
	itime intervalTimers

	// Children is opened when a child ends, stops or goes on.
	Children Gate
	// ended is closed when the last thread has ended and status is final.
	ended chan struct{} `save:"-"`
	// departures is opened when a thread has ended while another is in execve.
	departures Gate

	oomAdjust atomic.Int32  // /proc/pid/oom_score_adj
	dumpable  atomic.Int32  // prctl(PR_SET_DUMPABLE)
	coreKinds atomic.Uint32 // /proc/pid/coredump_filter
	barriers  atomic.Uint32 // membarrier(2) registrations
	noTHP     atomic.Bool   // prctl(PR_SET_THP_DISABLE)
	memoryNS  atomic.Pointer[auth.UserNamespace]

	// Protected by Kernel.tasks:

	leader    *Task
	tasks     list.List[*Task]
	threads   int // on tasks
	alive     int // of those, not yet ended, or kept for their tracers
	lingering int // of those, that are kept so
	parent    *ThreadGroup
	children  list.List[*ThreadGroup]
	sibling   list.Elem[*ThreadGroup]
	pgrp      *ProcessGroup
	pgrpPlace list.Elem[*ThreadGroup]
	tty       Terminal         // controlling terminal
	status    linux.WaitStatus // final once exited
	exited    bool             // all threads have ended: a zombie until reaped
	reaped    bool
	execed    bool         // has called execve since its fork
	subreaper bool         // PR_SET_CHILD_SUBREAPER
	reaps     bool         // pid 1 that ends: its children leave no zombies
	signal    linux.Signal // that the parent gets at the end; 0 for none
	deathSig  linux.Signal // PR_SET_PDEATHSIG
	childTime childTimes   // of the children waited for
}

// Leader is the task whose pid is the process's. It changes when another
// thread calls execve.
func (g *ThreadGroup) Leader() *Task {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.leader
}

// PID is the process's number.
func (g *ThreadGroup) PID() *PID { return g.pid }

// Limits is the resource limits, shared by the threads.
func (g *ThreadGroup) Limits() *limits.Set { return g.limits }

// Container is the container the process belongs to.
func (g *ThreadGroup) Container() *Container { return g.container }

// Kernel is the kernel that g runs on.
func (g *ThreadGroup) Kernel() *Kernel { return g.k }

// ProcessGroup is the process group that g is in, nil when it has been reaped.
func (g *ThreadGroup) ProcessGroup() *ProcessGroup {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.pgrp
}

// Parent is who gets g's SIGCHLD; nil for a container's first process, and for
// those that came from outside.
func (g *ThreadGroup) Parent() *ThreadGroup {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.parent
}

// ChildGroups lists the children, zombies too.
func (g *ThreadGroup) ChildGroups() (out []*ThreadGroup) {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	for c := range g.children.All() {
		out = append(out, c)
	}
	return out
}

// Threads is how many tasks g has.
func (g *ThreadGroup) Threads() int {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.threads
}

// Exited reports whether every thread has ended.
func (g *ThreadGroup) Exited() bool {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.exited
}

// Done is closed when every thread has ended; then Status is final.
func (g *ThreadGroup) Done() <-chan struct{} { return g.ended }

// Status is how g ended, for wait4(2). It is final once Done is closed.
func (g *ThreadGroup) Status() linux.WaitStatus {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.status
}

// OOMAdjust and SetOOMAdjust are /proc/pid/oom_score_adj.
func (g *ThreadGroup) OOMAdjust() int32 { return g.oomAdjust.Load() }

// CoreFilter and SetCoreFilter are /proc/pid/coredump_filter.
func (g *ThreadGroup) CoreFilter() linux.CoreFilter { return linux.CoreFilter(g.coreKinds.Load()) }

// SetCoreFilter sets what CoreFilter returns.
func (g *ThreadGroup) SetCoreFilter(f linux.CoreFilter) { g.coreKinds.Store(uint32(f)) }

// SetOOMAdjust sets what OOMAdjust returns.
func (g *ThreadGroup) SetOOMAdjust(v int32) { g.oomAdjust.Store(v) }
