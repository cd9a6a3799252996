package boot

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// disconnect makes a socket forget what it is connected to: connect(2) to no family, which
// the library can't say. The address lies on the stack until the call returns.
func disconnect(fd int) error {
	none := unix.RawSockaddrInet4{Family: unix.AF_UNSPEC}
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&none)), unsafe.Sizeof(none))
	if e != 0 {
		return e
	}
	return nil
}
