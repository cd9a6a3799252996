package vfs

import (
	"math"

	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// A flock is a lock by flock(2).
type flock struct {
	owner *FileDescription
	write bool
	pid   any // who took it
	seq   uint64
}

func (s *fileLocks) unflock(d *FileDescription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.flocks {
		if s.flocks[i].owner == d {
			s.flocks = append(s.flocks[:i:i], s.flocks[i+1:]...)
			return
		}
	}
}

// Flock is flock(2): how is LOCK_SH, LOCK_EX or LOCK_UN. As on Linux, changing a lock
// gives the old one up first. EWOULDBLOCK unless block.
func (d *FileDescription) Flock(c Ctx, how int, block bool) error {
	if x, ok := d.file.(LockKeeper); ok && x.KeepsLocks(true) {
		return x.Flock(c, how, block)
	}
	fs := d.path.d.fs
	st := fs.state(d.path.d.node, true)
	defer fs.putState(st)
	s := &st.locks
	w := &flockWait{s, flock{owner: d, write: how == linux.LOCK_EX, pid: holderOf(c)}}
	if s.has(w.l) && how != linux.LOCK_UN {
		return nil
	}
	s.unflock(d)
	fs.settle(st)
	s.Notify(wait.In)
	if how == linux.LOCK_UN {
		return nil
	}
	d.flock.Store(true)
	for {
		s.mu.Lock()
		free := w.freeLocked()
		if free {
			w.l.seq = fs.sys.nextLock()
			s.flocks = append(s.flocks, w.l)
		}
		s.mu.Unlock()
		if free {
			fs.settle(st)
			return nil
		}
		if !block {
			return linux.EWOULDBLOCK
		}
		if err := s.await(w, func() error { return c.Block(w, wait.In) }); err != nil {
			return err
		}
	}
}

func (s *fileLocks) has(l flock) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.flocks {
		if x.owner == l.owner && x.write == l.write {
			return true
		}
	}
	return false
}

// flockWait is a flock that is waited for.
type flockWait struct {
	*fileLocks
	l flock
}

func (w *flockWait) freeLocked() bool {
	for i := range w.flocks {
		if w.l.conflicts(&w.flocks[i]) {
			return false
		}
	}
	return true
}

func (l *flock) conflicts(o *flock) bool { return l.owner != o.owner && (l.write || o.write) }

// Ready implements wait.Object.
func (w *flockWait) Ready(e wait.Events) wait.Events {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.freeLocked() {
		return e & wait.In
	}
	return 0
}

// info tells of l.
func (l *flock) info() LockInfo {
	return LockInfo{Kind: WholeFileLock, Type: lockType(l.write), Holder: l.pid, End: math.MaxInt64, seq: l.seq, file: l.owner, owner: l.owner}
}

// info implements waiter.
func (w *flockWait) info() LockInfo { return w.l.info() }
