package guest

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A refusal is a call and the error that it must give.
type refusal struct {
	name string // begins with the call's
	nr   uintptr
	args []uintptr
	want unix.Errno
}

// refuses makes a test of each call.
func refuses(t *testing.T, cases []refusal) {
	t.Helper()
	for _, c := range cases {
		covers(t, strings.Fields(c.name)[0])
		t.Run(c.name, func(t *testing.T) {
			_, err := call(c.nr, c.args...)
			fails(t, err, c.want)
		})
	}
}

type a = []uintptr

// fdCalls is calls that need a descriptor, everything else being in order.
func fdCalls(t *testing.T, fd uintptr, want unix.Errno) []refusal {
	buf := ptr(kept(t, [4096]byte{}))
	iov := ptr(kept(t, unix.Iovec{Base: kept(t, byte(0)), Len: 1}))
	attr := cstring(t, "user.x")
	return []refusal{
		{"read", unix.SYS_READ, a{fd, buf, 1}, want},
		{"write", unix.SYS_WRITE, a{fd, buf, 1}, want},
		{"pread64", unix.SYS_PREAD64, a{fd, buf, 1, 0}, want},
		{"pwrite64", unix.SYS_PWRITE64, a{fd, buf, 1, 0}, want},
		{"readv", unix.SYS_READV, a{fd, iov, 1}, want},
		{"writev", unix.SYS_WRITEV, a{fd, iov, 1}, want},
		{"preadv2", unix.SYS_PREADV2, a{fd, iov, 1, 0, 0, 0}, want},
		{"pwritev2", unix.SYS_PWRITEV2, a{fd, iov, 1, 0, 0, 0}, want},
		{"lseek", unix.SYS_LSEEK, a{fd, 0, unix.SEEK_CUR}, want},
		{"ftruncate", unix.SYS_FTRUNCATE, a{fd, 0}, want},
		{"fallocate", unix.SYS_FALLOCATE, a{fd, 0, 0, 1}, want},
		{"fchmod", unix.SYS_FCHMOD, a{fd, 0o600}, want},
		{"fchown", unix.SYS_FCHOWN, a{fd, 0, 0}, want},
		{"fsync", unix.SYS_FSYNC, a{fd}, want},
		{"syncfs", unix.SYS_SYNCFS, a{fd}, want},
		{"flock", unix.SYS_FLOCK, a{fd, unix.LOCK_UN}, want},
		{"ioctl FIONREAD", unix.SYS_IOCTL, a{fd, unix.TIOCINQ, buf}, want},
		{"getdents64", unix.SYS_GETDENTS64, a{fd, buf, 4096}, want},
		{"fgetxattr", unix.SYS_FGETXATTR, a{fd, attr, buf, 10}, want},
		{"fsetxattr", unix.SYS_FSETXATTR, a{fd, attr, buf, 1, 0}, want},
		{"flistxattr", unix.SYS_FLISTXATTR, a{fd, buf, 10}, want},
		{"fremovexattr", unix.SYS_FREMOVEXATTR, a{fd, attr}, want},
		{"mmap", unix.SYS_MMAP, a{0, page, unix.PROT_READ, unix.MAP_PRIVATE, fd, 0}, want},
		{"readahead", unix.SYS_READAHEAD, a{fd, 0, 1}, want},
		{"sync_file_range", unix.SYS_SYNC_FILE_RANGE, a{fd, 0, 1, 0}, want},
		{"connect", unix.SYS_CONNECT, a{fd, buf, 16}, want},
		{"bind", unix.SYS_BIND, a{fd, buf, 16}, want},
		{"getsockname", unix.SYS_GETSOCKNAME, a{fd, buf, buf}, want},
		{"sendto", unix.SYS_SENDTO, a{fd, buf, 1, 0, 0, 0}, want},
		{"recvmsg", unix.SYS_RECVMSG, a{fd, buf, 0}, want},
	}
}

// TestDescriptorOfPath: a descriptor of O_PATH names a file and no more; not
// even a socket's calls find out that it isn't one.
func TestDescriptorOfPath(t *testing.T) {
	name, _ := file(t, "")
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	ok(t, err)
	closeLater(t, fd)
	refuses(t, fdCalls(t, uintptr(fd), unix.EBADF))
}

