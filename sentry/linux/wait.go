package linux

// WaitOptions are the options of wait4(2) and waitid(2).
type WaitOptions uint32

// <linux/wait.h>
const (
	WNOHANG    WaitOptions = 0x1
	WUNTRACED  WaitOptions = 0x2
	WSTOPPED   WaitOptions = WUNTRACED
	WEXITED    WaitOptions = 0x4
	WCONTINUED WaitOptions = 0x8
	WNOWAIT    WaitOptions = 0x01000000
	WNOTHREAD  WaitOptions = 0x20000000
	WALL       WaitOptions = 0x40000000
	WCLONE     WaitOptions = 0x80000000
)

// Kinds of waitid(2).
const (
	P_ALL   = 0
	P_PID   = 1
	P_PGID  = 2
	P_PIDFD = 3
)

// A WaitStatus is how a process ended, stopped or went on, as wait4(2) reports it.
type WaitStatus uint32

// ExitStatus is the status of exit(code).
func ExitStatus(code int32) WaitStatus { return WaitStatus(code&0xff) << 8 }

// SignalStatus is the status of death by s.
func SignalStatus(s Signal, core bool) WaitStatus {
	w := WaitStatus(s)
	if core {
		w |= 0x80
	}
	return w
}

// StopStatus is the status of a process stopped by s; ContinuedStatus of one
// that SIGCONT woke.
func StopStatus(s Signal) WaitStatus { return WaitStatus(s)<<8 | 0x7f }

// TrapStatus is the status of a tracee that stopped with code: a signal, and 256
// times the event of ptrace(2).
func TrapStatus(code int32) WaitStatus { return WaitStatus(code)<<8 | 0x7f }

// ContinuedStatus is the status of a process that SIGCONT woke.
const ContinuedStatus WaitStatus = 0xffff

// Exited reports whether w is of an exit, with Code its code.
func (w WaitStatus) Exited() bool { return w&0x7f == 0 }

// Code is the exit code of a status for which Exited holds.
func (w WaitStatus) Code() int32 { return int32(w >> 8 & 0xff) }

// Signaled reports whether w is of death by a signal, TermSignal.
func (w WaitStatus) Signaled() bool { return w&0x7f != 0 && w&0x7f != 0x7f }

// TermSignal is the signal of a status for which Signaled holds.
func (w WaitStatus) TermSignal() Signal { return Signal(w & 0x7f) }

// CoreDumped reports whether a core was (to be) dumped.
func (w WaitStatus) CoreDumped() bool { return w&0x80 != 0 }

// Rusage is struct rusage.
type Rusage struct {
	Utime, Stime   Timeval
	Maxrss         int64 // KiB
	Ixrss          int64
	Idrss          int64
	Isrss          int64
	Minflt, Majflt int64
	Nswap          int64
	Inblock        int64
	Oublock        int64
	Msgsnd, Msgrcv int64
	Nsignals       int64
	Nvcsw, Nivcsw  int64
}

// Whos of getrusage(2).
const (
	RUSAGE_SELF     = 0
	RUSAGE_CHILDREN = -1
	RUSAGE_THREAD   = 1
)
