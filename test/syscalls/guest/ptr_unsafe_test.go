package guest

import "unsafe"

// ptr is the address of *p as a register carries it; the caller keeps p alive
// and on the heap until the call has returned.
func ptr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
