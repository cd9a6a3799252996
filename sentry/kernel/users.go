package kernel

import (
	"sync/atomic"

	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A userAccount counts what RLIMIT_NPROC and RLIMIT_SIGPENDING limit per user, and
// RLIMIT_MEMLOCK of memory that belongs to no process.
type userAccount struct {
	queued  atomic.Int64
	threads atomic.Int64
	locked  atomic.Int64 // bytes of System V segments
}

// signals changes the number of queued signals by n and returns it. A nil
// account counts nothing.
func (u *userAccount) signals(n int64) int64 {
	if u == nil {
		return 0
	}
	return u.queued.Add(n)
}

// userTable finds accounts by real user id. An account once made stays: there
// are as many as user ids ever used.
type userTable struct {
	mu lock.Mutex[lock.Leaf]
	m  map[uint32]*userAccount // protected by mu
}

func (u *userTable) account(uid uint32) *userAccount {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.m[uid]
	if a == nil {
		if u.m == nil {
			u.m = map[uint32]*userAccount{}
		}
		a = &userAccount{}
		u.m[uid] = a
	}
	return a
}

// LockShared counts n bytes of a shared segment as locked by t's user, as shmctl(2)
// does for SHM_LOCK: EPERM if it may lock nothing, ENOMEM if not as much.
func (t *Task) LockShared(n uint64) (undo func(), err error) {
	c, lim := t.Creds(), t.Limit(limits.MemLock)
	free := c.Capable(auth.CapIPCLock)
	if !free && lim == 0 {
		return nil, linux.EPERM
	}
	size := int64((n + arch.PageMask) &^ arch.PageMask)
	u := t.k.users.account(c.RUID)
	if now := u.locked.Add(size); !free && uint64(now) > lim&^arch.PageMask {
		u.locked.Add(-size)
		return nil, linux.ENOMEM
	}
	return func() { u.locked.Add(-size) }, nil
}

// tooMany notes, as t becomes c's user, whether that has as many threads as t may
// make already: execve(2) fails then, for setuid(2) and its like must not.
func (t *Task) tooMany(c *auth.Creds) {
	n := t.k.users.account(c.RUID).threads.Load()
	t.crowded = c.RUID != 0 && uint64(n) > t.Limit(limits.NProc)
}

// MayExec is EAGAIN if t has become a user with too many threads, and it has still.
func (t *Task) MayExec() error {
	if t.crowded {
		if n := t.k.users.account(t.Creds().RUID).threads.Load(); uint64(n) > t.Limit(limits.NProc) {
			return linux.EAGAIN
		}
		t.crowded = false
	}
	return nil
}
