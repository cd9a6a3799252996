package guest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// offsetOf is where fd stands.
func offsetOf(t *testing.T, fd int) int64 {
	t.Helper()
	pos, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	ok(t, err)
	return pos
}

// textOf is all that name's file holds.
func textOf(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	ok(t, err)
	return string(b)
}

func statOf(t *testing.T, name string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	ok(t, unix.Lstat(name, &st))
	return st
}

// vector is an iovec for each of the buffers.
func vector(t *testing.T, bufs ...[]byte) uintptr {
	v := make([]unix.Iovec, len(bufs))
	for i, b := range bufs {
		if len(b) > 0 {
			v[i].Base = &b[0]
		}
		v[i].SetLen(len(b))
	}
	t.Cleanup(func() { _ = v[0] })
	return ptr(&v[0])
}

// brokenBuffer is n bytes of memory that end where nothing is mapped.
func brokenBuffer(t *testing.T, n uintptr) uintptr {
	p := mapMemory(t, 0, 2*page, rw, anon, -1, 0)
	_, err := call(unix.SYS_MUNMAP, p+page, page)
	ok(t, err)
	return p + page - n
}

func TestReadRules(t *testing.T) {
	covers(t, "read", "readv", "preadv", "preadv2")
	name, fd := file(t, "0123456789")
	f := uintptr(fd)
	rewind := func() { unix.Seek(fd, 0, unix.SEEK_SET) }
	t.Run("nothing to nowhere is nothing", func(t *testing.T) {
		n, err := call(unix.SYS_READ, f, nowhere, 0)
		ok(t, err)
		equal(t, "read", n, 0)
	})
	t.Run("end of file comes before a wrong pointer", func(t *testing.T) {
		n, err := call(unix.SYS_PREAD64, f, nowhere, 1, 10)
		ok(t, err)
		equal(t, "read", n, 0)
	})
	t.Run("what fits in a buffer that is cut off", func(t *testing.T) {
		rewind()
		n, err := call(unix.SYS_READ, f, brokenBuffer(t, 4), 10)
		ok(t, err)
		equal(t, "read", n, 4)
		equal(t, "offset", offsetOf(t, fd), 4)
	})
	t.Run("a failed read leaves the offset", func(t *testing.T) {
		unix.Seek(fd, 3, unix.SEEK_SET)
		_, err := call(unix.SYS_READ, f, nowhere, 5)
		fails(t, err, unix.EFAULT)
		equal(t, "offset", offsetOf(t, fd), 3)
	})
	t.Run("buffers are filled in order, empty ones passed", func(t *testing.T) {
		rewind()
		x, y, z := make([]byte, 3), []byte{}, make([]byte, 9)
		n, err := call(unix.SYS_READV, f, vector(t, x, y, z), 3)
		ok(t, err)
		equal(t, "read", n, 10)
		equal(t, "buffers", string(x)+"|"+string(z[:7]), "012|3456789")
	})
	t.Run("no buffers at all", func(t *testing.T) {
		n, err := call(unix.SYS_READV, f, nowhere, 0)
		ok(t, err)
		equal(t, "read", n, 0)
	})
	t.Run("preadv leaves the offset", func(t *testing.T) {
		rewind()
		x := make([]byte, 4)
		_, err := call(unix.SYS_PREADV, f, vector(t, x), 1, 6, 0)
		ok(t, err)
		equal(t, "read", string(x), "6789")
		equal(t, "offset", offsetOf(t, fd), 0)
	})
	t.Run("preadv2 at -1 reads from the offset and moves it", func(t *testing.T) {
		unix.Seek(fd, 2, unix.SEEK_SET)
		x := make([]byte, 4)
		_, err := call(unix.SYS_PREADV2, f, vector(t, x), 1, ^uintptr(0), ^uintptr(0), 0)
		ok(t, err)
		equal(t, "read", string(x), "2345")
		equal(t, "offset", offsetOf(t, fd), 6)
	})
	t.Run("preadv2 at -1 of a pipe", func(t *testing.T) {
		r, w := newPipe(t, 0)
		unix.Write(w, []byte("pipe"))
		x := make([]byte, 8)
		n, err := call(unix.SYS_PREADV2, uintptr(r), vector(t, x), 1, ^uintptr(0), ^uintptr(0), 0)
		ok(t, err)
		equal(t, "read", string(x[:n]), "pipe")
	})
	t.Run("RWF_NOWAIT of an empty pipe", func(t *testing.T) {
		r, _ := newPipe(t, 0)
		_, err := call(unix.SYS_PREADV2, uintptr(r), vector(t, make([]byte, 1)), 1, ^uintptr(0), ^uintptr(0), unix.RWF_NOWAIT)
		fails(t, err, unix.EAGAIN)
	})
	t.Run("of a descriptor for writing", func(t *testing.T) {
		w, err := unix.Open(name, unix.O_WRONLY, 0)
		ok(t, err)
		closeLater(t, w)
		_, err = unix.Pread(w, make([]byte, 1), 0)
		fails(t, err, unix.EBADF)
	})
}

