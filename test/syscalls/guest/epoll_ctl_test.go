package guest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newEpoll watches fd for events.
func newEpoll(t *testing.T, fd int, events uint32) int {
	t.Helper()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	ok(t, err)
	closeLater(t, ep)
	ok(t, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}))
	return ep
}

// ready is the number of events that are there already.
func ready(t *testing.T, ep int) int {
	t.Helper()
	n, err := unix.EpollWait(ep, make([]unix.EpollEvent, 8), 0)
	ok(t, err)
	return n
}

func TestEpollNested(t *testing.T) {
	covers(t, "epoll_ctl", "epoll_wait", "poll")
	r, w := newPipe(t, 0)
	inner := newEpoll(t, r, unix.EPOLLIN)
	outer := newEpoll(t, inner, unix.EPOLLIN)
	equal(t, "idle", ready(t, outer), 0)
	_, err := unix.Write(w, []byte("x"))
	ok(t, err)
	equal(t, "through both", ready(t, outer), 1)
	equal(t, "polled", pollFor(t, outer, unix.POLLIN, 0), unix.POLLIN)
	ev := &unix.EpollEvent{Events: unix.EPOLLIN}
	fails(t, unix.EpollCtl(inner, unix.EPOLL_CTL_ADD, outer, ev), unix.ELOOP)
	fails(t, unix.EpollCtl(inner, unix.EPOLL_CTL_ADD, inner, ev), unix.EINVAL)
}

// A program that asks for very many events gets all that there are.
func TestEpollMany(t *testing.T) {
	covers(t, "epoll_wait")
	const many = 3000
	var old unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	limit := unix.Rlimit{Cur: many + 100, Max: max(old.Max, many+100)}
	ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	_, w := newPipe(t, 0)
	ep := newEpoll(t, w, unix.EPOLLOUT)
	for range many - 1 {
		fd, err := unix.Dup(w)
		ok(t, err)
		closeLater(t, fd)
		ok(t, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}))
	}
	n, err := unix.EpollWait(ep, make([]unix.EpollEvent, 2*many), 0)
	ok(t, err)
	equal(t, "events", n, many)
	n, err = unix.EpollWait(ep, make([]unix.EpollEvent, 2000), 0)
	ok(t, err)
	equal(t, "of which it asks for", n, 2000)
}

func TestEpollExclusive(t *testing.T) {
	covers(t, "epoll_ctl")
	r, _ := newPipe(t, 0)
	ep := newEpoll(t, r, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
	ev := &unix.EpollEvent{Events: unix.EPOLLIN}
	fails(t, unix.EpollCtl(ep, unix.EPOLL_CTL_MOD, r, ev), unix.EINVAL)
	ok(t, unix.EpollCtl(ep, unix.EPOLL_CTL_DEL, r, nil))
	ok(t, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, r, ev))
	ev.Events |= unix.EPOLLEXCLUSIVE
	fails(t, unix.EpollCtl(ep, unix.EPOLL_CTL_MOD, r, ev), unix.EINVAL)
}

func TestEpollOneshot(t *testing.T) {
	covers(t, "epoll_ctl", "epoll_wait")
	_, w := newPipe(t, 0)
	ep := newEpoll(t, w, unix.EPOLLOUT|unix.EPOLLONESHOT)
	equal(t, "first", ready(t, ep), 1)
	equal(t, "disabled", ready(t, ep), 0)
	ok(t, unix.EpollCtl(ep, unix.EPOLL_CTL_MOD, w, &unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT}))
	equal(t, "armed again", ready(t, ep), 1)
}

func TestEpollEdge(t *testing.T) {
	covers(t, "epoll_ctl", "epoll_wait")
	r, w := newPipe(t, 0)
	ep := newEpoll(t, r, unix.EPOLLIN|unix.EPOLLET)
	for range 2 {
		_, err := unix.Write(w, []byte("x"))
		ok(t, err)
		equal(t, "written", ready(t, ep), 1)
		equal(t, "nothing new", ready(t, ep), 0)
	}
}

func TestEpollClosedDescriptor(t *testing.T) {
	covers(t, "epoll_wait", "close", "dup")
	r, w := newPipe(t, 0)
	ep := newEpoll(t, r, unix.EPOLLIN)
	dup, err := unix.Dup(r)
	ok(t, err)
	_, err = unix.Write(w, []byte("x"))
	ok(t, err)
	ok(t, unix.Close(r))
	equal(t, "the description is open yet", ready(t, ep), 1)
	ok(t, unix.Close(dup))
	equal(t, "gone with it", ready(t, ep), 0)
}

func TestEpollOfPlainFile(t *testing.T) {
	covers(t, "epoll_ctl", "epoll_wait")
	r, fd := newPipe(t, 0)
	ep := newEpoll(t, r, unix.EPOLLIN)
	_, plain := file(t, "")
	fails(t, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, plain, &unix.EpollEvent{}), unix.EPERM)
	fails(t, unix.EpollCtl(plain, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{}), unix.EINVAL)
	_, err := unix.EpollWait(plain, make([]unix.EpollEvent, 1), 0)
	fails(t, err, unix.EINVAL)
}

