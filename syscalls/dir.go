package syscalls

import (
	stdsync "sync"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// getdents64 implements getdents64(2).
func getdents64(t *kernel.Task, fd kernel.FD, out address, n uint32) (int64, error) {
	return listDirectory(t, fd, out, n, appendDirent64)
}

// getdents implements getdents(2).
func getdents(t *kernel.Task, fd kernel.FD, out address, n uint32) (int64, error) {
	return listDirectory(t, fd, out, n, appendDirent)
}

// maxListing bounds one call's buffer in the kernel: more than programs give,
// less than a guest could make the sentry hold.
const maxListing = 256 << 10

// listings are the buffers of calls that have ended: who goes through a tree lists
// twice in each directory, mostly few names in much room.
var listings = stdsync.Pool{New: func() any { return new([]byte) }}

// listDirectory fills out with the entries that fit: EINVAL if not one does.
func listDirectory(t *kernel.Task, fd kernel.FD, out address, n uint32, add func([]byte, vfs.Dirent) []byte) (int64, error) {
	d, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	room := int(min(n, maxListing))
	kept := listings.Get().(*[]byte)
	defer listings.Put(kept)
	buf := (*kept)[:0]
	full, start := false, d.Offset()
	err = d.List(t, func(e vfs.Dirent) bool {
		before := len(buf)
		if buf = add(buf, e); len(buf) > room {
			buf, full = buf[:before], true
			return false
		}
		return true
	})
	if len(buf) == 0 && err == nil && full {
		err = linux.EINVAL
	}
	if len(buf) == 0 {
		return 0, err
	}
	*kept = buf
	if _, err := t.CopyOut(out.Addr(), buf); err != nil {
		d.Seek(t, start, linux.SEEK_SET) // what was not given is yet to come
		return 0, err
	}
	return int64(len(buf)), nil
}

// appendDirent64 is struct linux_dirent64: ino, off, reclen, type, name.
func appendDirent64(b []byte, e vfs.Dirent) []byte {
	const header = 19
	start, size := len(b), (header+len(e.Name)+1+7)&^7
	b = append64(b, e.Ino)
	b = append64(b, uint64(e.Next))
	b = append(b, byte(size), byte(size>>8), e.Type)
	b = append(b, e.Name...)
	return append(b, make([]byte, size-(len(b)-start))...)
}

// appendDirent is struct linux_dirent, which keeps the type in the last byte.
func appendDirent(b []byte, e vfs.Dirent) []byte {
	const header = 18
	start, size := len(b), (header+len(e.Name)+2+7)&^7
	b = append64(b, e.Ino)
	b = append64(b, uint64(e.Next))
	b = append(b, byte(size), byte(size>>8))
	b = append(b, e.Name...)
	b = append(b, make([]byte, size-(len(b)-start))...)
	b[len(b)-1] = e.Type
	return b
}

func append64(b []byte, v uint64) []byte { return append(b, usermem.AsBytes(&v)...) }

// mkdir implements mkdir(2).
func mkdir(t *kernel.Task, name pathname, mode linux.FileMode) (int, error) {
	return mkdirat(t, linux.AT_FDCWD, name, mode)
}

// mkdirat implements mkdirat(2).
func mkdirat(t *kernel.Task, dirfd kernel.FD, name pathname, mode linux.FileMode) (int, error) {
	a, err := at(t, dirfd, name, 0)
	if err != nil {
		return 0, err
	}
	defer a.release(t)
	return 0, vfs.Mkdir(t, a.At, mode)
}

// rmdir implements rmdir(2).
func rmdir(t *kernel.Task, name pathname) (int, error) {
	return unlinkat(t, linux.AT_FDCWD, name, linux.AT_REMOVEDIR)
}

// unlink implements unlink(2).
func unlink(t *kernel.Task, name pathname) (int, error) {
	return unlinkat(t, linux.AT_FDCWD, name, 0)
}

// unlinkat implements unlinkat(2).
func unlinkat(t *kernel.Task, dirfd kernel.FD, name pathname, flags uint32) (int, error) {
	if flags&^linux.AT_REMOVEDIR != 0 {
		return 0, linux.EINVAL
	}
	a, err := at(t, dirfd, name, 0)
	if err != nil {
		return 0, err
	}
	defer a.release(t)
	if flags&linux.AT_REMOVEDIR != 0 {
		return 0, vfs.Rmdir(t, a.At)
	}
	return 0, vfs.Unlink(t, a.At)
}

// mknod implements mknod(2).
func mknod(t *kernel.Task, name pathname, mode linux.FileMode, dev uint32) (int, error) {
	return mknodat(t, linux.AT_FDCWD, name, mode, dev)
}

// mknodat implements mknodat(2).
func mknodat(t *kernel.Task, dirfd kernel.FD, name pathname, mode linux.FileMode, dev uint32) (int, error) {
	a, err := at(t, dirfd, name, 0)
	if err != nil {
		return 0, err
	}
	defer a.release(t)
	p, err := vfs.Mknod(t, a.At, mode, uint64(dev))
	if err == nil {
		p.Drop()
	}
	return 0, err
}

// chdir implements chdir(2).
func chdir(t *kernel.Task, name pathname) (int, error) {
	return withPath(t, linux.AT_FDCWD, name, vfs.Directory, func(p vfs.Path) error { return enter(t, p) })
}

// fchdir implements fchdir(2).
func fchdir(t *kernel.Task, fd kernel.FD) (int, error) {
	d, err := t.FDs().GetPath(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	if !d.Path().IsDir() {
		return 0, linux.ENOTDIR
	}
	return 0, enter(t, d.Path())
}

func enter(t *kernel.Task, p vfs.Path) error {
	if err := p.CheckAccess(t, vfs.MayExec); err != nil {
		return err
	}
	t.FS().SetCwd(p)
	return nil
}

// chroot implements chroot(2).
func chroot(t *kernel.Task, name pathname) (int, error) {
	return withPath(t, linux.AT_FDCWD, name, vfs.Directory, func(p vfs.Path) error {
		if err := p.CheckAccess(t, vfs.MayExec); err != nil {
			return err
		}
		if !t.Creds().HasCap(auth.CapSysChroot) {
			return linux.EPERM
		}
		t.FS().SetRoot(p)
		return nil
	})
}

// getcwd implements getcwd(2): the system call returns the length, NUL included.
func getcwd(t *kernel.Task, out address, n size) (int, error) {
	cwd, root := t.FS().Cwd(), t.FS().Root()
	defer cwd.Drop()
	defer root.Drop()
	if cwd.Deleted() {
		return 0, linux.ENOENT
	}
	name, ok := cwd.Abs(root)
	if !ok {
		name = "(unreachable)" + name
	}
	if uint64(len(name))+1 > uint64(n) {
		return 0, linux.ERANGE
	}
	return t.CopyOut(out.Addr(), append([]byte(name), 0))
}

// umask implements umask(2).
func umask(t *kernel.Task, mask linux.FileMode) (int, error) {
	return int(t.FS().SetUmask(mask & 0o777)), nil
}
