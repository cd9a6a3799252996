package vfs

import (
	"math"
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// A RecordLock is a lock on a range of a file: fcntl(2), "Advisory record locking".
// Owner is the process's FDTable for POSIX locks, the FileDescription for open file
// description locks.
type RecordLock struct {
	Start, End int64 // bytes, both included; End MaxInt64 is the end of any file
	Write      bool
	Owner      any
	Holder     any // who set it, as LockHolder has it

	file *FileDescription // by which it was set
	seq  uint64           // its place among all locks
}

// OpenFile reports whether l is an open file description's.
func (l *RecordLock) OpenFile() bool {
	_, ofd := l.Owner.(*FileDescription)
	return ofd
}

func (l *RecordLock) overlaps(o *RecordLock) bool { return l.Start <= o.End && o.Start <= l.End }

func (l *RecordLock) conflicts(o *RecordLock) bool {
	return l.Owner != o.Owner && (l.Write || o.Write) && l.overlaps(o)
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
// joined with l where they touch and agree. An owner's locks stand together, by place,
// after those of owners that were there before it: F_GETLK tells the first in the way.
func (s *fileLocks) setLocked(l RecordLock, unlock bool, next func() uint64) {
	var before, own, after []RecordLock
	for _, r := range s.records {
		switch {
		case r.Owner == l.Owner:
			own = append(own, r)
		case own == nil:
			before = append(before, r)
		default:
			after = append(after, r)
		}
	}
	var left, right []RecordLock
	for _, r := range own {
		same := !unlock && r.Write == l.Write
		switch {
		case same && r.touches(&l):
			l.Start, l.End = min(l.Start, r.Start), max(l.End, r.End)
			if l.seq == 0 {
				l.seq, l.file, l.Holder = r.seq, r.file, r.Holder // it is that one, grown
			}
		case r.End < l.Start:
			left = append(left, r)
		case r.Start > l.End:
			right = append(right, r)
		default:
			if r.Start < l.Start {
				part := r
				part.End = l.Start - 1
				if r.End > l.End {
					part.seq = next()
				}
				left = append(left, part)
			}
			if r.End > l.End {
				part := r
				part.Start = l.End + 1
				right = append(right, part)
			}
		}
	}
	if !unlock {
		if l.seq == 0 {
			l.seq = next()
		}
		left = append(left, l)
	}
	s.records = slices.Concat(before, left, right, after)
}

// info tells of l.
func (l *RecordLock) info() LockInfo {
	x := LockInfo{Kind: PosixLock, Type: lockType(l.Write), Holder: l.Holder, Start: l.Start, End: l.End, seq: l.seq, file: l.file, owner: l.Owner}
	if l.OpenFile() {
		x.Kind = OpenFileLock
	}
	return x
}

// info implements waiter.
func (w *lockWait) info() LockInfo { return w.l.info() }

// touches reports whether nothing is between r and l.
func (r *RecordLock) touches(l *RecordLock) bool {
	return r.overlaps(l) || r.End != math.MaxInt64 && r.End+1 == l.Start || l.End != math.MaxInt64 && l.End+1 == r.Start
}

// SetLock locks (or unlocks) a range: fcntl(F_SETLK), or F_SETLKW if block. EAGAIN;
// EDEADLK if waiting would be for ever. The caller has seen that the
// file is open for it.
func (d *FileDescription) SetLock(c Ctx, l RecordLock, unlock, block bool) error {
	if x, ok := d.file.(LockKeeper); ok && x.KeepsLocks(false) {
		return x.SetLock(c, l, unlock, block)
	}
	l.file, l.Holder = d, holderOf(c)
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
			s.setLocked(l, unlock, fs.sys.nextLock)
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

// TestLock is fcntl(F_GETLK): the lock in l's way, if there is one; with own, one that
// is l's owner's, in l's range.
func (d *FileDescription) TestLock(c Ctx, l RecordLock, own bool) (RecordLock, bool, error) {
	if x, ok := d.file.(LockKeeper); ok && x.KeepsLocks(false) {
		return x.TestLock(c, l)
	}
	fs := d.path.d.fs
	st := fs.state(d.path.d.node, false)
	if st == nil {
		return RecordLock{}, false, nil
	}
	defer fs.putState(st)
	st.locks.mu.Lock()
	defer st.locks.mu.Unlock()
	for i := range st.locks.records {
		r := &st.locks.records[i]
		if own && r.Owner == l.Owner && r.overlaps(&l) || !own && r.conflicts(&l) {
			return *r, true, nil
		}
	}
	return RecordLock{}, false, nil
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

// DropRecordLocks takes away the locks of owner, a process that has closed a
// descriptor of the file: any will do (fcntl(2)).
func (d *FileDescription) DropRecordLocks(owner any) {
	fs := d.path.d.fs
	if fs.locked.Load() == 0 {
		return
	}
	st := fs.state(d.path.d.node, false)
	if st == nil {
		return
	}
	st.locks.mu.Lock()
	st.locks.setLocked(RecordLock{End: math.MaxInt64, Owner: owner}, true, fs.sys.nextLock)
	st.locks.mu.Unlock()
	fs.settle(st)
	st.locks.Notify(wait.In)
	fs.putState(st)
}
