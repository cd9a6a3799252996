package guest

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// take reads once what is there.
func take(t *testing.T, fd int) string {
	t.Helper()
	b := make([]byte, 1<<17)
	n, err := unix.Read(fd, b)
	ok(t, err)
	return string(b[:n])
}

func put(t *testing.T, fd int, text string) {
	t.Helper()
	n, err := unix.Write(fd, []byte(text))
	ok(t, err)
	equal(t, "written", n, len(text))
}

// pendingPipeSignal says whether f, whose thread has SIGPIPE blocked, got one.
func pendingPipeSignal(t *testing.T, f func()) (got bool) {
	t.Helper()
	onThread(t, func() {
		set := kept(t, uint64(1<<(unix.SIGPIPE-1)))
		call(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, ptr(set), 0, 8)
		f()
		n, _ := call(unix.SYS_RT_SIGTIMEDWAIT, ptr(set), 0, ptr(kept(t, unix.Timespec{})), 8)
		got = n == uintptr(unix.SIGPIPE)
	})
	return got
}

func TestPipeSignal(t *testing.T) {
	covers(t, "write", "sendto", "splice", "sendfile", "tee")
	r, w := newPipe(t, 0)
	unix.Close(r)
	sa, sb := socketPair(t, unix.SOCK_STREAM)
	unix.Close(sb)
	_, in := file(t, "data")
	full, fw := newPipe(t, 0)
	put(t, fw, "data")
	zero := ptr(kept(t, int64(0)))
	for _, c := range []struct {
		name string
		nr   uintptr
		args []uintptr
		want bool
	}{
		{"write to a pipe", unix.SYS_WRITE, a{uintptr(w), vector(t, []byte("x")), 1}, true},
		{"writev to a pipe", unix.SYS_WRITEV, a{uintptr(w), vector(t, []byte("x")), 1}, true},
		{"splice to a pipe", unix.SYS_SPLICE, a{uintptr(in), zero, uintptr(w), 0, 4, 0}, true},
		{"tee to a pipe", unix.SYS_TEE, a{uintptr(full), uintptr(w), 4, 0}, true},
		{"sendfile to a pipe", unix.SYS_SENDFILE, a{uintptr(w), uintptr(in), zero, 4}, true},
		{"write to a socket", unix.SYS_WRITE, a{uintptr(sa), vector(t, []byte("x")), 1}, true},
		{"send to a socket", unix.SYS_SENDTO, a{uintptr(sa), vector(t, []byte("x")), 1, 0, 0, 0}, true},
		{"send with MSG_NOSIGNAL", unix.SYS_SENDTO, a{uintptr(sa), vector(t, []byte("x")), 1, unix.MSG_NOSIGNAL, 0, 0}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			equal(t, "SIGPIPE", pendingPipeSignal(t, func() { _, err = call(c.nr, c.args...) }), c.want)
			fails(t, err, unix.EPIPE)
		})
	}
	t.Run("write of nothing", func(t *testing.T) {
		var err error
		equal(t, "SIGPIPE", pendingPipeSignal(t, func() { _, err = unix.Write(w, nil) }), false)
		equal(t, "error", err, nil)
	})
}

