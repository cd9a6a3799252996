package stub

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of the clock numbers that clock_getcpuclockid(3) makes: the time a process has
// run, or with the other bit a thread, which must be one of this process.
const (
	clockRun    = 2
	clockThread = 4
)

// ProcessTime is how long the process pid has run, all its threads, in
// nanoseconds, or 0 if there is none. A child that has ended has a clock until it
// is waited for.
func ProcessTime(pid int) int64 { return runTime(pid, clockRun) }

// threadTime is how long the thread tid of this process has run, or 0.
func threadTime(tid int) int64 { return runTime(tid, clockRun|clockThread) }

func runTime(id int, kind int32) int64 {
	var t unix.Timespec
	clock := uintptr(int32(^id)<<3 | kind)
	if _, _, e := syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&t)), 0); e != 0 {
		return 0
	}
	return t.Nano()
}

// A ThreadClock is how long one thread of this process has run on somebody's
// behalf. The zero value stands at 0. Any goroutine may call Time.
type ThreadClock struct {
	base atomic.Int64 // what the host had counted by then
	tid  atomic.Int32
}

// Start begins to count the calling thread's time, which its goroutine is locked to.
func (c *ThreadClock) Start() {
	tid := unix.Gettid()
	c.base.Store(threadTime(tid))
	c.tid.Store(int32(tid))
}

// Stop makes the clock stand at 0: the thread may serve others, or end.
func (c *ThreadClock) Stop() { c.tid.Store(0) }

// Time is in nanoseconds.
func (c *ThreadClock) Time() int64 {
	tid := c.tid.Load()
	if tid == 0 {
		return 0
	}
	return max(threadTime(int(tid))-c.base.Load(), 0)
}
