// Package mm is a guest's virtual memory: what mmap(2) and its family change,
// what page faults fill in, and how the kernel itself reads and writes it.
//
// A Space keeps two ordered maps. The mappings are what the guest asked for,
// and what /proc/pid/maps shows. The runs mirror what the host has
// mapped for the guest: which file, which offset, which access. Mapping is
// eager and backing lazy: mmap of anonymous memory queues one platform.Map
// for the whole range and no page fault reaches the sentry afterwards, except for
// copy-on-write, stack growth, truncated files and errors.
package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// A Fault is what a guest's memory access comes to.
type Fault struct {
	// Resolved: run the guest again. Else, with OutOfMemory, the container has
	// used up its memory: choose a victim. Else send Signal with Code and Addr.
	Resolved    bool
	OutOfMemory bool
	Signal      linux.Signal
	Code        int32
	Addr        arch.Addr
}

// A FutexKey says which futex an address is: comparable, and equal for two
// addresses if and only if they are the same futex. A key must not be kept
// beyond the wait it was made for.
type FutexKey struct {
	space *Space   // private
	file  Mappable // shared
	at    uint64   // address, or offset in file
}

// Hash is a number to choose a bucket by.
func (k FutexKey) Hash() uint64 { return (k.at >> 2) * 0x9e3779b97f4a7c15 }
