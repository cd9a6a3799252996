package guest

import "unsafe"

// ptr is the address of *p as a register carries it; the caller keeps p alive
// and on the heap until the call has returned.
func ptr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// bytesAt is n bytes of memory that a test mapped at p.
func bytesAt(p, n uintptr) []byte { return unsafe.Slice((*byte)(unsafe.Add(nil, p)), n) }

// addressOf is where b lies.
func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

// at is the T that lies at address p.
func at[T any](p uintptr) *T { return (*T)(unsafe.Add(nil, p)) }
