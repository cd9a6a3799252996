//go:build !amd64

package wire

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// currentCPU is the number of the CPU that the caller is on, or was a moment ago:
// good enough for choosing what is likely near.
func currentCPU() int {
	var cpu uint32
	_, _, e := syscall.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	if e != 0 {
		return 0
	}
	return int(cpu)
}
