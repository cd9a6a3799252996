package guest

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// iocb is struct iocb.
type iocb struct {
	data         uint64
	key, rwFlags uint32
	op           uint16
	prio         int16
	fd           int32
	buf, n       uint64
	off          int64
	reserved     uint64
	flags        uint32
	resfd        int32
}

type ioEvent struct {
	data, obj uint64
	res, _    int64
}

// aioRing is struct aio_ring.
type aioRing struct{ _, nr, head, tail, magic, compat, incompat, header uint32 }

const (
	aioRead, aioWrite, aioFsync, aioFdsync, aioPoll, aioReadv, aioWritev = 0, 1, 2, 3, 5, 7, 8

	aioResFD, aioPrio = 1, 2
)

// aioSetup makes a context, destroyed with the test; 0 if there are none to be had.
func aioSetup(t *testing.T, n uintptr) uintptr {
	t.Helper()
	ctx := kept(t, uint64(0))
	_, err := call(unix.SYS_IO_SETUP, n, ptr(ctx))
	if absent("io_setup", err) {
		t.SkipNow()
	}
	ok(t, err)
	a := uintptr(*ctx)
	t.Cleanup(func() { call(unix.SYS_IO_DESTROY, a) })
	return a
}

func aioSubmit(t *testing.T, ctx uintptr, cbs ...*iocb) (uintptr, error) {
	t.Helper()
	list := kept(t, [8]uint64{})
	for i, c := range cbs {
		list[i] = uint64(ptr(c))
	}
	return call(unix.SYS_IO_SUBMIT, ctx, uintptr(len(cbs)), ptr(list))
}

// aioEvents waits for n events.
func aioEvents(t *testing.T, ctx uintptr, n int) []ioEvent {
	t.Helper()
	evs, ts := kept(t, [8]ioEvent{}), kept(t, unix.Timespec{Sec: 10})
	got, err := call(unix.SYS_IO_GETEVENTS, ctx, uintptr(n), 8, ptr(evs), ptr(ts))
	ok(t, err)
	equal(t, "events", int(got), n)
	return append([]ioEvent{}, evs[:got]...)
}

// aioDo does one request and returns its result.
func aioDo(t *testing.T, ctx uintptr, cb *iocb) int64 {
	t.Helper()
	_, err := aioSubmit(t, ctx, cb)
	ok(t, err)
	ev := aioEvents(t, ctx, 1)[0]
	equal(t, "object", ev.obj, uint64(ptr(cb)))
	equal(t, "data", ev.data, cb.data)
	return ev.res
}

func TestAIOFile(t *testing.T) {
	covers(t, "io_setup", "io_submit", "io_getevents")
	ctx := aioSetup(t, 8)
	_, fd := file(t, "0123456789")
	b := kept(t, [16]byte{})
	vec := kept(t, [2][2]uint64{{uint64(ptr(b)), 2}, {uint64(ptr(b)) + 8, 3}})
	cb := kept(t, iocb{data: 77, op: aioRead, fd: int32(fd), buf: uint64(ptr(b)), n: 4, off: 3, key: 99})
	equal(t, "read", aioDo(t, ctx, cb), 4)
	equal(t, "text", string(b[:4]), "3456")
	equal(t, "key", cb.key, 0)
	copy(b[:], "ABCD....efg")
	*cb = iocb{op: aioWrite, fd: int32(fd), buf: uint64(ptr(b)), n: 4, off: 1}
	equal(t, "write", aioDo(t, ctx, cb), 4)
	*cb = iocb{op: aioWritev, fd: int32(fd), buf: uint64(ptr(vec)), n: 2, off: 10}
	equal(t, "writev", aioDo(t, ctx, cb), 5)
	clear(b[:])
	*cb = iocb{op: aioReadv, fd: int32(fd), buf: uint64(ptr(vec)), n: 2}
	equal(t, "readv", aioDo(t, ctx, cb), 5)
	equal(t, "text", string(b[:2])+string(b[8:11]), "0ABCD")
	whole := make([]byte, 20)
	n, err := unix.Pread(fd, whole, 0)
	ok(t, err)
	equal(t, "file", string(whole[:n]), "0ABCD56789ABefg")
	at, err := unix.Seek(fd, 0, 1)
	ok(t, err)
	equal(t, "offset", at, 0)
	*cb = iocb{op: aioRead, fd: int32(fd), buf: 8, n: 4}
	equal(t, "bad buffer", aioDo(t, ctx, cb), -int64(unix.EFAULT))
	*cb = iocb{op: aioRead, fd: int32(fd), buf: uint64(ptr(b)), n: 4, off: 100}
	equal(t, "at the end", aioDo(t, ctx, cb), 0)
	*cb = iocb{op: aioFsync, fd: int32(fd)}
	equal(t, "fsync", aioDo(t, ctx, cb), 0)
	*cb = iocb{op: aioFdsync, fd: int32(fd)}
	equal(t, "fdsync", aioDo(t, ctx, cb), 0)
	*cb = iocb{op: aioWrite, fd: int32(fd), buf: uint64(ptr(b)), n: 1, flags: aioPrio, prio: 2<<13 | 4, rwFlags: unix.RWF_APPEND}
	equal(t, "append", aioDo(t, ctx, cb), 1)
	st := unix.Stat_t{}
	ok(t, unix.Fstat(fd, &st))
	equal(t, "size", st.Size, 16)
}

