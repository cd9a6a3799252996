package guest

import (
	"testing"

	"golang.org/x/sys/unix"
)

const (
	nowhere = 8       // an address where nothing is mapped
	high    = 1 << 62 // an address that is no user's
)

// TestUnknownFlags: a flag that no kernel knows is refused, so that programs can
// find out what one knows.
func TestUnknownFlags(t *testing.T) {
	name, fd := file(t, "0123456789")
	f, path := uintptr(fd), cstring(t, name)
	buf := ptr(kept(t, [4096]byte{}))
	iov := ptr(kept(t, unix.Iovec{Base: kept(t, byte(0)), Len: 1}))
	pr, pw := newPipe(t, 0)
	attr := cstring(t, "user.x")
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	ok(t, err)
	closeLater(t, timer)
	const odd = 0x40000000
	refuses(t, []refusal{
		{"openat2 how", unix.SYS_OPENAT2, a{atCwd, path, ptr(kept(t, unix.OpenHow{Flags: 1 << 40})), 24}, unix.EINVAL},
		{"openat2 mode of more than permissions", unix.SYS_OPENAT2, a{atCwd, path, ptr(kept(t, unix.OpenHow{Flags: unix.O_CREAT, Mode: 1 << 16})), 24}, unix.EINVAL},
		{"openat2 in root and beneath", unix.SYS_OPENAT2, a{atCwd, path, ptr(kept(t, unix.OpenHow{Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_BENEATH})), 24}, unix.EINVAL},
		{"openat2 of a smaller structure", unix.SYS_OPENAT2, a{atCwd, path, buf, 23}, unix.EINVAL},
		{"openat2 of a larger structure", unix.SYS_OPENAT2, a{atCwd, path, ptr(kept(t, [32]byte{31: 1})), 32}, unix.E2BIG},
		{"linkat", unix.SYS_LINKAT, a{atCwd, path, atCwd, cstring(t, name+"2"), odd}, unix.EINVAL},
		{"renameat2", unix.SYS_RENAMEAT2, a{atCwd, path, atCwd, cstring(t, name+"2"), odd}, unix.EINVAL},
		{"renameat2 exchange and no replace", unix.SYS_RENAMEAT2, a{atCwd, path, atCwd, path, unix.RENAME_EXCHANGE | unix.RENAME_NOREPLACE}, unix.EINVAL},
		{"statx both syncs", unix.SYS_STATX, a{atCwd, path, unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC, 0, buf}, unix.EINVAL},
		{"utimensat", unix.SYS_UTIMENSAT, a{atCwd, path, 0, odd}, unix.EINVAL},
		{"fchownat", unix.SYS_FCHOWNAT, a{atCwd, path, 0, 0, odd}, unix.EINVAL},
		{"faccessat2 mode", unix.SYS_FACCESSAT2, a{atCwd, path, 8, 0}, unix.EINVAL},
		{"fallocate", unix.SYS_FALLOCATE, a{f, 0x8000, 0, 1}, unix.EOPNOTSUPP},
		{"fallocate punching without keeping the size", unix.SYS_FALLOCATE, a{f, unix.FALLOC_FL_PUNCH_HOLE, 0, 1}, unix.EOPNOTSUPP},
		{"preadv2", unix.SYS_PREADV2, a{f, iov, 1, 0, 0, odd}, unix.EOPNOTSUPP},
		{"pwritev2", unix.SYS_PWRITEV2, a{f, iov, 1, 0, 0, odd}, unix.EOPNOTSUPP},
		{"lseek", unix.SYS_LSEEK, a{f, 0, 5}, unix.EINVAL},
		{"sync_file_range", unix.SYS_SYNC_FILE_RANGE, a{f, 0, 1, 8}, unix.EINVAL},
		{"setxattr", unix.SYS_SETXATTR, a{path, attr, buf, 1, 4}, unix.EINVAL},
		{"dup3", unix.SYS_DUP3, a{f, 510, unix.O_NONBLOCK}, unix.EINVAL},
		{"close_range", unix.SYS_CLOSE_RANGE, a{900, 901, 8}, unix.EINVAL},
		{"flock shared and exclusive", unix.SYS_FLOCK, a{f, unix.LOCK_SH | unix.LOCK_EX}, unix.EINVAL},
		{"pipe2", unix.SYS_PIPE2, a{buf, 1}, unix.EINVAL},
		{"splice", unix.SYS_SPLICE, a{uintptr(pr), 0, f, 0, 1, 16}, unix.EINVAL},
		{"vmsplice", unix.SYS_VMSPLICE, a{uintptr(pw), iov, 1, 16}, unix.EINVAL},
		{"copy_file_range", unix.SYS_COPY_FILE_RANGE, a{f, 0, f, 0, 1, 2}, unix.EINVAL},
		{"eventfd2", unix.SYS_EVENTFD2, a{0, 2}, unix.EINVAL},
		{"epoll_create1", unix.SYS_EPOLL_CREATE1, a{2}, unix.EINVAL},
		{"signalfd4", unix.SYS_SIGNALFD4, a{^uintptr(0), buf, 8, 1}, unix.EINVAL},
		{"signalfd4 of another set's size", unix.SYS_SIGNALFD4, a{^uintptr(0), buf, 4, 0}, unix.EINVAL},
		{"timerfd_create", unix.SYS_TIMERFD_CREATE, a{unix.CLOCK_MONOTONIC, 1}, unix.EINVAL},
		{"timerfd_create by the processor's clock", unix.SYS_TIMERFD_CREATE, a{unix.CLOCK_PROCESS_CPUTIME_ID, 0}, unix.EINVAL},
		{"timerfd_settime", unix.SYS_TIMERFD_SETTIME, a{uintptr(timer), 4, buf, 0}, unix.EINVAL},
		{"inotify_init1", unix.SYS_INOTIFY_INIT1, a{unix.O_APPEND}, unix.EINVAL},
		{"memfd_create", unix.SYS_MEMFD_CREATE, a{attr, 0x20}, unix.EINVAL},
		{"name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT, a{atCwd, path, buf, buf, odd}, unix.EINVAL},
		{"socket", unix.SYS_SOCKET, a{unix.AF_UNIX, unix.SOCK_STREAM | odd, 0}, unix.EINVAL},
		{"socketpair", unix.SYS_SOCKETPAIR, a{unix.AF_UNIX, unix.SOCK_STREAM | odd, 0, buf}, unix.EINVAL},
	})
}

// TestPointersWrong: EFAULT for each pointer, and not a signal.
func TestPointersWrong(t *testing.T) {
	name, fd := file(t, "0123456789")
	f, path := uintptr(fd), cstring(t, name)
	buf := ptr(kept(t, [4096]byte{}))
	link := name + "l"
	ok(t, unix.Symlink("target", link))
	attr := cstring(t, "user.x")
	far := ptr(kept(t, unix.Iovec{Base: nil, Len: 1}))
	ep := uintptr(newEpoll(t, newEventfd(t, 0), unix.EPOLLOUT))
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	ok(t, err)
	closeLater(t, timer)
	refuses(t, []refusal{
		{"read", unix.SYS_READ, a{f, nowhere, 1}, unix.EFAULT},
		{"read beyond user addresses", unix.SYS_READ, a{f, high, 1}, unix.EFAULT},
		{"write", unix.SYS_WRITE, a{f, nowhere, 1}, unix.EFAULT},
		{"pread64", unix.SYS_PREAD64, a{f, nowhere, 1, 0}, unix.EFAULT},
		{"pwrite64", unix.SYS_PWRITE64, a{f, nowhere, 1, 0}, unix.EFAULT},
		{"readv vector", unix.SYS_READV, a{f, nowhere, 1}, unix.EFAULT},
		{"readv buffer", unix.SYS_READV, a{f, far, 1}, unix.EFAULT},
		{"writev vector", unix.SYS_WRITEV, a{f, nowhere, 1}, unix.EFAULT},
		{"writev buffer", unix.SYS_WRITEV, a{f, far, 1}, unix.EFAULT},
		{"lstat", unix.SYS_LSTAT, a{path, nowhere}, unix.EFAULT},
		{"newfstatat", unix.SYS_NEWFSTATAT, a{atCwd, path, nowhere, 0}, unix.EFAULT},
		{"statx", unix.SYS_STATX, a{atCwd, path, 0, 0, nowhere}, unix.EFAULT},
		{"statfs", unix.SYS_STATFS, a{path, nowhere}, unix.EFAULT},
		{"fstatfs", unix.SYS_FSTATFS, a{f, nowhere}, unix.EFAULT},
		{"utimensat times", unix.SYS_UTIMENSAT, a{atCwd, path, nowhere, 0}, unix.EFAULT},
		{"utimes times", unix.SYS_UTIMES, a{path, nowhere}, unix.EFAULT},
		{"readlink", unix.SYS_READLINK, a{cstring(t, link), nowhere, 100}, unix.EFAULT},
		{"symlink target", unix.SYS_SYMLINK, a{nowhere, cstring(t, link+"2")}, unix.EFAULT},
		{"rename to", unix.SYS_RENAME, a{path, nowhere}, unix.EFAULT},
		{"link to", unix.SYS_LINK, a{path, nowhere}, unix.EFAULT},
		{"getcwd", unix.SYS_GETCWD, a{nowhere, 4096}, unix.EFAULT},
		{"getxattr name", unix.SYS_GETXATTR, a{path, nowhere, buf, 10}, unix.EFAULT},
		{"setxattr value", unix.SYS_SETXATTR, a{path, attr, nowhere, 10, 0}, unix.EFAULT},
		{"openat2 how", unix.SYS_OPENAT2, a{atCwd, path, nowhere, 24}, unix.EFAULT},
		{"pipe", unix.SYS_PIPE, a{nowhere}, unix.EFAULT},
		{"socketpair", unix.SYS_SOCKETPAIR, a{unix.AF_UNIX, unix.SOCK_STREAM, 0, nowhere}, unix.EFAULT},
		{"ioctl FIONREAD", unix.SYS_IOCTL, a{f, unix.TIOCINQ, nowhere}, unix.EFAULT},
		{"ioctl FIONBIO", unix.SYS_IOCTL, a{f, 0x5421, nowhere}, unix.EFAULT},
		{"sendfile offset", unix.SYS_SENDFILE, a{f, f, nowhere, 1}, unix.EFAULT},
		{"copy_file_range offset", unix.SYS_COPY_FILE_RANGE, a{f, nowhere, f, 0, 1, 0}, unix.EFAULT},
		{"select", unix.SYS_SELECT, a{1, nowhere, 0, 0, 0}, unix.EFAULT},
		{"select timeout", unix.SYS_SELECT, a{0, 0, 0, 0, nowhere}, unix.EFAULT},
		{"pselect6 timeout", unix.SYS_PSELECT6, a{0, 0, 0, 0, nowhere, 0}, unix.EFAULT},
		{"ppoll timeout", unix.SYS_PPOLL, a{0, 0, nowhere, 0, 8}, unix.EFAULT},
		{"ppoll mask", unix.SYS_PPOLL, a{0, 0, ptr(kept(t, unix.Timespec{})), nowhere, 8}, unix.EFAULT},
		{"epoll_ctl", unix.SYS_EPOLL_CTL, a{ep, unix.EPOLL_CTL_ADD, uintptr(newEventfd(t, 0)), nowhere}, unix.EFAULT},
		{"epoll_wait", unix.SYS_EPOLL_WAIT, a{ep, nowhere, 1, 0}, unix.EFAULT},
		{"epoll_pwait2 timeout", unix.SYS_EPOLL_PWAIT2, a{ep, buf, 1, nowhere, 0, 8}, unix.EFAULT},
		{"signalfd4", unix.SYS_SIGNALFD4, a{^uintptr(0), nowhere, 8, 0}, unix.EFAULT},
		{"timerfd_settime", unix.SYS_TIMERFD_SETTIME, a{uintptr(timer), 0, nowhere, 0}, unix.EFAULT},
		{"timerfd_gettime", unix.SYS_TIMERFD_GETTIME, a{uintptr(timer), nowhere}, unix.EFAULT},
		{"memfd_create", unix.SYS_MEMFD_CREATE, a{nowhere, 0}, unix.EFAULT},
		{"fcntl F_OFD_GETLK", unix.SYS_FCNTL, a{f, unix.F_OFD_GETLK, nowhere}, unix.EFAULT},
	})
}

// TestArgumentsOutOfRange: numbers that no call of their kind takes.
func TestArgumentsOutOfRange(t *testing.T) {
	name, fd := file(t, "0123456789")
	f, path := uintptr(fd), cstring(t, name)
	buf := ptr(kept(t, [4096]byte{}))
	iov := ptr(kept(t, unix.Iovec{Base: kept(t, byte(0)), Len: 1}))
	huge := ptr(kept(t, unix.Iovec{Base: kept(t, byte(0)), Len: 1 << 63}))
	minus := ^uintptr(0)
	back, second := ptr(kept(t, int64(-5))), ptr(kept(t, int64(1)))
	pr, _ := newPipe(t, 0)
	refuses(t, []refusal{
		{"pread64 before the start", unix.SYS_PREAD64, a{f, buf, 1, minus}, unix.EINVAL},
		{"pwrite64 before the start", unix.SYS_PWRITE64, a{f, buf, 1, minus}, unix.EINVAL},
		{"preadv before the start", unix.SYS_PREADV, a{f, iov, 1, minus, 0}, unix.EINVAL},
		{"pread64 of more than there are addresses", unix.SYS_PREAD64, a{f, buf, 2, 1<<63 - 1}, unix.EINVAL},
		{"readv of too many buffers", unix.SYS_READV, a{f, iov, 1025}, unix.EINVAL},
		{"writev of less than none", unix.SYS_WRITEV, a{f, iov, minus}, unix.EINVAL},
		{"readv of a negative length", unix.SYS_READV, a{f, huge, 1}, unix.EINVAL},
		{"lseek before the start", unix.SYS_LSEEK, a{f, ^uintptr(10), unix.SEEK_END}, unix.EINVAL},
		{"lseek SEEK_DATA beyond the end", unix.SYS_LSEEK, a{f, 10, unix.SEEK_DATA}, unix.ENXIO},
		{"lseek SEEK_HOLE beyond the end", unix.SYS_LSEEK, a{f, 11, unix.SEEK_HOLE}, unix.ENXIO},
		{"lseek SEEK_DATA before the start", unix.SYS_LSEEK, a{f, minus, unix.SEEK_DATA}, unix.ENXIO},
		{"ftruncate to less than nothing", unix.SYS_FTRUNCATE, a{f, minus}, unix.EINVAL},
		{"fallocate of less than nothing", unix.SYS_FALLOCATE, a{f, 0, 0, minus}, unix.EINVAL},
		{"fallocate beyond the largest file", unix.SYS_FALLOCATE, a{f, 0, 1<<63 - 2, 2}, unix.EFBIG},
		{"sync_file_range before the start", unix.SYS_SYNC_FILE_RANGE, a{f, minus, 1, 0}, unix.EINVAL},
		{"copy_file_range before the start", unix.SYS_COPY_FILE_RANGE, a{f, back, f, 0, 1, 0}, unix.EINVAL},
		{"copy_file_range beyond all numbers", unix.SYS_COPY_FILE_RANGE, a{f, second, f, 0, minus, 0}, unix.EOVERFLOW},
		{"sendfile before the start", unix.SYS_SENDFILE, a{f, f, back, 1}, unix.EINVAL},
		{"getcwd without room", unix.SYS_GETCWD, a{buf, 1}, unix.ERANGE},
		{"readlink of less than nothing", unix.SYS_READLINK, a{path, buf, minus}, unix.EINVAL},
		{"utimes of a second's worth of microseconds", unix.SYS_UTIMES, a{path, ptr(kept(t, [4]int64{0, 1e6, 0, 0}))}, unix.EINVAL},
		{"utimensat of a negative nanosecond", unix.SYS_UTIMENSAT, a{atCwd, path, ptr(kept(t, [4]int64{0, -3, 0, 0})), 0}, unix.EINVAL},
		{"dup2 to a negative number", unix.SYS_DUP2, a{f, minus}, unix.EBADF},
		{"fcntl F_DUPFD from a negative number", unix.SYS_FCNTL, a{f, unix.F_DUPFD, minus}, unix.EINVAL},
		{"fcntl F_SETPIPE_SZ of a negative size", unix.SYS_FCNTL, a{uintptr(pr), unix.F_SETPIPE_SZ, minus}, unix.EINVAL},
		{"select of a negative number", unix.SYS_SELECT, a{minus, 0, 0, 0, 0}, unix.EINVAL},
		{"select of a negative time", unix.SYS_SELECT, a{0, 0, 0, 0, ptr(kept(t, [2]int64{-1, 0}))}, unix.EINVAL},
		{"ppoll of a set of another size", unix.SYS_PPOLL, a{0, 0, 0, buf, 4}, unix.EINVAL},
		{"epoll_create of less than nothing", unix.SYS_EPOLL_CREATE, a{minus}, unix.EINVAL},
		{"mknod of a directory", unix.SYS_MKNOD, a{cstring(t, name+"d"), unix.S_IFDIR | 0o700, 0}, unix.EPERM},
		{"mknod of a symbolic link", unix.SYS_MKNOD, a{cstring(t, name+"s"), unix.S_IFLNK | 0o700, 0}, unix.EINVAL},
	})
}
