package guest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRenameOverOpenFile(t *testing.T) {
	covers(t, "renameat", "fstat", "pread64")
	name, fd := file(t, "old")
	ok(t, os.WriteFile(name+"2", []byte("new"), 0o600))
	ok(t, unix.Rename(name+"2", name))
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "links of what was replaced", st.Nlink, 0)
	b := make([]byte, 8)
	n, err := unix.Pread(fd, b, 0)
	ok(t, err)
	equal(t, "still there", string(b[:n]), "old")
	content, err := os.ReadFile(name)
	ok(t, err)
	equal(t, "in its place", string(content), "new")
}

func TestRenameHardLinksOfOneFile(t *testing.T) {
	covers(t, "renameat", "linkat")
	name, fd := file(t, "x")
	ok(t, unix.Link(name, name+"2"))
	ok(t, unix.Rename(name, name+"2")) // does nothing
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "links", st.Nlink, 2)
	ok(t, unix.Stat(name, &st))
}

// TestExchangeHardLinks exchanges names of one file, which does nothing.
func TestExchangeHardLinks(t *testing.T) {
	covers(t, "renameat2")
	name, fd := file(t, "x")
	ok(t, unix.Link(name, name+"2"))
	var before, after unix.Stat_t
	ok(t, unix.Fstat(fd, &before))
	time.Sleep(20 * time.Millisecond) // the host's clock of files ticks
	for _, to := range []string{name, name + "2"} {
		ok(t, unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE))
	}
	ok(t, unix.Fstat(fd, &after))
	equal(t, "change", after.Ctim, before.Ctim)
}

// TestSetIDsOfPrivileged writes to and cuts a program whose set-id bits root keeps.
func TestSetIDsOfPrivileged(t *testing.T) {
	covers(t, "write", "ftruncate", "chmod")
	name, fd := file(t, "x")
	for _, change := range []func() error{
		func() error { _, err := unix.Write(fd, []byte("y")); return err },
		func() error { return unix.Ftruncate(fd, 5) },
		func() error { return unix.Truncate(name, 6) },
	} {
		ok(t, unix.Chmod(name, 0o6755))
		ok(t, change())
		var st unix.Stat_t
		ok(t, unix.Fstat(fd, &st))
		equal(t, "mode", st.Mode&0o7777, 0o6755)
	}
}

func TestRenameIntoItself(t *testing.T) {
	covers(t, "renameat")
	d := dir(t)
	ok(t, os.MkdirAll(d+"/a/b", 0o700))
	fails(t, unix.Rename(d+"/a", d+"/a/b/c"), unix.EINVAL)
	fails(t, unix.Rename(d+"/a/b", d+"/a"), unix.ENOTEMPTY)
	fails(t, unix.Rename(d+"/a/.", d+"/c"), unix.EBUSY)
	fails(t, unix.Rename(d+"/a", d+"/a/.."), unix.EBUSY)
}

