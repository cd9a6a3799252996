package guest

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// modeOf is the mode of what fd is open on, without the type.
func modeOf(t *testing.T, fd int) uint32 {
	t.Helper()
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	return st.Mode & 0o7777
}

func TestSetIDClearedByWrite(t *testing.T) {
	covers(t, "write", "setresuid", "fchmod")
	_, fd := file(t, "x")
	ok(t, unix.Fchmod(fd, 0o6777))
	_, err := unix.Write(fd, []byte("y"))
	ok(t, err)
	equal(t, "written by the mighty", modeOf(t, fd), 0o6777)
	asNobody(t, func() {
		if _, err := unix.Write(fd, []byte("y")); err != nil {
			t.Error(err)
		}
	})
	equal(t, "written by another", modeOf(t, fd), 0o777)
}

func TestSetIDClearedByTruncate(t *testing.T) {
	covers(t, "ftruncate", "setresuid")
	_, fd := file(t, "x")
	ok(t, unix.Fchmod(fd, 0o4777))
	asNobody(t, func() {
		if err := unix.Ftruncate(fd, 0); err != nil {
			t.Error(err)
		}
	})
	equal(t, "mode", modeOf(t, fd), 0o777)
}

func TestSetIDClearedByChown(t *testing.T) {
	covers(t, "fchown")
	_, fd := file(t, "x")
	ok(t, unix.Fchmod(fd, 0o6755))
	ok(t, unix.Fchown(fd, 1000, 1000))
	equal(t, "mode", modeOf(t, fd), 0o755)
	ok(t, unix.Fchmod(fd, 0o2644)) // no group execution: mandatory locking, once
	ok(t, unix.Fchown(fd, 1001, -1))
	equal(t, "group bit without x", modeOf(t, fd)&0o777, 0o644)
	d := dir(t)
	ok(t, unix.Chmod(d, 0o6755))
	ok(t, unix.Chown(d, 1000, 1000))
	var st unix.Stat_t
	ok(t, unix.Stat(d, &st))
	equal(t, "directory", st.Mode&0o7777, 0o6755)
}

func TestSetgidDirectoryInherits(t *testing.T) {
	covers(t, "mkdirat", "open", "fchownat")
	d := dir(t)
	ok(t, unix.Chown(d, 0, 4242))
	ok(t, unix.Chmod(d, 0o2755))
	ok(t, os.Mkdir(d+"/sub", 0o755))
	ok(t, os.WriteFile(d+"/file", nil, 0o644))
	var sub, f unix.Stat_t
	ok(t, unix.Stat(d+"/sub", &sub))
	ok(t, unix.Stat(d+"/file", &f))
	equal(t, "directory's group", sub.Gid, 4242)
	equal(t, "directory's bit", sub.Mode&unix.S_ISGID, unix.S_ISGID)
	equal(t, "file's group", f.Gid, 4242)
	equal(t, "file's bit", f.Mode&unix.S_ISGID, 0)
}

// Who is not of the directory's group may not make a set-group-ID program of it, even if
// the umask takes the right to execute it away.
func TestSetGroupIDStripped(t *testing.T) {
	covers(t, "openat", "umask")
	d := dir(t)
	ok(t, os.Chown(d, 0, 4242))
	ok(t, unix.Chmod(d, unix.S_ISGID|0o777))
	dirfd, err := unix.Open(d, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	ok(t, err)
	closeLater(t, dirfd)
	defer unix.Umask(unix.Umask(0o010))
	asNobody(t, func() {
		for _, mode := range []uint32{0o755, 0o745} {
			name := fmt.Sprintf("%o", mode)
			fd, err := unix.Openat(dirfd, name, unix.O_CREAT|unix.O_WRONLY, unix.S_ISGID|mode)
			if err != nil {
				t.Error(err)
				continue
			}
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				t.Error(err)
			}
			closeLater(t, fd)
			want := mode &^ 0o010
			if mode&0o010 == 0 {
				want |= unix.S_ISGID
			}
			if st.Gid != 4242 || st.Mode&0o7777 != want {
				t.Errorf("made with %o: group %d, mode %o, not %o", mode, st.Gid, st.Mode&0o7777, want)
			}
		}
	})
}

