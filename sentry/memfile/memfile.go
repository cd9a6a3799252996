// Package memfile is the memory of a container's guests: one sparse host file
// whose pages are mapped into guests and, in large chunks, into the sentry.
// Offsets are plentiful (2^62) and memory is not: ranges are reserved
// liberally, memory comes when they are touched and goes back to the host soon
// after the last reference. A freed offset serves nobody else while any
// address space that mapped it could still reach it (see Arena).
package memfile

import (
	"garrison/platform"
	"garrison/sentry/interval"
)

// A Range is a range of offsets in a File, page aligned.
type Range = interval.Range[uint64]

var _ platform.File = (*File)(nil)
