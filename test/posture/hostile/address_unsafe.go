package main

import (
	"syscall"
	"unsafe"
)

// address is where b is, for calls that are to be told lies about it.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

func iovAddress(v *[4]syscall.Iovec) uintptr { return uintptr(unsafe.Pointer(v)) }