func TestStickyDirectory(t *testing.T) {
	covers(t, "unlinkat", "renameat", "setresuid")
	d := dir(t)
	ok(t, os.WriteFile(d+"/theirs", nil, 0o666))
	ok(t, os.WriteFile(d+"/own", nil, 0o666))
	ok(t, os.Chown(d+"/own", 65534, 65534))
	ok(t, unix.Chmod(d, 0o1777))
	fd, err := unix.Open(d, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	ok(t, err)
	closeLater(t, fd)
	asNobody(t, func() {
		fails(t, unix.Unlinkat(fd, "theirs", 0), unix.EPERM)
		fails(t, unix.Renameat(fd, "theirs", fd, "x"), unix.EPERM)
		fails(t, unix.Renameat(fd, "own", fd, "theirs"), unix.EPERM)
		if err := unix.Unlinkat(fd, "own", 0); err != nil {
			t.Error(err)
		}
	})
}

func TestHardLinkCounts(t *testing.T) {
	covers(t, "linkat", "unlinkat", "fstat")
	name, fd := file(t, "")
	links := func() uint64 {
		var st unix.Stat_t
		ok(t, unix.Fstat(fd, &st))
		return uint64(st.Nlink)
	}
	equal(t, "one", links(), 1)
	ok(t, unix.Link(name, name+"2"))
	equal(t, "two", links(), 2)
	ok(t, unix.Unlink(name))
	ok(t, unix.Unlink(name+"2"))
	equal(t, "none", links(), 0)
}

func TestUtimensat(t *testing.T) {
	covers(t, "utimensat")
	name, fd := file(t, "")
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{{Sec: 100, Nsec: 5}, {Sec: 200, Nsec: 6}}, 0))
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: 300, Nsec: 7}}, 0))
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "atime", st.Atim, unix.Timespec{Sec: 100, Nsec: 5})
	equal(t, "mtime", st.Mtim, unix.Timespec{Sec: 300, Nsec: 7})
	ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_OMIT}}, 0))
	ok(t, unix.Fstat(fd, &st))
	equal(t, "atime is now", st.Atim.Sec > 1_000_000, true)
	equal(t, "mtime stays", st.Mtim.Sec, 300)
	fails(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{{Nsec: 1_000_000_000}, {}}, 0), unix.EINVAL)
	fails(t, unix.UtimesNanoAt(unix.AT_FDCWD, name+"2", nil, 0), unix.EINVAL, unix.ENOENT)
}

func TestUtimensatOfOthers(t *testing.T) {
	covers(t, "utimensat", "setresuid")
	_, fd := file(t, "")
	ok(t, unix.Fchmod(fd, 0o600))
	at := func(a, m int64) error {
		ts := &[2]unix.Timespec{{Nsec: a}, {Nsec: m}}
		_, err := call(unix.SYS_UTIMENSAT, uintptr(fd), 0, ptr(ts), 0)
		return err
	}
	asNobody(t, func() {
		fails(t, at(5, 5), unix.EPERM)
		fails(t, at(unix.UTIME_NOW, unix.UTIME_NOW), unix.EACCES)
		fails(t, at(unix.UTIME_NOW, unix.UTIME_OMIT), unix.EPERM)
		if err := at(unix.UTIME_OMIT, unix.UTIME_OMIT); err != nil {
			t.Error(err)
		}
	})
	ok(t, unix.Fchmod(fd, 0o666))
	asNobody(t, func() {
		if err := at(unix.UTIME_NOW, unix.UTIME_NOW); err != nil {
			t.Error(err)
		}
	})
}

func TestStatxMasks(t *testing.T) {
	covers(t, "statx")
	name, fd := file(t, "abc")
	var stx unix.Statx_t
	ok(t, unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &stx))
	equal(t, "basic", stx.Mask&unix.STATX_BASIC_STATS, unix.STATX_BASIC_STATS)
	equal(t, "size", stx.Size, 3)
	fails(t, unix.Statx(fd, "", 0, unix.STATX_SIZE, &stx), unix.ENOENT)
	fails(t, unix.Statx(unix.AT_FDCWD, name, 0, unix.STATX__RESERVED, &stx), unix.EINVAL)
	fails(t, unix.Statx(unix.AT_FDCWD, name, unix.AT_STATX_FORCE_SYNC|unix.AT_STATX_DONT_SYNC, 0, &stx), unix.EINVAL)
}

func TestFileSizeLimit(t *testing.T) {
	covers(t, "setrlimit", "write")
	_, fd := file(t, "")
	var old unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &old))
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &old)
	ok(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 100, Max: old.Max}))
	n, err := unix.Write(fd, make([]byte, 150))
	ok(t, err)
	equal(t, "as far as the limit", n, 100)
	equal(t, "pipe", func() int { _, w := newPipe(t, 0); n, _ := unix.Write(w, make([]byte, 150)); return n }(), 150)
}

func TestTruncateUnderMapping(t *testing.T) {
	covers(t, "ftruncate", "mmap", "pread64")
	_, fd := file(t, "0123456789")
	m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	ok(t, err)
	defer unix.Munmap(m)
	equal(t, "mapped", string(m[:10]), "0123456789")
	ok(t, unix.Ftruncate(fd, 4))
	ok(t, unix.Ftruncate(fd, 10))
	equal(t, "what was cut off reads as zeroes", string(m[:10]), "0123\x00\x00\x00\x00\x00\x00")
	m[9] = 'z'
	b := make([]byte, 10)
	_, err = unix.Pread(fd, b, 0)
	ok(t, err)
	equal(t, "in the file", string(b), "0123\x00\x00\x00\x00\x00z")
}
