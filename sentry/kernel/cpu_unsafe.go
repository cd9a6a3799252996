package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hostCPU is the processor this goroutine runs on now. The kernel writes the
// number through the pointer, which is to a local variable, during the call.
func hostCPU() (cpu uint32, ok bool) {
	_, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	return cpu, e == 0
}
