package linux

// Flags of eventfd(2).
const (
	EFD_SEMAPHORE = 1
	EFD_CLOEXEC   = 0x80000
	EFD_NONBLOCK  = 0x800
)

// Flags of timerfd_create(2) and timerfd_settime(2).
const (
	TFD_CLOEXEC  = 0x80000
	TFD_NONBLOCK = 0x800

	TFD_TIMER_ABSTIME       = 1
	TFD_TIMER_CANCEL_ON_SET = 2

	// TFD_IOC_SET_TICKS is an ioctl of checkpointing kernels.
	TFD_IOC_SET_TICKS = 0x40085400
)

// Flags of signalfd4(2).
const (
	SFD_CLOEXEC  = 0x80000
	SFD_NONBLOCK = 0x800
)

// SignalfdSiginfo is struct signalfd_siginfo, signalfd(2).
type SignalfdSiginfo struct {
	Signo    uint32
	Errno    int32
	Code     int32
	PID      uint32
	UID      uint32
	FD       int32
	TID      uint32
	Band     uint32
	Overrun  uint32
	Trapno   uint32
	Status   int32
	Int      int32
	Ptr      uint64
	Utime    uint64
	Stime    uint64
	Addr     uint64
	AddrLSB  uint16
	_        uint16
	Syscall  int32
	CallAddr uint64
	Arch     uint32
	_        [28]uint8
}
