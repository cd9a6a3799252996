package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// chmod implements chmod(2).
func chmod(t *kernel.Task, name pathname, mode linux.FileMode) (int, error) {
	return fchmodat2(t, linux.AT_FDCWD, name, mode, 0)
}

// fchmod implements fchmod(2).
func fchmod(t *kernel.Task, fd kernel.FD, mode linux.FileMode) (int, error) {
	return withFile(t, fd, func(d *vfs.FileDescription) error { return vfs.Chmod(t, d.Path(), mode&linux.PermMask) })
}

// fchmodat implements fchmodat(2), whose system call has no flags.
func fchmodat(t *kernel.Task, dirfd kernel.FD, name pathname, mode linux.FileMode) (int, error) {
	return fchmodat2(t, dirfd, name, mode, 0)
}

// fchmodat2 implements fchmodat2(2).
func fchmodat2(t *kernel.Task, dirfd kernel.FD, name pathname, mode linux.FileMode, flags uint32) (int, error) {
	how, err := atFlags(flags, linux.AT_SYMLINK_NOFOLLOW|linux.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	return withPath(t, dirfd, name, how, func(p vfs.Path) error { return vfs.Chmod(t, p, mode&linux.PermMask) })
}

// chown implements chown(2).
func chown(t *kernel.Task, name pathname, uid, gid uint32) (int, error) {
	return fchownat(t, linux.AT_FDCWD, name, uid, gid, 0)
}

// lchown implements lchown(2).
func lchown(t *kernel.Task, name pathname, uid, gid uint32) (int, error) {
	return fchownat(t, linux.AT_FDCWD, name, uid, gid, linux.AT_SYMLINK_NOFOLLOW)
}

// fchown implements fchown(2).
func fchown(t *kernel.Task, fd kernel.FD, uid, gid uint32) (int, error) {
	return withFile(t, fd, func(d *vfs.FileDescription) error { return chownPath(t, d.Path(), uid, gid) })
}

// fchownat implements fchownat(2).
func fchownat(t *kernel.Task, dirfd kernel.FD, name pathname, uid, gid, flags uint32) (int, error) {
	how, err := atFlags(flags, linux.AT_SYMLINK_NOFOLLOW|linux.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	return withPath(t, dirfd, name, how, func(p vfs.Path) error { return chownPath(t, p, uid, gid) })
}

func chownPath(t *kernel.Task, p vfs.Path, uid, gid uint32) error {
	if err := kernelUID(t, &uid); err != nil {
		return err
	}
	if err := kernelGID(t, &gid); err != nil {
		return err
	}
	return vfs.Chown(t, p, uid, gid)
}

// utimbuf is struct utimbuf.
type utimbuf struct{ Actime, Modtime int64 }

// utime implements utime(2).
func utime(t *kernel.Task, name pathname, times usermem.Ptr[utimbuf]) (int, error) {
	var ts *[2]linux.Timespec
	if times != 0 {
		u, err := times.Load(t)
		if err != nil {
			return 0, err
		}
		ts = &[2]linux.Timespec{{Sec: u.Actime}, {Sec: u.Modtime}}
	}
	return setTimes(t, linux.AT_FDCWD, name, ts, 0)
}

// utimes implements utimes(2).
func utimes(t *kernel.Task, name pathname, times usermem.Ptr[[2]linux.Timeval]) (int, error) {
	return futimesat(t, linux.AT_FDCWD, name, times)
}

// futimesat implements futimesat(2).
func futimesat(t *kernel.Task, dirfd kernel.FD, name pathname, times usermem.Ptr[[2]linux.Timeval]) (int, error) {
	var ts *[2]linux.Timespec
	if times != 0 {
		tv, err := times.Load(t)
		if err != nil {
			return 0, err
		}
		for _, v := range tv {
			if uint64(v.Usec) >= 1e6 {
				return 0, linux.EINVAL
			}
		}
		ts = &[2]linux.Timespec{tv[0].Timespec(), tv[1].Timespec()}
	}
	return setTimes(t, dirfd, name, ts, 0)
}

// utimensat implements utimensat(2): a NULL name is the descriptor itself.
func utimensat(t *kernel.Task, dirfd kernel.FD, name pathname, times usermem.Ptr[[2]linux.Timespec], flags uint32) (int, error) {
	how, err := atFlags(flags, linux.AT_SYMLINK_NOFOLLOW|linux.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	var ts *[2]linux.Timespec
	if times != 0 {
		v, err := times.Load(t)
		if err != nil {
			return 0, err
		}
		if v[0].Nsec == linux.UTIME_OMIT && v[1].Nsec == linux.UTIME_OMIT {
			return 0, nil
		}
		ts = &v
	}
	if name == 0 && dirfd != linux.AT_FDCWD {
		if flags != 0 {
			return 0, linux.EINVAL
		}
		return withFile(t, dirfd, func(d *vfs.FileDescription) error { return vfs.Utimes(t, d.Path(), ts) })
	}
	return setTimes(t, dirfd, name, ts, how)
}

func setTimes(t *kernel.Task, dirfd kernel.FD, name pathname, ts *[2]linux.Timespec, how vfs.ResolveFlags) (int, error) {
	return withPath(t, dirfd, name, how, func(p vfs.Path) error { return vfs.Utimes(t, p, ts) })
}
