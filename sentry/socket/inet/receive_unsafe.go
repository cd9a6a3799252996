package inet

import (
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/rawfile"
)

// receiveNow is recvmmsg(2) without waiting. The memory is that of Go objects, which don't
// move, and is held by who calls.
func receiveNow(fd int, to []rawfile.MMsgHdr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&to[0])), uintptr(len(to)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}