// TestAIORing: the guest may look for itself.
func TestAIORing(t *testing.T) {
	covers(t, "io_setup", "io_submit", "io_getevents", "io_destroy")
	ctx := aioSetup(t, 3)
	ring := at[aioRing](ctx)
	equal(t, "magic", ring.magic, 0xa10a10a1)
	equal(t, "compat", ring.compat, 1)
	equal(t, "incompat", ring.incompat, 0)
	equal(t, "header", ring.header, 32)
	equal(t, "whole pages", (ring.nr*32+32)%4096, 0)
	equal(t, "head and tail", [2]uint32{ring.head, ring.tail}, [2]uint32{})
	maps, err := os.ReadFile("/proc/self/maps")
	ok(t, err)
	if !strings.Contains(findLine(string(maps), hex(ctx)+"-"), "/[aio] (deleted)") {
		t.Error("no /[aio] in /proc/self/maps")
	}
	_, fd := file(t, "abc")
	b := kept(t, [4]byte{})
	cb := kept(t, iocb{data: 5, fd: int32(fd), buf: uint64(ptr(b)), n: 3})
	_, err = aioSubmit(t, ctx, cb)
	ok(t, err)
	equal(t, "tail", ring.tail, 1)
	ev := *at[ioEvent](ctx + 32)
	equal(t, "event", ev, ioEvent{data: 5, obj: uint64(ptr(cb)), res: 3})
	ring.head = 1 // taken
	evs, ts := kept(t, [2]ioEvent{}), kept(t, unix.Timespec{})
	n, err := call(unix.SYS_IO_GETEVENTS, ctx, 1, 2, ptr(evs), ptr(ts))
	ok(t, err)
	equal(t, "left", n, 0)
	_, err = aioSubmit(t, ctx, cb, cb)
	ok(t, err)
	equal(t, "tail", ring.tail, 3)
	aioEvents(t, ctx, 2)
	equal(t, "head", ring.head, 3)
	_, err = call(unix.SYS_IO_DESTROY, ctx)
	ok(t, err)
	maps, err = os.ReadFile("/proc/self/maps")
	ok(t, err)
	equal(t, "ring after the end", findLine(string(maps), hex(ctx)+"-"), "")
	_, err = call(unix.SYS_IO_DESTROY, ctx)
	fails(t, err, unix.EINVAL)
	_, err = aioSubmit(t, ctx, cb)
	fails(t, err, unix.EINVAL)
}

// TestAIOWraps: more requests than the ring has room for, a few at a time; and it
// takes no more than it has room for.
func TestAIOWraps(t *testing.T) {
	covers(t, "io_submit", "io_getevents")
	ctx := aioSetup(t, 1)
	ring := at[aioRing](ctx)
	_, fd := file(t, "abc")
	b := kept(t, [4]byte{})
	cb := kept(t, iocb{fd: int32(fd), buf: uint64(ptr(b)), n: 3})
	for i := range ring.nr + 5 {
		cb.data = uint64(i)
		equal(t, "result", aioDo(t, ctx, cb), 3)
	}
	n := uint32(0)
	for ; n < 2*ring.nr; n++ {
		if _, err := aioSubmit(t, ctx, cb); err != nil {
			fails(t, err, unix.EAGAIN)
			break
		}
	}
	if n == 0 || n >= ring.nr {
		t.Error(n, "requests of", ring.nr)
	}
}

