package guest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStat(t *testing.T) {
	covers(t, "stat", "fstat", "lstat", "newfstatat")
	name, fd := file(t, "12345")
	var a, b, c unix.Stat_t
	_, err := call(unix.SYS_STAT, ptr(&[]byte(name + "\x00")[0]), ptr(&a))
	ok(t, err)
	ok(t, unix.Fstat(fd, &b))
	ok(t, unix.Fstatat(unix.AT_FDCWD, name, &c, 0))
	equal(t, "stat and fstat", a, b)
	equal(t, "stat and fstatat", a, c)
	equal(t, "size", a.Size, 5)
	equal(t, "mode", a.Mode, unix.S_IFREG|0o644)
	equal(t, "links", a.Nlink, 1)
	equal(t, "owner", [2]uint32{a.Uid, a.Gid}, [2]uint32{0, 0})
	equal(t, "block size", a.Blksize, 4096)
	if a.Ino == 0 || a.Dev == 0 {
		t.Error("no inode or device number")
	}
	if d := time.Since(time.Unix(a.Mtim.Unix())); d < -time.Second || d > time.Hour {
		t.Errorf("modified %v ago", d)
	}
	ok(t, os.Symlink(name, name+"l"))
	_, err = call(unix.SYS_LSTAT, ptr(&[]byte(name + "l\x00")[0]), ptr(&b))
	ok(t, err)
	equal(t, "lstat", b.Mode, unix.S_IFLNK|0o777)
	equal(t, "length of the target", b.Size, int64(len(name)))
	ok(t, unix.Fstatat(unix.AT_FDCWD, name+"l", &c, unix.AT_SYMLINK_NOFOLLOW))
	equal(t, "lstat and fstatat", b, c)
	ok(t, unix.Fstatat(fd, "", &c, unix.AT_EMPTY_PATH))
	equal(t, "AT_EMPTY_PATH", c.Ino, a.Ino)
	fails(t, unix.Fstatat(fd, "", &c, 0), unix.ENOENT)
	fails(t, unix.Stat(name+"none", &a), unix.ENOENT)
	fails(t, unix.Fstat(999, &a), unix.EBADF)
	fails(t, unix.Fstatat(unix.AT_FDCWD, name, &a, 0x40000000), unix.EINVAL)
	_, err = call(unix.SYS_FSTAT, uintptr(fd), 8)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_STAT, ptr(&[]byte(name + "\x00")[0]), 8)
	fails(t, err, unix.EFAULT)
}

func TestStatx(t *testing.T) {
	covers(t, "statx")
	name, fd := file(t, "12345")
	var x unix.Statx_t
	ok(t, unix.Statx(unix.AT_FDCWD, name, 0, unix.STATX_BASIC_STATS, &x))
	equal(t, "size", x.Size, 5)
	equal(t, "mode", x.Mode, unix.S_IFREG|0o644)
	equal(t, "mask", x.Mask&unix.STATX_BASIC_STATS, unix.STATX_BASIC_STATS)
	var y unix.Statx_t
	ok(t, unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_INO, &y))
	equal(t, "inode", y.Ino, x.Ino)
	fails(t, unix.Statx(unix.AT_FDCWD, name, 0x40000000, 0, &x), unix.EINVAL)
	fails(t, unix.Statx(unix.AT_FDCWD, name, 0, 0x80000000, &x), unix.EINVAL)
	fails(t, unix.Statx(unix.AT_FDCWD, name+"none", 0, 0, &x), unix.ENOENT)
}

func TestChmod(t *testing.T) {
	covers(t, "fchmodat", "fchmod", "fchmodat2")
	name, fd := file(t, "")
	mode := func(want uint32) {
		t.Helper()
		var st unix.Stat_t
		ok(t, unix.Stat(name, &st))
		equal(t, "mode", st.Mode&0o7777, want)
	}
	ok(t, unix.Chmod(name, 0o4711))
	mode(0o4711)
	ok(t, unix.Fchmod(fd, 0o600))
	mode(0o600)
	_, err := call(unix.SYS_FCHMODAT, ^uintptr(99), ptr(&[]byte(name + "\x00")[0]), 0o640)
	ok(t, err)
	mode(0o640)
	_, err = call(unix.SYS_FCHMODAT2, ^uintptr(99), ptr(&[]byte(name + "\x00")[0]), 0o604, 0)
	ok(t, err)
	mode(0o604)
	fails(t, unix.Chmod(name+"none", 0), unix.ENOENT)
	fails(t, unix.Fchmod(999, 0), unix.EBADF)
	_, err = call(unix.SYS_FCHMODAT2, ^uintptr(99), ptr(&[]byte(name + "\x00")[0]), 0o604, 1)
	fails(t, err, unix.EINVAL)
}

