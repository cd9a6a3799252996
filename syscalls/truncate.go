package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// truncate implements truncate(2).
func truncate(t *kernel.Task, name pathname, length int64) (int, error) {
	if length < 0 {
		return 0, linux.EINVAL
	}
	return withPath(t, linux.AT_FDCWD, name, 0, func(p vfs.Path) error { return vfs.Truncate(t, p, length) })
}

// ftruncate implements ftruncate(2).
func ftruncate(t *kernel.Task, fd kernel.FD, length int64) (int, error) {
	if length < 0 {
		return 0, linux.EINVAL
	}
	return withFile(t, fd, func(d *vfs.FileDescription) error { return d.Truncate(t, length) })
}

// fallocate implements fallocate(2).
func fallocate(t *kernel.Task, fd kernel.FD, mode uint32, off, n int64) (int, error) {
	return withFile(t, fd, func(d *vfs.FileDescription) error { return d.Allocate(t, mode, off, n) })
}

// fsync implements fsync(2).
func fsync(t *kernel.Task, fd kernel.FD) (int, error) {
	return withFile(t, fd, func(d *vfs.FileDescription) error { return d.Sync(t, false) })
}

// fdatasync implements fdatasync(2).
func fdatasync(t *kernel.Task, fd kernel.FD) (int, error) {
	return withFile(t, fd, func(d *vfs.FileDescription) error { return d.Sync(t, true) })
}

// sync implements sync(2).
func sync(t *kernel.Task) (int, error) {
	t.Kernel().VFS.Sync(t)
	return 0, nil
}

// syncfs implements syncfs(2).
func syncfs(t *kernel.Task, fd kernel.FD) (int, error) {
	return withFile(t, fd, func(d *vfs.FileDescription) error { return d.Path().Filesystem().Sync(t) })
}

// syncFileRange implements sync_file_range(2): the range is a hint for less than
// the whole, and the whole is what the host is asked to write.
func syncFileRange(t *kernel.Task, fd kernel.FD, off, n int64, flags uint32) (int, error) {
	const known = 7 // SYNC_FILE_RANGE_*
	return withFile(t, fd, func(d *vfs.FileDescription) error {
		switch {
		case flags&^known != 0, off < 0, n < 0, off+n < off:
			return linux.EINVAL
		case d.Stream():
			return linux.ESPIPE
		case flags == 0:
			return nil
		}
		return d.Sync(t, true)
	})
}

// fadvise64 implements posix_fadvise(2): the host's page cache knows best.
func fadvise64(t *kernel.Task, fd kernel.FD, _, n int64, advice uint32) (int, error) {
	const last = 5 // POSIX_FADV_NOREUSE
	return withFile(t, fd, func(d *vfs.FileDescription) error {
		switch {
		case d.Stream():
			return linux.ESPIPE
		case n < 0 || advice > last:
			return linux.EINVAL
		}
		return nil
	})
}

// readahead implements readahead(2), a hint as well.
func readahead(t *kernel.Task, fd kernel.FD, _ int64, _ size) (int, error) {
	return withFile(t, fd, func(d *vfs.FileDescription) error {
		switch {
		case !d.Flags().Readable():
			return linux.EBADF
		case d.Path().Type() != linux.S_IFREG:
			return linux.EINVAL
		}
		return nil
	})
}

// flock implements flock(2).
func flock(t *kernel.Task, fd kernel.FD, op uint32) (int, error) {
	how := op &^ linux.LOCK_NB
	switch {
	case op&linux.LOCK_MAND != 0:
		return 0, nil
	case how != linux.LOCK_SH && how != linux.LOCK_EX && how != linux.LOCK_UN:
		return 0, linux.EINVAL
	}
	return withFile(t, fd, func(d *vfs.FileDescription) error {
		return d.Flock(t, int(how), op&linux.LOCK_NB == 0)
	})
}
