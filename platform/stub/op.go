// Package stub has what platforms share whose address spaces are host
// processes: the changes queued for one, and what to know of the host.
package stub

import (
	"fmt"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// An Op is one change of an address space.
type Op struct {
	Kind   OpKind
	Access arch.Access
	Range  arch.Range
	File   platform.File // for Map, from Off on
	Off    uint64
}

// An OpKind is one of the three methods of platform.AddressSpace that queue, or
// that of platform.Prefaulter.
type OpKind uint8

// What an Op does.
const (
	Map OpKind = iota
	Unmap
	Protect
	Prefault
)

// A Queue is the changes of an address space that the host is still to make.
type Queue []Op

// Add appends o, or makes it part of what is queued.
func (q *Queue) Add(o Op) {
	if o.Range.Len() == 0 {
		return
	}
	for n := len(*q); n > 0 && (*q)[n-1].coveredBy(o); n = len(*q) {
		CloseKept((*q)[n-1].File)
		*q = (*q)[:n-1]
	}
	if len(*q) == 0 {
		*q = append(*q, o)
		return
	}
	last := &(*q)[len(*q)-1]
	before, after := last.around(&o)
	switch {
	case before.Range.Len() > 0:
		*last = before
	case after.Range.Len() > 0:
		*last = o
		*q = append(*q, after)
		return
	case last.merge(o):
		return
	}
	*q = append(*q, o)
	if after.Range.Len() > 0 {
		*q = append(*q, after)
	}
}

// around is what is left to do of the mapping o where next, which directly follows it,
// maps something else over part of that: so no two of them are about the same memory,
// and their order does not matter. Both are empty if nothing is to change.
func (o *Op) around(next *Op) (before, after Op) {
	if _, kept := o.File.(*keptFile); kept || o.Kind != Map || next.Kind != Map || !o.Range.Overlaps(next.Range) {
		return before, after
	}
	before, after = *o, *o
	before.Range.End = max(min(o.Range.End, next.Range.Start), o.Range.Start)
	after.Range.Start = min(max(o.Range.Start, next.Range.End), o.Range.End)
	after.Off += uint64(after.Range.Start - o.Range.Start)
	return before, after
}

// Done takes the first n ops away.
func (q *Queue) Done(n int) {
	for _, o := range (*q)[:n] {
		CloseKept(o.File)
	}
	rest := copy(*q, (*q)[n:])
	clear((*q)[rest:])
	*q = (*q)[:rest]
}

// KeepFiles makes queued mappings independent of descriptors that the caller
// may close from now on.
func (q Queue) KeepFiles() error {
	for i := range q {
		o := &q[i]
		if o.Kind != Map {
			continue
		}
		if _, kept := o.File.(*keptFile); kept {
			continue
		}
		fd, err := unix.FcntlInt(uintptr(o.File.FD()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("keep descriptor: %w", err)
		}
		o.File = &keptFile{fd}
	}
	return nil
}

// Kept reports whether the queue has mappings of duplicates that KeepFiles made.
func (q Queue) Kept() bool {
	for i := range q {
		if _, kept := q[i].File.(*keptFile); kept {
			return true
		}
	}
	return false
}

// A keptFile is a duplicate that is closed when it has been mapped.
type keptFile struct{ fd int }

// FD implements platform.File.
func (f *keptFile) FD() int { return f.fd }

// CloseKept closes f if it is a duplicate that KeepFiles has made.
func CloseKept(f platform.File) {
	if k, ok := f.(*keptFile); ok {
		unix.Close(k.fd)
	}
}

// merge extends o by next when both together are one operation for the host.
func (o *Op) merge(next Op) bool {
	if o.Kind != next.Kind || o.Access != next.Access || o.Range.End != next.Range.Start {
		return false
	}
	if o.Kind == Map && (o.File != next.File || o.Off+o.Range.Len() != next.Off) {
		return false
	}
	o.Range.End = next.Range.End
	return true
}

// coveredBy reports whether next makes o, which directly precedes it, unnecessary.
func (o *Op) coveredBy(next Op) bool {
	return (next.Kind == Map || next.Kind == Unmap) && next.Range.Covers(o.Range)
}

// A Call is a host system call that a stub makes.
type Call struct {
	Nr   uint64
	Args [6]uint64
}

// String is c for an error message.
func (c Call) String() string {
	names := map[uint64]string{
		unix.SYS_MMAP: "mmap", unix.SYS_MUNMAP: "munmap", unix.SYS_MPROTECT: "mprotect",
		unix.SYS_RECVMSG: "recvmsg", unix.SYS_FCNTL: "fcntl", unix.SYS_CLOSE: "close",
	}
	return fmt.Sprintf("%s(%#x, %#x, %#x, %#x, %#x, %#x)", names[c.Nr], c.Args[0], c.Args[1], c.Args[2], c.Args[3], c.Args[4], c.Args[5])
}

// HostCall is the system call that does o; fd is the stub's descriptor of its
// file.
func (o *Op) HostCall(fd int) Call {
	at, n := uint64(o.Range.Start), o.Range.Len()
	switch o.Kind {
	case Map:
		return Call{unix.SYS_MMAP, [6]uint64{at, n, HostProt(o.Access), unix.MAP_SHARED | unix.MAP_FIXED, uint64(fd), o.Off}}
	case Unmap:
		return Call{unix.SYS_MUNMAP, [6]uint64{at, n}}
	default:
		return Call{unix.SYS_MPROTECT, [6]uint64{at, n, HostProt(o.Access)}}
	}
}

// HostProt is a as PROT_ bits.
func HostProt(a arch.Access) uint64 {
	var p uint64
	if a.Has(arch.Read) {
		p |= unix.PROT_READ
	}
	if a.Has(arch.Write) {
		p |= unix.PROT_WRITE
	}
	if a.Has(arch.Exec) {
		p |= unix.PROT_EXEC
	}
	return p
}
