package gofer

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// xattrArgs is struct xattr_args of setxattrat(2) and getxattrat(2).
type xattrArgs struct {
	value uint64
	size  uint32
	flags uint32
}

// probeXattrAt reports whether the kernel has getxattrat(2).
func probeXattrAt(dir int) bool {
	_, err := listxattrAt(dir, procName(dir), 0, nil)
	return err != unix.ENOSYS && err != unix.EPERM
}

// getxattrAt is getxattrat(2), following path. It returns the value's size.
func getxattrAt(dir int, path, name string, b []byte) (int, error) {
	p, n, err := twoStrings(path, name)
	if err != nil {
		return 0, err
	}
	// The kernel takes the address out of a struct, where Go does not know it for a
	// pointer, so that b must be pinned: it could be on a stack that moves.
	var pin runtime.Pinner
	defer pin.Unpin()
	pinBytes(&pin, b)
	args := &xattrArgs{value: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), size: uint32(len(b))}
	r, _, e := unix.Syscall6(unix.SYS_GETXATTRAT, uintptr(dir), uintptr(unsafe.Pointer(p)), 0,
		uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args))
	return result(r, e)
}

// setxattrAt is setxattrat(2), following path.
func setxattrAt(dir int, path, name string, b []byte, flags int) error {
	p, n, err := twoStrings(path, name)
	if err != nil {
		return err
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	pinBytes(&pin, b)
	args := &xattrArgs{value: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), size: uint32(len(b)), flags: uint32(flags)}
	r, _, e := unix.Syscall6(unix.SYS_SETXATTRAT, uintptr(dir), uintptr(unsafe.Pointer(p)), 0,
		uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args))
	_, err = result(r, e)
	return err
}

// listxattrAt is listxattrat(2), following path unless flags say otherwise.
func listxattrAt(dir int, path string, flags int, b []byte) (int, error) {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return 0, err
	}
	r, _, e := unix.Syscall6(unix.SYS_LISTXATTRAT, uintptr(dir), uintptr(unsafe.Pointer(p)), uintptr(flags),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0)
	return result(r, e)
}

// removexattrAt is removexattrat(2), following path.
func removexattrAt(dir int, path, name string) error {
	p, n, err := twoStrings(path, name)
	if err != nil {
		return err
	}
	r, _, e := unix.Syscall6(unix.SYS_REMOVEXATTRAT, uintptr(dir), uintptr(unsafe.Pointer(p)), 0, uintptr(unsafe.Pointer(n)), 0, 0)
	_, err = result(r, e)
	return err
}

// pinBytes pins what b points to, if that is anything.
func pinBytes(pin *runtime.Pinner, b []byte) {
	if cap(b) > 0 {
		pin.Pin(unsafe.SliceData(b))
	}
}

func twoStrings(a, b string) (*byte, *byte, error) {
	p, err := unix.BytePtrFromString(a)
	if err != nil {
		return nil, nil, err
	}
	q, err := unix.BytePtrFromString(b)
	return p, q, err
}

func result(r uintptr, e unix.Errno) (int, error) {
	if e != 0 {
		return 0, e
	}
	return int(r), nil
}
