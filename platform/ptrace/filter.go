package ptrace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"garrison/platform/stub"
)

// Offsets in struct seccomp_data.
const (
	dataNumber  = 0
	dataArch    = 4
	dataIPLow   = 8
	dataIPHigh  = 12
	dataArgsLow = 16
)

// threadFlags and forkFlags are the two ways stubs clone themselves. A forked
// stub is the sentry's child, not its parent's: only the sentry reaps.
const (
	threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM
	forkFlags   = unix.CLONE_PARENT | 17 // SIGCHLD
)

// stubFilter is the seccomp filter of every stub. It costs guests nothing: a
// system call under PTRACE_SYSEMU is cancelled before filters are asked. It is
// there for the case that the tracer ever lets one through: outside the stub's
// text page every call kills the process, and inside only what the platform
// itself makes a stub do passes. The vsyscall page is the exception: the host
// kernel emulates calls to it without asking the tracer, and TRAP brings them
// to light.
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
		stmt(load, dataArch),
		jump(unix.AUDIT_ARCH_X86_64, 1, 0),
		stmt(ret, unix.SECCOMP_RET_KILL_PROCESS),
		stmt(load, dataIPHigh),
		jump(0xffffffff, 0, 5), // the vsyscall page is at ffffffff'ff600000
		stmt(load, dataIPLow),
		stmt(and, 0xfffff000),
		jump(vsyscallPage&0xffffffff, 0, 1),
		stmt(ret, unix.SECCOMP_RET_TRAP),
		stmt(ret, unix.SECCOMP_RET_KILL_PROCESS),
		jump(stubText>>32, 1, 0),
		stmt(ret, unix.SECCOMP_RET_KILL_PROCESS),
		stmt(load, dataIPLow),
		stmt(and, 0xfffff000),
		jump(stubText&0xffffffff, 1, 0),
		stmt(ret, unix.SECCOMP_RET_KILL_PROCESS),
		stmt(load, dataNumber),
	}
	for _, nr := range []uint32{unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_CLOSE, unix.SYS_EXIT} {
		f = append(f, jump(nr, 0, 1), stmt(ret, unix.SECCOMP_RET_ALLOW))
	}
	// A call that passes with one value (low half) of one argument.
	checked := func(nr uint32, arg uint32, values ...uint32) {
		f = append(f, jump(nr, 0, uint8(2+2*len(values))), stmt(load, dataArgsLow+8*arg))
		for _, v := range values {
			f = append(f, jump(v, 0, 1), stmt(ret, unix.SECCOMP_RET_ALLOW))
		}
		f = append(f, stmt(ret, unix.SECCOMP_RET_KILL_PROCESS))
	}
	// A call that passes with the low halves of prctl(2)'s arguments those of c.
	exactly := func(c stub.Call) {
		const args = 5
		f = append(f, jump(uint32(c.Nr), 0, 2*args+1))
		for i, v := range c.Args[:args] {
			left := uint8(2 * (args - i - 1))
			f = append(f, stmt(load, dataArgsLow+8*uint32(i)), jump(uint32(v), 0, left+1))
		}
		f = append(f, stmt(ret, unix.SECCOMP_RET_ALLOW), stmt(load, dataNumber))
	}
	for _, c := range stub.NamingCalls(stubNames) {
		exactly(c)
	}
	checked(unix.SYS_CLONE, 0, threadFlags, forkFlags)
	checked(unix.SYS_RECVMSG, 0, stubSocket)
	checked(unix.SYS_READ, 0, stubLifeline)
	checked(unix.SYS_FCNTL, 1, unix.F_GETFD)
	return append(f, stmt(ret, unix.SECCOMP_RET_KILL_PROCESS))
}

// filterWords is stubFilter as 64-bit words in memory, behind a struct
// sock_fprog for a filter that is loaded at address at.
func filterWords(at uint64) []uint64 {
	f := stubFilter()
	words := []uint64{uint64(len(f)), at + 16}
	for _, i := range f {
		var b [8]byte
		binary.LittleEndian.PutUint16(b[:], i.Code)
		b[2], b[3] = i.Jt, i.Jf
		binary.LittleEndian.PutUint32(b[4:], i.K)
		words = append(words, binary.LittleEndian.Uint64(b[:]))
	}
	return words
}
