package guest

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A pathCall is a system call that takes a path, with all else in order.
type pathCall struct {
	name string
	nr   uintptr
	args func(path uintptr) []uintptr
}

const atCwd = ^uintptr(99) // AT_FDCWD as a register carries it

// pathCalls is every call that walks a path; what it would do to one that
// exists doesn't matter, as none of the paths lead anywhere.
func pathCalls(t *testing.T) []pathCall {
	buf := ptr(kept(t, [4096]byte{}))
	attr, target := cstring(t, "user.x"), cstring(t, "target")
	there := cstring(t, "/guest.test")
	how := ptr(kept(t, unix.OpenHow{}))
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	ok(t, err)
	closeLater(t, watch)
	one := func(rest ...uintptr) func(uintptr) []uintptr {
		return func(p uintptr) []uintptr { return append([]uintptr{p}, rest...) }
	}
	at := func(rest ...uintptr) func(uintptr) []uintptr {
		return func(p uintptr) []uintptr { return append([]uintptr{atCwd, p}, rest...) }
	}
	return []pathCall{
		{"open", unix.SYS_OPEN, one(0, 0)},
		{"creat", unix.SYS_CREAT, one(0o600)},
		{"openat2", unix.SYS_OPENAT2, at(how, 24)},
		{"stat", unix.SYS_STAT, one(buf)},
		{"lstat", unix.SYS_LSTAT, one(buf)},
		{"statx", unix.SYS_STATX, at(0, unix.STATX_INO, buf)},
		{"statfs", unix.SYS_STATFS, one(buf)},
		{"access", unix.SYS_ACCESS, one(0)},
		{"faccessat2", unix.SYS_FACCESSAT2, at(0, unix.AT_SYMLINK_NOFOLLOW)},
		{"chmod", unix.SYS_CHMOD, one(0o600)},
		{"chown", unix.SYS_CHOWN, one(0, 0)},
		{"lchown", unix.SYS_LCHOWN, one(0, 0)},
		{"truncate", unix.SYS_TRUNCATE, one(0)},
		{"utime", unix.SYS_UTIME, one(0)},
		{"unlink", unix.SYS_UNLINK, one()},
		{"rmdir", unix.SYS_RMDIR, one()},
		{"mkdir", unix.SYS_MKDIR, one(0o700)},
		{"mknod", unix.SYS_MKNOD, one(unix.S_IFIFO|0o600, 0)},
		{"symlink", unix.SYS_SYMLINK, func(p uintptr) []uintptr { return []uintptr{target, p} }},
		{"link from", unix.SYS_LINK, one(buf)},
		{"link to", unix.SYS_LINK, func(p uintptr) []uintptr { return []uintptr{there, p} }},
		{"rename from", unix.SYS_RENAME, one(buf)},
		{"rename to", unix.SYS_RENAME, func(p uintptr) []uintptr { return []uintptr{there, p} }},
		{"readlink", unix.SYS_READLINK, one(buf, 100)},
		{"chdir", unix.SYS_CHDIR, one()},
		{"chroot", unix.SYS_CHROOT, one()},
		{"getxattr", unix.SYS_GETXATTR, one(attr, buf, 10)},
		{"setxattr", unix.SYS_SETXATTR, one(attr, buf, 1, 0)},
		{"listxattr", unix.SYS_LISTXATTR, one(buf, 10)},
		{"removexattr", unix.SYS_REMOVEXATTR, one(attr)},
		{"inotify_add_watch", unix.SYS_INOTIFY_ADD_WATCH, func(p uintptr) []uintptr { return []uintptr{uintptr(watch), p, unix.IN_CREATE} }},
	}
}

// wrongPath makes a test of every call with a path that it must refuse.
func wrongPath(t *testing.T, path uintptr, want unix.Errno) {
	t.Helper()
	for _, c := range pathCalls(t) {
		covers(t, strings.Fields(c.name)[0])
		t.Run(c.name, func(t *testing.T) {
			_, err := call(c.nr, c.args(path)...)
			fails(t, err, want)
		})
	}
}

func TestPathPointerWrong(t *testing.T) {
	wrongPath(t, 8, unix.EFAULT)
}

func TestPathComponentTooLong(t *testing.T) {
	wrongPath(t, cstring(t, dir(t)+"/"+strings.Repeat("n", 256)+"/x"), unix.ENAMETOOLONG)
}

func TestPathThroughLinkLoop(t *testing.T) {
	d := dir(t)
	ok(t, os.Symlink("loop", d+"/loop"))
	wrongPath(t, cstring(t, d+"/loop/x"), unix.ELOOP)
}

func TestPathThroughFile(t *testing.T) {
	name, _ := file(t, "")
	wrongPath(t, cstring(t, name+"/x"), unix.ENOTDIR)
}

func TestPathThroughNothing(t *testing.T) {
	wrongPath(t, cstring(t, dir(t)+"/none/x"), unix.ENOENT)
}

// TestPathEmpty: no call takes the empty path for the working directory.
func TestPathEmpty(t *testing.T) {
	wrongPath(t, cstring(t, ""), unix.ENOENT)
}

// TestPathWithoutEnd: a path of PATH_MAX bytes has no room for its zero.
func TestPathWithoutEnd(t *testing.T) {
	wrongPath(t, cstring(t, strings.Repeat("/", 4096)), unix.ENAMETOOLONG)
}
