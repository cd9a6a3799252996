package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// mount implements mount(2): by its flags it is one of five calls.
func mount(t *kernel.Task, source, target, fstype pathname, flags linux.MountFlags, data address) (int, error) {
	if flags&linux.MS_MGC_MSK == linux.MS_MGC_VAL {
		flags &^= linux.MS_MGC_MSK
	}
	return withPath(t, linux.AT_FDCWD, target, 0, func(at vfs.Path) error {
		if !t.Creds().HasCap(auth.CapSysAdmin) {
			return linux.EPERM
		}
		const propagation = linux.MS_SHARED | linux.MS_PRIVATE | linux.MS_SLAVE | linux.MS_UNBINDABLE
		switch {
		case flags&linux.MS_REMOUNT != 0:
			o, err := mountData(t, data)
			if err != nil {
				return err
			}
			return vfs.Remount(t, at, flags, o)
		case flags&linux.MS_BIND != 0:
			return fromPath(t, source, func(from vfs.Path) error { return vfs.Bind(t, from, at, flags&linux.MS_REC != 0) })
		case flags&propagation != 0:
			return vfs.SetPropagation(t, at, flags)
		case flags&linux.MS_MOVE != 0:
			return fromPath(t, source, func(from vfs.Path) error { return vfs.MoveMount(t, from, at) })
		}
		return mountNew(t, at, source, fstype, flags, data)
	})
}

func fromPath(t *kernel.Task, source pathname, f func(vfs.Path) error) error {
	_, err := withPath(t, linux.AT_FDCWD, source, 0, f)
	return err
}

func mountData(t *kernel.Task, data address) (vfs.Options, error) {
	if data == 0 {
		return nil, nil
	}
	s, err := usermem.CopyInString(t, data.Addr(), arch.PageSize-1)
	return vfs.ParseOptions(s), err
}

// mountNew makes a filesystem and mounts it.
func mountNew(t *kernel.Task, at vfs.Path, source, fstype pathname, flags linux.MountFlags, data address) error {
	name, err := fstype.load(t)
	if err != nil {
		return err
	}
	typ := t.Kernel().VFS.Type(name)
	if typ == nil {
		return linux.ENODEV
	}
	a := &vfs.NewArgs{System: t.Kernel().VFS, Flags: flags}
	if source != 0 {
		if a.Source, err = source.load(t); err != nil {
			return err
		}
	}
	if a.Options, err = mountData(t, data); err != nil {
		return err
	}
	fs, err := t.Kernel().VFS.NewFilesystem(t, typ, a)
	if err != nil {
		return err
	}
	defer fs.DecRef()
	return vfs.MountFS(t, at, fs, a.Source, flags)
}

// umount2 implements umount2(2).
func umount2(t *kernel.Task, target pathname, flags uint32) (int, error) {
	const known = linux.MNT_FORCE | linux.MNT_DETACH | linux.MNT_EXPIRE | linux.UMOUNT_NOFOLLOW
	if flags&^known != 0 {
		return 0, linux.EINVAL
	}
	var how vfs.ResolveFlags
	if flags&linux.UMOUNT_NOFOLLOW != 0 {
		how = vfs.NoFollow
	}
	return withPath(t, linux.AT_FDCWD, target, how, func(p vfs.Path) error { return vfs.Unmount(t, p, int(flags)) })
}

// pivotRoot implements pivot_root(2).
func pivotRoot(t *kernel.Task, newRoot, putOld pathname) (int, error) {
	if !t.Creds().HasCap(auth.CapSysAdmin) {
		return 0, linux.EPERM
	}
	return withPath(t, linux.AT_FDCWD, newRoot, vfs.Directory, func(to vfs.Path) error {
		_, err := withPath(t, linux.AT_FDCWD, putOld, vfs.Directory, func(old vfs.Path) error {
			return vfs.PivotRoot(t, to, old)
		})
		return err
	})
}
