package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// statOf is a as struct stat for t.
func statOf(t *kernel.Task, a *vfs.Attr) linux.Stat {
	return linux.Stat{
		Dev: a.Dev, Ino: a.Ino, Nlink: uint64(a.Nlink), Mode: a.Mode, UID: shownUID(t, a.UID), GID: shownGID(t, a.GID), Rdev: a.Rdev,
		Size: a.Size, Blksize: int64(a.Blksize), Blocks: int64(a.Blocks),
		Atime: a.Atime, Mtime: a.Mtime, Ctime: a.Ctime,
	}
}

// stat implements stat(2).
func stat(t *kernel.Task, name pathname, out usermem.Ptr[linux.Stat]) (int, error) {
	return newfstatat(t, linux.AT_FDCWD, name, out, 0)
}

// lstat implements lstat(2).
func lstat(t *kernel.Task, name pathname, out usermem.Ptr[linux.Stat]) (int, error) {
	return newfstatat(t, linux.AT_FDCWD, name, out, linux.AT_SYMLINK_NOFOLLOW)
}

// fstat implements fstat(2).
func fstat(t *kernel.Task, fd kernel.FD, out usermem.Ptr[linux.Stat]) (int, error) {
	a, err := attrOf(t, fd)
	if err != nil {
		return 0, err
	}
	st := statOf(t, &a)
	return 0, out.Store(t, &st)
}

// attrOf is the attributes of an open file, O_PATH ones too.
func attrOf(t *kernel.Task, fd kernel.FD) (vfs.Attr, error) {
	d, err := t.FDs().GetPath(fd)
	if err != nil {
		return vfs.Attr{}, err
	}
	defer d.Release(t)
	return d.Attr(t)
}

// attrAt is what the stat family asks of a name; an empty name with
// AT_EMPTY_PATH is the descriptor itself.
func attrAt(t *kernel.Task, dirfd kernel.FD, name pathname, flags, known uint32) (vfs.Attr, error) {
	how, err := atFlags(flags, known)
	if err != nil {
		return vfs.Attr{}, err
	}
	if how&vfs.EmptyOK != 0 && dirfd != linux.AT_FDCWD {
		if s, err := emptyName(t, name); err != nil {
			return vfs.Attr{}, err
		} else if s {
			return attrOf(t, dirfd)
		}
	}
	p, err := resolve(t, dirfd, name, how)
	if err != nil {
		return vfs.Attr{}, err
	}
	defer p.Drop()
	return p.Attr(t)
}

// emptyName reports whether a name is "", or NULL, which AT_EMPTY_PATH allows. Of another
// it looks at the first byte alone: what else is wrong with it, who resolves it will find.
func emptyName(t *kernel.Task, name pathname) (bool, error) {
	if name == 0 {
		return true, nil
	}
	var first [1]byte
	_, err := t.CopyIn(first[:], arch.Addr(name))
	return first[0] == 0, err
}

// newfstatat implements fstatat(2).
func newfstatat(t *kernel.Task, dirfd kernel.FD, name pathname, out usermem.Ptr[linux.Stat], flags uint32) (int, error) {
	a, err := attrAt(t, dirfd, name, flags, linux.AT_SYMLINK_NOFOLLOW|linux.AT_NO_AUTOMOUNT|linux.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	st := statOf(t, &a)
	return 0, out.Store(t, &st)
}

// statx implements statx(2). All that is known is told, whatever mask asks.
func statx(t *kernel.Task, dirfd kernel.FD, name pathname, flags, mask uint32, out usermem.Ptr[linux.Statx]) (int, error) {
	const syncType, reserved = 0x6000, 0x80000000
	if mask&reserved != 0 || flags&syncType == syncType {
		return 0, linux.EINVAL
	}
	a, err := attrAt(t, dirfd, name, flags&^syncType, linux.AT_SYMLINK_NOFOLLOW|linux.AT_NO_AUTOMOUNT|linux.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	x := linux.Statx{
		Mask: linux.STATX_BASIC_STATS | linux.STATX_MNT_ID, MntID: uint64(a.MountID), Blksize: a.Blksize, Attributes: a.Flags, Nlink: a.Nlink, UID: shownUID(t, a.UID), GID: shownGID(t, a.GID), Mode: uint16(a.Mode),
		Ino: a.Ino, Size: uint64(a.Size), Blocks: a.Blocks,
		Atime: a.Atime.Timestamp(), Ctime: a.Ctime.Timestamp(), Mtime: a.Mtime.Timestamp(),
		RdevMajor: linux.Major(a.Rdev), RdevMinor: linux.Minor(a.Rdev), DevMajor: linux.Major(a.Dev), DevMinor: linux.Minor(a.Dev),
	}
	x.AttributesMask = linux.STATX_ATTR_MOUNT_ROOT | linux.STATX_ATTR_IMMUTABLE | linux.STATX_ATTR_APPEND
	if mask&linux.STATX_MNT_ID_UNIQUE != 0 {
		x.Mask, x.MntID = x.Mask&^linux.STATX_MNT_ID|linux.STATX_MNT_ID_UNIQUE, linux.FirstMountID+uint64(a.MountID)
	}
	if a.Btime != (linux.Timespec{}) {
		x.Btime = a.Btime.Timestamp()
		x.Mask |= linux.STATX_BTIME
	}
	return 0, out.Store(t, &x)
}

// access implements access(2).
func access(t *kernel.Task, name pathname, mode uint32) (int, error) {
	return faccessat2(t, linux.AT_FDCWD, name, mode, 0)
}

// faccessat implements faccessat(2), whose system call has no flags.
func faccessat(t *kernel.Task, dirfd kernel.FD, name pathname, mode uint32) (int, error) {
	return faccessat2(t, dirfd, name, mode, 0)
}

// faccessat2 implements faccessat2(2): by the real ids unless AT_EACCESS.
func faccessat2(t *kernel.Task, dirfd kernel.FD, name pathname, mode, flags uint32) (int, error) {
	how, err := atFlags(flags, linux.AT_SYMLINK_NOFOLLOW|linux.AT_EACCESS|linux.AT_EMPTY_PATH)
	if err != nil || mode&^(linux.R_OK|linux.W_OK|linux.X_OK) != 0 {
		return 0, linux.EINVAL
	}
	var c vfs.Ctx = t
	if flags&linux.AT_EACCESS == 0 {
		c = vfs.As(t, t.Creds().Real())
	}
	a, err := at(t, dirfd, name, how)
	if err != nil {
		return 0, err
	}
	defer a.release(t)
	p, err := vfs.Resolve(c, a.At)
	if err != nil {
		return 0, err
	}
	defer p.Drop()
	if mode == linux.F_OK {
		return 0, nil
	}
	return 0, p.CheckAccess(c, vfs.Access(mode))
}
