package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// openFlags are the flags open(2) knows; the others are ignored there, and
// EINVAL in openat2(2).
const openFlags = linux.O_ACCMODE | linux.O_CREAT | linux.O_EXCL | linux.O_NOCTTY | linux.O_TRUNC | linux.O_APPEND | linux.O_NONBLOCK |
	linux.O_SYNC | linux.O_ASYNC | linux.O_DIRECT | linux.O_LARGEFILE | linux.O_NOFOLLOW | linux.O_NOATIME | linux.O_CLOEXEC |
	linux.O_PATH | linux.O_TMPFILE

// open implements open(2).
func open(t *kernel.Task, name pathname, flags linux.OpenFlags, mode linux.FileMode) (kernel.FD, error) {
	return openat(t, linux.AT_FDCWD, name, flags, mode)
}

// creat implements creat(2).
func creat(t *kernel.Task, name pathname, mode linux.FileMode) (kernel.FD, error) {
	return openat(t, linux.AT_FDCWD, name, linux.O_CREAT|linux.O_WRONLY|linux.O_TRUNC, mode)
}

// openat implements openat(2).
func openat(t *kernel.Task, dirfd kernel.FD, name pathname, flags linux.OpenFlags, mode linux.FileMode) (kernel.FD, error) {
	flags &= openFlags
	if flags&linux.O_PATH != 0 {
		flags &= linux.O_PATH | linux.O_DIRECTORY | linux.O_NOFOLLOW | linux.O_CLOEXEC
	}
	return doOpen(t, dirfd, name, 0, vfs.OpenSpec{Flags: flags | linux.O_LARGEFILE, Mode: mode & linux.PermMask})
}

func doOpen(t *kernel.Task, dirfd kernel.FD, name pathname, how vfs.ResolveFlags, s vfs.OpenSpec) (kernel.FD, error) {
	a, err := at(t, dirfd, name, how)
	if err != nil {
		return 0, err
	}
	defer a.release(t)
	d, err := vfs.Open(t, a.At, s)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return t.NewFD(s.Flags, d)
}

// resolveHow maps the RESOLVE_* bits of openat2(2).
var resolveHow = map[uint64]vfs.ResolveFlags{
	linux.RESOLVE_NO_XDEV:       vfs.NoXDev,
	linux.RESOLVE_NO_MAGICLINKS: vfs.NoMagicLinks,
	linux.RESOLVE_NO_SYMLINKS:   vfs.NoSymlinks,
	linux.RESOLVE_BENEATH:       vfs.Beneath,
	linux.RESOLVE_IN_ROOT:       vfs.InRoot,
	linux.RESOLVE_CACHED:        vfs.Cached,
}

// openat2 implements openat2(2), which refuses what open(2) ignores.
func openat2(t *kernel.Task, dirfd kernel.FD, name pathname, p usermem.Ptr[linux.OpenHow], n size) (kernel.FD, error) {
	how, err := p.LoadSized(t, uint64(n), 24)
	if err != nil {
		return 0, err
	}
	flags := linux.OpenFlags(how.Flags)
	creates := flags&linux.O_CREAT != 0 || flags&linux.O_TMPFILE == linux.O_TMPFILE
	var resolve vfs.ResolveFlags
	rest := how.Resolve
	for bit, f := range resolveHow {
		if how.Resolve&bit != 0 {
			resolve, rest = resolve|f, rest&^bit
		}
	}
	pathOnly := linux.O_PATH | linux.O_DIRECTORY | linux.O_NOFOLLOW | linux.O_CLOEXEC | linux.O_LARGEFILE
	switch {
	case how.Flags&^uint64(openFlags) != 0 || rest != 0,
		how.Mode&^uint64(linux.PermMask) != 0 || how.Mode != 0 && !creates,
		resolve&vfs.Beneath != 0 && resolve&vfs.InRoot != 0,
		flags&linux.O_PATH != 0 && flags&^pathOnly != 0:
		return 0, linux.EINVAL
	case resolve&vfs.Cached != 0 && (flags&linux.O_TRUNC != 0 || creates):
		return 0, linux.EAGAIN
	}
	return doOpen(t, dirfd, name, resolve, vfs.OpenSpec{Flags: flags | linux.O_LARGEFILE, Mode: linux.FileMode(how.Mode)})
}

// close_ implements close(2).
func close_(t *kernel.Task, fd kernel.FD) (int, error) { return 0, t.FDs().Close(t, fd) }

// closeRange implements close_range(2).
func closeRange(t *kernel.Task, first, last, flags uint32) (int, error) {
	const unshare, cloexec = 2, 4 // CLOSE_RANGE_*
	if flags&^(unshare|cloexec) != 0 || first > last {
		return 0, linux.EINVAL
	}
	if flags&unshare != 0 {
		t.UnshareFiles()
	}
	t.FDs().CloseRange(t, first, last, flags&cloexec != 0)
	return 0, nil
}
