package place

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// currentCPU is the processor the calling thread runs on, or -1. The kernel
// writes to cpu only during the call.
func currentCPU() int {
	var cpu uint32
	if _, _, e := syscall.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); e != 0 {
		return -1
	}
	return int(cpu)
}