func TestEventfdPollBits(t *testing.T) {
	covers(t, "eventfd2", "poll", "write")
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	ok(t, err)
	closeLater(t, fd)
	const both = unix.POLLIN | unix.POLLOUT
	equal(t, "zero", pollFor(t, fd, both, 0), unix.POLLOUT)
	most := []byte{0xfe, 255, 255, 255, 255, 255, 255, 255}
	_, err = unix.Write(fd, most)
	ok(t, err)
	equal(t, "full", pollFor(t, fd, both, 0), unix.POLLIN)
	_, err = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	fails(t, err, unix.EAGAIN)
	_, err = unix.Write(fd, []byte{255, 255, 255, 255, 255, 255, 255, 255})
	fails(t, err, unix.EINVAL)
	_, err = unix.Write(fd, []byte{1})
	fails(t, err, unix.EINVAL)
}

func TestTimerfdAbsolute(t *testing.T) {
	covers(t, "timerfd_create", "timerfd_settime", "timerfd_gettime", "poll")
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK)
	ok(t, err)
	closeLater(t, fd)
	_, err = unix.Read(fd, make([]byte, 8))
	fails(t, err, unix.EAGAIN)
	past := &unix.ItimerSpec{Value: unix.Timespec{Nsec: 1}}
	ok(t, unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, past, nil))
	equal(t, "at once", pollFor(t, fd, unix.POLLIN, soon), unix.POLLIN)
	b := make([]byte, 8)
	_, err = unix.Read(fd, b[:4])
	fails(t, err, unix.EINVAL)
	_, err = unix.Read(fd, b)
	ok(t, err)
	equal(t, "expirations", b[0], 1)
	var now unix.ItimerSpec
	ok(t, unix.TimerfdGettime(fd, &now))
	equal(t, "disarmed", now, unix.ItimerSpec{})
}

// inotifyEvents reads the events that are there: their masks and cookies.
func inotifyEvents(t *testing.T, fd int) (masks []uint32, cookies []uint32) {
	t.Helper()
	equal(t, "events", pollFor(t, fd, unix.POLLIN, soon), unix.POLLIN)
	b := make([]byte, 4096)
	n, err := unix.Read(fd, b)
	ok(t, err)
	word := func(i int) uint32 {
		return uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24
	}
	for i := 0; i+16 <= n; i += 16 + int(word(i+12)) {
		masks, cookies = append(masks, word(i+4)), append(cookies, word(i+8))
	}
	return masks, cookies
}

func newInotify(t *testing.T, name string, mask uint32) int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	ok(t, err)
	closeLater(t, fd)
	_, err = unix.InotifyAddWatch(fd, name, mask)
	ok(t, err)
	return fd
}

func TestInotifyRename(t *testing.T) {
	covers(t, "inotify_add_watch", "renameat", "read")
	d := dir(t)
	ok(t, os.WriteFile(d+"/a", nil, 0o600))
	fd := newInotify(t, d, unix.IN_MOVE)
	ok(t, unix.Rename(d+"/a", d+"/b"))
	masks, cookies := inotifyEvents(t, fd)
	equal(t, "events", len(masks), 2)
	equal(t, "from", masks[0], unix.IN_MOVED_FROM)
	equal(t, "to", masks[1], unix.IN_MOVED_TO)
	equal(t, "the same cookie", cookies[0] == cookies[1] && cookies[0] != 0, true)
}

func TestInotifyDeleteSelf(t *testing.T) {
	covers(t, "inotify_add_watch", "unlinkat", "read")
	d := dir(t) + "/d"
	ok(t, os.Mkdir(d, 0o700))
	fd := newInotify(t, d, unix.IN_DELETE_SELF)
	ok(t, unix.Rmdir(d))
	masks, _ := inotifyEvents(t, fd)
	if len(masks) == 1 {
		more, _ := inotifyEvents(t, fd)
		masks = append(masks, more...)
	}
	equal(t, "deleted", masks[0]&^unix.IN_ISDIR, unix.IN_DELETE_SELF)
	equal(t, "watch removed", masks[1], unix.IN_IGNORED)
}

func TestEpollWaitTimesOut(t *testing.T) {
	covers(t, "epoll_wait")
	r, _ := newPipe(t, 0)
	ep := newEpoll(t, r, unix.EPOLLIN)
	start := time.Now()
	n, err := unix.EpollWait(ep, make([]unix.EpollEvent, 1), 20)
	if err != unix.EINTR {
		ok(t, err)
		equal(t, "events", n, 0)
		equal(t, "waited", time.Since(start) >= 20*time.Millisecond, true)
	}
	_, err = unix.EpollWait(-1, make([]unix.EpollEvent, 1), 0)
	fails(t, err, unix.EBADF)
}
