package filter

import "golang.org/x/sys/unix"

// Gofer is what serving host files takes. It opens by way of descriptors that it
// was given; that a path can't lead out of them is openat2's and the empty
// root's business, not this table's, which can't see paths.
func Gofer() Table {
	return Table{"gofer", []Call{
		{"bind", unix.SYS_BIND, args{}},
		{"connect", unix.SYS_CONNECT, args{}},
		{"fchdir", unix.SYS_FCHDIR, args{}},
		{"fchmod", unix.SYS_FCHMOD, args{}},
		{"fchmodat", unix.SYS_FCHMODAT, args{}},
		{"fchown", unix.SYS_FCHOWN, args{}},
		{"fchownat", unix.SYS_FCHOWNAT, args{}},
		{"fdatasync", unix.SYS_FDATASYNC, args{}},
		{"fgetxattr", unix.SYS_FGETXATTR, args{}},
		{"flistxattr", unix.SYS_FLISTXATTR, args{}},
		{"fremovexattr", unix.SYS_FREMOVEXATTR, args{}},
		{"fsetxattr", unix.SYS_FSETXATTR, args{}},
		{"fstatfs", unix.SYS_FSTATFS, args{}},
		{"fsync", unix.SYS_FSYNC, args{}},
		{"ftruncate", unix.SYS_FTRUNCATE, args{}},
		{"getdents64", unix.SYS_GETDENTS64, args{}},
		{"getsockopt", unix.SYS_GETSOCKOPT, args{}},
		{"getxattrat", unix.SYS_GETXATTRAT, args{}},
		{"inotify_add_watch", unix.SYS_INOTIFY_ADD_WATCH, args{}},
		{"inotify_init1", unix.SYS_INOTIFY_INIT1, args{}},
		{"inotify_rm_watch", unix.SYS_INOTIFY_RM_WATCH, args{}},
		{"linkat", unix.SYS_LINKAT, args{}},
		{"listxattrat", unix.SYS_LISTXATTRAT, args{}},
		{"lseek", unix.SYS_LSEEK, args{}},
		{"mkdirat", unix.SYS_MKDIRAT, args{}},
		{"mknodat", unix.SYS_MKNODAT, args{}},
		{"openat", unix.SYS_OPENAT, args{}},
		{"openat2", unix.SYS_OPENAT2, args{}},
		{"pipe2", unix.SYS_PIPE2, args{}},
		{"readlinkat", unix.SYS_READLINKAT, args{}},
		{"recvmsg", unix.SYS_RECVMSG, args{}},
		{"removexattrat", unix.SYS_REMOVEXATTRAT, args{}},
		{"renameat2", unix.SYS_RENAMEAT2, args{}},
		{"sched_setaffinity", unix.SYS_SCHED_SETAFFINITY, args{}},
		{"sendmsg", unix.SYS_SENDMSG, args{}},
		{"sendto", unix.SYS_SENDTO, args{}},
		{"setsockopt", unix.SYS_SETSOCKOPT, args{free, eq(unix.SOL_SOCKET)}},
		{"setxattrat", unix.SYS_SETXATTRAT, args{}},
		{"shutdown", unix.SYS_SHUTDOWN, args{}},
		{"socket", unix.SYS_SOCKET, args{eq(unix.AF_UNIX)}},
		{"socketpair", unix.SYS_SOCKETPAIR, args{eq(unix.AF_UNIX)}},
		{"statx", unix.SYS_STATX, args{}},
		{"syncfs", unix.SYS_SYNCFS, args{}},
		{"symlinkat", unix.SYS_SYMLINKAT, args{}},
		{"unlinkat", unix.SYS_UNLINKAT, args{}},
		{"unshare", unix.SYS_UNSHARE, args{eq(unix.CLONE_FS)}},
		{"utimensat", unix.SYS_UTIMENSAT, args{}},
	}}
}
