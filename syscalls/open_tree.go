package syscalls

import (
	"math"

	"garrison/fs/proc"
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// openTree implements open_tree(2).
func openTree(t *kernel.Task, dirfd kernel.FD, name pathname, flags uint32) (fd kernel.FD, err error) {
	const clone = linux.OPEN_TREE_CLONE
	how, err := atFlags(flags, linux.AT_EMPTY_PATH|linux.AT_NO_AUTOMOUNT|linux.AT_RECURSIVE|linux.AT_SYMLINK_NOFOLLOW|
		clone|linux.OPEN_TREE_CLOEXEC)
	if err != nil || flags&(linux.AT_RECURSIVE|clone) == linux.AT_RECURSIVE {
		return 0, linux.EINVAL
	}
	if flags&clone != 0 {
		if err := vfs.MayMount(t); err != nil {
			return 0, err
		}
	}
	_, err = withPath(t, dirfd, name, how, func(p vfs.Path) error {
		var d *vfs.FileDescription
		if flags&clone != 0 {
			d, err = vfs.OpenTree(t, p, flags&linux.AT_RECURSIVE != 0)
		} else {
			d = vfs.OpenPlace(p)
		}
		if err != nil {
			return err
		}
		defer d.Release(t)
		fd, err = t.NewFD(closeOnExec(flags&linux.OPEN_TREE_CLOEXEC != 0), d)
		return err
	})
	return fd, err
}

// moveMount implements move_mount(2).
func moveMount(t *kernel.Task, fromfd kernel.FD, from pathname, tofd kernel.FD, to pathname, flags uint32) (int, error) {
	const known = linux.MOVE_MOUNT_F_SYMLINKS | linux.MOVE_MOUNT_F_AUTOMOUNTS | linux.MOVE_MOUNT_F_EMPTY_PATH |
		linux.MOVE_MOUNT_T_SYMLINKS | linux.MOVE_MOUNT_T_AUTOMOUNTS | linux.MOVE_MOUNT_T_EMPTY_PATH
	const group, beneath = linux.MOVE_MOUNT_SET_GROUP, linux.MOVE_MOUNT_BENEATH
	if err := vfs.MayMount(t); err != nil {
		return 0, err
	}
	if flags&^(known|group|beneath) != 0 || flags&(group|beneath) == group|beneath {
		return 0, linux.EINVAL
	}
	how := func(follow, empty uint32) (f vfs.ResolveFlags) {
		if flags&follow == 0 {
			f |= vfs.NoFollow
		}
		if flags&empty != 0 {
			f |= vfs.EmptyOK
		}
		return f
	}
	return withPath(t, fromfd, from, how(linux.MOVE_MOUNT_F_SYMLINKS, linux.MOVE_MOUNT_F_EMPTY_PATH), func(a vfs.Path) error {
		_, err := withPath(t, tofd, to, how(linux.MOVE_MOUNT_T_SYMLINKS, linux.MOVE_MOUNT_T_EMPTY_PATH), func(b vfs.Path) error {
			if flags&group != 0 {
				return vfs.SetGroup(t, a, b)
			}
			return vfs.MoveMount(t, a, b, flags&beneath != 0)
		})
		return err
	})
}

// mountSetattr implements mount_setattr(2).
func mountSetattr(t *kernel.Task, dirfd kernel.FD, name pathname, flags uint32, p usermem.Ptr[linux.MountAttr], n size) (int, error) {
	const first = 32 // MOUNT_ATTR_SIZE_VER0
	how, err := atFlags(flags, linux.AT_EMPTY_PATH|linux.AT_NO_AUTOMOUNT|linux.AT_RECURSIVE|linux.AT_SYMLINK_NOFOLLOW)
	switch {
	case err != nil:
		return 0, err
	case n > arch.PageSize:
		return 0, linux.E2BIG
	case n < first:
		return 0, linux.EINVAL
	}
	if err := vfs.MayMount(t); err != nil {
		return 0, err
	}
	a, err := p.LoadSized(t, uint64(n), first)
	if err != nil || a.Set == 0 && a.Clear == 0 && a.Propagation == 0 {
		return 0, err
	}
	x, err := mountChange(&a)
	if err == nil {
		err = refuseIDMap(t, &a)
	}
	if err != nil {
		return 0, err
	}
	x.Recursive = flags&linux.AT_RECURSIVE != 0
	return withPath(t, dirfd, name, how, func(at vfs.Path) error { return vfs.SetMountAttr(t, at, x) })
}

// mountChange is struct mount_attr checked. A rule for atimes is only set if all of
// MOUNT_ATTR__ATIME is cleared.
func mountChange(a *linux.MountAttr) (x vfs.MountChange, err error) {
	const propagation = linux.MS_SHARED | linux.MS_PRIVATE | linux.MS_SLAVE | linux.MS_UNBINDABLE
	how := linux.MountFlags(a.Propagation)
	set, on := mountFlagsOf(a.Set &^ linux.MOUNT_ATTR_IDMAP)
	clr, _ := mountFlagsOf(a.Clear &^ linux.MOUNT_ATTR__ATIME)
	const atimes = linux.MS_NOATIME | linux.MS_RELATIME | linux.MS_STRICTATIME
	switch cleared := a.Clear & linux.MOUNT_ATTR__ATIME; {
	case how&^propagation != 0 || how&(how-1) != 0,
		!on || a.Clear&^(attrMask|linux.MOUNT_ATTR_IDMAP) != 0,
		cleared != 0 && cleared != linux.MOUNT_ATTR__ATIME,
		cleared == 0 && a.Set&linux.MOUNT_ATTR__ATIME != 0:
		return x, linux.EINVAL
	case cleared == 0:
		set, clr = set&^atimes, clr&^atimes
	default:
		clr |= atimes
	}
	return vfs.MountChange{Set: set, Clear: clr, Propagation: how}, nil
}

// refuseIDMap answers for MOUNT_ATTR_IDMAP, which no filesystem here supports: EINVAL
// after what is wrong with the descriptor.
func refuseIDMap(t *kernel.Task, a *linux.MountAttr) error {
	if a.Clear&linux.MOUNT_ATTR_IDMAP != 0 || a.Set&linux.MOUNT_ATTR_IDMAP != 0 && a.UserNS > math.MaxInt32 {
		return linux.EINVAL
	}
	if a.Set&linux.MOUNT_ATTR_IDMAP == 0 {
		return nil
	}
	_, err := withFile(t, kernel.FD(a.UserNS), func(d *vfs.FileDescription) error {
		n := proc.NamespaceOf(d)
		if n == nil {
			return linux.EINVAL
		}
		if u, ok := n.Of.(*auth.UserNamespace); ok && u == t.Creds().UserNS {
			return linux.EPERM // it maps nothing
		}
		return linux.EINVAL
	})
	return err
}
