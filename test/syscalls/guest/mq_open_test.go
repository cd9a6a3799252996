package guest

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mqAttr is struct mq_attr, mq_getattr(3).
type mqAttr struct {
	Flags, Max, Size, Count int64
	_                       [4]int64
}

// newMQ makes a message queue of the test's own and opens it.
func newMQ(t *testing.T, name string, flags uintptr, attr mqAttr) uintptr {
	t.Helper()
	fd, err := call(unix.SYS_MQ_OPEN, cstring(t, name), unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|flags, 0o600, ptr(kept(t, attr)))
	ok(t, err)
	t.Cleanup(func() {
		unix.Close(int(fd))
		call(unix.SYS_MQ_UNLINK, cstring(t, name))
	})
	return fd
}

func mqSend(t *testing.T, fd uintptr, text string, prio uintptr) error {
	t.Helper()
	_, err := call(unix.SYS_MQ_TIMEDSEND, fd, cstring(t, text), uintptr(len(text)), prio, 0)
	return err
}

func mqReceive(t *testing.T, fd, size uintptr) (string, uint32, error) {
	t.Helper()
	b, prio := kept(t, [64]byte{}), kept(t, uint32(0))
	n, err := call(unix.SYS_MQ_TIMEDRECEIVE, fd, ptr(b), size, ptr(prio), 0)
	if err != nil {
		return "", 0, err
	}
	return string(b[:n]), *prio, nil
}

func TestMqOpen(t *testing.T) {
	covers(t, "mq_open", "mq_unlink")
	name := cstring(t, "opened")
	_, err := call(unix.SYS_MQ_OPEN, name, unix.O_RDWR, 0, 0)
	fails(t, err, unix.ENOENT)
	newMQ(t, "opened", 0, mqAttr{Max: 2, Size: 8})
	_, err = call(unix.SYS_MQ_OPEN, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o600, 0)
	fails(t, err, unix.EEXIST)
	fd, err := call(unix.SYS_MQ_OPEN, name, unix.O_RDONLY, 0, 0)
	ok(t, err)
	closeLater(t, int(fd))
	fails(t, mqSend(t, fd, "x", 0), unix.EBADF)
	fl, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
	ok(t, err)
	equal(t, "FD_CLOEXEC", fl, unix.FD_CLOEXEC)
	_, err = call(unix.SYS_MQ_UNLINK, name)
	ok(t, err)
	_, err = call(unix.SYS_MQ_UNLINK, name)
	fails(t, err, unix.ENOENT)
	_, err = call(unix.SYS_MQ_OPEN, name, unix.O_RDWR, 0, 0)
	fails(t, err, unix.ENOENT)
}

func TestMqOpenErrors(t *testing.T) {
	covers(t, "mq_open", "mq_unlink")
	const create = unix.O_CREAT | unix.O_RDWR
	for _, a := range []mqAttr{{Max: 0, Size: 8}, {Max: 2, Size: 0}, {Max: -1, Size: 8}, {Max: 11, Size: 8}, {Max: 2, Size: 8193}} {
		_, err := call(unix.SYS_MQ_OPEN, cstring(t, "bad"), create, 0o600, ptr(kept(t, a)))
		fails(t, err, unix.EINVAL)
	}
	_, err := call(unix.SYS_MQ_OPEN, cstring(t, "bad"), create, 0o600, 8)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_MQ_OPEN, cstring(t, "a/b"), create, 0o600, 0)
	fails(t, err, unix.EACCES)
	_, err = call(unix.SYS_MQ_OPEN, cstring(t, ""), create, 0o600, 0)
	fails(t, err, unix.ENOENT)
	_, err = call(unix.SYS_MQ_OPEN, cstring(t, strings.Repeat("n", 256)), create, 0o600, 0)
	fails(t, err, unix.ENAMETOOLONG)
	_, err = call(unix.SYS_MQ_OPEN, 8, create, 0o600, 0)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_MQ_UNLINK, 8)
	fails(t, err, unix.EFAULT)
}