func TestPipeRules(t *testing.T) {
	covers(t, "pipe2", "read", "write", "fcntl", "ioctl")
	t.Run("writers gone: first the data, then the end", func(t *testing.T) {
		r, w := newPipe(t, 0)
		put(t, w, "last")
		unix.Close(w)
		equal(t, "data", take(t, r), "last")
		equal(t, "end", take(t, r), "")
	})
	t.Run("a duplicate of the write end keeps it open", func(t *testing.T) {
		r, w := newPipe(t, unix.O_NONBLOCK)
		d, err := unix.Dup(w)
		ok(t, err)
		closeLater(t, d)
		unix.Close(w)
		_, err = unix.Read(r, make([]byte, 1))
		fails(t, err, unix.EAGAIN)
	})
	t.Run("a write that doesn't fit goes in part", func(t *testing.T) {
		_, w := newPipe(t, unix.O_NONBLOCK)
		n, err := unix.Write(w, make([]byte, 100_000))
		ok(t, err)
		equal(t, "written", n, 65536)
		_, err = unix.Write(w, make([]byte, 1))
		fails(t, err, unix.EAGAIN)
	})
	t.Run("a small write goes whole or not at all", func(t *testing.T) {
		r, w := newPipe(t, unix.O_NONBLOCK)
		unix.Write(w, make([]byte, 65536-100))
		_, err := unix.Write(w, make([]byte, 4096))
		fails(t, err, unix.EAGAIN)
		n, err := unix.IoctlGetInt(r, unix.TIOCINQ)
		ok(t, err)
		equal(t, "in the pipe", n, 65536-100)
	})
	t.Run("smaller than what is in it", func(t *testing.T) {
		_, w := newPipe(t, unix.O_NONBLOCK)
		unix.Write(w, make([]byte, 20_000))
		_, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 4096)
		fails(t, err, unix.EBUSY)
	})
	t.Run("larger keeps what is in it", func(t *testing.T) {
		r, w := newPipe(t, unix.O_NONBLOCK)
		put(t, w, "kept")
		n, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 1<<17)
		ok(t, err)
		equal(t, "size", n, 1<<17)
		equal(t, "content", take(t, r), "kept")
	})
	t.Run("size below a page is a page", func(t *testing.T) {
		_, w := newPipe(t, 0)
		n, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 1)
		ok(t, err)
		equal(t, "size", n, page)
	})
	t.Run("O_DIRECT keeps packets apart", func(t *testing.T) {
		r, w := newPipe(t, unix.O_DIRECT)
		put(t, w, "one")
		put(t, w, "two")
		equal(t, "first", take(t, r), "one")
		equal(t, "second", take(t, r), "two")
	})
	t.Run("O_DIRECT loses the rest of a packet", func(t *testing.T) {
		r, w := newPipe(t, unix.O_DIRECT)
		put(t, w, "long one")
		put(t, w, "two")
		b := make([]byte, 4)
		unix.Read(r, b)
		equal(t, "part", string(b), "long")
		equal(t, "next", take(t, r), "two")
	})
	t.Run("is a fifo of no links but one", func(t *testing.T) {
		r, _ := newPipe(t, 0)
		var st unix.Stat_t
		ok(t, unix.Fstat(r, &st))
		equal(t, "mode", st.Mode, unix.S_IFIFO|0o600)
		equal(t, "links", st.Nlink, 1)
	})
	t.Run("flags of one end are its own", func(t *testing.T) {
		r, w := newPipe(t, 0)
		ok(t, unix.SetNonblock(r, true))
		fl, err := unix.FcntlInt(uintptr(w), unix.F_GETFL, 0)
		ok(t, err)
		equal(t, "O_NONBLOCK of the other", fl&unix.O_NONBLOCK, 0)
	})
}

