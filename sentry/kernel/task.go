package kernel

import (
	"sync/atomic"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/keys"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/list"
	"garrison/sentry/lock"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// A Task is a thread: one goroutine that runs states, with a platform.Context
// in which the guest runs. It is what the system calls see as their caller: a
// vfs.Ctx and a usermem.Memory. Unless a method says otherwise, only the
// task's own goroutine may call it.
type Task struct {
	k   *Kernel
	tg  *ThreadGroup
	pid *PID // changes when another thread's execve makes it the leader; protected by Kernel.tasks

	taskRun
	taskMemory
	taskFiles
	taskSignals
	taskFutex
	taskExit
	taskIPC
	taskSeccomp
	taskRseq
	trace   taskTrace
	cputime taskTimes
	taskSleep

	creds  atomic.Pointer[auth.Creds]
	status atomic.Uint32 // a RunState
	rings  keys.Rings

	// Protected by Kernel.tasks:

	place  list.Elem[*Task] // on tg.tasks
	maker  *Task            // of a process's leader: the parent's thread that made it
	zombie bool             // has ended; only a leader stays, until it is reaped

	// mu guards what other tasks read and change in /proc and by system call.
	mu       lock.Mutex[lock.Task]
	comm     string    // protected by mu
	shown    uint64    // protected by mu: a hash of the arguments that the host shows
	sched    schedParm // protected by mu
	ns       Namespaces
	affinity CPUSet // protected by mu
}

// taskRun is the part that only the task's own goroutine uses, besides Interrupt.
type taskRun struct {
	ctx       platform.Context
	regs      arch.Regs
	args      [6]uint64
	state     state
	visits    int64         // Switches begun and ended so far; by hot.Store, but for the beginning
	attention atomic.Uint32 // why the task must not simply go back to the guest

	told identity // what the platform's answers are of

	userDispatch UserDispatch

	Policy mm.Policy // set_mempolicy(2)

	restart     linux.Errno // the ERESTART code of a call that a signal ended
	restartFn   RestartFn   // what restart_syscall(2) does; nil: EINTR
	personality uint32
	timerSlack  uint64
	crowded     bool  // has become a user who has too many threads (PF_NPROC_EXCEEDED)
	ioFlusher   bool  // prctl(PR_SET_IO_FLUSHER)
	mcePolicy   uint8 // prctl(PR_MCE_KILL)
	fault       lastFault
	faultMemo   mm.FaultMemo
	fpuBuf      []byte // scratch of signal frames
	dumpFPU     []byte // the vector state as a core file has it
}

// A RestartFn goes on with a system call that a stop interrupted, where its
// time-out is not to begin anew.
type RestartFn func(t *Task) (uint64, error)

// A RunState is what /proc/pid/stat shows as a task's state.
type RunState uint32

// Run states, in the letters of /proc/pid/stat.
const (
	Running     RunState = 'R'
	Sleeping    RunState = 'S'
	DiskWait    RunState = 'D' // sleeps, and only a kill ends it
	Stopped     RunState = 'T'
	TracingStop RunState = 't' // for its tracer
	Zombie      RunState = 'Z'
	Dead        RunState = 'X'
)

// Kernel is the kernel that t runs on.
func (t *Task) Kernel() *Kernel { return t.k }

// ThreadGroup is the process that t is a thread of. Any goroutine may ask.
func (t *Task) ThreadGroup() *ThreadGroup { return t.tg }

// Container is the container that t belongs to. Any goroutine may ask.
func (t *Task) Container() *Container { return t.tg.container }

// PID is what names t. Any goroutine may ask.
func (t *Task) PID() *PID {
	t.k.tasks.RLock()
	defer t.k.tasks.RUnlock()
	return t.pid
}

// PIDNamespace is the namespace in which t sees processes: where its own number
// was given. Any goroutine may ask.
func (t *Task) PIDNamespace() *PIDNamespace { return t.tg.pid.ns }

// TID is t's number in its own namespace.
func (t *Task) TID() int32 { return t.pid.numbers[t.pid.ns.level] }

// TGID is the number of t's process in t's namespace.
func (t *Task) TGID() int32 { return t.tg.pid.numbers[t.tg.pid.ns.level] }

// Regs is the guest's registers; valid, and to be changed, only between two
// Switches: in a system call, and by others while t is stopped.
func (t *Task) Regs() *arch.Regs { return &t.regs }

// Context is the guest's processor, for what the platform's contract calls by.
func (t *Task) Context() platform.Context { return t.ctx }

// RunState is what t is doing. Any goroutine may ask.
func (t *Task) RunState() RunState {
	return RunState(t.status.Load())
}

// Creds implements vfs.Ctx. Any goroutine may ask.
func (t *Task) Creds() *auth.Creds { return t.creds.Load() }

// Keys is t as keys know it. Any goroutine may ask.
func (t *Task) Keys() *keys.Caller { return &keys.Caller{Creds: t.Creds(), Rings: &t.rings} }

// Now implements vfs.Ctx: CLOCK_REALTIME.
func (t *Task) Now() linux.Timespec { return linux.NsecToTimespec(t.k.Clocks.Realtime.Now()) }

// Limit implements vfs.Ctx.
func (t *Task) Limit(k limits.Kind) uint64 { return t.tg.limits.Cur(k) }

// Personality is personality(2)'s value; SetPersonality changes it.
func (t *Task) Personality() uint32 { return t.personality }

// SetPersonality changes what Personality returns.
func (t *Task) SetPersonality(p uint32) { t.personality = p }

var _ vfs.Ctx = (*Task)(nil)

// Caller is the task that c is, whatever credentials it acts with; false if c is
// the kernel itself.
func Caller(c vfs.Ctx) (*Task, bool) {
	t, ok := vfs.Caller(c).(*Task)
	return t, ok
}