func TestMqPriorities(t *testing.T) {
	covers(t, "mq_timedsend", "mq_timedreceive")
	fd := newMQ(t, "priorities", unix.O_NONBLOCK, mqAttr{Max: 4, Size: 8})
	for _, m := range []struct {
		text string
		prio uintptr
	}{{"low", 1}, {"high", 32767}, {"low2", 1}, {"", 5}} {
		ok(t, mqSend(t, fd, m.text+"\x00", m.prio))
	}
	fails(t, mqSend(t, fd, "full", 0), unix.EAGAIN)
	for _, want := range []struct {
		text string
		prio uint32
	}{{"high", 32767}, {"", 5}, {"low", 1}, {"low2", 1}} {
		text, prio, err := mqReceive(t, fd, 8)
		ok(t, err)
		equal(t, "message", strings.TrimRight(text, "\x00"), want.text)
		equal(t, "priority", prio, want.prio)
	}
	_, _, err := mqReceive(t, fd, 8)
	fails(t, err, unix.EAGAIN)
}

func TestMqErrors(t *testing.T) {
	covers(t, "mq_timedsend", "mq_timedreceive")
	fd := newMQ(t, "errors", unix.O_NONBLOCK, mqAttr{Max: 2, Size: 8})
	fails(t, mqSend(t, fd, "nine byte", 0), unix.EMSGSIZE)
	fails(t, mqSend(t, fd, "x", 32768), unix.EINVAL)
	_, _, err := mqReceive(t, fd, 7)
	fails(t, err, unix.EMSGSIZE)
	_, file := file(t, "")
	fails(t, mqSend(t, uintptr(file), "x", 0), unix.EBADF)
	_, _, err = mqReceive(t, uintptr(file), 8)
	fails(t, err, unix.EBADF)
	_, err = call(unix.SYS_MQ_TIMEDSEND, fd, 8, 4, 0, 0)
	fails(t, err, unix.EFAULT)
	ts := kept(t, unix.Timespec{Nsec: -1})
	b := kept(t, [8]byte{})
	_, err = call(unix.SYS_MQ_TIMEDRECEIVE, fd, ptr(b), 8, 0, ptr(ts))
	fails(t, err, unix.EINVAL)
}

func TestMqTimeout(t *testing.T) {
	covers(t, "mq_timedsend", "mq_timedreceive")
	fd := newMQ(t, "timeout", 0, mqAttr{Max: 1, Size: 8})
	until := time.Now().Add(30 * time.Millisecond)
	ts := kept(t, unix.NsecToTimespec(until.UnixNano()))
	b := kept(t, [8]byte{})
	timed := func(nr uintptr) {
		t.Helper()
		_, err := call(nr, fd, ptr(b), 8, 0, ptr(ts))
		for err == unix.EINTR {
			_, err = call(nr, fd, ptr(b), 8, 0, ptr(ts))
		}
		fails(t, err, unix.ETIMEDOUT)
		if time.Now().Before(until) {
			t.Error("gave up too soon")
		}
	}
	timed(unix.SYS_MQ_TIMEDRECEIVE)
	ok(t, mqSend(t, fd, "x", 0))
	timed(unix.SYS_MQ_TIMEDSEND)
}

func TestMqGetsetattr(t *testing.T) {
	covers(t, "mq_getsetattr")
	fd := newMQ(t, "attributes", 0, mqAttr{Max: 3, Size: 16})
	ok(t, mqSend(t, fd, "one", 0))
	set, old := kept(t, mqAttr{Flags: unix.O_NONBLOCK, Max: 9, Size: 9}), kept(t, mqAttr{})
	_, err := call(unix.SYS_MQ_GETSETATTR, fd, ptr(set), ptr(old))
	ok(t, err)
	equal(t, "before", *old, mqAttr{Max: 3, Size: 16, Count: 1})
	_, err = call(unix.SYS_MQ_GETSETATTR, fd, 0, ptr(old))
	ok(t, err)
	equal(t, "after", *old, mqAttr{Flags: unix.O_NONBLOCK, Max: 3, Size: 16, Count: 1})
	_, _, err = mqReceive(t, fd, 16)
	ok(t, err)
	_, _, err = mqReceive(t, fd, 16)
	fails(t, err, unix.EAGAIN)
	set.Flags = unix.O_APPEND
	_, err = call(unix.SYS_MQ_GETSETATTR, fd, ptr(set), 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MQ_GETSETATTR, ^uintptr(0), 0, ptr(old))
	fails(t, err, unix.EBADF)
	_, err = call(unix.SYS_MQ_GETSETATTR, fd, 8, 0)
	fails(t, err, unix.EFAULT)
}
