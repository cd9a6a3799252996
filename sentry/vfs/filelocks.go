package vfs

import (
	"slices"

	"garrison/sentry/lock"
	"garrison/sentry/wait"
)

// fileLocks is the locks on one inode.
type fileLocks struct {
	wait.Queue // told of each lock that goes

	mu      lock.Mutex[lock.Leaf]
	records []RecordLock // protected by mu
	flocks  []flock      // protected by mu
	leases  []lease      // protected by mu
	waits   []waiter     // in the order in which they began; protected by mu
	held    bool         // there are locks, which are a user of the state; protected by mu
}

// A LockHolder is a Ctx of a process, for which locks are listed.
type LockHolder interface {
	// LockHolder is the process, as long as the system is to know it.
	LockHolder() any
}

// holderOf is the process behind c; nil for the kernel itself.
func holderOf(c Ctx) any {
	if x, ok := Caller(c).(LockHolder); ok {
		return x.LockHolder()
	}
	return nil
}

// A waiter waits for a lock: a *lockWait, *flockWait or *leaseWait.
type waiter interface {
	wait.Object
	info() LockInfo
}

// await waits for w, which is listed meanwhile.
func (s *fileLocks) await(w waiter, block func() error) error {
	s.mu.Lock()
	s.waits = append(s.waits, w)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		i := slices.Index(s.waits, w)
		s.waits = slices.Delete(s.waits, i, i+1)
	}()
	return block()
}

// settle makes the state's use count follow whether there are locks. It is called
// after each change, without mu.
func (fs *Filesystem) settle(st *inodeState) {
	s := &st.locks
	s.mu.Lock()
	any := len(s.records)+len(s.flocks)+len(s.leases) != 0
	was := s.held
	s.held = any
	s.mu.Unlock()
	switch {
	case any && !was:
		fs.mu.Lock()
		st.users++
		fs.mu.Unlock()
		fs.locked.Add(1)
	case !any && was:
		fs.locked.Add(-1)
		fs.putState(st)
	}
}

// dropLocks takes away what the description itself holds, as it is closed.
func (d *FileDescription) dropLocks() {
	d.DropRecordLocks(any(d))
	fs := d.path.d.fs
	if st := fs.state(d.path.d.node, false); st != nil {
		st.locks.unflock(d)
		st.locks.unlease(d)
		fs.settle(st)
		st.locks.Notify(wait.In)
		fs.putState(st)
	}
}
