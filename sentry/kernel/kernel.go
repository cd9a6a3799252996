// Package kernel is the kernel proper: tasks and their thread groups, process
// groups, sessions and namespaces; signals; futexes; timers; execve, clone,
// exit and wait. One Kernel is one sandbox, and all state hangs off it.
//
// A task is a goroutine that runs states (see run.go). It sleeps in one place
// only (block.go). What several tasks see is guarded as lock/order.go says:
// Kernel.tasks (rank TaskSet) guards the process tree and everything that names
// a process; ThreadGroup.sig.mu (rank Signals) guards one process's pending
// signals, stops and exit; the rest is atomic or the task's own.
package kernel

import (
	"sync/atomic"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/aio"
	"garrison/sentry/auth"
	"garrison/sentry/kernel/futex"
	"garrison/sentry/keys"
	"garrison/sentry/ktime"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// Options is what a Kernel is made of.
type Options struct {
	Platform platform.Platform
	Table    *Table
	Tracer   Tracer      // may be nil
	VFS      *vfs.System // nil: a new one

	Release string // uname's release; "6.12.0" if empty
	Version string // this program's own version, part of uname's version

	// CPUs is how many processors the guest sees; 0 is the host's count.
	CPUs int
	// Memory is the bytes of memory that sysinfo and /proc/meminfo report at first.
	Memory uint64
	// MaxTasks is how many tasks there may be at a time (threads-max); 0 is as
	// many as the host threads that Go lets a program have, with some to spare.
	MaxTasks int
	// NewNetwork makes the network of a new network namespace that belongs to owner;
	// may be nil.
	NewNetwork func(owner *auth.UserNamespace) any
	// CorePattern is where core files go and whether they are numbered:
	// core_pattern and core_uses_pid below /proc/sys/kernel. nil: there are none.
	CorePattern func() (pattern string, usesPID bool)
	// Log reports what deserves a line in the debug log; may be nil.
	Log func(format string, args ...any)
}

// A Kernel is one sandbox's kernel.
type Kernel struct {
	platform platform.Platform
	table    *Table
	constant []uint64 // numbers of its calls that are Constant
	tracer   Tracer
	opts     Options
	facts    platform.Facts
	xstate   arch.XState

	// VFS is the virtual filesystem that all containers share.
	VFS *vfs.System
	// Clocks tells the time.
	Clocks ktime.Clocks
	// Futexes is where tasks sleep in futex(2).
	Futexes futex.Table
	// AIO counts what asynchronous I/O has been asked for.
	AIO aio.System
	// Keys is what keyctl(2) is about.
	Keys *keys.Service

	rootUserNS *auth.UserNamespace
	rootCreds  *auth.Creds // whom the kernel reads programs as
	rootPIDNS  *PIDNamespace
	timeNS     *TimeNamespace   // the first
	cgroupNS   *CgroupNamespace // the first
	users      userTable
	boot       int64 // CLOCK_BOOTTIME of New
	memory     atomic.Uint64
	inodes     atomic.Uint64

	pi lock.Mutex[lock.Futex] // serialises hand-overs of futexes

	running  atomic.Int64 // tasks that are not asleep, for load and timers
	runners  runners
	forks    atomic.Uint64
	verdicts atomic.Uint64 // of seccomp(2) filters, that Linux would log

	// tasks guards the process tree: every field so marked in this package.
	tasks      lock.RWMutex[lock.TaskSet]
	containers map[string]*Container
	terminals  map[Terminal]*control
	live       int // tasks that have a pid
	reapWatch  reapWatch
}

// New returns a kernel with no containers.
func New(o Options) *Kernel {
	k := &Kernel{platform: o.Platform, table: o.Table, tracer: o.Tracer, opts: o, VFS: o.VFS}
	k.facts, k.xstate = o.Platform.Facts(), arch.HostXState()
	for nr := range k.table {
		if k.table[nr].Constant {
			k.constant = append(k.constant, uint64(nr))
		}
	}
	if k.VFS == nil {
		k.VFS = vfs.New(nil)
	}
	if k.opts.Release == "" {
		k.opts.Release = "6.12.0"
	}
	if k.opts.CPUs <= 0 {
		k.opts.CPUs = hostCPUs()
	}
	if k.opts.MaxTasks <= 0 {
		k.opts.MaxTasks = defaultMaxTasks
	}
	k.Keys = keys.New(k.Clocks.Realtime.Now)
	k.inodes.Store(firstNSInode)
	k.rootUserNS = &auth.UserNamespace{Inode: firstUserNS}
	k.timeNS = &TimeNamespace{Inode: firstTimeNS, UserNS: k.rootUserNS, frozen: true}
	k.cgroupNS = &CgroupNamespace{Inode: firstCgroupNS, UserNS: k.rootUserNS}
	k.rootCreds = auth.Root(k.rootUserNS)
	k.rootPIDNS = newPIDNamespace(nil, k.rootUserNS, k.NewInode())
	k.containers, k.terminals = map[string]*Container{}, map[Terminal]*control{}
	k.boot = k.Clocks.Boottime.Now()
	k.memory.Store(o.Memory)
	return k
}

// defaultMaxTasks keeps a sandbox whose tasks are threads of the sentry below
// debug.SetMaxThreads' 10,000, which is fatal.
const defaultMaxTasks = 9000

// firstNSInode is where the inode numbers of namespaces begin (PROC_DYNAMIC_FIRST).
const firstNSInode = 0xf0000000

// firstUserNS is the number of the first user namespace (PROC_USER_INIT_INO).
const firstUserNS = 0xeffffffd

// NewInode is a number for a namespace's inode in /proc/pid/ns.
func (k *Kernel) NewInode() uint64 { return k.inodes.Add(1) }

// Platform is what runs the guest.
func (k *Kernel) Platform() platform.Platform { return k.platform }

// RootUserNS is the user namespace that the sandbox starts in.
func (k *Kernel) RootUserNS() *auth.UserNamespace { return k.rootUserNS }

// RootPIDNS sees every task of the sandbox, whatever its container.
func (k *Kernel) RootPIDNS() *PIDNamespace { return k.rootPIDNS }

// Options returns what New was told, with the defaults filled in.
func (k *Kernel) Options() Options { return k.opts }

// CPUs is how many processors the guest sees.
func (k *Kernel) CPUs() int { return k.opts.CPUs }

// Memory is the bytes of memory that sysinfo and /proc/meminfo report.
func (k *Kernel) Memory() uint64 { return k.memory.Load() }

// SetMemory changes them: the limit of the sandbox is another.
func (k *Kernel) SetMemory(n uint64) {
	k.memory.Store(n)
	for _, c := range k.Containers() {
		c.Env.SetTotalMemory(n)
	}
}

// Uptime is the nanoseconds since New.
func (k *Kernel) Uptime() int64 { return k.Clocks.Boottime.Now() - k.boot }

// BootTime is CLOCK_REALTIME at New, in nanoseconds.
func (k *Kernel) BootTime() int64 { return k.Clocks.Realtime.Now() - k.Uptime() }

// UTSRelease and UTSVersion are what uname(2) says of every container.
func (k *Kernel) UTSRelease() string { return k.opts.Release }

// UTSVersion is uname's version: "#1 SMP Garrison <version>".
func (k *Kernel) UTSVersion() string { return "#1 SMP Garrison " + k.opts.Version }

func (k *Kernel) logf(format string, args ...any) {
	if k.opts.Log != nil {
		k.opts.Log(format, args...)
	}
}

// Stats is the counters of /proc/stat and /proc/loadavg.
type Stats struct {
	Forks   uint64 // tasks made since New
	Running int    // tasks that run or could
	Tasks   int    // tasks alive
	LastPID int32  // in the root namespace
}

// Stats returns the counters now.
func (k *Kernel) Stats() Stats {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	return Stats{Forks: k.forks.Load(), Running: max(0, int(k.running.Load())), Tasks: k.live, LastPID: k.rootPIDNS.last}
}
