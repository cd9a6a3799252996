package mm

import (
	"sync/atomic"

	"garrison/platform/arch"
)

// filled is the pages that a space has for itself and no fault here has made: the host
// gave them when the guest first touched them, where Linux counts a fault for each, or
// they were copied in advance.
type filled struct {
	faulted atomic.Uint64 // pages that faults here have made
	peak    atomic.Uint64 // pages, the most there have been
}

// counts reports whether pages that x shows are the space's alone. What a fork shares
// was filled by whoever is counted for it already.
func (*filled) counts(x *run) bool { return x.owned && !x.cow }

// saw takes note that so many bytes of the page file are the space's alone, and returns
// the most pages that were filled.
func (f *filled) saw(bytes uint64) uint64 {
	n := bytes / arch.PageSize
	return peaked(&f.peak, n-min(n, f.faulted.Load()))
}

// peaked raises peak to n, and returns it.
func peaked(peak *atomic.Uint64, n uint64) uint64 {
	for {
		old := peak.Load()
		if n <= old {
			return old
		}
		if peak.CompareAndSwap(old, n) {
			return n
		}
	}
}