func TestAIOPoll(t *testing.T) {
	covers(t, "io_submit", "io_getevents", "io_cancel")
	ctx := aioSetup(t, 8)
	var p [2]int
	ok(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	closeLater(t, p[:]...)
	efd, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	ok(t, err)
	closeLater(t, efd)
	cb := kept(t, iocb{op: aioPoll, fd: int32(p[0]), buf: unix.POLLIN, data: 9, flags: aioResFD, resfd: int32(efd)})
	_, err = aioSubmit(t, ctx, cb)
	ok(t, err)
	evs, ts := kept(t, [2]ioEvent{}), kept(t, unix.Timespec{Nsec: 1e6})
	n, err := call(unix.SYS_IO_GETEVENTS, ctx, 1, 2, ptr(evs), ptr(ts))
	ok(t, err)
	equal(t, "before", n, 0)
	go func() {
		time.Sleep(5 * time.Millisecond)
		unix.Write(p[1], []byte("x"))
	}()
	ev := aioEvents(t, ctx, 1)[0]
	ev.res &^= 0x40 // POLLRDNORM, as whoever wakes it happens to say
	equal(t, "event", ev, ioEvent{data: 9, obj: uint64(ptr(cb)), res: unix.POLLIN})
	count := make([]byte, 8)
	_, err = unix.Read(efd, count)
	ok(t, err)
	equal(t, "eventfd", count[0], 1)
	*cb = iocb{op: aioPoll, fd: int32(p[0]), buf: unix.POLLIN}
	equal(t, "ready already", aioDo(t, ctx, cb), unix.POLLIN)
	_, err = call(unix.SYS_IO_CANCEL, ctx, ptr(cb), ptr(evs))
	fails(t, err, unix.EINVAL)
	unix.Read(p[0], count)

	_, err = aioSubmit(t, ctx, cb)
	ok(t, err)
	cb.key = 1
	_, err = call(unix.SYS_IO_CANCEL, ctx, ptr(cb), ptr(evs))
	fails(t, err, unix.EINVAL)
	cb.key = 0
	_, err = call(unix.SYS_IO_CANCEL, ctx, ptr(cb), ptr(evs))
	fails(t, err, unix.EINPROGRESS)
	equal(t, "cancelled", aioEvents(t, ctx, 1)[0].res, 0)
	_, err = call(unix.SYS_IO_CANCEL, 8, ptr(cb), ptr(evs))
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_IO_CANCEL, ctx, 8, ptr(evs))
	fails(t, err, unix.EFAULT)

	// The ring shows it without a call.
	_, err = aioSubmit(t, ctx, cb)
	ok(t, err)
	ring := at[aioRing](ctx)
	tail := ring.tail
	unix.Write(p[1], []byte("x"))
	for begin := time.Now(); ring.tail == tail && time.Since(begin) < soon; {
		time.Sleep(time.Millisecond)
	}
	equal(t, "tail", ring.tail, tail+1)
}

func TestAIOSetupErrors(t *testing.T) {
	covers(t, "io_setup", "io_destroy", "io_getevents")
	aioSetup(t, 1)
	ctx := kept(t, uint64(0))
	_, err := call(unix.SYS_IO_SETUP, 0, ptr(ctx))
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_IO_SETUP, 1, 8)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_IO_SETUP, 1<<30, ptr(ctx))
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_IO_SETUP, 1<<21, ptr(ctx))
	fails(t, err, unix.EAGAIN)
	*ctx = 1
	_, err = call(unix.SYS_IO_SETUP, 1, ptr(ctx))
	fails(t, err, unix.EINVAL)
	for _, bad := range []uintptr{0, 8, ptr(ctx)} {
		_, err = call(unix.SYS_IO_DESTROY, bad)
		fails(t, err, unix.EINVAL)
	}
	_, err = call(unix.SYS_IO_GETEVENTS, 0, 0, 0, 0, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_IO_GETEVENTS, 0, 0, 0, 0, 8)
	fails(t, err, unix.EFAULT)
}

