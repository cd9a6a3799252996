package filter

import "golang.org/x/sys/unix"

// threadFlags are how Go's runtime makes a thread of its own process.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD

// Operations of futex(2).
const (
	futexWait    = 0
	futexWake    = 1
	futexPrivate = 128
)

// Runtime is what a Go program does by itself: memory, threads, timers, the
// poller, and its own end. pid is the process's own, the only one that it may
// signal.
func Runtime(pid int) Table {
	// The runtime's getrandom keeps its state in memory that the vDSO asks to be droppable.
	const anonymous = unix.MAP_ANON | unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_NORESERVE | unix.MAP_DROPPABLE
	return Table{"Go runtime", []Call{
		{"arch_prctl", unix.SYS_ARCH_PRCTL, args{eq(0x1002)}}, // ARCH_SET_FS, of a new thread
		{"clock_gettime", unix.SYS_CLOCK_GETTIME, args{}},
		{"clone", unix.SYS_CLONE, args{eq(threadFlags | unix.CLONE_SETTLS)}},
		{"close", unix.SYS_CLOSE, args{}},
		{"epoll_create1", unix.SYS_EPOLL_CREATE1, args{}},
		{"epoll_ctl", unix.SYS_EPOLL_CTL, args{}},
		{"epoll_pwait", unix.SYS_EPOLL_PWAIT, args{}},
		{"eventfd2", unix.SYS_EVENTFD2, args{}},
		{"exit", unix.SYS_EXIT, args{}},
		{"exit_group", unix.SYS_EXIT_GROUP, args{}},
		{"fcntl", unix.SYS_FCNTL, args{free, eq(unix.F_GETFL)}},
		{"fcntl", unix.SYS_FCNTL, args{free, eq(unix.F_SETFL)}},
		{"fcntl", unix.SYS_FCNTL, args{free, eq(unix.F_GETFD)}},
		{"fcntl", unix.SYS_FCNTL, args{free, eq(unix.F_SETFD)}},
		{"fcntl", unix.SYS_FCNTL, args{free, eq(unix.F_DUPFD_CLOEXEC)}},
		{"fstat", unix.SYS_FSTAT, args{}},
		{"futex", unix.SYS_FUTEX, args{free, eq(futexWait | futexPrivate)}},
		{"futex", unix.SYS_FUTEX, args{free, eq(futexWake | futexPrivate)}},
		{"getcpu", unix.SYS_GETCPU, args{}},
		{"getpid", unix.SYS_GETPID, args{}},
		{"getrandom", unix.SYS_GETRANDOM, args{}},
		{"gettid", unix.SYS_GETTID, args{}},
		{"madvise", unix.SYS_MADVISE, args{}},
		{"mincore", unix.SYS_MINCORE, args{}},
		{"mmap", unix.SYS_MMAP, args{free, free, bits(unix.PROT_READ | unix.PROT_WRITE), bits(anonymous)}},
		{"mprotect", unix.SYS_MPROTECT, args{free, free, bits(unix.PROT_READ | unix.PROT_WRITE)}},
		{"munmap", unix.SYS_MUNMAP, args{}},
		{"nanosleep", unix.SYS_NANOSLEEP, args{}},
		{"prctl", unix.SYS_PRCTL, args{eq(unix.PR_SET_VMA), eq(unix.PR_SET_VMA_ANON_NAME)}},
		{"read", unix.SYS_READ, args{}},
		{"restart_syscall", unix.SYS_RESTART_SYSCALL, args{}},
		{"rt_sigaction", unix.SYS_RT_SIGACTION, args{}},
		{"rt_sigprocmask", unix.SYS_RT_SIGPROCMASK, args{}},
		{"rt_sigreturn", unix.SYS_RT_SIGRETURN, args{}},
		{"sched_getaffinity", unix.SYS_SCHED_GETAFFINITY, args{}},
		{"sched_yield", unix.SYS_SCHED_YIELD, args{}},
		{"sigaltstack", unix.SYS_SIGALTSTACK, args{}},
		{"tgkill", unix.SYS_TGKILL, args{eq(uintptr(pid))}},
		{"write", unix.SYS_WRITE, args{}},
	}}
}