// TestDescriptorClosed: a number that stands for nothing.
func TestDescriptorClosed(t *testing.T) {
	buf := ptr(kept(t, [4096]byte{}))
	p := uintptr(newEpoll(t, newEventfd(t, 0), unix.EPOLLIN))
	_, f := file(t, "")
	fd, w := uintptr(999), uintptr(f)
	refuses(t, append(fdCalls(t, fd, unix.EBADF), []refusal{
		{"fstat", unix.SYS_FSTAT, a{fd, buf}, unix.EBADF},
		{"fstatfs", unix.SYS_FSTATFS, a{fd, buf}, unix.EBADF},
		{"fcntl F_GETFD", unix.SYS_FCNTL, a{fd, unix.F_GETFD}, unix.EBADF},
		{"fcntl F_DUPFD", unix.SYS_FCNTL, a{fd, unix.F_DUPFD, 0}, unix.EBADF},
		{"ioctl FIOCLEX", unix.SYS_IOCTL, a{fd, 0x5451}, unix.EBADF},
		{"epoll_wait", unix.SYS_EPOLL_WAIT, a{fd, buf, 1, 0}, unix.EBADF},
		{"epoll_ctl", unix.SYS_EPOLL_CTL, a{fd, unix.EPOLL_CTL_ADD, w, buf}, unix.EBADF},
		{"epoll_ctl of what is watched", unix.SYS_EPOLL_CTL, a{p, unix.EPOLL_CTL_DEL, fd, buf}, unix.EBADF},
		{"inotify_add_watch", unix.SYS_INOTIFY_ADD_WATCH, a{fd, cstring(t, "/"), unix.IN_CREATE}, unix.EBADF},
		{"inotify_rm_watch", unix.SYS_INOTIFY_RM_WATCH, a{fd, 1}, unix.EBADF},
		{"timerfd_gettime", unix.SYS_TIMERFD_GETTIME, a{fd, buf}, unix.EBADF},
		{"timerfd_settime", unix.SYS_TIMERFD_SETTIME, a{fd, 0, buf, 0}, unix.EBADF},
		{"signalfd4", unix.SYS_SIGNALFD4, a{fd, buf, 8, 0}, unix.EBADF},
		{"splice from", unix.SYS_SPLICE, a{fd, 0, w, 0, 1, 0}, unix.EBADF},
		{"splice to", unix.SYS_SPLICE, a{w, 0, fd, 0, 1, 0}, unix.EBADF},
		{"tee", unix.SYS_TEE, a{fd, fd, 1, 0}, unix.EBADF},
		{"vmsplice", unix.SYS_VMSPLICE, a{fd, buf, 0, 0}, unix.EBADF},
		{"sendfile to", unix.SYS_SENDFILE, a{fd, w, 0, 1}, unix.EBADF},
		{"copy_file_range from", unix.SYS_COPY_FILE_RANGE, a{fd, 0, w, 0, 1, 0}, unix.EBADF},
		{"copy_file_range to", unix.SYS_COPY_FILE_RANGE, a{w, 0, fd, 0, 1, 0}, unix.EBADF},
		{"mkdirat", unix.SYS_MKDIRAT, a{fd, cstring(t, "x"), 0o700}, unix.EBADF},
		{"unlinkat", unix.SYS_UNLINKAT, a{fd, cstring(t, "x"), 0}, unix.EBADF},
		{"renameat2 from", unix.SYS_RENAMEAT2, a{fd, cstring(t, "x"), atCwd, cstring(t, "y"), 0}, unix.EBADF},
		{"utimensat", unix.SYS_UTIMENSAT, a{fd, 0, 0, 0}, unix.EBADF},
		{"accept4", unix.SYS_ACCEPT4, a{fd, 0, 0, 0}, unix.EBADF},
		{"listen", unix.SYS_LISTEN, a{fd, 1}, unix.EBADF},
		{"setsockopt", unix.SYS_SETSOCKOPT, a{fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, buf, 4}, unix.EBADF},
		{"getpeername", unix.SYS_GETPEERNAME, a{fd, buf, buf}, unix.EBADF},
	}...))
}

func newEventfd(t *testing.T, flags int) int {
	t.Helper()
	fd, err := unix.Eventfd(0, flags|unix.EFD_CLOEXEC)
	ok(t, err)
	closeLater(t, fd)
	return fd
}

