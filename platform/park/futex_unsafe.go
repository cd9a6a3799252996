package park

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2), private to this process.
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

// futexWait sleeps while *at is value, at most for timeout if that is not
// negative. It may return early for no reason. The word lives in a Go object
// that the caller holds, and Go's objects don't move.
func futexWait(at *atomic.Uint32, value uint32, timeout time.Duration) {
	var ts *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(int64(timeout))
		ts = &t
	}
	_, _, _ = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(at)), futexWaitPrivate, uintptr(value),
		uintptr(unsafe.Pointer(ts)), 0, 0)
}

// futexWake wakes the one that sleeps at at. It does not block.
func futexWake(at *atomic.Uint32) {
	_, _, _ = syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(at)), futexWakePrivate, 1, 0, 0, 0)
}
