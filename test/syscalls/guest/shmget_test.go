package guest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// shmidDS is struct shmid_ds, shmctl(2).
type shmidDS struct {
	Perm                        ipcPerm
	Size                        uint64
	Attached, Detached, Changed int64
	Cpid, Lpid                  int32
	Count                       uint64
	_                           [2]uint64
}

const (
	shmRdonly = 0o10000
	shmRnd    = 0o20000
	shmRemap  = 0o40000
	shmDest   = 0o1000
)

func newShm(t *testing.T, size uintptr) uintptr {
	t.Helper()
	id, err := call(unix.SYS_SHMGET, ipcPrivate, size, ipcCreat|0o600)
	ok(t, err)
	t.Cleanup(func() { call(unix.SYS_SHMCTL, id, ipcRmid, 0) })
	return id
}

// shmat attaches the segment, until the test ends.
func shmat(t *testing.T, id, at, flags uintptr) uintptr {
	t.Helper()
	p, err := call(unix.SYS_SHMAT, id, at, flags)
	ok(t, err)
	t.Cleanup(func() { call(unix.SYS_SHMDT, p) })
	return p
}

func shmStat(t *testing.T, id uintptr) *shmidDS {
	t.Helper()
	ds := kept(t, shmidDS{})
	_, err := call(unix.SYS_SHMCTL, id, ipcStat, ptr(ds))
	ok(t, err)
	return ds
}

func TestShmgetKeys(t *testing.T) {
	covers(t, "shmget")
	const key = 0x47415203
	_, err := call(unix.SYS_SHMGET, key, 4096, 0)
	fails(t, err, unix.ENOENT)
	_, err = call(unix.SYS_SHMGET, key, 0, ipcCreat|0o600)
	fails(t, err, unix.EINVAL)
	id, err := call(unix.SYS_SHMGET, key, 5000, ipcCreat|ipcExcl|0o600)
	ok(t, err)
	t.Cleanup(func() { call(unix.SYS_SHMCTL, id, ipcRmid, 0) })
	_, err = call(unix.SYS_SHMGET, key, 5000, ipcCreat|ipcExcl|0o600)
	fails(t, err, unix.EEXIST)
	_, err = call(unix.SYS_SHMGET, key, 5001, 0)
	fails(t, err, unix.EINVAL)
	again, err := call(unix.SYS_SHMGET, key, 0, 0)
	ok(t, err)
	equal(t, "the segment of the key", again, id)
}

func TestShmatShares(t *testing.T) {
	covers(t, "shmat", "shmdt")
	id := newShm(t, 5000)
	a, b := shmat(t, id, 0, 0), shmat(t, id, 0, shmRdonly)
	if a == b {
		t.Fatal("attached twice at one address")
	}
	copy(bytesAt(a, 8192)[4990:], "to its end")
	equal(t, "seen by the other", string(bytesAt(b, 8192)[4990:5000]), "to its end")
	equal(t, "shm_nattch", shmStat(t, id).Count, 2)
	// What cannot be written cannot be read into.
	_, err := call(unix.SYS_CLOCK_GETTIME, 0, b)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_SHMDT, a)
	ok(t, err)
	_, err = call(unix.SYS_SHMDT, a)
	fails(t, err, unix.EINVAL)
	equal(t, "shm_nattch", shmStat(t, id).Count, 1)
}

func TestShmatAddress(t *testing.T) {
	covers(t, "shmat", "shmdt")
	id := newShm(t, 4096)
	p := shmat(t, id, 0, 0)
	_, err := call(unix.SYS_SHMAT, id, p, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_SHMAT, id, p+1, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_SHMAT, id, 0, shmRemap)
	fails(t, err, unix.EINVAL)
	other := newShm(t, 4096)
	bytesAt(p, 1)[0] = 'x'
	q, err := call(unix.SYS_SHMAT, other, p+100, shmRnd|shmRemap)
	ok(t, err)
	equal(t, "rounded down", q, p)
	equal(t, "the other segment's", bytesAt(q, 1)[0], 0)
	equal(t, "shm_nattch of the first", shmStat(t, id).Count, 0)
	_, err = call(unix.SYS_SHMDT, p+1)
	fails(t, err, unix.EINVAL)
}

func TestShmctlRmid(t *testing.T) {
	covers(t, "shmctl", "shmat", "shmdt")
	id := newShm(t, 4096)
	p := shmat(t, id, 0, 0)
	_, err := call(unix.SYS_SHMCTL, id, ipcRmid, 0)
	ok(t, err)
	ds := shmStat(t, id)
	equal(t, "SHM_DEST", ds.Perm.Mode&shmDest, shmDest)
	equal(t, "key", ds.Perm.Key, 0)
	bytesAt(p, 1)[0] = 'x' // it is there until the last detaches
	_, err = call(unix.SYS_SHMDT, p)
	ok(t, err)
	_, err = call(unix.SYS_SHMAT, id, 0, 0)
	fails(t, err, unix.EINVAL, unix.EIDRM)
}

func TestShmctlStat(t *testing.T) {
	covers(t, "shmctl")
	id := newShm(t, 5000)
	ds := shmStat(t, id)
	equal(t, "shm_segsz", ds.Size, 5000)
	equal(t, "shm_cpid", int(ds.Cpid), os.Getpid())
	equal(t, "shm_lpid", ds.Lpid, 0)
	equal(t, "shm_nattch", ds.Count, 0)
	equal(t, "shm_atime", ds.Attached, 0)
	equal(t, "mode", ds.Perm.Mode, 0o600)
	ds.Perm.Mode, ds.Perm.GID = 0o640, 55
	_, err := call(unix.SYS_SHMCTL, id, ipcSet, ptr(ds))
	ok(t, err)
	shmat(t, id, 0, 0)
	ds = shmStat(t, id)
	equal(t, "mode", ds.Perm.Mode, 0o640)
	equal(t, "gid", ds.Perm.GID, 55)
	equal(t, "shm_lpid", int(ds.Lpid), os.Getpid())
	if ds.Attached == 0 {
		t.Error("shm_atime is 0 after shmat")
	}
	_, err = call(unix.SYS_SHMCTL, id, 999, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_SHMCTL, id, ipcStat, 8)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_SHMCTL, ^uintptr(0), ipcStat, ptr(ds))
	fails(t, err, unix.EINVAL)
}
