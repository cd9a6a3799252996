package guest

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func word(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// pollNow is what poll(2) says of fd at once.
func pollNow(t *testing.T, fd int) int16 {
	t.Helper()
	return pollFor(t, fd, unix.POLLIN|unix.POLLOUT|unix.POLLPRI|unix.POLLRDHUP, 0)
}

func TestEventfdRules(t *testing.T) {
	covers(t, "eventfd2", "read", "write")
	t.Run("a read takes all and resets", func(t *testing.T) {
		fd := newEventfd(t, unix.EFD_NONBLOCK)
		unix.Write(fd, word(2))
		unix.Write(fd, word(3))
		b := make([]byte, 8)
		unix.Read(fd, b)
		equal(t, "count", binary.LittleEndian.Uint64(b), 5)
		_, err := unix.Read(fd, b)
		fails(t, err, unix.EAGAIN)
	})
	t.Run("a larger buffer gets eight bytes", func(t *testing.T) {
		fd := newEventfd(t, unix.EFD_NONBLOCK)
		unix.Write(fd, word(1))
		n, err := unix.Read(fd, make([]byte, 100))
		ok(t, err)
		equal(t, "read", n, 8)
	})
	t.Run("a short write", func(t *testing.T) {
		_, err := unix.Write(newEventfd(t, 0), make([]byte, 7))
		fails(t, err, unix.EINVAL)
	})
	t.Run("adding zero makes nothing readable", func(t *testing.T) {
		fd := newEventfd(t, unix.EFD_NONBLOCK)
		unix.Write(fd, word(0))
		equal(t, "poll", pollNow(t, fd), unix.POLLOUT)
	})
	t.Run("a full one is not writable", func(t *testing.T) {
		fd := newEventfd(t, unix.EFD_NONBLOCK)
		unix.Write(fd, word(1<<64-2))
		equal(t, "poll", pollNow(t, fd), unix.POLLIN)
	})
	t.Run("a reader lets a writer go on", func(t *testing.T) {
		fd := newEventfd(t, 0)
		unix.Write(fd, word(1<<64-2))
		done := make(chan error)
		go func() { _, err := unix.Write(fd, word(5)); done <- err }()
		time.Sleep(5 * time.Millisecond)
		b := make([]byte, 8)
		unix.Read(fd, b)
		ok(t, <-done)
		unix.Read(fd, b)
		equal(t, "what it added", binary.LittleEndian.Uint64(b), 5)
	})
	t.Run("has no position", func(t *testing.T) {
		_, err := unix.Pread(newEventfd(t, 0), make([]byte, 8), 0)
		fails(t, err, unix.ESPIPE, unix.EINVAL)
	})
}

func TestEpollRules(t *testing.T) {
	covers(t, "epoll_ctl", "epoll_wait")
	wait := func(t *testing.T, ep int) []unix.EpollEvent {
		ev := make([]unix.EpollEvent, 8)
		n, err := unix.EpollWait(ep, ev, 0)
		ok(t, err)
		return ev[:n]
	}
	t.Run("hang up is told unasked", func(t *testing.T) {
		r, w := newPipe(t, 0)
		ep := newEpoll(t, r, 0)
		unix.Close(w)
		equal(t, "events", wait(t, ep)[0].Events, unix.EPOLLHUP)
	})
	t.Run("error of a pipe without readers", func(t *testing.T) {
		r, w := newPipe(t, 0)
		ep := newEpoll(t, w, 0)
		unix.Close(r)
		equal(t, "events", wait(t, ep)[0].Events, unix.EPOLLERR)
	})
	t.Run("data comes back as it was given", func(t *testing.T) {
		fd := newEventfd(t, 0)
		ep := newEpoll(t, newEventfd(t, 0), unix.EPOLLIN)
		ok(t, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: -7, Pad: 0x1234}))
		ev := wait(t, ep)[0]
		equal(t, "data", [2]int32{ev.Fd, ev.Pad}, [2]int32{-7, 0x1234})
	})
	t.Run("a duplicate is watched on its own", func(t *testing.T) {
		fd := newEventfd(t, 0)
		ep := newEpoll(t, fd, unix.EPOLLOUT)
		d, err := unix.Dup(fd)
		ok(t, err)
		closeLater(t, d)
		ok(t, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, d, &unix.EpollEvent{Events: unix.EPOLLOUT}))
		equal(t, "ready", len(wait(t, ep)), 2)
	})
	t.Run("no more than there is room for, the rest later", func(t *testing.T) {
		ep := newEpoll(t, newEventfd(t, 0), unix.EPOLLOUT)
		ok(t, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, newEventfd(t, 0), &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: 1}))
		one := make([]unix.EpollEvent, 1)
		seen := map[int32]bool{}
		for range 2 {
			n, err := unix.EpollWait(ep, one, 0)
			ok(t, err)
			equal(t, "events", n, 1)
			seen[one[0].Fd] = true
		}
		equal(t, "each in its turn", len(seen), 2)
	})
	t.Run("EPOLLEXCLUSIVE can't be changed to", func(t *testing.T) {
		fd := newEventfd(t, 0)
		ep := newEpoll(t, fd, unix.EPOLLIN)
		fails(t, unix.EpollCtl(ep, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE}), unix.EINVAL)
	})
	t.Run("EPOLLEXCLUSIVE once only", func(t *testing.T) {
		ep := newEpoll(t, newEventfd(t, 0), unix.EPOLLIN)
		err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, newEventfd(t, 0), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE | unix.EPOLLONESHOT})
		fails(t, err, unix.EINVAL)
	})
	t.Run("a set is readable when a member is", func(t *testing.T) {
		fd := newEventfd(t, 0)
		ep := newEpoll(t, fd, unix.EPOLLIN)
		equal(t, "before", pollNow(t, ep), 0)
		unix.Write(fd, word(1))
		equal(t, "after", pollNow(t, ep), unix.POLLIN)
	})
	t.Run("two sets in each other", func(t *testing.T) {
		x := newEpoll(t, newEventfd(t, 0), unix.EPOLLIN)
		y := newEpoll(t, x, unix.EPOLLIN)
		fails(t, unix.EpollCtl(x, unix.EPOLL_CTL_ADD, y, &unix.EpollEvent{Events: unix.EPOLLIN}), unix.ELOOP)
	})
	t.Run("a removed member is told no more", func(t *testing.T) {
		fd := newEventfd(t, 0)
		ep := newEpoll(t, fd, unix.EPOLLOUT)
		ok(t, unix.EpollCtl(ep, unix.EPOLL_CTL_DEL, fd, nil))
		equal(t, "ready", len(wait(t, ep)), 0)
		fails(t, unix.EpollCtl(ep, unix.EPOLL_CTL_DEL, fd, nil), unix.ENOENT)
	})
}