func TestAIOSubmitErrors(t *testing.T) {
	covers(t, "io_submit")
	ctx := aioSetup(t, 8)
	name, fd := file(t, "abc")
	ro, err := unix.Open(name, unix.O_RDONLY, 0)
	ok(t, err)
	opath, err := unix.Open(name, unix.O_PATH, 0)
	ok(t, err)
	d, err := unix.Open(dir(t), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	ok(t, err)
	var p [2]int
	ok(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	closeLater(t, ro, opath, d, p[0], p[1])
	b := kept(t, [16]byte{})
	buf := uint64(ptr(b))
	for i, x := range []struct {
		cb   iocb
		want unix.Errno
	}{
		{iocb{fd: -1}, unix.EBADF},
		{iocb{fd: int32(opath)}, unix.EBADF},
		{iocb{fd: int32(fd), op: 4}, unix.EINVAL},
		{iocb{fd: int32(fd), op: 6}, unix.EINVAL},
		{iocb{fd: int32(fd), op: 9}, unix.EINVAL},
		{iocb{fd: -1, reserved: 1}, unix.EINVAL},
		{iocb{fd: -1, n: 1 << 63}, unix.EINVAL},
		{iocb{fd: int32(fd), buf: buf, n: 1, off: -1}, unix.EINVAL},
		{iocb{fd: int32(ro), op: aioWrite, buf: buf, n: 1}, unix.EBADF},
		{iocb{fd: int32(d), buf: buf, n: 1}, unix.EINVAL},
		{iocb{fd: int32(p[1]), buf: buf, n: 1}, unix.EBADF},
		{iocb{fd: int32(fd), buf: buf, n: 1, rwFlags: 1 << 30}, unix.EOPNOTSUPP},
		{iocb{fd: int32(fd), buf: buf, n: 1, flags: aioPrio, prio: 1<<13 - 1<<15}, unix.EINVAL},
		{iocb{fd: int32(fd), buf: buf, n: 1, flags: aioResFD, resfd: -1}, unix.EBADF},
		{iocb{fd: int32(fd), buf: buf, n: 1, flags: aioResFD, resfd: int32(fd)}, unix.EINVAL},
		{iocb{fd: int32(fd), op: aioFsync, n: 1}, unix.EINVAL},
		{iocb{fd: int32(p[0]), op: aioFsync}, unix.EINVAL},
		{iocb{fd: int32(fd), op: aioReadv, buf: 8, n: 1}, unix.EFAULT},
		{iocb{fd: int32(fd), op: aioReadv, buf: buf, n: 2000}, unix.EINVAL},
		{iocb{fd: int32(p[0]), op: aioPoll, buf: 1 << 16}, unix.EINVAL},
		{iocb{fd: int32(p[0]), op: aioPoll, buf: 1, off: 1}, unix.EINVAL},
		{iocb{fd: int32(fd), op: aioPoll, buf: unix.POLLPRI}, unix.EINVAL},
	} {
		if _, err := aioSubmit(t, ctx, kept(t, x.cb)); err != x.want {
			t.Errorf("%d: got %v, want %v", i, err, x.want)
		}
	}
	good, bad := kept(t, iocb{fd: int32(fd), buf: buf, n: 1}), kept(t, iocb{fd: -1})
	n, err := aioSubmit(t, ctx, good, bad, good)
	ok(t, err)
	equal(t, "submitted", n, 1)
	aioEvents(t, ctx, 1)
	_, err = call(unix.SYS_IO_SUBMIT, ctx, 1, 8)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_IO_SUBMIT, ctx, ^uintptr(0), 8)
	fails(t, err, unix.EINVAL)
	n, err = call(unix.SYS_IO_SUBMIT, ctx, 0, 8)
	ok(t, err)
	equal(t, "of none", n, 0)
}

func TestAIOGetevents(t *testing.T) {
	covers(t, "io_getevents", "io_pgetevents")
	ctx := aioSetup(t, 8)
	_, fd := file(t, "abc")
	b, evs := kept(t, [16]byte{}), kept(t, [4]ioEvent{})
	cb := kept(t, iocb{fd: int32(fd), buf: uint64(ptr(b)), n: 1})
	_, err := aioSubmit(t, ctx, cb, cb, cb)
	ok(t, err)
	get := func(atLeast, n int, ts *unix.Timespec) (uintptr, error) {
		return call(unix.SYS_IO_GETEVENTS, ctx, uintptr(atLeast), uintptr(n), ptr(evs), ptr(ts))
	}
	_, err = get(-1, 1, nil)
	fails(t, err, unix.EINVAL)
	_, err = get(3, 2, nil)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_IO_GETEVENTS, ctx, 1, 1, 8, 0)
	fails(t, err, unix.EFAULT)
	n, err := get(1, 1, nil)
	ok(t, err)
	equal(t, "one", n, 1)
	n, err = get(3, 4, kept(t, unix.Timespec{Nsec: 1e6}))
	ok(t, err)
	equal(t, "the rest", n, 2)
	n, err = get(0, 4, nil)
	ok(t, err)
	equal(t, "none", n, 0)
	set := kept(t, [2]uint64{})
	pget := func() (uintptr, error) {
		return call(unix.SYS_IO_PGETEVENTS, ctx, 1, 4, ptr(evs), ptr(kept(t, unix.Timespec{Nsec: 1e6})), ptr(set))
	}
	n, err = pget()
	ok(t, err)
	equal(t, "none with a set", n, 0)
	*set = [2]uint64{uint64(ptr(b)), 4}
	_, err = pget()
	fails(t, err, unix.EINVAL)
	*set = [2]uint64{8, 8}
	_, err = pget()
	fails(t, err, unix.EFAULT)
	*set = [2]uint64{uint64(ptr(b)), 8}
	_, err = aioSubmit(t, ctx, cb)
	ok(t, err)
	n, err = pget()
	ok(t, err)
	equal(t, "one with a set", n, 1)
}