// TestDescriptorOfPipe: what a pipe can't do, and with which error.
func TestDescriptorOfPipe(t *testing.T) {
	pr, pw := newPipe(t, 0)
	r, w := uintptr(pr), uintptr(pw)
	buf := ptr(kept(t, [4096]byte{}))
	iov := ptr(kept(t, unix.Iovec{Base: kept(t, byte(0)), Len: 1}))
	_, fd := file(t, "0123")
	f := uintptr(fd)
	off := ptr(kept(t, int64(0)))
	refuses(t, []refusal{
		{"lseek", unix.SYS_LSEEK, a{r, 0, unix.SEEK_CUR}, unix.ESPIPE},
		{"pread64", unix.SYS_PREAD64, a{r, buf, 1, 0}, unix.ESPIPE},
		{"pwrite64", unix.SYS_PWRITE64, a{w, buf, 1, 0}, unix.ESPIPE},
		{"preadv", unix.SYS_PREADV, a{r, iov, 1, 0, 0}, unix.ESPIPE},
		{"pwritev", unix.SYS_PWRITEV, a{w, iov, 1, 0, 0}, unix.ESPIPE},
		{"fallocate", unix.SYS_FALLOCATE, a{w, 0, 0, 1}, unix.ESPIPE},
		{"sync_file_range", unix.SYS_SYNC_FILE_RANGE, a{w, 0, 1, 0}, unix.ESPIPE},
		{"fdatasync", unix.SYS_FDATASYNC, a{w}, unix.EINVAL},
		{"mmap", unix.SYS_MMAP, a{0, page, unix.PROT_READ, unix.MAP_PRIVATE, r, 0}, unix.ENODEV},
		{"getdents64", unix.SYS_GETDENTS64, a{r, buf, 4096}, unix.ENOTDIR},
		{"fchdir", unix.SYS_FCHDIR, a{r}, unix.ENOTDIR},
		{"read of the write end", unix.SYS_READ, a{w, buf, 1}, unix.EBADF},
		{"write to the read end", unix.SYS_WRITE, a{r, buf, 1}, unix.EBADF},
		{"splice with an offset of the pipe", unix.SYS_SPLICE, a{r, off, f, 0, 1, 0}, unix.ESPIPE},
		{"splice to the same pipe", unix.SYS_SPLICE, a{r, 0, w, 0, 1, 0}, unix.EINVAL},
		{"splice unknown flag", unix.SYS_SPLICE, a{r, 0, f, 0, 1, 0x100}, unix.EINVAL},
		{"tee to the same pipe", unix.SYS_TEE, a{r, w, 1, 0}, unix.EINVAL},
		{"tee unknown flag", unix.SYS_TEE, a{r, w, 1, 0x100}, unix.EINVAL},
		{"vmsplice unknown flag", unix.SYS_VMSPLICE, a{w, iov, 1, 0x100}, unix.EINVAL},
		{"vmsplice to a file", unix.SYS_VMSPLICE, a{f, iov, 1, 0}, unix.EBADF},
		{"sendfile from a pipe", unix.SYS_SENDFILE, a{f, r, off, 1}, unix.ESPIPE},
		{"fcntl F_SETPIPE_SZ of a file", unix.SYS_FCNTL, a{f, unix.F_SETPIPE_SZ, page}, unix.EBADF},
		{"fcntl F_GETPIPE_SZ of a file", unix.SYS_FCNTL, a{f, unix.F_GETPIPE_SZ}, unix.EBADF},
		{"fcntl F_GET_SEALS of a pipe", unix.SYS_FCNTL, a{r, unix.F_GET_SEALS}, unix.EINVAL},
		{"listen", unix.SYS_LISTEN, a{r, 1}, unix.ENOTSOCK},
		{"sendmsg", unix.SYS_SENDMSG, a{w, buf, 0}, unix.ENOTSOCK},
		{"epoll_wait", unix.SYS_EPOLL_WAIT, a{r, buf, 1, 0}, unix.EINVAL},
		{"timerfd_gettime", unix.SYS_TIMERFD_GETTIME, a{r, buf}, unix.EINVAL},
		{"inotify_rm_watch", unix.SYS_INOTIFY_RM_WATCH, a{r, 1}, unix.EINVAL},
		{"signalfd4", unix.SYS_SIGNALFD4, a{r, buf, 8, 0}, unix.EINVAL},
	})
}

// TestDescriptorOfDirectory: what can't be done with a directory that is open.
func TestDescriptorOfDirectory(t *testing.T) {
	fd, err := unix.Open(dir(t), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	ok(t, err)
	closeLater(t, fd)
	d := uintptr(fd)
	_, w := newPipe(t, 0)
	_, out := file(t, "")
	buf := ptr(kept(t, [4096]byte{}))
	ep := uintptr(newEpoll(t, newEventfd(t, 0), unix.EPOLLIN))
	refuses(t, []refusal{
		{"read", unix.SYS_READ, a{d, buf, 1}, unix.EISDIR},
		{"pread64", unix.SYS_PREAD64, a{d, buf, 1, 0}, unix.EISDIR},
		{"write", unix.SYS_WRITE, a{d, buf, 1}, unix.EBADF},
		{"ftruncate", unix.SYS_FTRUNCATE, a{d, 0}, unix.EINVAL},
		{"fallocate", unix.SYS_FALLOCATE, a{d, 0, 0, 1}, unix.EBADF},
		{"mmap", unix.SYS_MMAP, a{0, page, unix.PROT_READ, unix.MAP_PRIVATE, d, 0}, unix.ENODEV},
		{"copy_file_range", unix.SYS_COPY_FILE_RANGE, a{d, 0, uintptr(out), 0, 1, 0}, unix.EISDIR},
		{"sendfile", unix.SYS_SENDFILE, a{uintptr(w), d, 0, 1}, unix.EINVAL},
		{"splice", unix.SYS_SPLICE, a{d, 0, uintptr(w), 0, 1, 0}, unix.EINVAL},
		{"epoll_ctl", unix.SYS_EPOLL_CTL, a{ep, unix.EPOLL_CTL_ADD, d, buf}, unix.EPERM},
		{"getdents64 without room", unix.SYS_GETDENTS64, a{d, buf, 1}, unix.EINVAL},
		{"getdents64 to nowhere", unix.SYS_GETDENTS64, a{d, 8, 4096}, unix.EFAULT},
		{"lseek before the start", unix.SYS_LSEEK, a{d, ^uintptr(0), unix.SEEK_SET}, unix.EINVAL},
	})
}
