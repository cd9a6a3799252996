package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// fsopen implements fsopen(2).
func fsopen(t *kernel.Task, name pathname, flags uint32) (kernel.FD, error) {
	if err := vfs.MayMount(t); err != nil {
		return 0, err
	}
	if flags&^linux.FSOPEN_CLOEXEC != 0 {
		return 0, linux.EINVAL
	}
	s, err := shortString(t, name, arch.PageSize)
	if err != nil {
		return 0, err
	}
	sys := t.Kernel().VFS
	typ := sys.Type(s)
	if typ == nil {
		return 0, linux.ENODEV
	}
	return openConfiguration(t, sys.NewConfiguration(t, typ), flags&linux.FSOPEN_CLOEXEC != 0)
}

// fspick implements fspick(2).
func fspick(t *kernel.Task, dirfd kernel.FD, name pathname, flags uint32) (fd kernel.FD, err error) {
	if err := vfs.MayMount(t); err != nil {
		return 0, err
	}
	const known = linux.FSPICK_CLOEXEC | linux.FSPICK_SYMLINK_NOFOLLOW | linux.FSPICK_NO_AUTOMOUNT | linux.FSPICK_EMPTY_PATH
	if flags&^known != 0 {
		return 0, linux.EINVAL
	}
	var how vfs.ResolveFlags
	if flags&linux.FSPICK_SYMLINK_NOFOLLOW != 0 {
		how |= vfs.NoFollow
	}
	if flags&linux.FSPICK_EMPTY_PATH != 0 {
		how |= vfs.EmptyOK
	}
	_, err = withPath(t, dirfd, name, how, func(p vfs.Path) error {
		x, err := t.Kernel().VFS.Pick(p)
		if err != nil {
			return err
		}
		fd, err = openConfiguration(t, x, flags&linux.FSPICK_CLOEXEC != 0)
		return err
	})
	return fd, err
}

func openConfiguration(t *kernel.Task, x *vfs.Configuration, cloexec bool) (kernel.FD, error) {
	d := t.Kernel().VFS.NewAnon(t, x, "[fscontext]", linux.O_RDWR)
	defer d.Release(t)
	return t.NewFD(closeOnExec(cloexec), d)
}

func closeOnExec(on bool) linux.OpenFlags {
	if on {
		return linux.O_CLOEXEC
	}
	return 0
}

// withConfiguration calls f with what the descriptor of fsopen(2) or fspick(2) stands for.
// EBADF, EINVAL.
func withConfiguration(t *kernel.Task, fd kernel.FD, f func(*vfs.Configuration) error) error {
	_, err := withFile(t, fd, func(d *vfs.FileDescription) error {
		x, ok := d.File().(*vfs.Configuration)
		if !ok {
			return linux.EINVAL
		}
		return f(x)
	})
	return err
}

// fsconfig implements fsconfig(2).
func fsconfig(t *kernel.Task, fd kernel.FD, cmd uint32, key pathname, value address, aux int32) (int, error) {
	if fd < 0 {
		return 0, linux.EINVAL
	}
	if err := configArgs(cmd, key, value, aux); err != nil {
		return 0, err
	}
	return 0, withConfiguration(t, fd, func(x *vfs.Configuration) error {
		switch cmd {
		case linux.FSCONFIG_CMD_CREATE, linux.FSCONFIG_CMD_CREATE_EXCL: // no two mounts share what is made
			return x.Create(t)
		case linux.FSCONFIG_CMD_RECONFIGURE:
			return x.Reconfigure(t)
		}
		return setParameter(t, x, cmd, key, value, aux)
	})
}

// configArgs checks which arguments a command has.
func configArgs(cmd uint32, key pathname, value address, aux int32) error {
	const maxBlob = 1 << 20
	ok := key != 0
	switch cmd {
	case linux.FSCONFIG_SET_FLAG:
		ok = ok && value == 0 && aux == 0
	case linux.FSCONFIG_SET_STRING:
		ok = ok && value != 0 && aux == 0
	case linux.FSCONFIG_SET_BINARY:
		ok = ok && value != 0 && aux > 0 && aux <= maxBlob
	case linux.FSCONFIG_SET_PATH, linux.FSCONFIG_SET_PATH_EMPTY:
		ok = ok && value != 0 && (aux >= 0 || aux == linux.AT_FDCWD)
	case linux.FSCONFIG_SET_FD:
		ok = ok && value == 0 && aux >= 0
	case linux.FSCONFIG_CMD_CREATE, linux.FSCONFIG_CMD_CREATE_EXCL, linux.FSCONFIG_CMD_RECONFIGURE:
		ok = key == 0 && value == 0 && aux == 0
	default:
		return linux.EOPNOTSUPP
	}
	if !ok {
		return linux.EINVAL
	}
	return nil
}

