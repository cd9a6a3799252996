package hot

import _ "unsafe" // for go:linkname

// Now is CLOCK_MONOTONIC in nanoseconds. On Linux the runtime's own monotonic
// time is exactly that clock, read through the host's vDSO; time.Now would say
// it only as a difference to a start it keeps to itself, and read another clock, too.
//
//go:linkname Now runtime.nanotime
func Now() int64
