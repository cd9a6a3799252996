package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A place is where an *at call starts, and the name from there. Release it.
type place struct {
	vfs.At
	dir *vfs.FileDescription
}

// at is the place of a call's descriptor and name. As on Linux the descriptor
// is not looked at if the name is absolute. EBADF, EFAULT, ENAMETOOLONG.
func at(t *kernel.Task, dirfd kernel.FD, p pathname, flags vfs.ResolveFlags) (place, error) {
	name, err := p.load(t)
	if err != nil {
		return place{}, err
	}
	a := place{At: vfs.At{Name: name, Flags: flags}}
	if dirfd == linux.AT_FDCWD || name != "" && name[0] == '/' && flags&(vfs.InRoot|vfs.Beneath) == 0 {
		return a, nil
	}
	if a.dir, err = t.FDs().GetPath(dirfd); err != nil {
		return place{}, err
	}
	a.Start = a.dir.Path()
	return a, nil
}

func (a *place) release(t *kernel.Task) {
	if a.dir != nil {
		a.dir.Release(t)
	}
}

// resolve is at, and then the file that is there: drop the result.
func resolve(t *kernel.Task, dirfd kernel.FD, p pathname, flags vfs.ResolveFlags) (vfs.Path, error) {
	a, err := at(t, dirfd, p, flags)
	if err != nil {
		return vfs.Path{}, err
	}
	defer a.release(t)
	return vfs.Resolve(t, a.At)
}

// atFlags are the AT_* flags of a call that says which it knows: EINVAL for the
// rest. symlinks are followed unless AT_SYMLINK_NOFOLLOW is among them.
func atFlags(flags, known uint32) (vfs.ResolveFlags, error) {
	if flags&^known != 0 {
		return 0, linux.EINVAL
	}
	var f vfs.ResolveFlags
	if flags&linux.AT_SYMLINK_NOFOLLOW != 0 {
		f |= vfs.NoFollow
	}
	if flags&linux.AT_EMPTY_PATH != 0 {
		f |= vfs.EmptyOK
	}
	return f, nil
}

// withPath calls f with the file that a name means, and drops it.
func withPath(t *kernel.Task, dirfd kernel.FD, p pathname, flags vfs.ResolveFlags, f func(vfs.Path) error) (int, error) {
	path, err := resolve(t, dirfd, p, flags)
	if err != nil {
		return 0, err
	}
	defer path.Drop()
	return 0, f(path)
}

// withFile calls f with the open file of fd. EBADF.
func withFile(t *kernel.Task, fd kernel.FD, f func(*vfs.FileDescription) error) (int, error) {
	d, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return 0, f(d)
}
