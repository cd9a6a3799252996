package guest

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenTruncates(t *testing.T) {
	covers(t, "open", "fstat")
	name, fd := file(t, "content")
	again, err := unix.Open(name, unix.O_WRONLY|unix.O_TRUNC, 0)
	ok(t, err)
	closeLater(t, again)
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "size", st.Size, 0)
	n, err := unix.Read(fd, make([]byte, 4))
	ok(t, err)
	equal(t, "bytes left", n, 0)
}

func TestOpenDirectoryForWriting(t *testing.T) {
	covers(t, "open")
	d := dir(t)
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_RDONLY | unix.O_CREAT, unix.O_RDWR | unix.O_TRUNC} {
		_, err := unix.Open(d, flags, 0o600)
		fails(t, err, unix.EISDIR)
	}
}

func TestOpenTrailingSlash(t *testing.T) {
	covers(t, "open", "mkdirat", "unlinkat", "stat")
	name, _ := file(t, "")
	_, err := unix.Open(name+"/", unix.O_RDONLY, 0)
	fails(t, err, unix.ENOTDIR)
	_, err = unix.Open(name+"2/", unix.O_RDWR|unix.O_CREAT, 0o600)
	fails(t, err, unix.EISDIR)
	var st unix.Stat_t
	fails(t, unix.Stat(name+"/", &st), unix.ENOTDIR)
	fails(t, unix.Unlink(name+"/"), unix.ENOTDIR)
	fails(t, unix.Stat(name+"/.", &st), unix.ENOTDIR)
	ok(t, unix.Mkdir(name+"3/", 0o700))
	ok(t, unix.Stat(name+"3//", &st))
	ok(t, unix.Rmdir(name+"3/"))
}

func TestOpenLongNames(t *testing.T) {
	covers(t, "open", "mkdirat", "stat", "symlinkat")
	d := dir(t)
	fits, long := d+"/"+strings.Repeat("n", 255), d+"/"+strings.Repeat("n", 256)
	fd, err := unix.Open(fits, unix.O_RDWR|unix.O_CREAT, 0o600)
	ok(t, err)
	closeLater(t, fd)
	_, err = unix.Open(long, unix.O_RDWR|unix.O_CREAT, 0o600)
	fails(t, err, unix.ENAMETOOLONG)
	fails(t, unix.Mkdir(long, 0o700), unix.ENAMETOOLONG)
	var st unix.Stat_t
	fails(t, unix.Stat(long, &st), unix.ENAMETOOLONG)
	path := strings.Repeat("/", 4095-len(d)) + d
	ok(t, unix.Stat(path, &st))
	fails(t, unix.Stat("/"+path, &st), unix.ENAMETOOLONG)
	fails(t, unix.Symlink("/"+path, d+"/link"), unix.ENAMETOOLONG)
}

func TestOpenExclusiveOverDanglingLink(t *testing.T) {
	covers(t, "open", "symlinkat")
	d := dir(t)
	ok(t, unix.Symlink("target", d+"/link"))
	_, err := unix.Open(d+"/link", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	fails(t, err, unix.EEXIST)
	_, err = unix.Open(d+"/link", unix.O_RDWR, 0)
	fails(t, err, unix.ENOENT)
	fd, err := unix.Open(d+"/link", unix.O_RDWR|unix.O_CREAT, 0o600)
	ok(t, err)
	closeLater(t, fd)
	var st unix.Stat_t
	ok(t, unix.Lstat(d+"/target", &st))
	equal(t, "regular", st.Mode&unix.S_IFMT, unix.S_IFREG)
}

func TestOpenLinkLoop(t *testing.T) {
	covers(t, "open", "symlinkat", "stat")
	d := dir(t)
	ok(t, unix.Symlink("b", d+"/a"))
	ok(t, unix.Symlink("a", d+"/b"))
	_, err := unix.Open(d+"/a", unix.O_RDONLY, 0)
	fails(t, err, unix.ELOOP)
	_, err = unix.Open(d+"/a", unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	fails(t, err, unix.ELOOP)
	_, err = unix.Open(d+"/a", unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	fails(t, err, unix.ENOTDIR)
}

func TestOpenNoatime(t *testing.T) {
	covers(t, "open", "fcntl")
	name, _ := file(t, "x")
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NOATIME, 0)
	ok(t, err)
	closeLater(t, fd)
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{{Sec: 7}, {Sec: 7}}, 0))
	_, err = unix.Read(fd, make([]byte, 1))
	ok(t, err)
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "access time", st.Atim.Sec, 7)
	fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	ok(t, err)
	equal(t, "O_NOATIME", fl&unix.O_NOATIME, unix.O_NOATIME)
}

func TestOpenNotSeen(t *testing.T) {
	covers(t, "open", "umask")
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	d := dir(t)
	fd, err := unix.Open(d, unix.O_TMPFILE|unix.O_RDWR, 0o666)
	ok(t, err)
	closeLater(t, fd)
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "mode", st.Mode&0o7777, 0o640)
	equal(t, "links", st.Nlink, 0)
	_, err = unix.Open(d, unix.O_TMPFILE|unix.O_RDONLY, 0o666)
	fails(t, err, unix.EINVAL)
	names, err := os.ReadDir(d)
	ok(t, err)
	equal(t, "names", len(names), 0)
}

func TestOpenThroughProcDoesNotShareOffset(t *testing.T) {
	covers(t, "open", "read", "lseek")
	_, fd := file(t, "abcdef")
	_, err := unix.Seek(fd, 3, 0)
	ok(t, err)
	again, err := unix.Open("/proc/self/fd/"+itoa(fd), unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, again)
	b := make([]byte, 2)
	_, err = unix.Read(again, b)
	ok(t, err)
	equal(t, "from the start", string(b), "ab")
}

func TestOpenUnlinkedThroughProc(t *testing.T) {
	covers(t, "open", "unlinkat", "readlink")
	name, fd := file(t, "kept")
	ok(t, unix.Unlink(name))
	link := "/proc/self/fd/" + itoa(fd)
	target, err := os.Readlink(link)
	ok(t, err)
	equal(t, "link", target, name+" (deleted)")
	content, err := os.ReadFile(link)
	ok(t, err)
	equal(t, "content", string(content), "kept")
}

func TestOpenNoDescriptorsLeft(t *testing.T) {
	covers(t, "setrlimit", "dup", "dup2", "pipe2", "open")
	_, fd := file(t, "")
	var old unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}))
	_, err := unix.Dup(fd)
	fails(t, err, unix.EMFILE)
	_, err = unix.Open("/", unix.O_RDONLY, 0)
	fails(t, err, unix.EMFILE)
	fails(t, unix.Pipe2(make([]int, 2), 0), unix.EMFILE)
	fails(t, unix.Dup2(fd, 3), unix.EBADF)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 3)
	fails(t, err, unix.EINVAL)
}
