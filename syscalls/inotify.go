package syscalls

import (
	"garrison/fs/inotify"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// inotifyInit implements inotify_init(2).
func inotifyInit(t *kernel.Task) (kernel.FD, error) { return inotifyInit1(t, 0) }

// inotifyInit1 implements inotify_init1(2).
func inotifyInit1(t *kernel.Task, flags linux.OpenFlags) (kernel.FD, error) {
	if flags&^(linux.IN_CLOEXEC|linux.IN_NONBLOCK) != 0 {
		return 0, linux.EINVAL
	}
	d := inotify.New(t, t.Kernel().VFS, flags)
	defer d.Release(t)
	return t.NewFD(flags, d)
}

// inotifyAddWatch implements inotify_add_watch(2): what is watched must be readable.
func inotifyAddWatch(t *kernel.Task, fd kernel.FD, name pathname, mask uint32) (wd int32, err error) {
	if mask&linux.IN_ALL_EVENTS == 0 {
		return 0, linux.EINVAL
	}
	_, err = withFile(t, fd, func(d *vfs.FileDescription) error {
		i, err := inotify.Of(d)
		if err != nil {
			return err
		}
		var how vfs.ResolveFlags
		if mask&linux.IN_DONT_FOLLOW != 0 {
			how |= vfs.NoFollow
		}
		if mask&linux.IN_ONLYDIR != 0 {
			how |= vfs.Directory
		}
		_, err = withPath(t, linux.AT_FDCWD, name, how, func(p vfs.Path) error {
			if err := p.Permit(t, vfs.MayRead); err != nil {
				return err
			}
			wd, err = i.Add(p, mask)
			return err
		})
		return err
	})
	return wd, err
}

// inotifyRmWatch implements inotify_rm_watch(2).
func inotifyRmWatch(t *kernel.Task, fd kernel.FD, wd int32) (int, error) {
	return withFile(t, fd, func(d *vfs.FileDescription) error {
		i, err := inotify.Of(d)
		if err != nil {
			return err
		}
		return i.Remove(wd)
	})
}