func TestSpliceRules(t *testing.T) {
	covers(t, "splice", "tee", "vmsplice")
	t.Run("nothing is nothing", func(t *testing.T) {
		_, in := file(t, "0123")
		_, w := newPipe(t, 0)
		n, err := unix.Splice(in, nil, w, nil, 0, 0)
		ok(t, err)
		equal(t, "moved", n, 0)
	})
	t.Run("the file's offset moves", func(t *testing.T) {
		_, in := file(t, "0123456789")
		_, w := newPipe(t, 0)
		_, err := unix.Splice(in, nil, w, nil, 4, 0)
		ok(t, err)
		equal(t, "offset", offsetOf(t, in), 4)
	})
	t.Run("an offset of the caller's moves instead", func(t *testing.T) {
		_, in := file(t, "0123456789")
		r, w := newPipe(t, 0)
		off := int64(7)
		_, err := unix.Splice(in, &off, w, nil, 100, 0)
		ok(t, err)
		equal(t, "offsets", [2]int64{offsetOf(t, in), off}, [2]int64{0, 10})
		equal(t, "data", take(t, r), "789")
	})
	t.Run("an empty pipe with SPLICE_F_NONBLOCK", func(t *testing.T) {
		r, _ := newPipe(t, 0)
		_, out := file(t, "")
		_, err := unix.Splice(r, nil, out, nil, 1, unix.SPLICE_F_NONBLOCK)
		fails(t, err, unix.EAGAIN)
	})
	t.Run("to a file that appends", func(t *testing.T) {
		r, w := newPipe(t, 0)
		put(t, w, "x")
		name, _ := file(t, "")
		out, err := unix.Open(name, unix.O_WRONLY|unix.O_APPEND, 0)
		ok(t, err)
		closeLater(t, out)
		_, err = unix.Splice(r, nil, out, nil, 1, 0)
		fails(t, err, unix.EINVAL)
	})
	t.Run("from pipe to pipe", func(t *testing.T) {
		r, w := newPipe(t, 0)
		r2, w2 := newPipe(t, 0)
		put(t, w, "through")
		n, err := unix.Splice(r, nil, w2, nil, 4, 0)
		ok(t, err)
		equal(t, "moved", n, 4)
		equal(t, "there", take(t, r2), "thro")
		equal(t, "left", take(t, r), "ugh")
	})
	t.Run("to a socket", func(t *testing.T) {
		r, w := newPipe(t, 0)
		x, y := socketPair(t, unix.SOCK_STREAM)
		put(t, w, "sent")
		_, err := unix.Splice(r, nil, x, nil, 10, 0)
		ok(t, err)
		equal(t, "received", take(t, y), "sent")
	})
	t.Run("from a socket", func(t *testing.T) {
		r, w := newPipe(t, 0)
		x, y := socketPair(t, unix.SOCK_STREAM)
		put(t, x, "sent")
		_, err := unix.Splice(y, nil, w, nil, 10, 0)
		ok(t, err)
		equal(t, "received", take(t, r), "sent")
	})
}

func TestTeeRules(t *testing.T) {
	covers(t, "tee", "vmsplice")
	t.Run("a tee leaves all where it is", func(t *testing.T) {
		r, w := newPipe(t, 0)
		r2, w2 := newPipe(t, 0)
		put(t, w, "twice")
		_, err := unix.Tee(r, w2, 100, 0)
		ok(t, err)
		equal(t, "copy", take(t, r2), "twice")
		equal(t, "original", take(t, r), "twice")
	})
	t.Run("a tee of an empty pipe whose writers are gone", func(t *testing.T) {
		r, w := newPipe(t, 0)
		_, w2 := newPipe(t, 0)
		unix.Close(w)
		n, err := unix.Tee(r, w2, 100, 0)
		ok(t, err)
		equal(t, "copied", n, 0)
	})
	t.Run("a tee of an empty pipe with SPLICE_F_NONBLOCK", func(t *testing.T) {
		r, _ := newPipe(t, 0)
		_, w2 := newPipe(t, 0)
		_, err := unix.Tee(r, w2, 1, unix.SPLICE_F_NONBLOCK)
		fails(t, err, unix.EAGAIN)
	})
	t.Run("vmsplice gathers buffers", func(t *testing.T) {
		r, w := newPipe(t, 0)
		_, err := call(unix.SYS_VMSPLICE, uintptr(w), vector(t, []byte("one "), []byte("two")), 2, 0)
		ok(t, err)
		equal(t, "in the pipe", take(t, r), "one two")
	})
	t.Run("vmsplice from a pipe to memory", func(t *testing.T) {
		r, w := newPipe(t, 0)
		put(t, w, "to memory")
		b := make([]byte, 20)
		n, err := call(unix.SYS_VMSPLICE, uintptr(r), vector(t, b), 1, 0)
		ok(t, err)
		equal(t, "in memory", string(b[:n]), "to memory")
	})
	t.Run("vmsplice to a full pipe with SPLICE_F_NONBLOCK", func(t *testing.T) {
		_, w := newPipe(t, 0)
		put(t, w, strings.Repeat("x", 65536))
		_, err := call(unix.SYS_VMSPLICE, uintptr(w), vector(t, []byte("x")), 1, unix.SPLICE_F_NONBLOCK)
		fails(t, err, unix.EAGAIN)
	})
}
