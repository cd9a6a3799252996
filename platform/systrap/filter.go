package systrap

import (
	"encoding/binary"
	"slices"

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
// and what changes memory or makes threads waits for the verifier. What can be
// done beside that in only some processes has text of its own. noBases: on a host
// that has to be asked to load FS and GS.
func stubFilter(noBases bool) []unix.SockFilter {
	const trap, ask, allow = unix.SECCOMP_RET_TRAP, unix.SECCOMP_RET_USER_NOTIF, unix.SECCOMP_RET_ALLOW
	f := program(
		only(dataIPHigh, stubText>>32, trap),
		only(dataArch, unix.AUDIT_ARCH_X86_64, trap),
		load(dataIPLow),
		when(soloSite&low, soloCalls(trap), verdict(allow)),
		and(0xfffff000),
		when(stubThreads&low, only(dataNumber, unix.SYS_RT_SIGRETURN, trap), verdict(allow)),
		unless(stubText&low, trap),
		load(dataNumber),
	)
	for _, nr := range []uint32{unix.SYS_FUTEX, unix.SYS_EXIT, unix.SYS_SCHED_YIELD} {
		f = program(f, when(nr, verdict(allow)))
	}
	for _, nr := range []uint32{unix.SYS_MMAP, unix.SYS_MREMAP, unix.SYS_CLONE, unix.SYS_GETPID} {
		f = program(f, when(nr, verdict(ask)))
	}
	if noBases {
		f = program(f, when(unix.SYS_ARCH_PRCTL,
			only(argument(0)+4, 0, trap),
			load(argument(0)), atLeast(archSetGS, trap), atMost(archSetFS, trap), verdict(allow)))
	}
	return program(f,
		when(unix.SYS_RT_SIGPROCMASK,
			arg(0, unix.SIG_SETMASK, trap), arg(1, stubMask, trap), arg(2, 0, trap), arg(3, 8, trap), verdict(allow)),
		when(unix.SYS_MPROTECT,
			load(argument(2)),
			when(unix.PROT_READ|unix.PROT_WRITE, regionCalls(ask), verdict(allow)),
			freeCalls(ask), verdict(allow)),
		when(unix.SYS_MUNMAP, freeCalls(ask), verdict(allow)),
		when(unix.SYS_PRCTL, namingCalls(trap), verdict(allow)),
		verdict(trap))
}

// What arch_prctl(2) is asked; stub_amd64.s has it, too.
const (
	archSetGS = 0x1001
	archSetFS = 0x1002
)

// freeCalls is free, in BPF.
func freeCalls(otherwise uint32) []unix.SockFilter {
	return program(
		load(argument(2)), and(^uint32(unix.PROT_READ|unix.PROT_EXEC)), unless(0, otherwise),
		only(argument(2)+4, 0, otherwise), inGuest(otherwise))
}

// soloCalls is what soloable says, in BPF, but for the number of the call.
func soloCalls(otherwise uint32) []unix.SockFilter {
	return program(
		only(dataNumber, unix.SYS_MMAP, otherwise),
		load(argument(2)), and(^uint32(unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC)), unless(0, otherwise),
		only(argument(2)+4, 0, otherwise),
		arg(3, unix.MAP_SHARED|unix.MAP_FIXED, otherwise),
		load(argument(4)), atMost(stubFirstFile+maxFiles-1, otherwise), atLeast(stubFirstFile, otherwise),
		only(argument(4)+4, 0, otherwise),
		inGuest(otherwise))
}

// inGuest is for calls about memory that is at most freeLen bytes of the guest's.
func inGuest(otherwise uint32) []unix.SockFilter {
	return program(
		only(argument(1)+4, 0, otherwise),
		load(argument(1)), atMost(freeLen-1, otherwise),
		load(argument(0)+4), atMost(stubWindow>>32, otherwise),
		when(stubWindow>>32, load(argument(0)), atMost(stubWindow&low-freeLen, otherwise)))
}

// regionCalls makes those parts of a region writable that are to be: a newborn
// has mapped it unwritable.
func regionCalls(otherwise uint32) []unix.SockFilter {
	return program(
		only(argument(2)+4, 0, otherwise),
		arg(1, stackEnd, otherwise),
		inRegion(0, 0, otherwise))
}

// namingCalls have the host show the names of some region, which only the sentry
// writes. So the thread can but be shown as another of its process.
func namingCalls(otherwise uint32) []unix.SockFilter {
	return program(
		only(argument(0)+4, 0, otherwise),
		load(argument(0)),
		when(unix.PR_SET_NAME, inRegion(1, namesAt+stub.NamesComm, otherwise), verdict(unix.SECCOMP_RET_ALLOW)),
		unless(unix.PR_SET_MM, otherwise), arg(1, unix.PR_SET_MM_MAP, otherwise),
		inRegion(2, namesAt+stub.NamesMap, otherwise),
		arg(3, stub.SizeofNamesMap, otherwise), arg(4, 0, otherwise))
}

// inRegion is for calls of which argument i points at off in a region.
func inRegion(i, off, otherwise uint32) []unix.SockFilter {
	return program(
		only(argument(i)+4, stubRegions>>32, otherwise),
		load(argument(i)), atLeast(stubRegions&low, otherwise),
		and(regionSize-1), unless(off, otherwise))
}

const low = 1<<32 - 1

// The words of such programs. What compares takes what was loaded last, and
// returns the verdict otherwise if it does not hold; when does its part then,
// and only then, and is to be followed by another load if that has one.

func program(parts ...[]unix.SockFilter) []unix.SockFilter { return slices.Concat(parts...) }

func instruction(code uint16, k uint32, jt, jf uint8) []unix.SockFilter {
	return []unix.SockFilter{{Code: code, K: k, Jt: jt, Jf: jf}}
}

func load(off uint32) []unix.SockFilter {
	return instruction(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off, 0, 0)
}

func and(mask uint32) []unix.SockFilter {
	return instruction(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, mask, 0, 0)
}

func verdict(v uint32) []unix.SockFilter {
	return instruction(unix.BPF_RET|unix.BPF_K, v, 0, 0)
}

func when(k uint32, parts ...[]unix.SockFilter) []unix.SockFilter {
	then := program(parts...)
	if len(then) > 255 {
		panic("systrap: the filter jumps too far")
	}
	return program(instruction(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 0, uint8(len(then))), then)
}

func unless(k, otherwise uint32) []unix.SockFilter {
	return program(instruction(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 1, 0), verdict(otherwise))
}

func atMost(k, otherwise uint32) []unix.SockFilter {
	return program(instruction(unix.BPF_JMP|unix.BPF_JGT|unix.BPF_K, k, 0, 1), verdict(otherwise))
}

func atLeast(k, otherwise uint32) []unix.SockFilter {
	return program(instruction(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, k, 1, 0), verdict(otherwise))
}

// only loads a half of a word and compares; arg does both halves of an argument.
func only(off, k, otherwise uint32) []unix.SockFilter {
	return program(load(off), unless(k, otherwise))
}

func arg(i uint32, v uint64, otherwise uint32) []unix.SockFilter {
	return program(only(argument(i), uint32(v&low), otherwise), only(argument(i)+4, uint32(v>>32), otherwise))
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

// soloable reports whether the filter lets a stub make the call, which is one
// that maps, at the solo site.
func soloable(c *stub.Call) bool {
	at, n, prot, fd := c.Args[0], c.Args[1], c.Args[2], c.Args[4]
	return c.Nr == unix.SYS_MMAP && c.Args[3] == unix.MAP_SHARED|unix.MAP_FIXED &&
		prot&^(unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC) == 0 &&
		fd >= stubFirstFile && fd < stubFirstFile+maxFiles && n < freeLen && at <= stubWindow-freeLen
}

// filterBytes is stubFilter as an array of struct sock_filter.
func filterBytes(noBases bool) (b []byte, n int) {
	f := stubFilter(noBases)
	for _, i := range f {
		b = binary.LittleEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.LittleEndian.AppendUint32(b, i.K)
	}
	return b, len(f)
}
