package guest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenFlags(t *testing.T) {
	covers(t, "open", "openat")
	d := dir(t)
	name := filepath.Join(d, "f")
	_, err := unix.Open(name, unix.O_RDONLY, 0)
	fails(t, err, unix.ENOENT)
	fd, err := unix.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o640)
	ok(t, err)
	closeLater(t, fd)
	_, err = unix.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o640)
	fails(t, err, unix.EEXIST)
	_, err = unix.Read(fd, make([]byte, 1))
	fails(t, err, unix.EBADF)
	_, err = unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	fails(t, err, unix.ENOTDIR)
	_, err = unix.Open(d, unix.O_RDWR, 0)
	fails(t, err, unix.EISDIR)
	_, err = unix.Open(name+"/x", unix.O_RDONLY, 0)
	fails(t, err, unix.ENOTDIR)
	_, err = unix.Open(name+"/", unix.O_RDONLY, 0)
	fails(t, err, unix.ENOTDIR)
	_, err = unix.Open("", unix.O_RDONLY, 0)
	fails(t, err, unix.ENOENT)
	_, err = unix.Open(d+"/"+strings.Repeat("x", 256), unix.O_RDONLY, 0)
	fails(t, err, unix.ENAMETOOLONG)
	_, err = unix.Open("/"+strings.Repeat("x/", 2048), unix.O_RDONLY, 0)
	fails(t, err, unix.ENAMETOOLONG)
	_, err = call(unix.SYS_OPEN, 8, 0, 0)
	fails(t, err, unix.EFAULT)
	ok(t, os.WriteFile(name, []byte("content"), 0))
	fd, err = unix.Creat(name, 0o600)
	ok(t, err)
	closeLater(t, fd)
	fi, err := os.Stat(name)
	ok(t, err)
	equal(t, "size after creat", fi.Size(), 0)
	equal(t, "mode as first made", fi.Mode().Perm(), 0o640)
}

