package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// link implements link(2).
func link(t *kernel.Task, from, to pathname) (int, error) {
	return linkat(t, linux.AT_FDCWD, from, linux.AT_FDCWD, to, 0)
}

// linkat implements linkat(2), which follows symlinks only if it is told to.
func linkat(t *kernel.Task, fromfd kernel.FD, from pathname, tofd kernel.FD, to pathname, flags uint32) (int, error) {
	if flags&^(linux.AT_SYMLINK_FOLLOW|linux.AT_EMPTY_PATH) != 0 {
		return 0, linux.EINVAL
	}
	how := vfs.NoFollow
	if flags&linux.AT_SYMLINK_FOLLOW != 0 {
		how = 0
	}
	if flags&linux.AT_EMPTY_PATH != 0 {
		how |= vfs.EmptyOK
	}
	a, err := at(t, tofd, to, 0)
	if err != nil {
		return 0, err
	}
	defer a.release(t)
	return withPath(t, fromfd, from, how, func(p vfs.Path) error {
		return vfs.Link(t, p, a.At)
	})
}

// symlink implements symlink(2).
func symlink(t *kernel.Task, target, name pathname) (int, error) {
	return symlinkat(t, target, linux.AT_FDCWD, name)
}

// symlinkat implements symlinkat(2).
func symlinkat(t *kernel.Task, target pathname, dirfd kernel.FD, name pathname) (int, error) {
	to, err := target.load(t)
	if err != nil {
		return 0, err
	}
	if to == "" {
		return 0, linux.ENOENT
	}
	a, err := at(t, dirfd, name, 0)
	if err != nil {
		return 0, err
	}
	defer a.release(t)
	return 0, vfs.MakeSymlink(t, to, a.At)
}

// readlink implements readlink(2).
func readlink(t *kernel.Task, name pathname, out address, n int32) (int, error) {
	return readlinkat(t, linux.AT_FDCWD, name, out, n)
}

// readlinkat implements readlinkat(2). An empty name is the descriptor's own link.
func readlinkat(t *kernel.Task, dirfd kernel.FD, name pathname, out address, n int32) (got int, err error) {
	if n <= 0 {
		return 0, linux.EINVAL
	}
	empty, err := emptyName(t, name)
	if err != nil {
		return 0, err
	}
	_, err = withPath(t, dirfd, name, vfs.NoFollow|vfs.EmptyOK, func(p vfs.Path) error {
		target, err := vfs.Readlink(t, p)
		if err == linux.EINVAL && empty {
			err = linux.ENOENT // as of a name that is not there
		}
		if err != nil {
			return err
		}
		got, err = t.CopyOut(out.Addr(), []byte(target)[:min(len(target), int(n))])
		return err
	})
	return got, err
}

// rename implements rename(2).
func rename(t *kernel.Task, from, to pathname) (int, error) {
	return renameat2(t, linux.AT_FDCWD, from, linux.AT_FDCWD, to, 0)
}

// renameat implements renameat(2).
func renameat(t *kernel.Task, fromfd kernel.FD, from pathname, tofd kernel.FD, to pathname) (int, error) {
	return renameat2(t, fromfd, from, tofd, to, 0)
}

// renameat2 implements renameat2(2).
func renameat2(t *kernel.Task, fromfd kernel.FD, from pathname, tofd kernel.FD, to pathname, flags uint32) (int, error) {
	a, err := at(t, fromfd, from, 0)
	if err != nil {
		return 0, err
	}
	defer a.release(t)
	b, err := at(t, tofd, to, 0)
	if err != nil {
		return 0, err
	}
	defer b.release(t)
	return 0, vfs.Rename(t, a.At, b.At, flags)
}
