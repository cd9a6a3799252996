package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// mlock implements mlock(2).
func mlock(t *kernel.Task, a address, n size) (int, error) {
	return 0, t.Space().Lock(a.Addr(), uint64(n), false, mayLock(t))
}

// mlock2 implements mlock2(2).
func mlock2(t *kernel.Task, a address, n size, flags int32) (int, error) {
	if flags&^linux.MLOCK_ONFAULT != 0 {
		return 0, linux.EINVAL
	}
	return 0, t.Space().Lock(a.Addr(), uint64(n), flags != 0, mayLock(t))
}

// munlock implements munlock(2).
func munlock(t *kernel.Task, a address, n size) (int, error) {
	return 0, t.Space().Unlock(a.Addr(), uint64(n))
}

// mlockall implements mlockall(2).
func mlockall(t *kernel.Task, flags int32) (int, error) {
	if flags == 0 {
		return 0, linux.EINVAL
	}
	return 0, t.Space().LockAll(int(flags), mayLock(t))
}

// munlockall implements munlockall(2).
func munlockall(t *kernel.Task) (int, error) { return 0, t.Space().LockAll(0, true) }
