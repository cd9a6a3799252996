package guest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sembuf is struct sembuf, semop(2).
type sembuf struct {
	Num   uint16
	Op    int16
	Flags int16
}

// semidDS is struct semid_ds, semctl(2).
type semidDS struct {
	Perm    ipcPerm
	Op      int64
	_       uint64
	Changed int64
	_       uint64
	Count   uint64
	_       [2]uint64
}

const (
	semGetpid  = 11
	semGetval  = 12
	semGetall  = 13
	semGetncnt = 14
	semGetzcnt = 15
	semSetval  = 16
	semSetall  = 17
)

func newSems(t *testing.T, n uintptr) uintptr {
	t.Helper()
	id, err := call(unix.SYS_SEMGET, ipcPrivate, n, ipcCreat|0o600)
	ok(t, err)
	t.Cleanup(func() { call(unix.SYS_SEMCTL, id, 0, ipcRmid, 0) })
	return id
}

func semop(t *testing.T, id uintptr, ops ...sembuf) error {
	t.Helper()
	b := kept(t, [4]sembuf{})
	copy(b[:], ops)
	_, err := call(unix.SYS_SEMOP, id, ptr(b), uintptr(len(ops)))
	return err
}

func semval(t *testing.T, id, num uintptr) uintptr {
	t.Helper()
	v, err := call(unix.SYS_SEMCTL, id, num, semGetval, 0)
	ok(t, err)
	return v
}

func TestSemgetKeys(t *testing.T) {
	covers(t, "semget")
	const key = 0x47415202
	_, err := call(unix.SYS_SEMGET, key, 1, 0)
	fails(t, err, unix.ENOENT)
	_, err = call(unix.SYS_SEMGET, key, 0, ipcCreat|0o600)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_SEMGET, key, 1<<20, ipcCreat|0o600)
	fails(t, err, unix.EINVAL)
	id, err := call(unix.SYS_SEMGET, key, 2, ipcCreat|ipcExcl|0o600)
	ok(t, err)
	t.Cleanup(func() { call(unix.SYS_SEMCTL, id, 0, ipcRmid, 0) })
	_, err = call(unix.SYS_SEMGET, key, 2, ipcCreat|ipcExcl|0o600)
	fails(t, err, unix.EEXIST)
	_, err = call(unix.SYS_SEMGET, key, 3, 0)
	fails(t, err, unix.EINVAL)
	again, err := call(unix.SYS_SEMGET, key, 0, 0)
	ok(t, err)
	equal(t, "the set of the key", again, id)
}

func TestSemopAllOrNothing(t *testing.T) {
	covers(t, "semop", "semctl")
	id := newSems(t, 2)
	ok(t, semop(t, id, sembuf{0, 3, 0}))
	fails(t, semop(t, id, sembuf{0, -2, ipcNowait}, sembuf{1, -1, ipcNowait}), unix.EAGAIN)
	equal(t, "the first after the second failed", semval(t, id, 0), 3)
	ok(t, semop(t, id, sembuf{0, -2, 0}, sembuf{1, 4, 0}))
	equal(t, "first", semval(t, id, 0), 1)
	equal(t, "second", semval(t, id, 1), 4)
	fails(t, semop(t, id, sembuf{0, 0, ipcNowait}), unix.EAGAIN)
	ok(t, semop(t, id, sembuf{0, -1, 0}, sembuf{0, 0, ipcNowait}))
	pid, err := call(unix.SYS_SEMCTL, id, 0, semGetpid, 0)
	ok(t, err)
	equal(t, "sempid", int(pid), os.Getpid())
}

