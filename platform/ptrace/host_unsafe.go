package ptrace

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests and events of ptrace(2) on amd64 that x/sys/unix lacks or that are
// clearer with Linux's own names in one place.
const (
	ptraceSysemu           = 31
	ptraceSysemuSinglestep = 32
	ptraceEventStop        = 128
	ntX86XState            = 0x202
	syscallStop            = unix.SIGTRAP | 0x80 // with PTRACE_O_TRACESYSGOOD
)

// siginfo is struct siginfo as faults and kills fill it.
type siginfo struct {
	signo, errno, code int32
	_                  int32
	addr               uint64 // faults; si_call_addr with SIGSYS
	nr                 int32  // SIGSYS: the system call's number
	arch               uint32
	_                  [96]byte
}

// The calls below never sleep (the tracee is stopped), so they don't tell Go's
// scheduler of themselves. The kernel uses each pointer only during its call.

func ptrace(request, tid int, addr, data uintptr) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	return asError(e)
}

func getRegs(tid int, r *unix.PtraceRegs) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGS, uintptr(tid), 0, uintptr(unsafe.Pointer(r)), 0, 0)
	return asError(e)
}

func setRegs(tid int, r *unix.PtraceRegs) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGS, uintptr(tid), 0, uintptr(unsafe.Pointer(r)), 0, 0)
	return asError(e)
}

// regWords views r as the words that PTRACE_POKEUSER addresses; a PtraceRegs
// has no padding.
func regWords(r *unix.PtraceRegs) *[unsafe.Sizeof(unix.PtraceRegs{}) / 8]uint64 {
	return (*[unsafe.Sizeof(unix.PtraceRegs{}) / 8]uint64)(unsafe.Pointer(r))
}

func getSiginfo(tid int, s *siginfo) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETSIGINFO, uintptr(tid), 0, uintptr(unsafe.Pointer(s)), 0, 0)
	return asError(e)
}

// peek reads one word of the tracee's memory.
func peek(tid int, addr uint64) (uint64, error) {
	var word uint64
	_, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_PEEKDATA, uintptr(tid), uintptr(addr), uintptr(unsafe.Pointer(&word)), 0, 0)
	return word, asError(e)
}

// Offsets in struct user that peekUser is used for.
const (
	userR13 = 2 * 8
	userRAX = 10 * 8
)

// peekUser reads one of the tracee's registers.
func peekUser(tid int, offset uintptr) (uint64, error) {
	var word uint64
	_, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_PEEKUSR, uintptr(tid), offset, uintptr(unsafe.Pointer(&word)), 0, 0)
	return word, asError(e)
}

// getXState reads the tracee's floating-point state into b, which must not be
// empty, and returns its full length, which may be less than b's.
func getXState(tid int, b []byte) (int, error) {
	iov := unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	_, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(tid), ntX86XState, uintptr(unsafe.Pointer(&iov)), 0, 0)
	return int(iov.Len), asError(e)
}

func setXState(tid int, b []byte) error {
	iov := unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	_, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(tid), ntX86XState, uintptr(unsafe.Pointer(&iov)), 0, 0)
	return asError(e)
}

// syscallArch returns the AUDIT_ARCH of the system call the tracee is stopped
// at, from PTRACE_GET_SYSCALL_INFO.
func syscallArch(tid int) (uint32, error) {
	var info [24]uint32 // struct ptrace_syscall_info: op and padding, arch, …
	_, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	return info[1], asError(e)
}

// quietChildStops sets SA_NOCLDSTOP on SIGCHLD, keeping Go's handler: without
// it each stop of each tracee would also send the sentry a signal, which wakes
// the very thread that waits and costs more than the stop itself.
func quietChildStops() error {
	const noCldStop = 1
	type kernelSigaction struct{ handler, flags, restorer, mask uint64 }
	var sa kernelSigaction
	if _, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), 0, uintptr(unsafe.Pointer(&sa)), 8, 0, 0); e != 0 {
		return e
	}
	sa.flags |= noCldStop
	_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&sa)), 0, 8, 0, 0)
	return asError(e)
}

func asError(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}
