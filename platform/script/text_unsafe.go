package script

import (
	"bytes"
	"unsafe"
)

// interpreterAddress returns where interpret's text begins in this program.
// (A func value would give the address of Go's ABI wrapper instead.)
func interpreterAddress() uintptr

// endMarker stands directly behind a text that Text can copy.
const endMarker = "garrison"

// Text copies the machine code from start up to the bytes "garrison", which
// the assembly source must have put behind it. start is the address of a
// function of this program, as an assembly function that returns $·name(SB)
// gives it. Text panics when no end is found within a page.
func Text(start uintptr) []byte {
	// The text segment is mapped readable for as long as the program lives, and
	// the loop stops at the marker, so the slices stay inside it.
	for n := range pageSize {
		b := unsafe.Slice((*byte)(textPointer(start)), n+len(endMarker))
		if bytes.HasSuffix(b, []byte(endMarker)) {
			return bytes.Clone(b[:n])
		}
	}
	panic("script: a text has no end")
}

// textPointer turns an address in the text segment into a pointer. The detour
// tells vet that this uintptr is no converted Go pointer.
func textPointer(a uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }
