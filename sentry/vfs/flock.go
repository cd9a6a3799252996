package vfs

import (
	"math"
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/wait"
)

// A RecordLock is a lock on a range of a file: fcntl(2), "Advisory record locking".
// Owner is the process's FDTable for POSIX locks, the FileDescription for open file
// description locks.
type RecordLock struct {
	Start, End int64 // bytes, both included; End MaxInt64 is the end of any file
	Write      bool
	Owner      any
	PID        int32 // what F_GETLK tells; -1 for open file description locks
}

func (l *RecordLock) overlaps(o *RecordLock) bool { return l.Start <= o.End && o.Start <= l.End }

func (l *RecordLock) conflicts(o *RecordLock) bool {
	return l.Owner != o.Owner && (l.Write || o.Write) && l.overlaps(o)
}

// fileLocks is the locks on one inode.
type fileLocks struct {
	wait.Queue // told of each lock that goes

	mu      lock.Mutex[lock.Leaf]
	records []RecordLock // protected by mu
	flocks  []flock      // protected by mu
	leases  []lease      // protected by mu
	held    bool         // there are locks, which are a user of the state; protected by mu
}

// A flock is a lock by flock(2).
type flock struct {
	owner *FileDescription
	write bool
}

// blockerLocked is a lock that is in l's way.
func (s *fileLocks) blockerLocked(l *RecordLock) *RecordLock {
	for i := range s.records {
		if s.records[i].conflicts(l) {
			return &s.records[i]
		}
	}
	return nil
}

// setLocked makes l hold, or its range unlocked: the owner's other locks are cut, and
// joined with l where they touch and agree.
func (s *fileLocks) setLocked(l RecordLock, unlock bool) {
	var out []RecordLock
	for _, r := range s.records {
		if r.Owner != l.Owner {
			out = append(out, r)
			continue
		}
		same := !unlock && r.Write == l.Write
		touches := r.overlaps(&l) || r.End != math.MaxInt64 && r.End+1 == l.Start || l.End != math.MaxInt64 && l.End+1 == r.Start
		switch {
		case same && touches:
			l.Start, l.End = min(l.Start, r.Start), max(l.End, r.End)
		case !r.overlaps(&l):
			out = append(out, r)
		default:
			if r.Start < l.Start {
				left := r
				left.End = l.Start - 1
				out = append(out, left)
			}
			if r.End > l.End {
				right := r
				right.Start = l.End + 1
				out = append(out, right)
			}
		}
	}
	if !unlock {
		out = append(out, l)
	}
	s.records = out
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

// SetLock locks (or unlocks) a range: fcntl(F_SETLK), or F_SETLKW if block. EAGAIN;
// EDEADLK if waiting would be for ever; EBADF if the file is not open for it.
func (d *FileDescription) SetLock(c Ctx, l RecordLock, unlock, block bool) error {
	f := d.Flags()
	if !unlock && (l.Write && !f.Writable() || !l.Write && !f.Readable()) {
		return linux.EBADF
	}
	fs := d.path.d.fs
	st := fs.state(d.path.d.node, true)
	defer fs.putState(st)
	s := &st.locks
	if l.Owner == any(d) {
		d.flock.Store(true)
	}
	for {
		s.mu.Lock()
		var blocker any
		if b := s.blockerLocked(&l); b != nil && !unlock {
			blocker = b.Owner
		} else {
			s.setLocked(l, unlock)
		}
		s.mu.Unlock()
		if blocker == nil {
			fs.settle(st)
			s.Notify(wait.In) // also a smaller or a weaker lock may let others in
			return nil
		}
		if !block {
			return linux.EAGAIN
		}
		if err := fs.sys.posix.await(c, &lockWait{s, l}, blocker); err != nil {
			return err
		}
	}
}

// TestLock is fcntl(F_GETLK): the lock in l's way, if there is one.
func (d *FileDescription) TestLock(l RecordLock) (RecordLock, bool) {
	fs := d.path.d.fs
	st := fs.state(d.path.d.node, false)
	if st == nil {
		return RecordLock{}, false
	}
	defer fs.putState(st)
	st.locks.mu.Lock()
	defer st.locks.mu.Unlock()
	if b := st.locks.blockerLocked(&l); b != nil {
		return *b, true
	}
	return RecordLock{}, false
}

// lockWait is a lock that is waited for.
type lockWait struct {
	*fileLocks
	l RecordLock
}

// Ready implements wait.Object.
func (w *lockWait) Ready(e wait.Events) wait.Events {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blockerLocked(&w.l) == nil {
		return e & wait.In
	}
	return 0
}

// dropRecordLocks takes away the locks of owner, a process that has closed a
// descriptor of the file: any will do (fcntl(2)).
func (d *FileDescription) dropRecordLocks(owner any) {
	fs := d.path.d.fs
	if fs.locked.Load() == 0 {
		return
	}
	st := fs.state(d.path.d.node, false)
	if st == nil {
		return
	}
	st.locks.mu.Lock()
	st.locks.setLocked(RecordLock{End: math.MaxInt64, Owner: owner}, true)
	st.locks.mu.Unlock()
	fs.settle(st)
	st.locks.Notify(wait.In)
	fs.putState(st)
}

// dropLocks takes away what the description itself holds, as it is closed.
func (d *FileDescription) dropLocks() {
	d.dropRecordLocks(any(d))
	fs := d.path.d.fs
	if st := fs.state(d.path.d.node, false); st != nil {
		st.locks.unflock(d)
		st.locks.unlease(d)
		fs.settle(st)
		st.locks.Notify(wait.In)
		fs.putState(st)
	}
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
	fs := d.path.d.fs
	st := fs.state(d.path.d.node, true)
	defer fs.putState(st)
	s := &st.locks
	w := &flockWait{s, flock{d, how == linux.LOCK_EX}}
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
		if err := c.Block(w, wait.In); err != nil {
			return err
		}
	}
}

