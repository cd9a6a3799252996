package guest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestPipePollBits(t *testing.T) {
	covers(t, "poll", "close")
	r, w := newPipe(t, 0)
	equal(t, "empty", pollFor(t, r, unix.POLLIN, 0), 0)
	equal(t, "room", pollFor(t, w, unix.POLLOUT, 0), unix.POLLOUT)
	_, err := unix.Write(w, []byte("x"))
	ok(t, err)
	equal(t, "filled", pollFor(t, r, unix.POLLIN, 0), unix.POLLIN)
	ok(t, unix.Close(w))
	equal(t, "the writer has gone", pollFor(t, r, unix.POLLIN, 0), unix.POLLIN|unix.POLLHUP)
	_, err = unix.Read(r, make([]byte, 1))
	ok(t, err)
	equal(t, "drained", pollFor(t, r, unix.POLLIN, 0), unix.POLLHUP)
}

func TestPipePollReaderGone(t *testing.T) {
	covers(t, "poll", "close")
	r, w := newPipe(t, 0)
	ok(t, unix.Close(r))
	equal(t, "error", pollFor(t, w, unix.POLLOUT, 0), unix.POLLOUT|unix.POLLERR)
}

func TestPipeAtomicWrites(t *testing.T) {
	covers(t, "write", "pipe2")
	r, w := newPipe(t, unix.O_NONBLOCK)
	_, err := unix.Write(w, make([]byte, 65536-4096))
	ok(t, err)
	_, err = unix.Write(w, make([]byte, 4096))
	ok(t, err)
	_, err = unix.Read(r, make([]byte, 100))
	ok(t, err)
	_, err = unix.Write(w, make([]byte, 4096)) // whole or not at all
	fails(t, err, unix.EAGAIN)
	_, err = unix.Read(r, make([]byte, 8192))
	ok(t, err)
	n, err := unix.Write(w, make([]byte, 65536)) // longer than PIPE_BUF: what fits
	ok(t, err)
	equal(t, "in part", n > 0 && n < 65536, true)
}

func TestPipeSize(t *testing.T) {
	covers(t, "fcntl")
	r, w := newPipe(t, unix.O_NONBLOCK)
	n, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 5000)
	ok(t, err)
	equal(t, "rounded up", n, 8192)
	n, err = unix.FcntlInt(uintptr(r), unix.F_GETPIPE_SZ, 0)
	ok(t, err)
	equal(t, "of both ends", n, 8192)
	n, err = unix.Write(w, make([]byte, 10000))
	ok(t, err)
	equal(t, "holds", n, 8192)
	_, err = unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 4096)
	fails(t, err, unix.EBUSY)
	_, fd := file(t, "")
	_, err = unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	fails(t, err, unix.EBADF)
}

func TestPipeHasNoPosition(t *testing.T) {
	covers(t, "lseek", "pread64", "pwrite64", "ftruncate", "fsync")
	r, w := newPipe(t, 0)
	_, err := unix.Seek(r, 0, 1)
	fails(t, err, unix.ESPIPE)
	_, err = unix.Pread(r, make([]byte, 1), 0)
	fails(t, err, unix.ESPIPE)
	_, err = unix.Pwrite(w, make([]byte, 1), 0)
	fails(t, err, unix.ESPIPE)
	fails(t, unix.Ftruncate(w, 0), unix.EINVAL)
	fails(t, unix.Fsync(w), unix.EINVAL)
}

func TestFifoOpen(t *testing.T) {
	covers(t, "open", "mknodat", "read")
	name := dir(t) + "/fifo"
	ok(t, unix.Mkfifo(name, 0o600))
	_, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK, 0)
	fails(t, err, unix.ENXIO)
	r, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	ok(t, err)
	closeLater(t, r)
	n, err := unix.Read(r, make([]byte, 1))
	ok(t, err)
	equal(t, "no writer", n, 0)
	equal(t, "no hangup before a writer", pollFor(t, r, unix.POLLIN, 0), 0)
	w, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK, 0)
	ok(t, err)
	_, err = unix.Read(r, make([]byte, 1))
	fails(t, err, unix.EAGAIN)
	ok(t, unix.Close(w))
	equal(t, "hangup after", pollFor(t, r, unix.POLLIN, 0), unix.POLLHUP)
}

func TestFifoRendezvous(t *testing.T) {
	covers(t, "open", "mknodat")
	name := dir(t) + "/fifo"
	ok(t, unix.Mkfifo(name, 0o600))
	opened := make(chan int, 1)
	go func() {
		fd, _ := unix.Open(name, unix.O_WRONLY, 0)
		opened <- fd
	}()
	select {
	case <-opened:
		t.Error("a writer did not wait for a reader")
	case <-time.After(30 * time.Millisecond):
	}
	r, err := unix.Open(name, unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, r)
	select {
	case w := <-opened:
		ok(t, unix.Close(w))
	case <-time.After(soon):
		t.Error("the writer still waits")
	}
}