func TestOpenat(t *testing.T) {
	covers(t, "openat", "openat2")
	d := dir(t)
	dfd, err := unix.Open(d, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	ok(t, err)
	closeLater(t, dfd)
	fd, err := unix.Openat(dfd, "new", unix.O_CREAT|unix.O_RDWR, 0o600)
	ok(t, err)
	closeLater(t, fd)
	_, err = unix.Openat(999, "new", 0, 0)
	fails(t, err, unix.EBADF)
	_, err = unix.Openat(fd, "new", 0, 0)
	fails(t, err, unix.ENOTDIR)
	abs, err := unix.Openat(999, d+"/new", 0, 0)
	ok(t, err)
	closeLater(t, abs)
	ok(t, os.Symlink("/", d+"/root"))
	ok(t, os.Symlink("..", d+"/up"))
	for _, c := range []struct {
		path    string
		resolve uint64
		errno   error
	}{
		{"new", unix.RESOLVE_BENEATH, nil},
		{"root", unix.RESOLVE_BENEATH, unix.EXDEV},
		{"up", unix.RESOLVE_BENEATH, unix.EXDEV},
		{"..", unix.RESOLVE_BENEATH, unix.EXDEV},
		{"root", unix.RESOLVE_NO_SYMLINKS, unix.ELOOP},
		{"/new", unix.RESOLVE_IN_ROOT, nil},
		{"../../new", unix.RESOLVE_IN_ROOT, nil},
	} {
		fd, err := unix.Openat2(dfd, c.path, &unix.OpenHow{Resolve: c.resolve})
		if err != c.errno {
			t.Errorf("%s with %#x: %v, want %v", c.path, c.resolve, err, c.errno)
		}
		if err == nil {
			unix.Close(fd)
		}
	}
	_, err = unix.Openat2(dfd, "new", &unix.OpenHow{Mode: 0o600})
	fails(t, err, unix.EINVAL)
	_, err = unix.Openat2(dfd, "new", &unix.OpenHow{Resolve: 1 << 40})
	fails(t, err, unix.EINVAL)
}

func TestSymlinks(t *testing.T) {
	covers(t, "symlinkat", "readlink", "readlinkat")
	d := dir(t)
	ok(t, unix.Symlink("target", d+"/l"))
	b := make([]byte, 100)
	n, err := unix.Readlink(d+"/l", b)
	ok(t, err)
	equal(t, "target", string(b[:n]), "target")
	n, err = unix.Readlink(d+"/l", b[:3])
	ok(t, err)
	equal(t, "cut", string(b[:n]), "tar")
	_, err = call(unix.SYS_READLINK, ptr(&[]byte(d + "/l\x00")[0]), ptr(&b[0]), 0)
	fails(t, err, unix.EINVAL)
	fails(t, unix.Symlink("other", d+"/l"), unix.EEXIST)
	fails(t, unix.Symlink("", d+"/m"), unix.ENOENT)
	_, err = unix.Readlink(d, b)
	fails(t, err, unix.EINVAL)
	_, err = unix.Open(d+"/l", unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	fails(t, err, unix.ELOOP)
	ok(t, unix.Symlink("loop", d+"/loop"))
	_, err = unix.Open(d+"/loop", unix.O_RDONLY, 0)
	fails(t, err, unix.ELOOP)
	_, err = unix.Open(d+"/l", unix.O_RDONLY, 0)
	fails(t, err, unix.ENOENT)
	fd, err := unix.Open(d+"/l", unix.O_CREAT|unix.O_RDWR, 0o600) // makes the target
	ok(t, err)
	closeLater(t, fd)
	_, err = os.Lstat(d + "/target")
	ok(t, err)
	dfd, err := unix.Open(d, unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, dfd)
	ok(t, unix.Symlinkat("at", dfd, "lat"))
	n, err = unix.Readlinkat(dfd, "lat", b)
	ok(t, err)
	equal(t, "readlinkat", string(b[:n]), "at")
	p, err := unix.Open(d+"/lat", unix.O_PATH|unix.O_NOFOLLOW, 0)
	ok(t, err)
	closeLater(t, p)
	n, err = unix.Readlinkat(p, "", b)
	ok(t, err)
	equal(t, "readlinkat of O_PATH", string(b[:n]), "at")
}

func TestLink(t *testing.T) {
	covers(t, "linkat", "unlinkat")
	name, fd := file(t, "x")
	other := name + "2"
	ok(t, unix.Link(name, other))
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "links", st.Nlink, 2)
	fails(t, unix.Link(name, other), unix.EEXIST)
	fails(t, unix.Link(filepath.Dir(name), other+"3"), unix.EPERM)
	fails(t, unix.Link(name+"none", other+"3"), unix.ENOENT)
	ok(t, unix.Unlink(name))
	ok(t, unix.Fstat(fd, &st))
	equal(t, "links", st.Nlink, 1)
	fails(t, unix.Unlink(name), unix.ENOENT)
	fails(t, unix.Unlink(filepath.Dir(name)), unix.EISDIR)
	fails(t, unix.Unlinkat(unix.AT_FDCWD, other, 1), unix.EINVAL)
	fails(t, unix.Unlinkat(unix.AT_FDCWD, other, unix.AT_REMOVEDIR), unix.ENOTDIR)
	ok(t, unix.Symlink("nowhere", name+"s"))
	ok(t, unix.Linkat(unix.AT_FDCWD, name+"s", unix.AT_FDCWD, name+"s2", 0))
	fails(t, unix.Linkat(unix.AT_FDCWD, name+"s", unix.AT_FDCWD, name+"s3", unix.AT_SYMLINK_FOLLOW), unix.ENOENT)
	ok(t, unix.Unlinkat(unix.AT_FDCWD, other, 0))
	ok(t, unix.Fstat(fd, &st))
	equal(t, "links", st.Nlink, 0)
	b := make([]byte, 1)
	n, err := unix.Pread(fd, b, 0)
	ok(t, err)
	equal(t, "an unlinked file lives", n, 1)
}

func TestDirectories(t *testing.T) {
	covers(t, "mkdirat", "unlinkat")
	d := dir(t)
	ok(t, unix.Mkdir(d+"/a", 0o751))
	var st unix.Stat_t
	ok(t, unix.Stat(d+"/a", &st))
	equal(t, "mode", st.Mode, unix.S_IFDIR|0o751)
	equal(t, "links", st.Nlink, 2)
	ok(t, unix.Mkdir(d+"/a/b", 0o700))
	ok(t, unix.Stat(d+"/a", &st))
	equal(t, "links", st.Nlink, 3)
	fails(t, unix.Mkdir(d+"/a", 0o700), unix.EEXIST)
	fails(t, unix.Mkdir(d+"/none/b", 0o700), unix.ENOENT)
	fails(t, unix.Rmdir(d+"/a"), unix.ENOTEMPTY)
	fails(t, unix.Rmdir(d+"/a/."), unix.EINVAL)
	fails(t, unix.Rmdir(d+"/a/b/.."), unix.ENOTEMPTY)
	fails(t, unix.Rmdir(d+"/none"), unix.ENOENT)
	ok(t, os.WriteFile(d+"/f", nil, 0o600))
	fails(t, unix.Rmdir(d+"/f"), unix.ENOTDIR)
	fails(t, unix.Mkdir(d+"/f/x", 0o700), unix.ENOTDIR)
	ok(t, unix.Mkdir(d+"/slash/", 0o700))
	dfd, err := unix.Open(d, unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, dfd)
	ok(t, unix.Mkdirat(dfd, "at", 0o700))
	ok(t, unix.Unlinkat(dfd, "at", unix.AT_REMOVEDIR))
	ok(t, unix.Rmdir(d+"/a/b"))
	ok(t, unix.Rmdir(d+"/a"))
	_, err = os.Stat(d + "/a")
	equal(t, "gone", os.IsNotExist(err), true)
}

func TestGetdents(t *testing.T) {
	covers(t, "getdents64", "getdents")
	d := dir(t)
	want := []string{}
	for _, n := range []string{"a", "bb", "ccc"} {
		ok(t, os.WriteFile(d+"/"+n, nil, 0o600))
		want = append(want, n)
	}
	for i := range 300 {
		n := strings.Repeat("n", 20+i%50) + string(rune('A'+i%26)) + string(rune('A'+i/26))
		ok(t, os.WriteFile(d+"/"+n, nil, 0o600))
		want = append(want, n)
	}
	fd, err := unix.Open(d, unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, fd)
	var got []string
	buf := make([]byte, 1000) // several calls
	for {
		n, err := unix.Getdents(fd, buf)
		ok(t, err)
		if n == 0 {
			break
		}
		_, _, got = unix.ParseDirent(buf[:n], -1, got)
	}
	slices.Sort(got)
	slices.Sort(want)
	equal(t, "names", strings.Join(got, " "), strings.Join(want, " "))
	_, err = unix.Seek(fd, 0, unix.SEEK_SET)
	ok(t, err)
	_, err = unix.Getdents(fd, buf[:10])
	fails(t, err, unix.EINVAL)
	n, err := call(unix.SYS_GETDENTS, uintptr(fd), ptr(&buf[0]), uintptr(len(buf)))
	ok(t, err)
	if n == 0 {
		t.Error("getdents found nothing")
	}
	_, f := file(t, "")
	_, err = unix.Getdents(f, buf)
	fails(t, err, unix.ENOTDIR)
}

func TestRename(t *testing.T) {
	covers(t, "renameat", "renameat2")
	d := dir(t)
	ok(t, os.WriteFile(d+"/a", []byte("a"), 0o600))
	ok(t, os.WriteFile(d+"/b", []byte("b"), 0o600))
	ok(t, os.Mkdir(d+"/dir", 0o700))
	ok(t, os.Mkdir(d+"/dir/sub", 0o700))
	ok(t, unix.Rename(d+"/a", d+"/b"))
	got, err := os.ReadFile(d + "/b")
	ok(t, err)
	equal(t, "replaced", string(got), "a")
	fails(t, unix.Rename(d+"/a", d+"/b"), unix.ENOENT)
	fails(t, unix.Rename(d+"/b", d+"/dir"), unix.EISDIR)
	fails(t, unix.Rename(d+"/dir", d+"/b"), unix.ENOTDIR)
	fails(t, unix.Rename(d+"/dir", d+"/dir/sub/x"), unix.EINVAL)
	ok(t, os.Mkdir(d+"/empty", 0o700))
	fails(t, unix.Rename(d+"/empty", d+"/dir"), unix.ENOTEMPTY)
	ok(t, unix.Rename(d+"/dir", d+"/empty"))
	_, err = os.Stat(d + "/empty/sub")
	ok(t, err)
	fails(t, unix.Renameat2(unix.AT_FDCWD, d+"/b", unix.AT_FDCWD, d+"/empty", unix.RENAME_NOREPLACE), unix.EEXIST)
	ok(t, unix.Renameat2(unix.AT_FDCWD, d+"/b", unix.AT_FDCWD, d+"/empty", unix.RENAME_EXCHANGE))
	fi, err := os.Stat(d + "/b/sub")
	ok(t, err)
	equal(t, "exchanged", fi.IsDir(), true)
	fails(t, unix.Renameat2(unix.AT_FDCWD, d+"/b", unix.AT_FDCWD, d+"/c", 1<<10), unix.EINVAL)
	dfd, err := unix.Open(d, unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, dfd)
	ok(t, unix.Renameat(dfd, "empty", dfd, "renamed"))
	ok(t, unix.Rename(d+"/renamed", d+"/renamed"))
	ok(t, os.Link(d+"/renamed", d+"/same"))
	ok(t, unix.Rename(d+"/renamed", d+"/same")) // one inode: nothing happens
	_, err = os.Stat(d + "/renamed")
	ok(t, err)
}

func TestWorkingDirectory(t *testing.T) {
	covers(t, "chdir", "fchdir", "getcwd")
	old, err := unix.Open(".", unix.O_RDONLY, 0)
	ok(t, err)
	t.Cleanup(func() { unix.Fchdir(old); unix.Close(old) })
	d := dir(t)
	ok(t, unix.Chdir(d))
	b := make([]byte, 4096)
	n, err := unix.Getcwd(b)
	ok(t, err)
	equal(t, "cwd", string(b[:n-1]), d)
	_, err = unix.Getcwd(b[:3])
	fails(t, err, unix.ERANGE)
	fails(t, unix.Chdir(d+"/none"), unix.ENOENT)
	ok(t, os.WriteFile("f", nil, 0o600))
	fails(t, unix.Chdir("f"), unix.ENOTDIR)
	fd, err := unix.Open("f", unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, fd)
	fails(t, unix.Fchdir(fd), unix.ENOTDIR)
	fails(t, unix.Fchdir(999), unix.EBADF)
	ok(t, os.Mkdir("gone", 0o700))
	ok(t, unix.Chdir("gone"))
	ok(t, unix.Rmdir(d+"/gone"))
	_, err = unix.Getcwd(b)
	fails(t, err, unix.ENOENT)
	_, err = unix.Open("x", unix.O_CREAT|unix.O_RDWR, 0o600)
	fails(t, err, unix.ENOENT)
	ok(t, unix.Fchdir(old))
}

func TestMknod(t *testing.T) {
	covers(t, "mknodat")
	d := dir(t)
	ok(t, unix.Mknod(d+"/fifo", unix.S_IFIFO|0o640, 0))
	var st unix.Stat_t
	ok(t, unix.Stat(d+"/fifo", &st))
	equal(t, "mode", st.Mode, unix.S_IFIFO|0o640)
	ok(t, unix.Mknodat(unix.AT_FDCWD, d+"/reg", unix.S_IFREG|0o600, 0))
	ok(t, unix.Stat(d+"/reg", &st))
	equal(t, "mode", st.Mode, unix.S_IFREG|0o600)
	fails(t, unix.Mknod(d+"/reg", unix.S_IFREG, 0), unix.EEXIST)
	fails(t, unix.Mknod(d+"/dir", unix.S_IFDIR, 0), unix.EPERM)
	fails(t, unix.Mknod(d+"/bad", 0o170000, 0), unix.EINVAL)
	rd, err := unix.Open(d+"/fifo", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	ok(t, err)
	wr, err := unix.Open(d+"/fifo", unix.O_WRONLY|unix.O_NONBLOCK, 0)
	ok(t, err)
	closeLater(t, rd, wr)
	_, err = unix.Write(wr, []byte("x"))
	ok(t, err)
	n, err := unix.Read(rd, make([]byte, 4))
	ok(t, err)
	equal(t, "through the fifo", n, 1)
	ok(t, unix.Mknod(d+"/lonely", unix.S_IFIFO|0o600, 0))
	_, err = unix.Open(d+"/lonely", unix.O_WRONLY|unix.O_NONBLOCK, 0)
	fails(t, err, unix.ENXIO)
}

func TestUmask(t *testing.T) {
	covers(t, "umask")
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	d := dir(t)
	fd, err := unix.Open(d+"/f", unix.O_CREAT|unix.O_RDWR, 0o666)
	ok(t, err)
	closeLater(t, fd)
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "mode", st.Mode&0o777, 0o600)
	equal(t, "old mask", unix.Umask(0o022), 0o077)
}

func TestChroot(t *testing.T) {
	covers(t, "chroot")
	fails(t, unix.Chroot("/nonexistent"), unix.ENOENT)
	name, _ := file(t, "")
	fails(t, unix.Chroot(name), unix.ENOTDIR)
}

func TestTmpfile(t *testing.T) {
	covers(t, "open", "linkat")
	d := dir(t)
	fd, err := unix.Open(d, unix.O_TMPFILE|unix.O_RDWR, 0o600)
	ok(t, err)
	closeLater(t, fd)
	_, err = unix.Write(fd, []byte("named later"))
	ok(t, err)
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "links", st.Nlink, 0)
	_, err = unix.Open(d, unix.O_TMPFILE|unix.O_RDONLY, 0o600)
	fails(t, err, unix.EINVAL)

	// By way of its descriptor it gets a name, once.
	self := func(fd int) string { return "/proc/self/fd/" + itoa(fd) }
	ok(t, unix.Linkat(unix.AT_FDCWD, self(fd), unix.AT_FDCWD, d+"/named", unix.AT_SYMLINK_FOLLOW))
	text, err := os.ReadFile(d + "/named")
	ok(t, err)
	equal(t, "content", string(text), "named later")
	ok(t, unix.Unlink(d+"/named"))
	fails(t, unix.Linkat(unix.AT_FDCWD, self(fd), unix.AT_FDCWD, d+"/again", unix.AT_SYMLINK_FOLLOW), unix.ENOENT)

	private, err := unix.Open(d, unix.O_TMPFILE|unix.O_RDWR|unix.O_EXCL, 0o600)
	ok(t, err)
	closeLater(t, private)
	fails(t, unix.Linkat(unix.AT_FDCWD, self(private), unix.AT_FDCWD, d+"/never", unix.AT_SYMLINK_FOLLOW), unix.ENOENT)
}

func TestLinkOfRemoved(t *testing.T) {
	covers(t, "linkat", "unlinkat")
	name, fd := file(t, "gone")
	ok(t, unix.Unlink(name))
	fails(t, unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+itoa(fd), unix.AT_FDCWD, name+"2", unix.AT_SYMLINK_FOLLOW), unix.ENOENT)
	fails(t, unix.Linkat(fd, "", unix.AT_FDCWD, name+"2", unix.AT_EMPTY_PATH), unix.ENOENT)
}