func TestChown(t *testing.T) {
	covers(t, "fchownat", "fchown", "lchown")
	name, fd := file(t, "")
	owner := func(path string, uid, gid uint32) {
		t.Helper()
		var st unix.Stat_t
		ok(t, unix.Lstat(path, &st))
		equal(t, "owner", [2]uint32{st.Uid, st.Gid}, [2]uint32{uid, gid})
	}
	ok(t, unix.Chmod(name, 0o6755))
	ok(t, unix.Chown(name, 1, 2))
	owner(name, 1, 2)
	var st unix.Stat_t
	ok(t, unix.Stat(name, &st))
	equal(t, "set-id bits are lost", st.Mode&0o7777, 0o755)
	ok(t, unix.Fchown(fd, -1, 3))
	owner(name, 1, 3)
	ok(t, os.Symlink(name, name+"l"))
	ok(t, unix.Lchown(name+"l", 5, 6))
	owner(name+"l", 5, 6)
	owner(name, 1, 3)
	ok(t, unix.Fchownat(unix.AT_FDCWD, name, 7, -1, 0))
	owner(name, 7, 3)
	ok(t, unix.Fchownat(fd, "", 8, 8, unix.AT_EMPTY_PATH))
	owner(name, 8, 8)
	fails(t, unix.Chown(name+"none", 0, 0), unix.ENOENT)
	fails(t, unix.Fchown(999, 0, 0), unix.EBADF)
	fails(t, unix.Fchownat(unix.AT_FDCWD, name, 0, 0, 1), unix.EINVAL)
	_, err := call(unix.SYS_LCHOWN, 8, 0, 0)
	fails(t, err, unix.EFAULT)
}

func TestTimes(t *testing.T) {
	covers(t, "utime", "utimes", "utimensat", "futimesat")
	name, fd := file(t, "")
	times := func(atime, mtime int64) {
		t.Helper()
		var st unix.Stat_t
		ok(t, unix.Stat(name, &st))
		equal(t, "times", [2]int64{st.Atim.Nano(), st.Mtim.Nano()}, [2]int64{atime, mtime})
	}
	ok(t, unix.Utime(name, &unix.Utimbuf{Actime: 10, Modtime: 20}))
	times(10e9, 20e9)
	tv := []unix.Timeval{{Sec: 30, Usec: 5}, {Sec: 40, Usec: 6}}
	_, err := call(unix.SYS_UTIMES, ptr(&[]byte(name + "\x00")[0]), ptr(&tv[0]))
	ok(t, err)
	times(30e9+5000, 40e9+6000)
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{{Sec: 50, Nsec: 7}, {Nsec: unix.UTIME_OMIT}}, 0))
	times(50e9+7, 40e9+6000)
	_, err = call(unix.SYS_UTIMENSAT, uintptr(fd), 0, ptr(&[]unix.Timespec{{Sec: 1}, {Sec: 2}}[0]), 0)
	ok(t, err)
	times(1e9, 2e9)
	_, err = call(unix.SYS_FUTIMESAT, ^uintptr(99), ptr(&[]byte(name + "\x00")[0]), ptr(&tv[0]))
	ok(t, err)
	times(30e9+5000, 40e9+6000)
	before := time.Now().Add(-time.Second)
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}, 0))
	fi, err := os.Stat(name)
	ok(t, err)
	equal(t, "now", fi.ModTime().After(before), true)
	fails(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{{Nsec: 2e9}, {}}, 0), unix.EINVAL)
	fails(t, unix.Utime(name+"none", nil), unix.ENOENT)
	fails(t, unix.UtimesNanoAt(unix.AT_FDCWD, name+"none", nil, 0), unix.ENOENT)
}

func TestAccess(t *testing.T) {
	covers(t, "access", "faccessat", "faccessat2")
	name, _ := file(t, "")
	path := ptr(&[]byte(name + "\x00")[0])
	_, err := call(unix.SYS_ACCESS, path, unix.R_OK|unix.W_OK)
	ok(t, err)
	_, err = call(unix.SYS_ACCESS, path, unix.X_OK) // even root needs one x bit
	fails(t, err, unix.EACCES)
	_, err = call(unix.SYS_ACCESS, path, 8)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_FACCESSAT, ^uintptr(99), path, unix.X_OK)
	fails(t, err, unix.EACCES)
	ok(t, unix.Chmod(name, 0o100))
	_, err = call(unix.SYS_FACCESSAT, ^uintptr(99), path, unix.X_OK)
	ok(t, err)
	_, err = call(unix.SYS_FACCESSAT2, ^uintptr(99), path, unix.X_OK, unix.AT_EACCESS)
	ok(t, err)
	_, err = call(unix.SYS_FACCESSAT2, ^uintptr(99), path, unix.X_OK, 1)
	fails(t, err, unix.EINVAL)
	fails(t, unix.Access(name+"none", 0), unix.ENOENT)
}

