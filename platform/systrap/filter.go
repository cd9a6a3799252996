package systrap

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data.
const (
	dataNumber = 0
	dataArch   = 4
	dataIPLow  = 8
	dataIPHigh = 12
)

// Flags by which stubs clone themselves. A forked stub is the sentry's child,
// not its parent's, and tells nobody of its end: only the sentry asks.
const (
	threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM
	forkFlags   = unix.CLONE_PARENT
)

// stubFilter is the seccomp filter of every stub. A system call that is not
// made in the stub's own text is the guest's, and becomes SIGSYS, whatever it
// is. In the stub's text, what can do no harm but to the thread itself passes,
// and what changes memory or makes threads waits for the verifier.
func stubFilter() []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
		and   = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	)
	stmt := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	jump := func(k uint32, jt, jf uint8) unix.SockFilter {
		return unix.SockFilter{Code: equal, K: k, Jt: jt, Jf: jf}
	}
	f := []unix.SockFilter{
		stmt(load, dataIPHigh),
		jump(stubText>>32, 1, 0),
		stmt(ret, unix.SECCOMP_RET_TRAP),
		stmt(load, dataIPLow),
		stmt(and, 0xfffff000),
		jump(stubText&0xffffffff, 1, 0),
		stmt(ret, unix.SECCOMP_RET_TRAP),
		stmt(load, dataArch),
		jump(unix.AUDIT_ARCH_X86_64, 1, 0),
		stmt(ret, unix.SECCOMP_RET_TRAP),
		stmt(load, dataNumber),
	}
	for _, nr := range []uint32{unix.SYS_FUTEX, unix.SYS_RT_SIGRETURN, unix.SYS_EXIT} {
		f = append(f, jump(nr, 0, 1), stmt(ret, unix.SECCOMP_RET_ALLOW))
	}
	for _, nr := range []uint32{unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_CLONE, unix.SYS_SCHED_YIELD} {
		f = append(f, jump(nr, 0, 1), stmt(ret, unix.SECCOMP_RET_USER_NOTIF))
	}
	return append(f, stmt(ret, unix.SECCOMP_RET_TRAP))
}

// filterBytes is stubFilter as an array of struct sock_filter.
func filterBytes() (b []byte, n int) {
	f := stubFilter()
	for _, i := range f {
		b = binary.LittleEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.LittleEndian.AppendUint32(b, i.K)
	}
	return b, len(f)
}
