package fuse

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// KeepsLocks implements vfs.LockKeeper: a server that has asked for it is told of locks.
func (f *file) KeepsLocks(flock bool) bool {
	if flock {
		return f.i.m.offers(linux.FUSE_FLOCK_LOCKS)
	}
	return f.i.m.offers(linux.FUSE_POSIX_LOCKS)
}

func (f *file) lockIn(c vfs.Ctx, l *vfs.RecordLock) linux.FuseLkIn {
	in := linux.FuseLkIn{FH: f.fh, Owner: f.i.m.owner(l.Owner)}
	t, ok := kernel.Caller(c)
	if ok && !l.OpenFile() && l.Owner != any(f) {
		in.Owner = f.i.m.owner(t.LockHolder()) // as FUSE_FLUSH has it, also of who has no table any more
	}
	in.Lock = linux.FuseFileLock{Start: uint64(l.Start), End: uint64(l.End), Type: linux.F_RDLCK}
	if l.Write {
		in.Lock.Type = linux.F_WRLCK
	}
	if ok {
		in.Lock.PID = uint32(t.ThreadGroup().PID().In(f.i.m.pids))
	}
	return in
}

// SetLock implements vfs.LockKeeper.
func (f *file) SetLock(c vfs.Ctx, l vfs.RecordLock, unlock, block bool) error {
	in := f.lockIn(c, &l)
	if unlock {
		in.Lock.Type, in.Lock.PID = linux.F_UNLCK, 0
	}
	return f.setLock(c, in, block)
}

func (f *file) setLock(c vfs.Ctx, in linux.FuseLkIn, block bool) error {
	op := linux.FUSE_SETLK
	if block {
		op = linux.FUSE_SETLKW
	}
	_, err := f.i.m.call(c, ask(op, f.i.id, raw(in)))
	if err == linux.EINTR && block {
		return linux.ERESTARTSYS
	}
	return err
}

// TestLock implements vfs.LockKeeper.
func (f *file) TestLock(c vfs.Ctx, l vfs.RecordLock) (vfs.RecordLock, bool, error) {
	m := f.i.m
	o, err := callFor[linux.FuseLkOut](m, c, ask(linux.FUSE_GETLK, f.i.id, raw(f.lockIn(c, &l))))
	if err != nil {
		return l, false, err
	}
	x := o.Lock
	switch {
	case x.Type == linux.F_UNLCK:
		return l, false, nil
	case x.Type > linux.F_UNLCK || x.Start > x.End || x.End > maxSize:
		return l, false, linux.EIO
	}
	found := vfs.RecordLock{Start: int64(x.Start), End: int64(x.End), Write: x.Type == linux.F_WRLCK}
	if t, ok := kernel.Caller(c); ok {
		found.Holder = t.Kernel().FindPID(m.pids, int32(x.PID))
	}
	return found, true, nil
}

// Flock implements vfs.LockKeeper. how is linux.LOCK_*.
func (f *file) Flock(c vfs.Ctx, how int, block bool) error {
	in := f.lockIn(c, &vfs.RecordLock{End: maxSize, Write: how == linux.LOCK_EX, Owner: f})
	in.Flags = linux.FUSE_LK_FLOCK
	if how == linux.LOCK_UN {
		in.Lock.Type, in.Lock.PID = linux.F_UNLCK, 0
	}
	f.flocked.Store(true)
	return f.setLock(c, in, block)
}
