package linux

import (
	"encoding/binary"
	"strconv"
)

// A Signal is a signal's number, 1 to 64.
type Signal int32

// Signals, <asm/signal.h>.
const (
	SIGHUP    Signal = 1
	SIGINT    Signal = 2
	SIGQUIT   Signal = 3
	SIGILL    Signal = 4
	SIGTRAP   Signal = 5
	SIGABRT   Signal = 6
	SIGBUS    Signal = 7
	SIGFPE    Signal = 8
	SIGKILL   Signal = 9
	SIGUSR1   Signal = 10
	SIGSEGV   Signal = 11
	SIGUSR2   Signal = 12
	SIGPIPE   Signal = 13
	SIGALRM   Signal = 14
	SIGTERM   Signal = 15
	SIGSTKFLT Signal = 16
	SIGCHLD   Signal = 17
	SIGCONT   Signal = 18
	SIGSTOP   Signal = 19
	SIGTSTP   Signal = 20
	SIGTTIN   Signal = 21
	SIGTTOU   Signal = 22
	SIGURG    Signal = 23
	SIGXCPU   Signal = 24
	SIGXFSZ   Signal = 25
	SIGVTALRM Signal = 26
	SIGPROF   Signal = 27
	SIGWINCH  Signal = 28
	SIGIO     Signal = 29
	SIGPWR    Signal = 30
	SIGSYS    Signal = 31

	// SIGRTMIN is the first real-time signal, SIGMAX the last signal.
	SIGRTMIN Signal = 32
	SIGMAX   Signal = 64
)

var signalNames = [...]string{
	1: "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
	"SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
	"SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
}

// Valid reports whether s is the number of a signal.
func (s Signal) Valid() bool { return s >= 1 && s <= SIGMAX }

// RealTime reports whether s queues: each instance sent is delivered.
func (s Signal) RealTime() bool { return s >= SIGRTMIN }

// String is s by name: "SIGTERM", "SIGRT_3".
func (s Signal) String() string {
	switch {
	case s > 0 && int(s) < len(signalNames):
		return signalNames[s]
	case s.RealTime():
		return "SIGRT_" + strconv.Itoa(int(s-SIGRTMIN))
	}
	return strconv.Itoa(int(s))
}

// A SigSet is sigset_t: bit n-1 for signal n.
type SigSet uint64

// SigSetSize is sizeof(sigset_t) in the kernel's ABI.
const SigSetSize = 8

// SigSetOf is the set of sigs.
func SigSetOf(sigs ...Signal) (s SigSet) {
	for _, x := range sigs {
		s |= 1 << (x - 1)
	}
	return s
}

// Has reports whether s includes x.
func (s SigSet) Has(x Signal) bool { return s>>(x-1)&1 != 0 }

// Add puts x in s; Del removes it.
func (s *SigSet) Add(x Signal) { *s |= 1 << (x - 1) }

// Del removes x from s.
func (s *SigSet) Del(x Signal) { *s &^= 1 << (x - 1) }

// Sets with a meaning of their own.
const (
	// Unblockable can be neither blocked, caught nor ignored.
	Unblockable SigSet = 1<<(SIGKILL-1) | 1<<(SIGSTOP-1)
	// StopSignals stop a process unless caught.
	StopSignals SigSet = 1<<(SIGSTOP-1) | 1<<(SIGTSTP-1) | 1<<(SIGTTIN-1) | 1<<(SIGTTOU-1)
	// CoreSignals end a process with a core dump unless caught.
	CoreSignals SigSet = 1<<(SIGQUIT-1) | 1<<(SIGILL-1) | 1<<(SIGTRAP-1) | 1<<(SIGABRT-1) | 1<<(SIGFPE-1) |
		1<<(SIGSEGV-1) | 1<<(SIGBUS-1) | 1<<(SIGSYS-1) | 1<<(SIGXCPU-1) | 1<<(SIGXFSZ-1)
	// IgnoredSignals do nothing unless caught.
	IgnoredSignals SigSet = 1<<(SIGCONT-1) | 1<<(SIGCHLD-1) | 1<<(SIGWINCH-1) | 1<<(SIGURG-1)
	// SynchronousSignals are raised by the thread's own instruction and are
	// delivered before others.
	SynchronousSignals SigSet = 1<<(SIGSEGV-1) | 1<<(SIGBUS-1) | 1<<(SIGILL-1) | 1<<(SIGTRAP-1) | 1<<(SIGFPE-1) | 1<<(SIGSYS-1)
)

// Values of SigAction.Handler other than an address.
const (
	SIG_DFL = 0
	SIG_IGN = 1
)

// SigActionFlags is sa_flags.
type SigActionFlags uint64

// Flags of sigaction(2).
const (
	SA_NOCLDSTOP      SigActionFlags = 0x1
	SA_NOCLDWAIT      SigActionFlags = 0x2
	SA_SIGINFO        SigActionFlags = 0x4
	SA_UNSUPPORTED    SigActionFlags = 0x400
	SA_EXPOSE_TAGBITS SigActionFlags = 0x800
	SA_RESTORER       SigActionFlags = 0x04000000
	SA_ONSTACK        SigActionFlags = 0x08000000
	SA_RESTART        SigActionFlags = 0x10000000
	SA_NODEFER        SigActionFlags = 0x40000000
	SA_RESETHAND      SigActionFlags = 0x80000000

	// UAPISigActionFlags are those that the kernel keeps: the others are cleared
	// when an action is set, so that programs can tell what is supported.
	UAPISigActionFlags = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER |
		SA_RESETHAND | SA_EXPOSE_TAGBITS | SA_RESTORER
)

// SigAction is struct sigaction as rt_sigaction(2) takes it.
type SigAction struct {
	Handler  uint64
	Flags    SigActionFlags
	Restorer uint64
	Mask     SigSet
}