func (s *fileLocks) has(l flock) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.flocks {
		if x == l {
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
	for _, x := range w.flocks {
		if x.owner != w.l.owner && (x.write || w.l.write) {
			return false
		}
	}
	return true
}

// Ready implements wait.Object.
func (w *flockWait) Ready(e wait.Events) wait.Events {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.freeLocked() {
		return e & wait.In
	}
	return 0
}

// lockGraph is who waits for whose POSIX locks, to find deadlocks.
type lockGraph struct {
	mu    sync.Mutex
	edges []lockEdge // protected by mu
}

type lockEdge struct {
	wait    *lockWait
	blocker any
}

// await waits for w, which blocker is in the way of. EDEADLK if blocker waits, perhaps
// by way of others, for w's owner; open file description locks are not looked at, as
// on Linux.
func (g *lockGraph) await(c Ctx, w *lockWait, blocker any) error {
	_, process := w.l.Owner.(*FDTable)
	if process {
		g.mu.Lock()
		if g.reaches(blocker, w.l.Owner, len(g.edges)) {
			g.mu.Unlock()
			return linux.EDEADLK
		}
		g.edges = append(g.edges, lockEdge{w, blocker})
		g.mu.Unlock()
		defer g.remove(w)
	}
	return c.Block(w, wait.In)
}

func (g *lockGraph) remove(w *lockWait) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.edges {
		if g.edges[i].wait == w {
			g.edges = append(g.edges[:i:i], g.edges[i+1:]...)
			return
		}
	}
}

// reaches reports whether from waits for to. steps bounds the recursion.
func (g *lockGraph) reaches(from, to any, steps int) bool {
	if from == to {
		return true
	}
	if steps == 0 {
		return false
	}
	for _, e := range g.edges {
		if e.wait.l.Owner == from && g.reaches(e.blocker, to, steps-1) {
			return true
		}
	}
	return false
}
