package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// mountArgs are mount(2)'s strings; nil is NULL.
type mountArgs struct {
	source, fstype *string
	data           vfs.Options
}

// mount implements mount(2): by its flags it is one of six calls.
func mount(t *kernel.Task, source, target, fstype pathname, flags linux.MountFlags, data address) (int, error) {
	if flags&linux.MS_MGC_MSK == linux.MS_MGC_VAL {
		flags &^= linux.MS_MGC_MSK
	}
	var a mountArgs
	var err error
	if a.fstype, err = mountString(t, fstype); err != nil {
		return 0, err
	}
	if a.source, err = mountString(t, source); err != nil {
		return 0, err
	}
	if a.data, err = mountData(t, data); err != nil {
		return 0, err
	}
	return withPath(t, linux.AT_FDCWD, target, 0, func(at vfs.Path) error {
		if err := vfs.MayMount(t); err != nil {
			return err
		}
		const propagation = linux.MS_SHARED | linux.MS_PRIVATE | linux.MS_SLAVE | linux.MS_UNBINDABLE
		switch {
		case flags&linux.MS_REMOUNT != 0:
			return vfs.Remount(t, at, flags, a.data)
		case flags&linux.MS_BIND != 0:
			return fromPath(t, a.source, func(from vfs.Path) error { return vfs.Bind(t, from, at, flags&linux.MS_REC != 0) })
		case flags&propagation != 0:
			return vfs.SetPropagation(t, at, flags)
		case flags&linux.MS_MOVE != 0:
			return fromPath(t, a.source, func(from vfs.Path) error { return vfs.MoveMount(t, from, at, false) })
		}
		return mountNew(t, at, &a, flags)
	})
}

// mountString copies a string in that may be NULL: EINVAL if it is too long.
func mountString(t *kernel.Task, p pathname) (*string, error) {
	if p == 0 {
		return nil, nil
	}
	s, err := shortString(t, p, linux.PATH_MAX)
	return &s, err
}

// shortString copies a string in of less than n bytes: EINVAL, EFAULT.
func shortString(t *kernel.Task, p pathname, n int) (string, error) {
	s, err := usermem.CopyInString(t, arch.Addr(p), n-1)
	if err == linux.ENAMETOOLONG {
		err = linux.EINVAL
	}
	return s, err
}

func fromPath(t *kernel.Task, source *string, f func(vfs.Path) error) error {
	if source == nil || *source == "" {
		return linux.EINVAL
	}
	p, err := vfs.Resolve(t, vfs.At{Name: *source})
	if err != nil {
		return err
	}
	defer p.Drop()
	return f(p)
}

// mountData is a page of options, or what can be read of it.
func mountData(t *kernel.Task, data address) (vfs.Options, error) {
	if data == 0 {
		return nil, nil
	}
	s, err := usermem.CopyInString(t, data.Addr(), arch.PageSize-1)
	return vfs.ParseOptions(s), err
}

// mountNew makes a filesystem and mounts it.
func mountNew(t *kernel.Task, at vfs.Path, a *mountArgs, flags linux.MountFlags) error {
	if a.fstype == nil {
		return linux.EINVAL
	}
	typ := t.Kernel().VFS.Type(*a.fstype)
	if typ == nil {
		return linux.ENODEV
	}
	fs, err := t.Kernel().VFS.MakeFilesystem(t, typ, a.source, flags, a.data)
	if err != nil {
		return err
	}
	defer fs.DecRef()
	source := ""
	if a.source != nil {
		source = *a.source
	}
	return vfs.MountFS(t, at, fs, source, flags)
}

// umount2 implements umount2(2). As on Linux "." is what is mounted on top of it.
func umount2(t *kernel.Task, target pathname, flags uint32) (int, error) {
	const known = linux.MNT_FORCE | linux.MNT_DETACH | linux.MNT_EXPIRE | linux.UMOUNT_NOFOLLOW
	if flags&^known != 0 {
		return 0, linux.EINVAL
	}
	var how vfs.ResolveFlags
	if flags&linux.UMOUNT_NOFOLLOW != 0 {
		how = vfs.NoFollow
	}
	p, err := resolve(t, linux.AT_FDCWD, target, how)
	if err != nil {
		return 0, err
	}
	p = p.Top()
	defer p.Drop()
	return 0, vfs.Unmount(t, p, int(flags))
}

// pivotRoot implements pivot_root(2).
func pivotRoot(t *kernel.Task, newRoot, putOld pathname) (int, error) {
	if err := vfs.MayMount(t); err != nil {
		return 0, err
	}
	return withPath(t, linux.AT_FDCWD, newRoot, vfs.Directory, func(to vfs.Path) error {
		_, err := withPath(t, linux.AT_FDCWD, putOld, vfs.Directory, func(old vfs.Path) error {
			return vfs.PivotRoot(t, to, old)
		})
		return err
	})
}
