package guest

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadWrite(t *testing.T) {
	covers(t, "read", "write", "lseek")
	_, fd := file(t, "0123456789")
	b := make([]byte, 4)
	n, err := unix.Read(fd, b)
	ok(t, err)
	equal(t, "read", string(b[:n]), "0123")
	n, err = unix.Write(fd, []byte("xy"))
	ok(t, err)
	equal(t, "written", n, 2)
	pos, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	ok(t, err)
	equal(t, "offset", pos, 6)
	pos, err = unix.Seek(fd, -3, unix.SEEK_END)
	ok(t, err)
	equal(t, "offset from the end", pos, 7)
	n, err = unix.Read(fd, make([]byte, 10))
	ok(t, err)
	equal(t, "short read", n, 3)
	n, err = unix.Read(fd, b)
	ok(t, err)
	equal(t, "at the end", n, 0)
	ok(t, err)
	_, err = unix.Seek(fd, -100, unix.SEEK_SET)
	fails(t, err, unix.EINVAL)
	_, err = unix.Seek(fd, 0, 99)
	fails(t, err, unix.EINVAL)
}

func TestReadErrors(t *testing.T) {
	covers(t, "read", "write")
	_, fd := file(t, "0123456789")
	_, err := call(unix.SYS_READ, uintptr(fd), 8, 4)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_WRITE, uintptr(fd), 8, 4)
	fails(t, err, unix.EFAULT)
	_, err = unix.Read(999, make([]byte, 1))
	fails(t, err, unix.EBADF)
	_, err = unix.Read(-1, make([]byte, 1))
	fails(t, err, unix.EBADF)
	d, err := unix.Open(dir(t), unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, d)
	_, err = unix.Read(d, make([]byte, 1))
	fails(t, err, unix.EISDIR)
	_, err = unix.Write(d, make([]byte, 1))
	fails(t, err, unix.EBADF)
	// At the end of the file no buffer is looked at.
	_, err = unix.Seek(fd, 0, unix.SEEK_END)
	ok(t, err)
	n, err := call(unix.SYS_READ, uintptr(fd), 8, 4)
	ok(t, err)
	equal(t, "read into nowhere at the end", n, 0)
}

func TestPositional(t *testing.T) {
	covers(t, "pread64", "pwrite64")
	_, fd := file(t, "0123456789")
	b := make([]byte, 4)
	n, err := unix.Pread(fd, b, 3)
	ok(t, err)
	equal(t, "pread", string(b[:n]), "3456")
	n, err = unix.Pwrite(fd, []byte("abc"), 12)
	ok(t, err)
	equal(t, "pwrite", n, 3)
	pos, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	ok(t, err)
	equal(t, "offset unmoved", pos, 0)
	whole := make([]byte, 20)
	n, err = unix.Pread(fd, whole, 0)
	ok(t, err)
	equal(t, "hole", string(whole[:n]), "0123456789\x00\x00abc")
	_, err = unix.Pread(fd, b, -1)
	fails(t, err, unix.EINVAL)
	r, w := newPipe(t, 0)
	_, err = unix.Pread(r, b, 0)
	fails(t, err, unix.ESPIPE)
	_, err = unix.Pwrite(w, b, 0)
	fails(t, err, unix.ESPIPE)
	_, err = unix.Seek(r, 0, unix.SEEK_CUR)
	fails(t, err, unix.ESPIPE)
}

func TestVectors(t *testing.T) {
	covers(t, "readv", "writev", "preadv", "pwritev")
	_, fd := file(t, "")
	n, err := unix.Writev(fd, [][]byte{[]byte("one"), nil, []byte("two"), []byte("three")})
	ok(t, err)
	equal(t, "writev", n, 11)
	n, err = unix.Pwritev(fd, [][]byte{[]byte("X"), []byte("Y")}, 1)
	ok(t, err)
	equal(t, "pwritev", n, 2)
	a, b := make([]byte, 4), make([]byte, 20)
	n, err = unix.Preadv(fd, [][]byte{a, b}, 0)
	ok(t, err)
	equal(t, "preadv", string(a)+string(b[:n-4]), "oXYtwothree")
	_, err = unix.Seek(fd, 3, unix.SEEK_SET)
	ok(t, err)
	n, err = unix.Readv(fd, [][]byte{a[:1], b[:2]})
	ok(t, err)
	equal(t, "readv", string(a[:1])+string(b[:n-1]), "two")
	_, err = call(unix.SYS_READV, uintptr(fd), 8, 1)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_READV, uintptr(fd), 8, 1025)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_WRITEV, uintptr(fd), 8, ^uintptr(0))
	fails(t, err, unix.EINVAL)
	got, err := call(unix.SYS_READV, uintptr(fd), 0, 0)
	ok(t, err)
	equal(t, "no vectors", got, 0)
}

