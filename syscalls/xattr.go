package syscalls

import (
	"strings"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Limits of extended attributes, <linux/limits.h>.
const (
	xattrNameMax = 255
	xattrSizeMax = 65536
	xattrListMax = 65536
)

// An attribute's name in guest memory.
type xattrName uint64

func (p xattrName) load(t *kernel.Task) (string, error) {
	s, err := usermem.CopyInString(t, address(p).Addr(), xattrNameMax)
	if err == linux.ENAMETOOLONG || err == nil && s == "" {
		err = linux.ERANGE
	}
	return s, err
}

// Trace shows the name itself.
func (p xattrName) Trace(t *kernel.Task) string { return pathname(p).Trace(t) }

// byName and byFD are how the three forms of each call name their file.
func byName(t *kernel.Task, name pathname, follow bool, f func(vfs.Path) (int, error)) (n int, err error) {
	how := vfs.NoFollow
	if follow {
		how = 0
	}
	p, err := resolve(t, linux.AT_FDCWD, name, how)
	if err != nil {
		return 0, err
	}
	defer p.Drop()
	return f(p)
}

func byFD(t *kernel.Task, fd kernel.FD, f func(vfs.Path) (int, error)) (int, error) {
	d, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return f(d.Path())
}

func getAttribute(t *kernel.Task, name xattrName, out address, n size) func(vfs.Path) (int, error) {
	return func(p vfs.Path) (int, error) {
		s, err := name.load(t)
		if err != nil {
			return 0, err
		}
		v, err := vfs.GetXattr(t, p, s)
		if err != nil {
			return 0, err
		}
		return copyOutSized(t, out, n, v)
	}
}

// copyOutSized answers with a value, or with its length if the buffer has none.
func copyOutSized(t *kernel.Task, out address, n size, v []byte) (int, error) {
	switch {
	case n == 0:
		return len(v), nil
	case uint64(n) < uint64(len(v)):
		return 0, linux.ERANGE
	}
	return t.CopyOut(out.Addr(), v)
}

func setAttribute(t *kernel.Task, name xattrName, value address, n size, flags int32) func(vfs.Path) (int, error) {
	return func(p vfs.Path) (int, error) {
		if flags&^(linux.XATTR_CREATE|linux.XATTR_REPLACE) != 0 {
			return 0, linux.EINVAL
		}
		s, err := name.load(t)
		if err != nil {
			return 0, err
		}
		if n > xattrSizeMax {
			return 0, linux.E2BIG
		}
		v := make([]byte, n)
		if _, err := t.CopyIn(v, value.Addr()); err != nil {
			return 0, err
		}
		return 0, vfs.SetXattr(t, p, s, v, int(flags))
	}
}

func listAttributes(t *kernel.Task, out address, n size) func(vfs.Path) (int, error) {
	return func(p vfs.Path) (int, error) {
		names, err := vfs.ListXattr(t, p)
		if err != nil {
			return 0, err
		}
		var b strings.Builder
		for _, s := range names {
			b.WriteString(s)
			b.WriteByte(0)
		}
		if b.Len() > xattrListMax {
			return 0, linux.E2BIG
		}
		return copyOutSized(t, out, n, []byte(b.String()))
	}
}

func removeAttribute(t *kernel.Task, name xattrName) func(vfs.Path) (int, error) {
	return func(p vfs.Path) (int, error) {
		s, err := name.load(t)
		if err != nil {
			return 0, err
		}
		return 0, vfs.RemoveXattr(t, p, s)
	}
}

// getxattr implements getxattr(2).
func getxattr(t *kernel.Task, file pathname, name xattrName, out address, n size) (int, error) {
	return byName(t, file, true, getAttribute(t, name, out, n))
}

// lgetxattr implements lgetxattr(2).
func lgetxattr(t *kernel.Task, file pathname, name xattrName, out address, n size) (int, error) {
	return byName(t, file, false, getAttribute(t, name, out, n))
}

// fgetxattr implements fgetxattr(2).
func fgetxattr(t *kernel.Task, fd kernel.FD, name xattrName, out address, n size) (int, error) {
	return byFD(t, fd, getAttribute(t, name, out, n))
}

// setxattr implements setxattr(2).
func setxattr(t *kernel.Task, file pathname, name xattrName, v address, n size, flags int32) (int, error) {
	return byName(t, file, true, setAttribute(t, name, v, n, flags))
}

// lsetxattr implements lsetxattr(2).
func lsetxattr(t *kernel.Task, file pathname, name xattrName, v address, n size, flags int32) (int, error) {
	return byName(t, file, false, setAttribute(t, name, v, n, flags))
}

// fsetxattr implements fsetxattr(2).
func fsetxattr(t *kernel.Task, fd kernel.FD, name xattrName, v address, n size, flags int32) (int, error) {
	return byFD(t, fd, setAttribute(t, name, v, n, flags))
}

// listxattr implements listxattr(2).
func listxattr(t *kernel.Task, file pathname, out address, n size) (int, error) {
	return byName(t, file, true, listAttributes(t, out, n))
}

// llistxattr implements llistxattr(2).
func llistxattr(t *kernel.Task, file pathname, out address, n size) (int, error) {
	return byName(t, file, false, listAttributes(t, out, n))
}

// flistxattr implements flistxattr(2).
func flistxattr(t *kernel.Task, fd kernel.FD, out address, n size) (int, error) {
	return byFD(t, fd, listAttributes(t, out, n))
}

// removexattr implements removexattr(2).
func removexattr(t *kernel.Task, file pathname, name xattrName) (int, error) {
	return byName(t, file, true, removeAttribute(t, name))
}

// lremovexattr implements lremovexattr(2).
func lremovexattr(t *kernel.Task, file pathname, name xattrName) (int, error) {
	return byName(t, file, false, removeAttribute(t, name))
}

// fremovexattr implements fremovexattr(2).
func fremovexattr(t *kernel.Task, fd kernel.FD, name xattrName) (int, error) {
	return byFD(t, fd, removeAttribute(t, name))
}