// setParameter copies a parameter in and gives it. No filesystem here takes a blob, a
// path or a descriptor; what they would be is checked all the same.
func setParameter(t *kernel.Task, x *vfs.Configuration, cmd uint32, key pathname, value address, aux int32) error {
	const maxWord = 256
	name, err := shortString(t, key, maxWord)
	if err != nil {
		return err
	}
	o := vfs.Option{Key: name, HasValue: cmd != linux.FSCONFIG_SET_FLAG}
	switch cmd {
	case linux.FSCONFIG_SET_STRING:
		o.Value, err = shortString(t, pathname(value), maxWord)
	case linux.FSCONFIG_SET_BINARY:
		_, err = t.CopyIn(make([]byte, aux), value.Addr())
	case linux.FSCONFIG_SET_PATH, linux.FSCONFIG_SET_PATH_EMPTY:
		var s string
		if s, err = pathname(value).load(t); err == nil && s == "" && cmd == linux.FSCONFIG_SET_PATH {
			err = linux.ENOENT
		}
	case linux.FSCONFIG_SET_FD:
		var d *vfs.FileDescription
		if d, err = t.FDs().GetPath(kernel.FD(aux)); err == nil {
			d.Release(t)
		}
	}
	if err != nil {
		return err
	}
	return x.Set(o, cmd > linux.FSCONFIG_SET_STRING)
}

// fsmount implements fsmount(2).
func fsmount(t *kernel.Task, fd kernel.FD, flags, attrs uint32) (got kernel.FD, err error) {
	if err := vfs.MayMount(t); err != nil {
		return 0, err
	}
	ms, ok := mountFlagsOf(uint64(attrs))
	if flags&^linux.FSMOUNT_CLOEXEC != 0 || !ok {
		return 0, linux.EINVAL
	}
	err = withConfiguration(t, fd, func(x *vfs.Configuration) error {
		d, err := x.Mount(t, ms)
		if err != nil {
			return err
		}
		defer d.Release(t)
		got, err = t.NewFD(closeOnExec(flags&linux.FSMOUNT_CLOEXEC != 0), d)
		return err
	})
	return got, err
}

// attrBits are MOUNT_ATTR_* and the MS_* that they are, but for the rules for atimes.
var attrBits = []struct {
	attr uint64
	ms   linux.MountFlags
}{
	{linux.MOUNT_ATTR_RDONLY, linux.MS_RDONLY}, {linux.MOUNT_ATTR_NOSUID, linux.MS_NOSUID},
	{linux.MOUNT_ATTR_NODEV, linux.MS_NODEV}, {linux.MOUNT_ATTR_NOEXEC, linux.MS_NOEXEC},
	{linux.MOUNT_ATTR_NODIRATIME, linux.MS_NODIRATIME}, {linux.MOUNT_ATTR_NOSYMFOLLOW, linux.MS_NOSYMFOLLOW},
}

// attrMask is all of attrBits and the atimes.
const attrMask = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_NOEXEC |
	linux.MOUNT_ATTR__ATIME | linux.MOUNT_ATTR_NODIRATIME | linux.MOUNT_ATTR_NOSYMFOLLOW

// mountFlagsOf is attributes as MS_*; false if there are others or no such rule for atimes.
func mountFlagsOf(attrs uint64) (ms linux.MountFlags, ok bool) {
	switch attrs & linux.MOUNT_ATTR__ATIME {
	case linux.MOUNT_ATTR_RELATIME:
		ms = linux.MS_RELATIME
	case linux.MOUNT_ATTR_NOATIME:
		ms = linux.MS_NOATIME
	case linux.MOUNT_ATTR_STRICTATIME:
		ms = linux.MS_STRICTATIME
	default:
		return 0, false
	}
	for _, x := range attrBits {
		if attrs&x.attr != 0 {
			ms |= x.ms
		}
	}
	return ms, attrs&^attrMask == 0
}

// mountAttrsOf undoes mountFlagsOf.
func mountAttrsOf(ms linux.MountFlags) (attrs uint64) {
	switch {
	case ms&linux.MS_NOATIME != 0:
		attrs = linux.MOUNT_ATTR_NOATIME
	case ms&linux.MS_STRICTATIME != 0:
		attrs = linux.MOUNT_ATTR_STRICTATIME
	}
	for _, x := range attrBits {
		if ms&x.ms != 0 {
			attrs |= x.attr
		}
	}
	return attrs
}
