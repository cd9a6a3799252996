package kernel

import (
	"sync/atomic"

	"garrison/sentry/lock"
)

// A userAccount counts what RLIMIT_NPROC and RLIMIT_SIGPENDING limit per user.
type userAccount struct {
	queued  atomic.Int64
	threads atomic.Int64
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
