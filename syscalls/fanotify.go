package syscalls

import (
	"garrison/fs/fanotify"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// fanotifyInit implements fanotify_init(2).
func fanotifyInit(t *kernel.Task, flags uint32, events linux.OpenFlags) (kernel.FD, error) {
	d, err := fanotify.New(t, fanotify.Spec{Flags: flags, Events: events | linux.O_LARGEFILE, Pidfd: func(t *kernel.Task, p *kernel.PID) (kernel.FD, error) {
		return newPidfd(t, p, 0)
	}})
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	var how linux.OpenFlags
	if flags&linux.FAN_CLOEXEC != 0 {
		how = linux.O_CLOEXEC
	}
	return t.NewFD(how, d)
}

// fanotifyMark implements fanotify_mark(2): what is marked must be readable. Without a
// name it is what dirfd is open on.
func fanotifyMark(t *kernel.Task, fd kernel.FD, flags uint32, mask uint64, dirfd kernel.FD, name pathname) (int, error) {
	x := fanotify.Change{Flags: flags, Mask: mask}
	if err := x.Check(); err != nil {
		return 0, err
	}
	return withFile(t, fd, func(d *vfs.FileDescription) error {
		g, err := fanotify.Of(d)
		if err != nil {
			return err
		}
		if err := g.Allows(t, x); err != nil {
			return err
		}
		if x.Flushes() {
			g.Flush(x)
			return nil
		}
		return withMarked(t, dirfd, name, flags, func(p vfs.Path) error {
			if err := p.Permit(t, vfs.MayRead); err != nil {
				return err
			}
			return g.Mark(t, p, x)
		})
	})
}

// withMarked calls f with what fanotify_mark(2) is to mark.
func withMarked(t *kernel.Task, dirfd kernel.FD, name pathname, flags uint32, f func(vfs.Path) error) error {
	if name == 0 {
		_, err := withFile(t, dirfd, func(d *vfs.FileDescription) error {
			if flags&linux.FAN_MARK_ONLYDIR != 0 && !d.Path().IsDir() {
				return linux.ENOTDIR
			}
			return f(d.Path())
		})
		return err
	}
	var how vfs.ResolveFlags
	if flags&linux.FAN_MARK_DONT_FOLLOW != 0 {
		how |= vfs.NoFollow
	}
	if flags&linux.FAN_MARK_ONLYDIR != 0 {
		how |= vfs.Directory
	}
	_, err := withPath(t, dirfd, name, how, f)
	return err
}
