package platformtest

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// load8 and store8 access a byte that a guest accesses at the same time: b is a
// shared mapping, so off's aligned word lies in it.

func load8(b []byte, off int) byte {
	word := (*uint32)(unsafe.Pointer(&b[off&^3]))
	return byte(atomic.LoadUint32(word) >> (8 * (off & 3)))
}

func store8(b []byte, off int, v byte) {
	word := (*uint32)(unsafe.Pointer(&b[off&^3]))
	shift := 8 * (off & 3)
	atomic.AndUint32(word, ^(uint32(0xff) << shift))
	atomic.OrUint32(word, uint32(v)<<shift)
}

func haveAVX() bool { return cpu.X86.HasAVX2 }
