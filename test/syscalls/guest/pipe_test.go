package guest

import (
	"testing"

	"golang.org/x/sys/unix"
)

func newPipe(t *testing.T, flags int) (r, w int) {
	t.Helper()
	var p [2]int
	ok(t, unix.Pipe2(p[:], flags))
	closeLater(t, p[0], p[1])
	return p[0], p[1]
}

func TestPipe(t *testing.T) {
	covers(t, "pipe", "pipe2")
	var p [2]int32
	_, err := call(unix.SYS_PIPE, ptr(&p))
	ok(t, err)
	closeLater(t, int(p[0]), int(p[1]))
	n, err := unix.Write(int(p[1]), []byte("through"))
	ok(t, err)
	equal(t, "written", n, 7)
	b := make([]byte, 20)
	n, err = unix.Read(int(p[0]), b)
	ok(t, err)
	equal(t, "read", string(b[:n]), "through")
	_, err = unix.Write(int(p[0]), b)
	fails(t, err, unix.EBADF)
	_, err = unix.Read(int(p[1]), b)
	fails(t, err, unix.EBADF)
	_, err = call(unix.SYS_PIPE, 8)
	fails(t, err, unix.EFAULT)
}

func TestPipe2Flags(t *testing.T) {
	covers(t, "pipe2", "fcntl")
	r, w := newPipe(t, unix.O_NONBLOCK|unix.O_CLOEXEC)
	_, err := unix.Read(r, make([]byte, 1))
	fails(t, err, unix.EAGAIN)
	for _, fd := range []int{r, w} {
		fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		ok(t, err)
		equal(t, "FD_CLOEXEC", fl, unix.FD_CLOEXEC)
		fl, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		ok(t, err)
		equal(t, "O_NONBLOCK", fl&unix.O_NONBLOCK, unix.O_NONBLOCK)
	}
	var p [2]int
	fails(t, unix.Pipe2(p[:], 1), unix.EINVAL)
	full := make([]byte, 65536)
	n, err := unix.Write(w, full)
	ok(t, err)
	equal(t, "capacity", n, 65536)
	_, err = unix.Write(w, full[:1])
	fails(t, err, unix.EAGAIN)
}

func TestPipeEnds(t *testing.T) {
	covers(t, "close", "read", "write")
	r, w := newPipe(t, 0)
	ok(t, unix.Close(w))
	n, err := unix.Read(r, make([]byte, 1))
	ok(t, err)
	equal(t, "end of file", n, 0)
	fails(t, unix.Close(w), unix.EBADF)
	r, w = newPipe(t, 0)
	ok(t, unix.Close(r))
	_, err = unix.Write(w, []byte("x")) // Go ignores SIGPIPE for descriptors other than 1 and 2
	fails(t, err, unix.EPIPE)
}
