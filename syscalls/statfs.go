package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// statfs implements statfs(2).
func statfs(t *kernel.Task, name pathname, out usermem.Ptr[linux.Statfs]) (int, error) {
	return withPath(t, linux.AT_FDCWD, name, 0, func(p vfs.Path) error { return storeStatfs(t, p, out) })
}

// fstatfs implements fstatfs(2).
func fstatfs(t *kernel.Task, fd kernel.FD, out usermem.Ptr[linux.Statfs]) (int, error) {
	d, err := t.FDs().GetPath(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return 0, storeStatfs(t, d.Path(), out)
}

func storeStatfs(t *kernel.Task, p vfs.Path, out usermem.Ptr[linux.Statfs]) error {
	st, err := p.Filesystem().Statfs(t, p.Mount())
	if err != nil {
		return err
	}
	return out.Store(t, &st)
}

// ustatBuf is struct ustat.
type ustatBuf struct {
	Free  int32
	_     int32
	Inode uint64
	_     [16]byte // f_fname, f_fpack and the end's padding
}

// ustat implements ustat(2): the filesystem is found by its device number.
func ustat(t *kernel.Task, dev uint32, out usermem.Ptr[ustatBuf]) (int, error) {
	root := t.FS().Root()
	defer root.Drop()
	for _, m := range t.FS().Namespace().Mounts(root) {
		if m.Dev != uint64(dev) {
			continue
		}
		p, err := vfs.Resolve(t, vfs.At{Start: root, Name: m.Point})
		if err != nil {
			return 0, err
		}
		defer p.Drop()
		st, err := p.Filesystem().Statfs(t, p.Mount())
		if err != nil {
			return 0, err
		}
		return 0, out.Store(t, &ustatBuf{Free: int32(st.Bfree), Inode: st.Ffree})
	}
	return 0, linux.EINVAL
}