// Hows of rt_sigprocmask(2).
const (
	SIG_BLOCK   = 0
	SIG_UNBLOCK = 1
	SIG_SETMASK = 2
)

// StackT is stack_t, for sigaltstack(2).
type StackT struct {
	SP    uint64
	Flags int32
	_     int32
	Size  uint64
}

// Flags of StackT.
const (
	SS_ONSTACK    = 1
	SS_DISABLE    = 2
	SS_AUTODISARM = -1 << 31

	MINSIGSTKSZ = 2048
)

// Codes of SigInfo, <asm-generic/siginfo.h>.
const (
	SI_USER    = 0
	SI_KERNEL  = 0x80
	SI_QUEUE   = -1
	SI_TIMER   = -2
	SI_MESGQ   = -3
	SI_ASYNCIO = -4
	SI_SIGIO   = -5
	SI_TKILL   = -6

	ILL_ILLOPC        = 1
	ILL_ILLOPN        = 2
	FPE_INTDIV        = 1
	TRAP_BRKPT        = 1
	TRAP_TRACE        = 2
	TRAP_HWBKPT       = 4
	SYS_SECCOMP       = 1
	SYS_USER_DISPATCH = 2
	POLL_IN           = 1
	POLL_OUT          = 2
	POLL_MSG          = 3
	POLL_ERR          = 4
	POLL_PRI          = 5
	POLL_HUP          = 6
	SI_MAXSIZE        = 128
	siginfoWords      = 28
)

// Codes of SIGCHLD.
const (
	CLD_EXITED    = 1
	CLD_KILLED    = 2
	CLD_DUMPED    = 3
	CLD_TRAPPED   = 4
	CLD_STOPPED   = 5
	CLD_CONTINUED = 6
)

// SigInfo is siginfo_t. Which of the methods speak of it depends on Code.
type SigInfo struct {
	Signo  int32
	Errno  int32
	Code   int32
	_      int32
	Fields [siginfoWords]uint32 // the union, from offset 16
}

func (s *SigInfo) u64(i int) uint64 { return uint64(s.Fields[i]) | uint64(s.Fields[i+1])<<32 }

func (s *SigInfo) setU64(i int, v uint64) { s.Fields[i], s.Fields[i+1] = uint32(v), uint32(v>>32) }

// Signal is the signal's number.
func (s *SigInfo) Signal() Signal { return Signal(s.Signo) }

// Pid and UID name the sender (SI_USER, SI_QUEUE, SI_TKILL, SI_MESGQ) or child (CLD_*).
func (s *SigInfo) Pid() int32 { return int32(s.Fields[0]) }

// UID is the sender's real user id.
func (s *SigInfo) UID() uint32 { return s.Fields[1] }

// SetSender sets Pid and UID.
func (s *SigInfo) SetSender(pid int32, uid uint32) { s.Fields[0], s.Fields[1] = uint32(pid), uid }

// Value is sigval as SI_QUEUE, SI_TIMER and SI_MESGQ carry it.
func (s *SigInfo) Value() uint64     { return s.u64(2) }
func (s *SigInfo) SetValue(v uint64) { s.setU64(2, v) }

// SetTimer fills in what SI_TIMER carries: the timer's id and how often it
// expired besides this once.
func (s *SigInfo) SetTimer(id, overrun int32) { s.Fields[0], s.Fields[1] = uint32(id), uint32(overrun) }

// Timer is what SetTimer set.
func (s *SigInfo) Timer() (id, overrun int32) { return int32(s.Fields[0]), int32(s.Fields[1]) }

// SetStatus sets a child's exit code or signal, and its times in clock ticks.
func (s *SigInfo) SetStatus(status int32, utime, stime int64) {
	s.Fields[2] = uint32(status)
	s.setU64(4, uint64(utime))
	s.setU64(6, uint64(stime))
}

// Status is a child's exit code or signal (CLD_*).
func (s *SigInfo) Status() int32 { return int32(s.Fields[2]) }

// ChildTimes is the user and system time of a child, in clock ticks.
func (s *SigInfo) ChildTimes() (utime, stime int64) { return int64(s.u64(4)), int64(s.u64(6)) }

// Addr is where a SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP happened.
func (s *SigInfo) Addr() uint64     { return s.u64(0) }
func (s *SigInfo) SetAddr(a uint64) { s.setU64(0, a) }

// SetPoll sets what SIGIO carries: events and descriptor.
func (s *SigInfo) SetPoll(band int64, fd int32) {
	s.setU64(0, uint64(band))
	s.Fields[2] = uint32(fd)
}

// Band and FD are what SetPoll set.
func (s *SigInfo) Band() int64 { return int64(s.u64(0)) }

// FD is the descriptor of a SIGIO.
func (s *SigInfo) FD() int32 { return int32(s.Fields[2]) }

// Bytes is s as it lies in guest memory.
func (s *SigInfo) Bytes() (b [SI_MAXSIZE]byte) {
	binary.LittleEndian.PutUint32(b[0:], uint32(s.Signo))
	binary.LittleEndian.PutUint32(b[4:], uint32(s.Errno))
	binary.LittleEndian.PutUint32(b[8:], uint32(s.Code))
	for i, w := range s.Fields {
		binary.LittleEndian.PutUint32(b[16+4*i:], w)
	}
	return b
}

// Sigevent is struct sigevent, for timer_create(2) and mq_notify(3).
type Sigevent struct {
	Value  uint64
	Signo  int32
	Notify int32
	TID    int32
	_      [11]int32
}

// Notifications of Sigevent.
const (
	SIGEV_SIGNAL    = 0
	SIGEV_NONE      = 1
	SIGEV_THREAD    = 2
	SIGEV_THREAD_ID = 4
)
