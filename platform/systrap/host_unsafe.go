package systrap

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stubAddress returns where the stub's text is in this program.
func stubAddress() uintptr

// gateAddress returns where the gate's text is in this program.
func gateAddress() uintptr

// backAddress, threadsAddress and soloAddress return where the texts are by
// which the only thread of a process returns, by which the others do, and of
// the solo call.
func backAddress() uintptr
func threadsAddress() uintptr
func soloAddress() uintptr

// spin looks at *state up to n+1 times, and reports whether it saw stateEvent.
// It can't be preempted, so n must be small.
//
//go:noescape
func spin(state *uint32, n uint32) bool

// pageOf is the context page at the start of a region, which is mapped memory
// of more than its size, page aligned, and never unmapped before the platform's
// end.
func pageOf(b []byte) *page {
	_ = b[unsafe.Sizeof(page{})-1]
	return (*page)(unsafe.Pointer(&b[0]))
}

// soloOf is the page of solo operations of a region, of which the same is true.
func soloOf(b []byte) *soloPage {
	_ = b[soloOps+unsafe.Sizeof(soloPage{})-1]
	return (*soloPage)(unsafe.Pointer(&b[soloOps]))
}

// frameOf is the signal frame at the start of b, which is aligned to 8 bytes.
func frameOf(b []byte) *sigframe {
	_ = b[unsafe.Sizeof(sigframe{})-1]
	return (*sigframe)(unsafe.Pointer(&b[0]))
}

const frameSize = int(unsafe.Sizeof(sigframe{}))

// Operations of futex(2), on memory that processes share.
const (
	futexWaitShared = 0
	futexWakeShared = 1
)

// futexWait sleeps while *at is value, at most for timeout. It may return early
// for no reason.
func futexWait(at *uint32, value uint32, timeout time.Duration) {
	ts := unix.NsecToTimespec(int64(timeout))
	_, _, _ = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(at)), futexWaitShared, uintptr(value),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// schedYield lets other threads run. Go's scheduler is not told: it would take
// notice every 10 ms, and its own thread would then look what else there is to
// take 2,000 times a second, on a processor that others may want. Who runs
// meanwhile is the stub, or somebody for one turn; then pace ends the yielding.
func schedYield() { _, _, _ = syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// futexWake wakes who sleeps at at. It does not block.
func futexWake(at *uint32) {
	_, _, _ = syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(at)), futexWakeShared, 1<<30, 0, 0, 0)
}

// quietChildren gives SIGCHLD its default action, which is to do nothing: Go's
// handler would be run at the end of each stub, by a thread that sleeps.
func quietChildren() error {
	var sa [4]uint64 // struct kernel_sigaction: SIG_DFL
	if _, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&sa)), 0, 8, 0, 0); e != 0 {
		return fmt.Errorf("systrap: rt_sigaction SIGCHLD: %w", e)
	}
	return nil
}

// childOf is the process that waitid has told of, or 0.
func childOf(info *unix.Siginfo) int {
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), 12)))
}

// A notification is struct seccomp_notif: a thread's host call that the filter
// wants verified.
type notification struct {
	id   uint64
	tid  uint32
	_    uint32
	nr   int32
	arch uint32
	ip   uint64
	args [6]uint64
}

// An answer is struct seccomp_notif_resp.
type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// An addFD is struct seccomp_notif_addfd.
type addFD struct {
	id       uint64
	flags    uint32
	source   uint32
	to       uint32
	newFlags uint32
}

// The requests of seccomp_unotify(2) on a listener.
const (
	ioctlReceive  = 0xc0502100
	ioctlSend     = 0xc0182101
	ioctlAddFD    = 0x40182103
	ioctlSetFlags = 0x40082104

	answerContinue = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	addFDSet       = 1 // SECCOMP_ADDFD_FLAG_SETFD
	syncWakeUp     = 1 // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
)

// receiveNotification sleeps until there is one.
func receiveNotification(fd int, n *notification) syscall.Errno {
	*n = notification{}
	_, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlReceive, uintptr(unsafe.Pointer(n)))
	return e
}

func sendAnswer(fd int, a *answer) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), ioctlSend, uintptr(unsafe.Pointer(a)))
	return e
}

func sendFD(fd int, a *addFD) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), ioctlAddFD, uintptr(unsafe.Pointer(a)))
	return e
}

// setSyncWakeUp makes a notification wake its receiver, and the answer its
// sender, on the processor of the other. Linux before 6.6 can't.
func setSyncWakeUp(fd int) error {
	_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), ioctlSetFlags, syncWakeUp)
	if e != 0 {
		return e
	}
	return nil
}

// Accesses to the words that both sides write.

func (p *page) swapState(v uint32) uint32       { return atomic.SwapUint32(&p.state, v) }
func (p *page) loadState() uint32               { return atomic.LoadUint32(&p.state) }
func (p *page) swapSentryWaits(v uint32) uint32 { return atomic.SwapUint32(&p.sentryWaits, v) }
func (p *page) loadStubWaits() uint32           { return atomic.LoadUint32(&p.stubWaits) }
