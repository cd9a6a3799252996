package goferfs

import (
	"math"
	"time"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// laterMask is what may be set later; of the owners, that they stay.
const laterMask = vfs.SetMode | vfs.SetUID | vfs.SetGID | vfs.SetAtime | vfs.SetMtime

// maySetLater reports whether it is known that the host will set these attributes as they
// are asked for: the guest has made the file, which therefore is where the host changes
// files, and the gofer's.
func (n *node) maySetLater(a *vfs.Attr, mask vfs.AttrMask) bool {
	const setIDs = linux.S_ISUID | linux.S_ISGID // may go with the owner or the writer
	if n.fs.shared || n.fs.hostReadOnly || mask&^laterMask != 0 || !n.made.Load() || n.ask.Load() {
		return false
	}
	if d := n.data.Load(); d != nil && d.Mapped() && d.MappedWritable() {
		return false // its times change unseen
	}
	for _, t := range []linux.Timespec{a.Atime, a.Mtime} {
		if t.Sec < 0 || t.Sec > math.MaxInt32 {
			return false // not every filesystem has room for it
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	had := &n.attr
	switch {
	case n.removed, had.Flags&wire.AttrFixed != 0, (uint32(a.Mode)|had.Mode)&uint32(setIDs) != 0:
		return false
	case mask&vfs.SetUID != 0 && a.UID != had.UID, mask&vfs.SetGID != 0 && a.GID != had.GID:
		return false
	}
	return had.UID != overflowID && had.GID != overflowID
}

// setLater sets attributes for the guest, and on the host a moment later. With done the
// caller no longer waits, if it must for others. It reports whether it could.
func (n *node) setLater(q *wire.SetattrReq, done <-chan struct{}) bool {
	i := n.fs.held(n)
	if i == nil {
		return false
	}
	n.late.Add(1)
	n.mu.Lock()
	n.ver++ // attributes under way are those of before
	merge(&n.attr, q)
	if q.Mask&wire.SetMode != 0 {
		n.chmodACLLocked(linux.FileMode(q.Mode))
	}
	n.attr.Ctime = wireTime(linux.NsecToTimespec(time.Now().UnixNano()))
	n.mu.Unlock()
	added, arm := n.fs.later.add(change{of: i, set: q})
	if added == 0 {
		if n.late.Add(-1) == 0 {
			n.ask.Store(true) // the host has made it just now
		}
		i.Drop()
		return true
	}
	n.fs.added(added, arm, done)
	return true
}

// held is n as the inode that it is part of, held, or nil if it is found no more.
func (fs *filesystem) held(n *node) inode {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	i := fs.inodes[n.id]
	if i == nil || i.base() != n {
		return nil
	}
	i.Hold()
	return i
}

// joinLocked makes x part of the latest change, if that sets attributes of the same file too.
func (l *later) joinLocked(x *change) bool {
	if x.set == nil || len(l.queue) == 0 {
		return false
	}
	if x.joinMadeLocked() {
		return true
	}
	last := &l.queue[len(l.queue)-1]
	if last.set == nil || last.of != x.of {
		return false
	}
	to, q := last.set, x.set
	to.Mask |= q.Mask
	if q.Mask&wire.SetMode != 0 {
		to.Mode = q.Mode
	}
	if q.Mask&wire.SetUID != 0 {
		to.UID = q.UID
	}
	if q.Mask&wire.SetGID != 0 {
		to.GID = q.GID
	}
	if q.Mask&wire.SetAtime != 0 {
		to.Atime = q.Atime
	}
	if q.Mask&wire.SetMtime != 0 {
		to.Mtime = q.Mtime
	}
	return true
}

// merge makes a what it is when q has been carried out.
func merge(a *wire.Attr, q *wire.SetattrReq) {
	if q.Mask&wire.SetMode != 0 {
		a.Mode = a.Mode&^0o7777 | q.Mode&0o7777
	}
	if q.Mask&wire.SetAtime != 0 {
		a.Atime = q.Atime
	}
	if q.Mask&wire.SetMtime != 0 {
		a.Mtime = q.Mtime
	}
}

// settled waits until the host has made the changes of n that were put off. EINTR: as
// filesystem.settle.
func (n *node) settled(c vfs.Ctx) error {
	if n.late.Load() == 0 {
		return nil
	}
	err := n.fs.settle(done(c))
	if c != nil {
		c.Waited()
	}
	return err
}

// done is closed when c's caller is killed; c may be nil.
func done(c vfs.Ctx) <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.Done()
}