func TestSpliceEnd(t *testing.T) {
	covers(t, "splice")
	r, w := newPipe(t, 0)
	_, fd := file(t, "0123")
	n, err := unix.Splice(fd, nil, w, nil, 100, 0)
	ok(t, err)
	equal(t, "all there is", n, 4)
	n, err = unix.Splice(fd, nil, w, nil, 100, 0)
	ok(t, err)
	equal(t, "at the end", n, 0)
	off := int64(0)
	_, err = unix.Splice(fd, nil, w, &off, 1, 0)
	fails(t, err, unix.ESPIPE)
	_, err = unix.Splice(fd, nil, fd, nil, 1, 0)
	fails(t, err, unix.EINVAL)
	ok(t, unix.Close(w))
	_, out := file(t, "")
	n, err = unix.Splice(r, nil, out, nil, 100, 0)
	ok(t, err)
	equal(t, "drained", n, 4)
	n, err = unix.Splice(r, nil, out, nil, 100, 0)
	ok(t, err)
	equal(t, "no writer", n, 0)
}

func TestSendfileFromMemfd(t *testing.T) {
	covers(t, "sendfile", "memfd_create")
	fd, err := unix.MemfdCreate("m", 0)
	ok(t, err)
	closeLater(t, fd)
	_, err = unix.Write(fd, []byte("0123456789"))
	ok(t, err)
	r, w := newPipe(t, 0)
	off := int64(4)
	n, err := unix.Sendfile(w, fd, &off, 100)
	ok(t, err)
	equal(t, "sent", n, 6)
	equal(t, "offset", off, 10)
	b := make([]byte, 20)
	n, err = unix.Read(r, b)
	ok(t, err)
	equal(t, "content", string(b[:n]), "456789")
	n, err = unix.Sendfile(w, fd, nil, 100) // the position is at the end
	ok(t, err)
	equal(t, "end", n, 0)
	_, err = unix.Sendfile(w, r, nil, 1)
	fails(t, err, unix.EINVAL, unix.ESPIPE)
}

func TestSocketpairPollBits(t *testing.T) {
	covers(t, "shutdown", "poll", "socketpair")
	a, b := socketPair(t, unix.SOCK_STREAM)
	const all = unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP
	equal(t, "idle", pollFor(t, a, all, 0), unix.POLLOUT)
	ok(t, unix.Shutdown(b, unix.SHUT_WR))
	equal(t, "half closed", pollFor(t, a, all, 0), all)
	equal(t, "other end", pollFor(t, b, all, 0), unix.POLLOUT)
	ok(t, unix.Shutdown(a, unix.SHUT_WR))
	equal(t, "closed both ways", pollFor(t, a, all, 0), all|unix.POLLHUP)
	_, err := unix.Write(a, []byte("x"))
	fails(t, err, unix.EPIPE)
}

func TestSocketpairPeerClosed(t *testing.T) {
	covers(t, "close", "read", "write", "socketpair")
	a, b := socketPair(t, unix.SOCK_STREAM)
	_, err := unix.Write(a, []byte("unread"))
	ok(t, err)
	ok(t, unix.Close(b))
	_, err = unix.Read(a, make([]byte, 1))
	fails(t, err, unix.ECONNRESET)
	n, err := unix.Read(a, make([]byte, 1))
	ok(t, err)
	equal(t, "then the end", n, 0)
	_, err = unix.Write(a, []byte("x"))
	fails(t, err, unix.EPIPE)
}

func TestUnixSocketPermissions(t *testing.T) {
	covers(t, "bind", "connect", "umask", "fchmodat")
	d := dir(t)
	old := unix.Umask(0o027)
	l := newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM)
	err := unix.Bind(l, &unix.SockaddrUnix{Name: d + "/s"})
	unix.Umask(old)
	ok(t, err)
	ok(t, unix.Listen(l, 4))
	var st unix.Stat_t
	ok(t, unix.Stat(d+"/s", &st))
	equal(t, "mode", st.Mode, unix.S_IFSOCK|0o750)
	_, err = unix.Open(d+"/s", unix.O_RDWR, 0)
	fails(t, err, unix.ENXIO)
	ok(t, os.Chmod(d, 0o755))
	fd, err := unix.Open(d, unix.O_PATH, 0)
	ok(t, err)
	closeLater(t, fd)
	name := "/proc/self/fd/" + itoa(fd) + "/s"
	asNobody(t, func() {
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(s)
		fails(t, unix.Connect(s, &unix.SockaddrUnix{Name: name}), unix.EACCES)
	})
	ok(t, unix.Unlink(d+"/s"))
	fails(t, unix.Connect(newSocket(t, unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: d + "/s"}), unix.ENOENT)
}
