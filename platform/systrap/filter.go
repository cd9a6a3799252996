package systrap

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"garrison/platform/stub"
)

// Offsets in struct seccomp_data.
const (
	dataNumber = 0
	dataArch   = 4
	dataIPLow  = 8
	dataIPHigh = 12
)

// argument is the offset of a call's argument in struct seccomp_data.
func argument(i uint32) uint32 { return 16 + 8*i }

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
		above = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
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
	for _, nr := range []uint32{unix.SYS_FUTEX, unix.SYS_RT_SIGRETURN, unix.SYS_EXIT, unix.SYS_SCHED_YIELD} {
		f = append(f, jump(nr, 0, 1), stmt(ret, unix.SECCOMP_RET_ALLOW))
	}
	for _, nr := range []uint32{unix.SYS_MMAP, unix.SYS_MREMAP, unix.SYS_CLONE, unix.SYS_GETPID} {
		f = append(f, jump(nr, 0, 1), stmt(ret, unix.SECCOMP_RET_USER_NOTIF))
	}
	f = append(f, jump(unix.SYS_MUNMAP, 2, 0), jump(unix.SYS_MPROTECT, 1, 0), stmt(ret, unix.SECCOMP_RET_TRAP))
	// free, in BPF: a test that fails goes to the last instruction but one.
	return append(f,
		stmt(load, argument(2)), stmt(and, ^uint32(unix.PROT_READ|unix.PROT_EXEC)), jump(0, 0, 11),
		stmt(load, argument(2)+4), jump(0, 0, 9),
		stmt(load, argument(1)+4), jump(0, 0, 7),
		stmt(load, argument(1)), unix.SockFilter{Code: above, K: freeLen - 1, Jt: 5},
		stmt(load, argument(0)+4), unix.SockFilter{Code: above, K: stubWindow>>32 - 1, Jt: 0, Jf: 4},
		jump(stubWindow>>32, 0, 2),
		stmt(load, argument(0)), unix.SockFilter{Code: above, K: stubWindow&0xffffffff - freeLen, Jt: 0, Jf: 1},
		stmt(ret, unix.SECCOMP_RET_USER_NOTIF),
		stmt(ret, unix.SECCOMP_RET_ALLOW))
}

// freeLen is more than a free call may unmap or protect at once, so that none
// reaches into the stub window.
const freeLen = 1 << 26

// free reports whether the filter lets a stub make the call whenever it likes:
// it takes memory of the guest's away, or the right to write it. munmap's third
// argument, which the host ignores, says that the sentry wants to see it.
func free(c *stub.Call) bool {
	if c.Nr != unix.SYS_MUNMAP && c.Nr != unix.SYS_MPROTECT {
		return false
	}
	at, n, prot := c.Args[0], c.Args[1], c.Args[2]
	return prot&^(unix.PROT_READ|unix.PROT_EXEC) == 0 && n < freeLen && at <= stubWindow-freeLen
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