// TestAIOCount: fs.aio-nr counts what contexts were made for.
func TestAIOCount(t *testing.T) {
	covers(t, "io_setup", "io_destroy")
	read := func(name string) string {
		b, err := os.ReadFile("/proc/sys/fs/" + name)
		ok(t, err)
		return strings.TrimSpace(string(b))
	}
	aioSetup(t, 1)
	if read("aio-max-nr") == "0" {
		t.Error("no limit")
	}
	before := read("aio-nr")
	ctx := kept(t, uint64(0))
	_, err := call(unix.SYS_IO_SETUP, 1234, ptr(ctx))
	ok(t, err)
	if read("aio-nr") == before {
		t.Error("not counted")
	}
	_, err = call(unix.SYS_IO_DESTROY, uintptr(*ctx))
	ok(t, err)
	for begin := time.Now(); read("aio-nr") != before && time.Since(begin) < soon; {
		runtime.Gosched()
	}
	equal(t, "aio-nr", read("aio-nr"), before)
}

// aioPart leaves a context behind in which a request waits.
func aioPart() string {
	ctx := new(uint64)
	if _, err := call(unix.SYS_IO_SETUP, 4321, ptr(ctx)); err != nil {
		return errText(err)
	}
	var p [2]int
	unix.Pipe2(p[:], 0)
	cb := &iocb{op: aioPoll, fd: int32(p[0]), buf: unix.POLLIN}
	list := &[1]uint64{uint64(ptr(cb))}
	_, err := call(unix.SYS_IO_SUBMIT, uintptr(*ctx), 1, ptr(list))
	return errText(err)
}

// TestAIOExit: a context ends with its process.
func TestAIOExit(t *testing.T) {
	covers(t, "io_setup", "io_submit")
	aioSetup(t, 1)
	nr := func() string {
		b, err := os.ReadFile("/proc/sys/fs/aio-nr")
		ok(t, err)
		return string(b)
	}
	before := nr()
	equal(t, "error", inChild(t, "aio"), "none")
	for begin := time.Now(); nr() != before && time.Since(begin) < soon; {
		time.Sleep(time.Millisecond)
	}
	equal(t, "aio-nr", nr(), before)
}
