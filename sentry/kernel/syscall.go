package kernel

import (
	"reflect"

	"garrison/sentry/linux"
)

// A SyscallFn is a system call as the dispatcher sees it: args are the six
// argument registers. What it returns becomes RAX: the value, or the negated
// errno. The few that replace the registers (execve, rt_sigreturn) return the
// RAX they want.
type SyscallFn func(t *Task, args *[6]uint64) (uint64, error)

// A Syscall is one line of a system call table.
type Syscall struct {
	Name    string
	Fn      SyscallFn
	Args    [6]reflect.Type                // of the arguments, nil behind the last
	Trace   func(*Task, *[6]uint64) string // the call as strace(1) writes it, without result
	Refused linux.Errno                    // what it always answers, 0 if it is implemented
	Why     string                         // and why

	// Constant: without arguments, it returns what follows from the task's
	// number and credentials, and does nothing else. The platform may answer it.
	Constant bool
}

// A Table is the system calls by number. A zero entry answers ENOSYS.
type Table [512]Syscall

// A Tracer sees every system call, for strace and audit. Both methods are
// called on the task's goroutine.
type Tracer interface {
	Enter(t *Task, s *Syscall, args *[6]uint64)
	// Exit is called with what the call returned; err may be one of the
	// ERESTART codes. A call that does not return (exit) has no Exit.
	Exit(t *Task, s *Syscall, args *[6]uint64, ret uint64, err error)
}
