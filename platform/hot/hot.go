// Package hot is what the path of every system call uses in place of dearer
// things of Go's.
package hot

// Store stores v in *p, which no other goroutine writes. Others load it with
// atomic.LoadInt64, and see each value whole, in the order of the stores, but
// nothing is said about other variables: Go's atomic stores are exchanges,
// which wait until all the processor has stored before is to be seen.
//
//go:noescape
func Store(p *int64, v int64)