func TestXattr(t *testing.T) {
	covers(t, "setxattr", "lsetxattr", "fsetxattr", "getxattr", "lgetxattr", "fgetxattr",
		"listxattr", "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr")
	d := "/" // the root filesystem: tmpfs on older kernels has no user attributes
	name := d + "xattr-" + t.Name()
	ok(t, os.WriteFile(name, nil, 0o600))
	t.Cleanup(func() { os.Remove(name) })
	fd, err := unix.Open(name, unix.O_RDWR, 0)
	ok(t, err)
	closeLater(t, fd)
	ok(t, unix.Setxattr(name, "user.a", []byte("value"), 0))
	b := make([]byte, 100)
	n, err := unix.Getxattr(name, "user.a", b)
	ok(t, err)
	equal(t, "value", string(b[:n]), "value")
	n, err = unix.Fgetxattr(fd, "user.a", nil)
	ok(t, err)
	equal(t, "size", n, 5)
	_, err = unix.Lgetxattr(name, "user.a", b[:2])
	fails(t, err, unix.ERANGE)
	_, err = unix.Getxattr(name, "user.none", b)
	fails(t, err, unix.ENODATA)
	fails(t, unix.Fsetxattr(fd, "user.a", nil, unix.XATTR_CREATE), unix.EEXIST)
	fails(t, unix.Lsetxattr(name, "user.b", nil, unix.XATTR_REPLACE), unix.ENODATA)
	ok(t, unix.Fsetxattr(fd, "user.b", []byte("2"), unix.XATTR_CREATE))
	ok(t, unix.Lsetxattr(name, "user.c", []byte("3"), 0))
	for what, list := range map[string]func([]byte) (int, error){
		"listxattr":  func(b []byte) (int, error) { return unix.Listxattr(name, b) },
		"llistxattr": func(b []byte) (int, error) { return unix.Llistxattr(name, b) },
		"flistxattr": func(b []byte) (int, error) { return unix.Flistxattr(fd, b) },
	} {
		n, err := list(b)
		ok(t, err)
		equal(t, what, n, len("user.a\x00user.b\x00user.c\x00"))
	}
	ok(t, unix.Removexattr(name, "user.a"))
	ok(t, unix.Fremovexattr(fd, "user.b"))
	ok(t, unix.Lremovexattr(name, "user.c"))
	fails(t, unix.Removexattr(name, "user.a"), unix.ENODATA)
	fails(t, unix.Fremovexattr(fd, "user.a"), unix.ENODATA)
	fails(t, unix.Lremovexattr(name, "user.a"), unix.ENODATA)
	fails(t, unix.Setxattr(name, "nonamespace", nil, 0), unix.EOPNOTSUPP)
	fails(t, unix.Setxattr(name+"none", "user.a", nil, 0), unix.ENOENT)
}

func TestStatfs(t *testing.T) {
	covers(t, "statfs", "fstatfs", "ustat")
	var st unix.Statfs_t
	ok(t, unix.Statfs("/tmp", &st))
	equal(t, "type", st.Type, unix.TMPFS_MAGIC)
	equal(t, "block size", st.Bsize, 4096)
	equal(t, "length of names", st.Namelen, 255)
	ok(t, unix.Statfs("/proc", &st))
	equal(t, "type", st.Type, unix.PROC_SUPER_MAGIC)
	_, fd := file(t, "")
	ok(t, unix.Fstatfs(fd, &st))
	equal(t, "type", st.Type, unix.TMPFS_MAGIC)
	fails(t, unix.Statfs("/nonexistent", &st), unix.ENOENT)
	fails(t, unix.Fstatfs(999, &st), unix.EBADF)
	var u unix.Ustat_t
	fails(t, unix.Ustat(0x7fffffff, &u), unix.EINVAL)
}

func TestPermissions(t *testing.T) {
	covers(t, "setresuid", "setfsuid", "open")
	d := dir(t)
	ok(t, unix.Chmod(d+"/..", 0o755))
	ok(t, unix.Chmod(d, 0o755))
	ok(t, os.WriteFile(d+"/secret", []byte("x"), 0o600))
	ok(t, os.WriteFile(d+"/public", []byte("x"), 0o644))
	asNobody(t, func() {
		_, err := unix.Open(d+"/secret", unix.O_RDONLY, 0)
		fails(t, err, unix.EACCES)
		fd, err := unix.Open(d+"/public", unix.O_RDONLY, 0)
		ok(t, err)
		unix.Close(fd)
		_, err = unix.Open(d+"/public", unix.O_WRONLY, 0)
		fails(t, err, unix.EACCES)
		_, err = unix.Open(d+"/new", unix.O_CREAT|unix.O_WRONLY, 0o600)
		fails(t, err, unix.EACCES)
		fails(t, unix.Chmod(d+"/public", 0o777), unix.EPERM)
		fails(t, unix.Unlink(d+"/public"), unix.EACCES)
		fails(t, unix.Chown(d+"/public", 1, 1), unix.EPERM)
	})
}