func TestVectors2(t *testing.T) {
	covers(t, "preadv2", "pwritev2")
	_, fd := file(t, "abcdef")
	b := [][]byte{make([]byte, 3)}
	n, err := unix.Preadv2(fd, b, 2, 0)
	ok(t, err)
	equal(t, "preadv2", string(b[0][:n]), "cde")
	n, err = unix.Preadv2(fd, b, -1, 0) // the file's own offset
	ok(t, err)
	equal(t, "preadv2 at the offset", string(b[0][:n]), "abc")
	n, err = unix.Pwritev2(fd, [][]byte{[]byte("+")}, 0, unix.RWF_APPEND)
	ok(t, err)
	equal(t, "appended", n, 1)
	whole := make([]byte, 10)
	n, err = unix.Pread(fd, whole, 0)
	ok(t, err)
	equal(t, "content", string(whole[:n]), "abcdef+")
	_, err = unix.Preadv2(fd, b, 0, 0x40000000)
	fails(t, err, unix.EOPNOTSUPP)
}

func TestAppend(t *testing.T) {
	covers(t, "open", "write")
	name, _ := file(t, "start")
	a, err := unix.Open(name, unix.O_WRONLY|unix.O_APPEND, 0)
	ok(t, err)
	b, err := unix.Open(name, unix.O_WRONLY|unix.O_APPEND, 0)
	ok(t, err)
	closeLater(t, a, b)
	for i, fd := range []int{a, b, a} {
		_, err := unix.Write(fd, []byte{'0' + byte(i)})
		ok(t, err)
	}
	got, err := os.ReadFile(name)
	ok(t, err)
	equal(t, "content", string(got), "start012")
}

func TestSeekDataHole(t *testing.T) {
	covers(t, "lseek", "ftruncate")
	_, fd := file(t, "")
	ok(t, unix.Ftruncate(fd, 1<<20))
	_, err := unix.Pwrite(fd, []byte("data"), 512<<10)
	ok(t, err)
	pos, err := unix.Seek(fd, 0, unix.SEEK_DATA)
	ok(t, err)
	equal(t, "data", pos, 512<<10)
	pos, err = unix.Seek(fd, 0, unix.SEEK_HOLE)
	ok(t, err)
	equal(t, "hole", pos, 0)
	_, err = unix.Seek(fd, 2<<20, unix.SEEK_DATA)
	fails(t, err, unix.ENXIO)
}

func TestTruncate(t *testing.T) {
	covers(t, "truncate", "ftruncate")
	name, fd := file(t, "0123456789")
	ok(t, unix.Truncate(name, 4))
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "size", st.Size, 4)
	ok(t, unix.Ftruncate(fd, 8))
	b := make([]byte, 20)
	n, err := unix.Pread(fd, b, 0)
	ok(t, err)
	equal(t, "content", string(b[:n]), "0123\x00\x00\x00\x00")
	fails(t, unix.Truncate(name, -1), unix.EINVAL)
	fails(t, unix.Truncate(name+"x", 1), unix.ENOENT)
	fails(t, unix.Truncate(filepath.Dir(name), 1), unix.EISDIR)
	ro, err := unix.Open(name, unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, ro)
	fails(t, unix.Ftruncate(ro, 1), unix.EINVAL)
	r, _ := newPipe(t, 0)
	fails(t, unix.Ftruncate(r, 1), unix.EINVAL)
}

func TestFallocate(t *testing.T) {
	covers(t, "fallocate")
	_, fd := file(t, "0123456789")
	ok(t, unix.Fallocate(fd, 0, 0, 100))
	var st unix.Stat_t
	ok(t, unix.Fstat(fd, &st))
	equal(t, "size", st.Size, 100)
	ok(t, unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 8192))
	ok(t, unix.Fstat(fd, &st))
	equal(t, "size kept", st.Size, 100)
	ok(t, unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE, 2, 3))
	b := make([]byte, 10)
	_, err := unix.Pread(fd, b, 0)
	ok(t, err)
	equal(t, "hole", string(b), "01\x00\x00\x0056789")
	fails(t, unix.Fallocate(fd, 0, -1, 1), unix.EINVAL)
	fails(t, unix.Fallocate(fd, 0, 0, 0), unix.EINVAL)
	r, _ := newPipe(t, 0)
	fails(t, unix.Fallocate(r, 0, 0, 1), unix.EBADF)
}

func TestFsync(t *testing.T) {
	covers(t, "fsync", "fdatasync", "sync", "syncfs", "sync_file_range")
	_, fd := file(t, "x")
	ok(t, unix.Fsync(fd))
	ok(t, unix.Fdatasync(fd))
	ok(t, unix.Syncfs(fd))
	ok(t, unix.SyncFileRange(fd, 0, 0, 0))
	unix.Sync()
	fails(t, unix.Fsync(999), unix.EBADF)
	fails(t, unix.Fdatasync(999), unix.EBADF)
	fails(t, unix.Syncfs(999), unix.EBADF)
	fails(t, unix.SyncFileRange(999, 0, 0, 0), unix.EBADF)
	r, _ := newPipe(t, 0)
	fails(t, unix.Fsync(r), unix.EINVAL)
	_, err := call(unix.SYS_SYNC)
	ok(t, err)
}

