package syscalls

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// ioctl implements ioctl(2): what every descriptor understands first, then the
// file's own commands, then what every regular file understands.
func ioctl(t *kernel.Task, fd kernel.FD, cmd uint32, arg uint64) (uint64, error) {
	d, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	switch cmd {
	case linux.FIOCLEX, linux.FIONCLEX:
		return 0, t.FDs().SetCloExec(fd, cmd == linux.FIOCLEX)
	case linux.FIONBIO, linux.FIOASYNC:
		on, err := usermem.Ptr[int32](arg).Load(t)
		if err != nil {
			return 0, err
		}
		if cmd == linux.FIONBIO {
			return 0, d.SetNonBlocking(t, on != 0)
		}
		return 0, setAsync(t, fd, d, on != 0)
	}
	n, err := d.Ioctl(t, t, cmd, arg)
	if err == linux.ENOTTY {
		return blockIoctl(t, d, cmd, arg)
	}
	return n, err
}

// blockIoctl is the commands that every file has, as it may lie in blocks. Where, no
// filesystem here tells: the host's files are at places that are not the guest's.
func blockIoctl(t *kernel.Task, d *vfs.FileDescription, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case linux.FS_IOC_FIEMAP:
		return 0, linux.EOPNOTSUPP
	case linux.FIGETBSZ:
		a, err := d.Attr(t)
		if err != nil {
			return 0, err
		}
		size := int32(a.Blksize)
		return 0, usermem.Ptr[int32](arg).Store(t, &size)
	}
	return regularIoctl(t, d, cmd, arg)
}

// setAsync is FIOASYNC: ENOTTY if the file would have to change and can't.
func setAsync(t *kernel.Task, fd kernel.FD, d *vfs.FileDescription, on bool) error {
	flags := d.Flags()
	if was := flags&linux.O_ASYNC != 0; was == on {
		return nil
	}
	if !d.CanSignal() {
		return linux.ENOTTY
	}
	flags ^= linux.O_ASYNC
	d.SetAsync(int32(fd), flags)
	return d.SetFlags(t, flags)
}

// regularIoctl is the commands of files in filesystems, ioctl_fat(2) and others aside.
func regularIoctl(t *kernel.Task, d *vfs.FileDescription, cmd uint32, arg uint64) (uint64, error) {
	kind := d.Path().Type()
	if kind != linux.S_IFREG && kind != linux.S_IFDIR {
		return 0, linux.ENOTTY
	}
	switch cmd {
	case linux.FIBMAP:
		if kind != linux.S_IFREG {
			return 0, linux.ENOTTY
		}
		if !t.Creds().Capable(auth.CapSysRawio) {
			return 0, linux.EPERM
		}
		if _, err := usermem.Ptr[int32](arg).Load(t); err != nil {
			return 0, err
		}
		return 0, linux.EINVAL
	case linux.FIONREAD:
		if kind != linux.S_IFREG {
			return 0, linux.ENOTTY
		}
		a, err := d.Attr(t)
		if err != nil {
			return 0, err
		}
		left := int32(a.Size - d.Offset())
		return 0, usermem.Ptr[int32](arg).Store(t, &left)
	case linux.FS_IOC_GETFLAGS, linux.FS_IOC_SETFLAGS:
		return 0, fileFlags(t, d, cmd, usermem.Ptr[uint32](arg))
	case linux.FICLONE, linux.FICLONERANGE:
		return 0, linux.EOPNOTSUPP
	}
	return 0, linux.ENOTTY
}

func fileFlags(t *kernel.Task, d *vfs.FileDescription, cmd uint32, p usermem.Ptr[uint32]) error {
	x, ok := d.Inode().(vfs.Attrer)
	if !ok {
		return linux.ENOTTY
	}
	if cmd == linux.FS_IOC_GETFLAGS {
		v, err := x.FileFlags(t)
		if err != nil {
			return err
		}
		return p.Store(t, &v)
	}
	v, err := p.Load(t)
	if err != nil {
		return err
	}
	return x.SetFileFlags(t, v)
}