func TestSemopErrors(t *testing.T) {
	covers(t, "semop", "semtimedop")
	id := newSems(t, 1)
	fails(t, semop(t, id, sembuf{1, 1, 0}), unix.EFBIG)
	fails(t, semop(t, id), unix.EINVAL)
	ok(t, semop(t, id, sembuf{0, 32767, 0}))
	fails(t, semop(t, id, sembuf{0, 1, 0}), unix.ERANGE)
	b := kept(t, sembuf{})
	_, err := call(unix.SYS_SEMOP, id, ptr(b), 501) // SEMOPM is 500
	fails(t, err, unix.E2BIG)
	_, err = call(unix.SYS_SEMOP, id, 8, 1)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_SEMTIMEDOP, id, ptr(b), 1, 8)
	fails(t, err, unix.EFAULT)
	ts := kept(t, unix.Timespec{Nsec: 1e9})
	_, err = call(unix.SYS_SEMTIMEDOP, id, ptr(b), 1, ptr(ts))
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_SEMCTL, id, 0, ipcRmid, 0)
	ok(t, err)
	fails(t, semop(t, id, sembuf{0, 1, 0}), unix.EINVAL, unix.EIDRM)
}

func TestSemtimedopTimeout(t *testing.T) {
	covers(t, "semtimedop")
	id := newSems(t, 1)
	b, ts := kept(t, sembuf{0, -1, 0}), kept(t, unix.Timespec{Nsec: 30e6})
	start := time.Now()
	_, err := call(unix.SYS_SEMTIMEDOP, id, ptr(b), 1, ptr(ts))
	for err == unix.EINTR {
		_, err = call(unix.SYS_SEMTIMEDOP, id, ptr(b), 1, ptr(ts))
	}
	fails(t, err, unix.EAGAIN)
	if d := time.Since(start); d < 30*time.Millisecond {
		t.Errorf("gave up after %v", d)
	}
	ok(t, semop(t, id, sembuf{0, 1, 0}))
	_, err = call(unix.SYS_SEMTIMEDOP, id, ptr(b), 1, ptr(ts))
	ok(t, err)
}

func TestSemctlValues(t *testing.T) {
	covers(t, "semctl")
	id := newSems(t, 3)
	in, out := kept(t, [3]uint16{1, 32767, 3}), kept(t, [3]uint16{})
	_, err := call(unix.SYS_SEMCTL, id, 0, semSetall, ptr(in))
	ok(t, err)
	_, err = call(unix.SYS_SEMCTL, id, 2, semSetval, 9)
	ok(t, err)
	_, err = call(unix.SYS_SEMCTL, id, 0, semGetall, ptr(out))
	ok(t, err)
	equal(t, "values", *out, [3]uint16{1, 32767, 9})
	in[0] = 32768
	_, err = call(unix.SYS_SEMCTL, id, 0, semSetall, ptr(in))
	fails(t, err, unix.ERANGE)
	_, err = call(unix.SYS_SEMCTL, id, 0, semSetval, 32768)
	fails(t, err, unix.ERANGE)
	_, err = call(unix.SYS_SEMCTL, id, 3, semGetval, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_SEMCTL, id, 0, 999, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_SEMCTL, id, 0, semGetall, 8)
	fails(t, err, unix.EFAULT)
	for _, cmd := range []uintptr{semGetncnt, semGetzcnt} {
		n, err := call(unix.SYS_SEMCTL, id, 0, cmd, 0)
		ok(t, err)
		equal(t, "waiters", n, 0)
	}
}

func TestSemctlStat(t *testing.T) {
	covers(t, "semctl")
	id := newSems(t, 3)
	ds := kept(t, semidDS{})
	_, err := call(unix.SYS_SEMCTL, id, 0, ipcStat, ptr(ds))
	ok(t, err)
	equal(t, "sem_nsems", ds.Count, 3)
	equal(t, "sem_otime", ds.Op, 0)
	equal(t, "mode", ds.Perm.Mode, 0o600)
	ds.Perm.Mode, ds.Perm.UID = 0o644, 77
	_, err = call(unix.SYS_SEMCTL, id, 0, ipcSet, ptr(ds))
	ok(t, err)
	ok(t, semop(t, id, sembuf{0, 1, 0}))
	_, err = call(unix.SYS_SEMCTL, id, 0, ipcStat, ptr(ds))
	ok(t, err)
	equal(t, "mode", ds.Perm.Mode, 0o644)
	equal(t, "uid", ds.Perm.UID, 77)
	equal(t, "cuid", ds.Perm.CreatorUID, 0)
	if ds.Op == 0 || ds.Changed == 0 {
		t.Errorf("sem_otime %d, sem_ctime %d", ds.Op, ds.Changed)
	}
}