func TestInotifyRules(t *testing.T) {
	covers(t, "inotify_add_watch", "inotify_rm_watch")
	for _, c := range []struct {
		name string
		do   func(d string) error
		want uint32
	}{
		{"mkdir", func(d string) error { return unix.Mkdir(d+"/new", 0o700) }, unix.IN_CREATE | unix.IN_ISDIR},
		{"symlink", func(d string) error { return unix.Symlink("x", d+"/new") }, unix.IN_CREATE},
		{"link", func(d string) error { return unix.Link(d+"/file", d+"/new") }, unix.IN_CREATE},
		{"mknod", func(d string) error { return unix.Mknod(d+"/new", unix.S_IFIFO|0o600, 0) }, unix.IN_CREATE},
		{"rmdir", func(d string) error { return unix.Rmdir(d + "/empty") }, unix.IN_DELETE | unix.IN_ISDIR},
		{"unlink", func(d string) error { return unix.Unlink(d + "/link") }, unix.IN_DELETE},
		{"chmod", func(d string) error { return unix.Chmod(d+"/file", 0o600) }, unix.IN_ATTRIB},
		{"truncate", func(d string) error { return unix.Truncate(d+"/file", 1) }, unix.IN_MODIFY},
		{"rename away", func(d string) error { return unix.Rename(d+"/file", d+"/empty/file") }, unix.IN_MOVED_FROM},
		{"rename here", func(d string) error { return unix.Rename(d+"/full/sub", d+"/sub") }, unix.IN_MOVED_TO | unix.IN_ISDIR},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := inTree(t)
			fd := newInotify(t, d, unix.IN_CREATE|unix.IN_DELETE|unix.IN_ATTRIB|unix.IN_MODIFY|unix.IN_MOVE)
			ok(t, c.do(d))
			masks, _ := inotifyEvents(t, fd)
			equal(t, "first event", masks[0], c.want)
		})
	}
	t.Run("a new link tells the file's own watch", func(t *testing.T) {
		name, _ := file(t, "")
		fd := newInotify(t, name, unix.IN_ATTRIB|unix.IN_CREATE)
		ok(t, unix.Link(name, name+"2"))
		masks, _ := inotifyEvents(t, fd)
		equal(t, "first event", masks[0], unix.IN_ATTRIB)
	})
	t.Run("no watch of nothing", func(t *testing.T) {
		_, err := unix.InotifyAddWatch(newInotify(t, "/", unix.IN_CREATE), "/", 0)
		fails(t, err, unix.EINVAL)
	})
	t.Run("IN_ONLYDIR of a file", func(t *testing.T) {
		name, _ := file(t, "")
		_, err := unix.InotifyAddWatch(newInotify(t, "/", unix.IN_CREATE), name, unix.IN_CREATE|unix.IN_ONLYDIR)
		fails(t, err, unix.ENOTDIR)
	})
	t.Run("IN_MASK_CREATE of what is watched", func(t *testing.T) {
		_, err := unix.InotifyAddWatch(newInotify(t, "/", unix.IN_CREATE), "/", unix.IN_CREATE|unix.IN_MASK_CREATE)
		fails(t, err, unix.EEXIST)
	})
	t.Run("a second watch of a file has the same number", func(t *testing.T) {
		d := dir(t)
		fd := newInotify(t, "/", unix.IN_CREATE)
		x, err := unix.InotifyAddWatch(fd, d, unix.IN_CREATE)
		ok(t, err)
		y, err := unix.InotifyAddWatch(fd, d, unix.IN_DELETE)
		ok(t, err)
		equal(t, "watch", x, y)
	})
	t.Run("a buffer too small", func(t *testing.T) {
		d := dir(t)
		fd := newInotify(t, d, unix.IN_CREATE)
		ok(t, os.WriteFile(d+"/a", nil, 0o600))
		_, err := unix.Read(fd, make([]byte, 15))
		fails(t, err, unix.EINVAL)
	})
}
