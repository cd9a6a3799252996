package ptrace

import (
	"fmt"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// An op is one queued change of an address space.
type op struct {
	kind   opKind
	access arch.Access
	rng    arch.Range
	file   platform.File
	off    uint64
}

type opKind uint8

const (
	opMap opKind = iota
	opUnmap
	opProtect
)

// merge extends o by next when both together are one operation for the host.
func (o *op) merge(next op) bool {
	if o.kind != next.kind || o.access != next.access || o.rng.End != next.rng.Start {
		return false
	}
	if o.kind == opMap && (o.file != next.file || o.off+o.rng.Len() != next.off) {
		return false
	}
	o.rng.End = next.rng.End
	return true
}

// covers reports whether next makes o, which directly precedes it, unnecessary.
func (o *op) coveredBy(next op) bool {
	return next.kind != opProtect && next.rng.Covers(o.rng)
}

// A call is a host system call as the operations page holds it.
type call struct {
	nr   uint64
	args [6]uint64
}

// String is c for an error message.
func (c call) String() string {
	names := map[uint64]string{
		unix.SYS_MMAP: "mmap", unix.SYS_MUNMAP: "munmap", unix.SYS_MPROTECT: "mprotect",
		unix.SYS_RECVMSG: "recvmsg", unix.SYS_FCNTL: "fcntl", unix.SYS_CLOSE: "close",
	}
	return fmt.Sprintf("%s(%#x, %#x, %#x, %#x, %#x, %#x)", names[c.nr], c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
}

// hostCall is the system call that does o; fd is the stub's descriptor of its
// file.
func (o *op) hostCall(fd int) call {
	at, n := uint64(o.rng.Start), o.rng.Len()
	switch o.kind {
	case opMap:
		return call{unix.SYS_MMAP, [6]uint64{at, n, hostProt(o.access), unix.MAP_SHARED | unix.MAP_FIXED, uint64(fd), o.off}}
	case opUnmap:
		return call{unix.SYS_MUNMAP, [6]uint64{at, n}}
	default:
		return call{unix.SYS_MPROTECT, [6]uint64{at, n, hostProt(o.access)}}
	}
}

func hostProt(a arch.Access) uint64 {
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