func TestWriteRules(t *testing.T) {
	covers(t, "write", "writev", "pwritev2", "pwrite64")
	t.Run("what is there of a buffer that is cut off", func(t *testing.T) {
		name, fd := file(t, "")
		p := brokenBuffer(t, 5)
		copy(bytesAt(p, 5), "whole")
		n, err := call(unix.SYS_WRITE, uintptr(fd), p, 100)
		ok(t, err)
		equal(t, "written", n, 5)
		equal(t, "file", textOf(t, name), "whole")
	})
	t.Run("vectors up to the one that is wrong", func(t *testing.T) {
		name, fd := file(t, "")
		v := kept(t, [2]unix.Iovec{{Base: &[]byte("good")[0], Len: 4}, {Base: nil, Len: 4}})
		n, err := call(unix.SYS_WRITEV, uintptr(fd), ptr(v), 2)
		ok(t, err)
		equal(t, "written", n, 4)
		equal(t, "file", textOf(t, name), "good")
	})
	t.Run("beyond the end leaves zeros between", func(t *testing.T) {
		name, fd := file(t, "ab")
		unix.Seek(fd, 5, unix.SEEK_SET)
		unix.Write(fd, []byte("c"))
		equal(t, "file", textOf(t, name), "ab\x00\x00\x00c")
	})
	t.Run("seeking beyond the end alone makes nothing", func(t *testing.T) {
		name, fd := file(t, "ab")
		unix.Seek(fd, 500, unix.SEEK_SET)
		equal(t, "size", statOf(t, name).Size, 2)
	})
	t.Run("pwrite leaves the offset", func(t *testing.T) {
		_, fd := file(t, "abc")
		_, err := unix.Pwrite(fd, []byte("xyz"), 10)
		ok(t, err)
		equal(t, "offset", offsetOf(t, fd), 0)
	})
	t.Run("pwrite of O_APPEND appends", func(t *testing.T) { // BUGS of pwrite(2)
		name, fd := file(t, "abc")
		unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND)
		_, err := unix.Pwrite(fd, []byte("d"), 0)
		ok(t, err)
		equal(t, "file", textOf(t, name), "abcd")
	})
	t.Run("O_APPEND ends up behind what others wrote", func(t *testing.T) {
		name, fd := file(t, "abc")
		unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND)
		other, err := unix.Open(name, unix.O_WRONLY|unix.O_APPEND, 0)
		ok(t, err)
		closeLater(t, other)
		unix.Write(other, []byte("def"))
		unix.Write(fd, []byte("g"))
		equal(t, "file", textOf(t, name), "abcdefg")
		equal(t, "offset", offsetOf(t, fd), 7)
	})
	t.Run("O_APPEND reads from the offset", func(t *testing.T) {
		name, _ := file(t, "abc")
		fd, err := unix.Open(name, unix.O_RDWR|unix.O_APPEND, 0)
		ok(t, err)
		closeLater(t, fd)
		equal(t, "offset", offsetOf(t, fd), 0)
		b := make([]byte, 1)
		unix.Read(fd, b)
		equal(t, "read", string(b), "a")
	})
}

func TestWriteFlagsOfOneCall(t *testing.T) {
	covers(t, "pwritev2")
	t.Run("RWF_APPEND at an offset", func(t *testing.T) {
		name, fd := file(t, "abc")
		_, err := call(unix.SYS_PWRITEV2, uintptr(fd), vector(t, []byte("d")), 1, 0, 0, unix.RWF_APPEND)
		ok(t, err)
		equal(t, "file", textOf(t, name), "abcd")
		equal(t, "offset", offsetOf(t, fd), 0)
	})
	t.Run("RWF_APPEND at -1 moves the offset to the end", func(t *testing.T) {
		name, fd := file(t, "abc")
		_, err := call(unix.SYS_PWRITEV2, uintptr(fd), vector(t, []byte("de")), 1, ^uintptr(0), ^uintptr(0), unix.RWF_APPEND)
		ok(t, err)
		equal(t, "file", textOf(t, name), "abcde")
		equal(t, "offset", offsetOf(t, fd), 5)
	})
	t.Run("RWF_DSYNC", func(t *testing.T) {
		name, fd := file(t, "abc")
		_, err := call(unix.SYS_PWRITEV2, uintptr(fd), vector(t, []byte("x")), 1, 1, 0, unix.RWF_DSYNC)
		ok(t, err)
		equal(t, "file", textOf(t, name), "axc")
	})
}

func TestWriteTimes(t *testing.T) {
	covers(t, "write", "ftruncate", "fchmod", "linkat")
	old := []unix.Timespec{{Sec: 1000}, {Sec: 1000}}
	for _, c := range []struct {
		name           string
		do             func(name string, fd int) error
		mtime, changed bool
	}{
		{"write", func(_ string, fd int) error { _, err := unix.Write(fd, []byte("x")); return err }, true, true},
		{"write of nothing", func(_ string, fd int) error { _, err := unix.Write(fd, nil); return err }, false, false},
		{"ftruncate to another size", func(_ string, fd int) error { return unix.Ftruncate(fd, 1) }, true, true},
		{"open with O_TRUNC", func(name string, _ int) error { return os.Truncate(name, 0) }, true, true},
		{"fchmod", func(_ string, fd int) error { return unix.Fchmod(fd, 0o600) }, false, true},
		{"fchown", func(_ string, fd int) error { return unix.Fchown(fd, 1, 1) }, false, true},
		{"link", func(name string, _ int) error { return os.Link(name, name+"2") }, false, true},
		{"read", func(_ string, fd int) error { _, err := unix.Read(fd, make([]byte, 1)); return err }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			name, fd := file(t, "0123")
			ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, old, 0))
			before := statOf(t, name)
			time.Sleep(12 * time.Millisecond) // a tick of the clock of times
			ok(t, c.do(name, fd))
			after := statOf(t, name)
			equal(t, "mtime moved", after.Mtim != before.Mtim, c.mtime)
			equal(t, "ctime moved", after.Ctim != before.Ctim, c.changed)
		})
	}
}