// TestRenameIntoRemoved renames a directory into one that was removed from it.
func TestRenameIntoRemoved(t *testing.T) {
	covers(t, "renameat", "rmdir")
	d := dir(t)
	ok(t, os.MkdirAll(d+"/a/b", 0o700))
	fd, err := unix.Open(d+"/a/b", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	ok(t, err)
	closeLater(t, fd)
	ok(t, unix.Rmdir(d+"/a/b"))
	fails(t, unix.Renameat(unix.AT_FDCWD, d+"/a", fd, "c"), unix.ENOENT)
}

func TestRenameTrailingSlash(t *testing.T) {
	covers(t, "renameat", "mkdirat")
	name, _ := file(t, "x")
	fails(t, unix.Rename(name, name+"2/"), unix.ENOTDIR)
	fails(t, unix.Rename(name+"/", name+"2"), unix.ENOTDIR)
	ok(t, unix.Mkdir(name+"3", 0o700))
	ok(t, unix.Rename(name+"3/", name+"4/"))
}

func TestRenameMovesParent(t *testing.T) {
	covers(t, "renameat", "fstat")
	d := dir(t)
	ok(t, os.MkdirAll(d+"/a/sub", 0o700))
	ok(t, os.Mkdir(d+"/b", 0o700))
	sub, err := unix.Open(d+"/a/sub", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	ok(t, err)
	closeLater(t, sub)
	ok(t, unix.Rename(d+"/a/sub", d+"/b/sub"))
	var a, b, up unix.Stat_t
	ok(t, unix.Stat(d+"/a", &a))
	ok(t, unix.Stat(d+"/b", &b))
	ok(t, unix.Fstatat(sub, "..", &up, 0))
	equal(t, "links of the old parent", a.Nlink, 2)
	equal(t, "links of the new parent", b.Nlink, 3)
	equal(t, "..", up.Ino, b.Ino)
}

func TestUnlinkedDirectory(t *testing.T) {
	covers(t, "unlinkat", "openat", "mkdirat", "fstat", "getdents64")
	d := dir(t) + "/gone"
	ok(t, os.Mkdir(d, 0o700))
	fd, err := unix.Open(d, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	ok(t, err)
	closeLater(t, fd)
	ok(t, unix.Rmdir(d))
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "links", st.Nlink, 0)
	_, err = unix.Openat(fd, "f", unix.O_CREAT|unix.O_RDWR, 0o600)
	fails(t, err, unix.ENOENT)
	fails(t, unix.Mkdirat(fd, "d", 0o700), unix.ENOENT)
	_, err = unix.ReadDirent(fd, make([]byte, 512))
	fails(t, err, unix.ENOENT)
}

func TestUnlinkedWorkingDirectory(t *testing.T) {
	covers(t, "unlinkat", "chdir", "getcwd", "readlink")
	d := dir(t) + "/gone"
	ok(t, os.Mkdir(d, 0o700))
	old, err := unix.Getwd()
	ok(t, err)
	defer unix.Chdir(old)
	ok(t, unix.Chdir(d))
	ok(t, unix.Rmdir(d))
	_, err = call(unix.SYS_GETCWD, ptr(new([256]byte)), 256)
	fails(t, err, unix.ENOENT)
	link, err := os.Readlink("/proc/self/cwd")
	ok(t, err)
	equal(t, "cwd", link, d+" (deleted)")
}

func TestLinkErrors(t *testing.T) {
	covers(t, "linkat")
	name, _ := file(t, "x")
	d := dir(t)
	fails(t, unix.Link(d, d+"2"), unix.EPERM)
	fails(t, unix.Link(name, name), unix.EEXIST)
	fails(t, unix.Link(name, "/proc/x"), unix.EXDEV, unix.ENOENT)
}

func TestGetdentsWhileDeleting(t *testing.T) {
	covers(t, "getdents64", "unlinkat")
	d := dir(t)
	for i := range 300 {
		ok(t, os.WriteFile(d+"/"+itoa(i), nil, 0o600))
	}
	fd, err := unix.Open(d, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	ok(t, err)
	closeLater(t, fd)
	seen := map[string]bool{}
	for b := make([]byte, 512); ; {
		n, err := unix.ReadDirent(fd, b)
		ok(t, err)
		if n == 0 {
			break
		}
		_, _, names := unix.ParseDirent(b[:n], -1, nil)
		for _, name := range names {
			if seen[name] {
				t.Errorf("%s listed twice", name)
			}
			seen[name] = true
			ok(t, unix.Unlink(d+"/"+name))
		}
	}
	equal(t, "seen", len(seen), 300)
	ok(t, unix.Rmdir(d))
	ok(t, os.Mkdir(d, 0o700))
}

func TestGetdentsRewinds(t *testing.T) {
	covers(t, "getdents64", "lseek")
	d := dir(t)
	fd, err := unix.Open(d, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	ok(t, err)
	closeLater(t, fd)
	b := make([]byte, 1024)
	first, err := unix.ReadDirent(fd, b)
	ok(t, err)
	ok(t, os.WriteFile(d+"/later", nil, 0o600))
	off, err := unix.Seek(fd, 0, 0)
	ok(t, err)
	equal(t, "offset", off, 0)
	second, err := unix.ReadDirent(fd, b)
	ok(t, err)
	equal(t, "more than before", second > first, true)
	_, err = unix.ReadDirent(fd, b[:1])
	ok(t, err) // at the end there is nothing that could not fit
	_, err = unix.Seek(fd, 0, 0)
	ok(t, err)
	_, err = unix.ReadDirent(fd, b[:8])
	fails(t, err, unix.EINVAL)
}
