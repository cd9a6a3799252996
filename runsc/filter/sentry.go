package filter

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Sentry is what the kernel does on whatever platform: its descriptors' input
// and output, guest memory in files, and its sockets to runsc, gofer and holders.
func Sentry() Table {
	return Table{"sentry", []Call{
		{"accept4", unix.SYS_ACCEPT4, args{}},                                       // the control socket
		{"bind", unix.SYS_BIND, args{free, free, eq(unix.SizeofSockaddrLinklayer)}}, // a packet socket to a link
		{"clock_nanosleep", unix.SYS_CLOCK_NANOSLEEP, args{}},
		{"copy_file_range", unix.SYS_COPY_FILE_RANGE, args{}},
		{"dup3", unix.SYS_DUP3, args{}},
		{"fadvise64", unix.SYS_FADVISE64, args{}},
		{"fallocate", unix.SYS_FALLOCATE, args{}},
		{"fcntl", unix.SYS_FCNTL, args{free, eq(unix.F_GET_SEALS)}},
		{"fdatasync", unix.SYS_FDATASYNC, args{}},
		{"fstatfs", unix.SYS_FSTATFS, args{}},
		{"fsync", unix.SYS_FSYNC, args{}},
		{"ftruncate", unix.SYS_FTRUNCATE, args{}},
		{"getpeername", unix.SYS_GETPEERNAME, args{}},
		{"getsockname", unix.SYS_GETSOCKNAME, args{}},
		{"getsockopt", unix.SYS_GETSOCKOPT, args{free, eq(unix.SOL_SOCKET)}},
		{"ioctl", unix.SYS_IOCTL, args{free, eq(unix.TCGETS)}},
		{"ioctl", unix.SYS_IOCTL, args{free, eq(unix.TIOCGWINSZ)}},
		{"ioctl", unix.SYS_IOCTL, args{free, eq(unix.TIOCOUTQ)}},
		{"ioctl", unix.SYS_IOCTL, args{free, eq(unix.TIOCINQ)}},
		{"lseek", unix.SYS_LSEEK, args{}},
		{"mmap", unix.SYS_MMAP, args{free, free, bits(unix.PROT_READ | unix.PROT_WRITE), bits(unix.MAP_SHARED | unix.MAP_FIXED | unix.MAP_POPULATE | unix.MAP_NORESERVE)}},
		{"msync", unix.SYS_MSYNC, args{}},
		{"pipe2", unix.SYS_PIPE2, args{}}, // a hook's standard input
		{"poll", unix.SYS_POLL, args{}},
		{"ppoll", unix.SYS_PPOLL, args{}},
		{"prctl", unix.SYS_PRCTL, args{eq(unix.PR_SET_TIMERSLACK)}},
		{"pread64", unix.SYS_PREAD64, args{}},
		{"preadv", unix.SYS_PREADV, args{}},
		{"preadv2", unix.SYS_PREADV2, args{}},
		{"pwrite64", unix.SYS_PWRITE64, args{}},
		{"pwritev", unix.SYS_PWRITEV, args{}},
		{"pwritev2", unix.SYS_PWRITEV2, args{}},
		{"readv", unix.SYS_READV, args{}},
		{"recvfrom", unix.SYS_RECVFROM, args{}},
		{"recvmmsg", unix.SYS_RECVMMSG, args{}}, // frames
		{"recvmsg", unix.SYS_RECVMSG, args{}},
		{"sendmmsg", unix.SYS_SENDMMSG, args{}}, // frames
		{"sendmsg", unix.SYS_SENDMSG, args{}},
		{"sendto", unix.SYS_SENDTO, args{free, free, free, free, eq(0)}},
		{"setsockopt", unix.SYS_SETSOCKOPT, args{free, eq(unix.SOL_SOCKET)}},
		{"shutdown", unix.SYS_SHUTDOWN, args{}},
		// No datagrams: such a socket, though one of a pair, could send to any other that
		// has a name in the network namespace.
		{"socketpair", unix.SYS_SOCKETPAIR, args{eq(unix.AF_UNIX), eq(unix.SOCK_STREAM | unix.SOCK_CLOEXEC)}},
		{"socketpair", unix.SYS_SOCKETPAIR, args{eq(unix.AF_UNIX), eq(unix.SOCK_SEQPACKET | unix.SOCK_CLOEXEC)}},
		{"statx", unix.SYS_STATX, args{free, free, eq(unix.AT_EMPTY_PATH)}},
		{"sync_file_range", unix.SYS_SYNC_FILE_RANGE, args{}},
		{"sysinfo", unix.SYS_SYSINFO, args{}},
		{"writev", unix.SYS_WRITEV, args{}},
	}}
}

// Platform is what a platform asks for by number. Which processes it can act on
// is not for this table to say but for the PID namespace, which holds nothing
// but the sentry and its stubs.
func Platform(name string, calls []uintptr) Table {
	t := Table{Feature: "platform " + name}
	for _, nr := range calls {
		t.Calls = append(t.Calls, platformCall(nr)...)
	}
	return t
}

// platformCall is the entry for nr: with arguments checked, where that is not up
// to the process acted on.
func platformCall(nr uintptr) []Call {
	switch nr {
	case unix.SYS_MMAP, unix.SYS_FCNTL, unix.SYS_CLOSE, unix.SYS_MUNMAP, unix.SYS_SCHED_GETAFFINITY,
		unix.SYS_GETCPU, unix.SYS_NANOSLEEP, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_FTRUNCATE, unix.SYS_POLL:
		return nil // as the other tables have them
	case unix.SYS_PTRACE:
		return []Call{{"ptrace", nr, args{}}}
	case unix.SYS_WAIT4:
		return []Call{{"wait4", nr, args{}}}
	case unix.SYS_KILL:
		return []Call{{"kill", nr, args{free, eq(unix.SIGKILL)}}}
	case unix.SYS_TGKILL:
		return []Call{{"tgkill", nr, args{}}}
	case unix.SYS_SCHED_SETAFFINITY:
		return []Call{{"sched_setaffinity", nr, args{}}}
	case unix.SYS_FUTEX: // on pages shared with stubs: wait and wake
		return []Call{{"futex", nr, args{free, eq(0)}}, {"futex", nr, args{free, eq(1)}}}
	case unix.SYS_IOCTL: // of a listener, seccomp_unotify(2): receive, answer, add a descriptor
		return []Call{
			{"ioctl", nr, args{free, eq(0xc0502100)}},
			{"ioctl", nr, args{free, eq(0xc0182101)}},
			{"ioctl", nr, args{free, eq(0x40182103)}},
		}
	case unix.SYS_WAITID:
		return []Call{{"waitid", nr, args{}}}
	}
	return []Call{{fmt.Sprintf("call %d", nr), nr, args{}}}
}