func TestSendfile(t *testing.T) {
	covers(t, "sendfile")
	_, in := file(t, "0123456789")
	r, w := newPipe(t, 0)
	off := int64(3)
	n, err := unix.Sendfile(w, in, &off, 4)
	ok(t, err)
	equal(t, "sent", n, 4)
	equal(t, "offset", off, 7)
	b := make([]byte, 20)
	n, err = unix.Read(r, b)
	ok(t, err)
	equal(t, "received", string(b[:n]), "3456")
	_, out := file(t, "")
	n, err = unix.Sendfile(out, in, nil, 100)
	ok(t, err)
	equal(t, "to a file", n, 10)
	_, err = unix.Sendfile(w, r, nil, 1)
	fails(t, err, unix.EINVAL)
	_, err = unix.Sendfile(w, 999, nil, 1)
	fails(t, err, unix.EBADF)
}

func TestCopyFileRange(t *testing.T) {
	covers(t, "copy_file_range")
	_, in := file(t, "0123456789")
	_, out := file(t, "")
	from, to := int64(2), int64(5)
	n, err := unix.CopyFileRange(in, &from, out, &to, 4, 0)
	ok(t, err)
	equal(t, "copied", n, 4)
	equal(t, "offsets", [2]int64{from, to}, [2]int64{6, 9})
	b := make([]byte, 20)
	n, err = unix.Pread(out, b, 0)
	ok(t, err)
	equal(t, "content", string(b[:n]), "\x00\x00\x00\x00\x002345")
	_, err = unix.CopyFileRange(in, nil, out, nil, 1, 7)
	fails(t, err, unix.EINVAL)
	_, w := newPipe(t, 0)
	_, err = unix.CopyFileRange(in, nil, w, nil, 1, 0)
	fails(t, err, unix.EINVAL)
}

// TestCopyFileRangeWithin copies within a file: what is beyond its end overlaps nothing.
func TestCopyFileRangeWithin(t *testing.T) {
	covers(t, "copy_file_range")
	_, fd := file(t, "0123456789")
	for _, c := range []struct {
		from, to int64
		n, want  int
		err      unix.Errno
	}{
		{8, 2, 100, 2, 0},
		{4, 10, 100, 6, 0}, // it ends where the file did
		{20, 18, 100, 0, 0},
		{2, 4, 3, 0, unix.EINVAL},
		{4, 2, 100, 0, unix.EINVAL},
		{3, 3, 1, 0, unix.EINVAL},
		{3, 3, 0, 0, 0},
	} {
		n, err := unix.CopyFileRange(fd, &c.from, fd, &c.to, c.n, 0)
		if c.err != 0 {
			fails(t, err, c.err)
			continue
		}
		ok(t, err)
		equal(t, "copied", n, c.want)
	}
	b := make([]byte, 30)
	n, err := unix.Pread(fd, b, 0)
	ok(t, err)
	equal(t, "content", string(b[:n]), "0189456789456789")
}

func TestSplice(t *testing.T) {
	covers(t, "splice", "tee", "vmsplice")
	_, in := file(t, "0123456789")
	r, w := newPipe(t, 0)
	off := int64(1)
	n, err := unix.Splice(in, &off, w, nil, 5, 0)
	ok(t, err)
	equal(t, "spliced", n, 5)
	r2, w2 := newPipe(t, 0)
	n, err = unix.Tee(r, w2, 3, 0)
	ok(t, err)
	equal(t, "teed", n, 3)
	_, out := file(t, "")
	n, err = unix.Splice(r, nil, out, nil, 100, 0)
	ok(t, err)
	equal(t, "to a file", n, 5)
	b := make([]byte, 20)
	k, err := unix.Read(r2, b)
	ok(t, err)
	equal(t, "the tee's copy", string(b[:k]), "123")
	k, err = unix.Pread(out, b, 0)
	ok(t, err)
	equal(t, "the file", string(b[:k]), "12345")
	iov := unix.Iovec{Base: &[]byte("vm")[0], Len: 2}
	m, err := call(unix.SYS_VMSPLICE, uintptr(w2), ptr(&iov), 1, 0)
	ok(t, err)
	equal(t, "vmspliced", m, 2)
	k, err = unix.Read(r2, b)
	ok(t, err)
	equal(t, "from memory", string(b[:k]), "vm")
	_, err = unix.Splice(in, nil, out, nil, 1, 0)
	fails(t, err, unix.EINVAL)
	_, err = unix.Tee(in, w2, 1, 0)
	fails(t, err, unix.EINVAL)
}
