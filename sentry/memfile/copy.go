package memfile

import (
	"runtime/debug"

	"garrison/platform/arch"
)

// An addressed error is what the runtime panics with when a load or store
// faults and SetPanicOnFault is set.
type addressed interface{ Addr() uintptr }

// Copy copies like the builtin, but survives a fault in either slice (memory of
// a full file system, of a truncated host file): then ok is false, and n bytes,
// up to the page that faulted, were copied.
func Copy(dst, src []byte) (n int, ok bool) {
	want := min(len(dst), len(src))
	if tryCopy(dst[:want], src[:want]) {
		return want, true
	}
	// The copy may have gone in any order, up to anywhere: do it again by pages,
	// those of each side.
	for n < want {
		step := min(want-n, pageLeft(dst[n:]), pageLeft(src[n:]))
		if !tryCopy(dst[n:n+step], src[n:n+step]) {
			return n, false
		}
		n += step
	}
	return n, true
}

// pageLeft is the number of bytes from the start of b to the end of its page.
func pageLeft(b []byte) int { return arch.PageSize - int(addressOf(b)&arch.PageMask) }

// tryCopy copies and reports whether that went without a fault. (Not by Guard:
// this is the path of every byte to and from guests.)
func tryCopy(dst, src []byte) (ok bool) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if e := recover(); e != nil {
			ok = isFault(e)
		}
	}()
	copy(dst, src)
	return true
}

// isFault is false if e is what an access that faulted panics with; any other
// panic goes on.
func isFault(e any) bool {
	if _, ok := e.(addressed); !ok {
		panic(e)
	}
	return false
}

// Guard calls f and reports whether it ended without a fault. f must not keep
// locks: it may end anywhere.
func Guard(f func()) (ok bool) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if e := recover(); e != nil {
			ok = isFault(e)
		}
	}()
	f()
	return true
}

// Zero clears b; false if it faults.
func Zero(b []byte) bool { return Guard(func() { clear(b) }) }

// Touch loads a byte of each page of the pieces; false if one faults.
func Touch(pieces [][]byte) bool {
	var x [1]byte
	for _, b := range pieces {
		for len(b) > 0 {
			if _, ok := Copy(x[:], b); !ok {
				return false
			}
			b = b[min(len(b), pageLeft(b)):]
		}
	}
	return true
}
