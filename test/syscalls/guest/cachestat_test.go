package guest

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestCachestat(t *testing.T) {
	covers(t, "cachestat")
	_, fd := file(t, string(make([]byte, 3*4096+1)))
	rng, st := kept(t, [2]uint64{}), kept(t, [5]uint64{})
	pages := func(off, n, want uint64) {
		t.Helper()
		*rng = [2]uint64{off, n}
		_, err := call(unix.SYS_CACHESTAT, uintptr(fd), ptr(rng), ptr(st), 0)
		ok(t, err)
		equal(t, "nr_cache", st[0], want)
	}
	pages(0, 0, 4) // to the end; tmpfs is its own cache
	pages(4096, 4096, 1)
	pages(4095, 2, 2)
	pages(1<<20, 0, 0)
}

func TestCachestatErrors(t *testing.T) {
	covers(t, "cachestat")
	_, fd := file(t, "x")
	rng, st := kept(t, [2]uint64{}), kept(t, [5]uint64{})
	_, err := call(unix.SYS_CACHESTAT, ^uintptr(0), ptr(rng), ptr(st), 0)
	fails(t, err, unix.EBADF)
	_, err = call(unix.SYS_CACHESTAT, uintptr(fd), ptr(rng), ptr(st), 1)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_CACHESTAT, uintptr(fd), 8, ptr(st), 0)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_CACHESTAT, uintptr(fd), ptr(rng), 8, 0)
	fails(t, err, unix.EFAULT)
}
