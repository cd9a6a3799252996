package fanotify

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Sizes of what is read: of an event's head, of the records that may follow it.
const (
	headSize  = 24
	fidSize   = 32 // without a name
	pidfdSize = 8
)

// size is how many bytes x takes as g tells it.
func (g *Group) size(x *event) int {
	n := headSize
	for _, f := range [...]named{x.dir, x.to, x.file} {
		if f.is {
			n += recordSize(f.name)
		}
	}
	if g.spec.Flags&linux.FAN_REPORT_PIDFD != 0 {
		n += pidfdSize
	}
	if g.dotted(x) {
		n += recordSize(".") - recordSize("")
	}
	return n
}

// recordSize is the size of a record with a handle and perhaps a name: with a NUL, and
// padded to whole words.
func recordSize(name string) int {
	if name == "" {
		return fidSize
	}
	return (fidSize + len(name) + 1 + 3) &^ 3
}

// dotted reports whether what happens to a directory is told as of its entry ".".
func (g *Group) dotted(x *event) bool {
	return x.file.is && !x.dir.is && !x.to.is && x.ondir && g.fid()&linux.FAN_REPORT_NAME != 0
}

// Read implements vfs.File: whole events, as many as fit; EINVAL if not one does. What
// they happened to is opened for the caller.
func (g *Group) Read(c vfs.Ctx, dst usermem.Seq, _ int64) (done int64, err error) {
	t, ok := kernel.Caller(c)
	if !ok {
		return 0, linux.EINVAL // nobody to give descriptors to
	}
	for {
		x, err := g.take(dst.Len() - done)
		if err != nil {
			if done > 0 {
				err = nil
			}
			return done, err
		}
		n, err := g.give(t, x, dst.Skip(done))
		x.drop()
		x.at = vfs.Path{}
		if err != nil {
			if done > 0 && err != linux.EFAULT {
				return done, nil
			}
			return 0, err
		}
		done += n
	}
}

// take takes the first event that waits, if it fits into room bytes: EAGAIN, EINVAL.
func (g *Group) take(room int64) (*event, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := g.waiting.Front()
	switch {
	case first == nil:
		return nil, linux.EAGAIN
	case int64(g.size(first.Value)) > room:
		return nil, linux.EINVAL
	}
	g.takeLocked(first.Value)
	return first.Value, nil
}

// give gives t the event x with its descriptors. What asks and can't be given is denied.
func (g *Group) give(t *kernel.Task, x *event, dst usermem.Seq) (n int64, err error) {
	fd, pidfd := kernel.FD(linux.FAN_NOFD), kernel.FD(linux.FAN_NOPIDFD)
	if !x.at.IsZero() {
		if fd, err = g.open(t, x); err != nil {
			g.answer(x, linux.FAN_DENY)
			return 0, err
		}
	}
	if g.spec.Flags&linux.FAN_REPORT_PIDFD != 0 && g.pid(t, x) != 0 && t.Kernel().PIDGroup(x.pid) != nil {
		if pidfd, err = g.spec.Pidfd(t, x.pid); err != nil {
			pidfd = linux.FAN_EPIDFD
		}
	}
	if x.ask != nil {
		g.asks(x, int32(fd)) // before it can be answered
	}
	b := g.encode(t, x, fd, pidfd)
	if _, err := dst.CopyOut(b); err != nil {
		g.deny(x)
		for _, f := range [...]kernel.FD{fd, pidfd} {
			if f >= 0 {
				t.CloseFDs(f)
			}
		}
		return 0, err
	}
	return int64(len(b)), nil
}

// open opens what x happened to, for t.
func (g *Group) open(t *kernel.Task, x *event) (kernel.FD, error) {
	d, err := vfs.OpenMarked(t, x.at, g.spec.Events&^linux.O_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	return t.NewFD(g.spec.Events, d)
}

// pid is the number by which t knows who did x. The unprivileged learn only what they
// have done themselves.
func (g *Group) pid(t *kernel.Task, x *event) int32 {
	if x.pid == nil || g.unpriv && x.pid != t.LockHolder() {
		return 0
	}
	return x.pid.In(t.PIDNamespace())
}

// encode is x as t reads it.
func (g *Group) encode(t *kernel.Task, x *event, fd, pidfd kernel.FD) []byte {
	head := linux.FanotifyEvent{
		Len: uint32(g.size(x)), Vers: linux.FanotifyVersion, MetadataLen: headSize,
		Mask: uint64(x.mask &^ linux.FAN_EVENT_ON_CHILD), FD: int32(fd), PID: g.pid(t, x),
	}
	b := append(make([]byte, 0, head.Len), usermem.AsBytes(&head)...)
	first := uint8(linux.FAN_EVENT_INFO_TYPE_DFID)
	switch {
	case x.rename:
		first = linux.FAN_EVENT_INFO_TYPE_OLD_DFID_NAME
	case x.dir.name != "":
		first = linux.FAN_EVENT_INFO_TYPE_DFID_NAME
	}
	b = x.record(b, x.dir, first)
	b = x.record(b, x.to, linux.FAN_EVENT_INFO_TYPE_NEW_DFID_NAME)
	file, kind := x.file, uint8(linux.FAN_EVENT_INFO_TYPE_FID)
	switch {
	case g.fid() == linux.FAN_REPORT_FID, x.dir.is, x.to.is:
	case g.dotted(x):
		file.name, kind = ".", linux.FAN_EVENT_INFO_TYPE_DFID_NAME
	case x.mask&entryEvents != 0, x.ondir:
		kind = linux.FAN_EVENT_INFO_TYPE_DFID
	}
	b = x.record(b, file, kind)
	if g.spec.Flags&linux.FAN_REPORT_PIDFD != 0 {
		r := linux.FanotifyPidfd{FanotifyInfo: linux.FanotifyInfo{Type: linux.FAN_EVENT_INFO_TYPE_PIDFD, Len: pidfdSize}, FD: int32(pidfd)}
		b = append(b, usermem.AsBytes(&r)...)
	}
	return b
}

// record adds to b the record of one file, if there is one.
func (x *event) record(b []byte, f named, kind uint8) []byte {
	if !f.is {
		return b
	}
	n := recordSize(f.name)
	r := linux.FanotifyFID{FanotifyInfo: linux.FanotifyInfo{Type: kind, Len: uint16(n)}, FSID: x.fsid, FID: linux.NewFID(f.ino)}
	b = append(append(b, usermem.AsBytes(&r)...), f.name...)
	return append(b, make([]byte, n-fidSize-len(f.name))...)
}
