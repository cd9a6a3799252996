// Package usermem moves bytes between the kernel and a guest. A guest pointer
// is a claim, checked each time it is used; what was copied in is the kernel's
// own and never read again.
package usermem

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// Memory is a guest address space seen as bytes. A short count comes with
// EFAULT.
type Memory interface {
	CopyIn(dst []byte, from arch.Addr) (int, error)
	CopyOut(to arch.Addr, src []byte) (int, error)

	// View calls f once with the kernel's own mapping of guest memory
	// [r.Start, …): as many pieces, in order, as cover a prefix of r that the
	// guest could access so; at least one byte, else EFAULT. The pieces are
	// valid until f returns: use them for host calls (readv, writev), which
	// answer EFAULT themselves if a page has gone. It returns what f returns.
	View(r arch.Range, a arch.Access, f func(pieces [][]byte) (int64, error)) (int64, error)
}

// Bytes is kernel memory in the place of a guest's: address 0 is its start.
type Bytes []byte

// CopyIn implements Memory.
func (b Bytes) CopyIn(dst []byte, from arch.Addr) (int, error) {
	if from > arch.Addr(len(b)) {
		return 0, linux.EFAULT
	}
	return short(copy(dst, b[from:]), len(dst))
}

// CopyOut implements Memory.
func (b Bytes) CopyOut(to arch.Addr, src []byte) (int, error) {
	if to > arch.Addr(len(b)) {
		return 0, linux.EFAULT
	}
	return short(copy(b[to:], src), len(src))
}

// View implements Memory.
func (b Bytes) View(r arch.Range, _ arch.Access, f func([][]byte) (int64, error)) (int64, error) {
	r = r.Intersect(arch.Range{End: arch.Addr(len(b))})
	if r.Len() == 0 {
		return 0, linux.EFAULT
	}
	return f([][]byte{b[r.Start:r.End]})
}

func short(n, want int) (int, error) {
	if n < want {
		return n, linux.EFAULT
	}
	return n, nil
}
