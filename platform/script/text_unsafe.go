package script

import (
	"bytes"
	"unsafe"
)

// interpreterAddress returns where interpret's text begins in this program.
// (A func value would give the address of Go's ABI wrapper instead.)
func interpreterAddress() uintptr

// endMarker stands directly behind the interpreter's text.
const endMarker = "garrison"

// interpreter returns the machine code of interpret. The text is mapped
// readable for as long as this program lives, and ends with endMarker, so the
// slices below stay inside it.
func interpreter() []byte {
	const limit = 4096
	start := interpreterAddress()
	for n := 0; n < limit; n++ {
		b := unsafe.Slice((*byte)(textPointer(start)), n+len(endMarker))
		if bytes.HasSuffix(b, []byte(endMarker)) {
			return bytes.Clone(b[:n])
		}
	}
	panic("script: the interpreter has no end")
}

// textPointer turns an address in the text segment into a pointer. The detour
// tells vet that this uintptr is no converted Go pointer.
func textPointer(a uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }
