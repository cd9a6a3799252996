package goferfs

import (
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A file that is made in the mount that is the sandbox's alone is there for the guest at
// once, and on the host a moment later, in one message with what was written to it and the
// attributes that it was given meanwhile. So it is done where it is known that the name is
// free and the owners are allowed, and that there is room, of which much is left to others:
// that a quota is reached, or the host's disk fails, comes out later, as it does with what
// any Linux writes back. The file is not there then, fsync(2) of it and syncfs(2) say why,
// and files are made on the host at once from then on.

const (
	// maxHeld is how many bytes of such files may wait, over all: then who writes more
	// waits for the host.
	maxHeld = 4 << 20
	// spareBytes and spareInodes are the room that must be left.
	spareBytes, spareInodes = 128 << 20, 16 << 10
	// maxTarget, maxSubdirs and maxLinks are what all of the host's filesystems allow.
	maxTarget, maxSubdirs, maxLinks = 1000, 30000, 1000
	// roomAge is how long what is known of the room holds.
	roomAge = int64(time.Second)
)

// sturdy are the filesystems that refuse no name and no owner that Linux's own allow.
// It is never changed.
var sturdy = []uint64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC}

// A making is a file that the host does not have yet.
type making struct {
	dir *dir // held

	// Protected by later.mu, and fixed when under way.
	queued bool // not under way yet
	req    wire.MakeReq
}

// owners are a file's.
type owners struct{ uid, gid uint32 }

// A nursery is what files can be made with later. Protected by later.mu.
type nursery struct {
	ids    []wire.ID       // reserved
	room   int64           // in bytes, when seen, and less what was written since
	seen   int64           // when room was; now()
	known  map[owners]bool // the host has let a file have them
	held   int             // bytes that wait
	closed bool            // the host has refused a file
}

// mayMakeLater reports whether it is known that the host will make name in d.
func (d *dir) mayMakeLater(name string, s *vfs.MakeSpec) bool {
	switch s.Mode.Type() {
	case linux.S_IFREG, linux.S_IFDIR:
	case linux.S_IFLNK:
		if len(s.Target) > maxTarget {
			return false
		}
	default:
		return false
	}
	return d.isFree(name)
}

// isFree reports whether it is known that d has no such name, and that the host lets it
// have one.
func (d *dir) isFree(name string) bool {
	fs := d.fs
	if name == "" || !fs.sturdy || fs.shared || fs.hostReadOnly || d.ask.Load() || d.doubtful.Load() || len(name) > fs.maxName {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &d.attr
	if d.names == nil || a.Dev != fs.dev || a.Flags&wire.AttrFixed != 0 || a.Nlink > maxSubdirs || a.UID == overflowID || a.GID == overflowID {
		return false
	}
	_, there := d.names.where[name]
	return !there
}

// place is an id for a file to come that s has, or 0 if it had better be made at once.
func (fs *filesystem) place(c vfs.Ctx, s *vfs.MakeSpec) wire.ID {
	l := &fs.later
	for range 2 {
		l.mu.Lock()
		b := &l.born
		if b.closed || !b.known[owners{s.UID, s.GID}] {
			l.mu.Unlock()
			return 0
		}
		if n := len(b.ids); n > 0 && now()-b.seen < roomAge {
			var id wire.ID
			if b.room >= spareBytes {
				id, b.ids = b.ids[n-1], b.ids[:n-1]
			}
			l.mu.Unlock()
			return id
		}
		need := wire.MaxReserve - len(b.ids)
		l.mu.Unlock()
		q := wire.ReserveReq{Root: fs.root, N: uint32(need)}
		var r wire.ReserveResp
		if fs.callAtOnce(c, &q, &r, nil) != nil {
			return 0
		}
		l.mu.Lock()
		b.ids = append(b.ids, r.Reserved...)
		b.seen = now()
		b.room = int64(min(r.Bytes, math.MaxInt64)) - int64(b.held)
		if r.Inodes < spareInodes {
			b.room = 0
		}
		l.mu.Unlock()
	}
	return 0
}

// grew notes that n bytes were written to the host's filesystem.
func (l *later) grew(n int64) {
	l.mu.Lock()
	l.born.room -= n
	l.mu.Unlock()
}

// owned notes that the host has let a file have the owners that s tells.
func (l *later) owned(s *vfs.MakeSpec) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.born.known == nil || len(l.born.known) > 64 {
		l.born.known = map[owners]bool{}
	}
	l.born.known[owners{s.UID, s.GID}] = true
}

// makeLater makes a regular file, a directory or a symlink, on the host a moment later;
// nil if that can't be.
func (d *dir) makeLater(c vfs.Ctx, name string, s *vfs.MakeSpec) inode {
	if !d.mayMakeLater(name, s) || d.inheritable(c) {
		return nil
	}
	fs := d.fs
	id := fs.place(c, s)
	if id == 0 {
		return nil
	}
	fs.later.endRow()
	at := stamp()
	x := &making{dir: d, queued: true, req: wire.MakeReq{ID: id, Dir: d.id, Name: name, Mode: uint32(s.Mode), UID: s.UID, GID: s.GID, Target: s.Target}}
	i := fs.newInode(&wire.Node{ID: id, Target: s.Target, Attr: wire.Attr{Dev: fs.dev, Mode: x.req.Mode, Nlink: 1, UID: s.UID, GID: s.GID,
		Atime: at, Mtime: at, Ctime: at, Btime: at}})
	n := i.base()
	n.given = 1
	n.refs.Store(2) // the caller's and the change's
	n.made.Store(true)
	n.bare = true // nothing is inherited
	n.making.Store(x)
	n.above.Store(d)
	n.late.Store(1)
	if n.typ == linux.S_IFREG {
		x.req.Times, x.req.Atime, x.req.Mtime = wire.SetAtime|wire.SetMtime, at, at
		n.bytes().upper = true
	}
	d.Hold()
	d.late.Add(1)
	d.mu.Lock()
	d.ver++ // attributes under way are those of before
	d.mu.Unlock()
	fs.mu.Lock()
	fs.inodes[id] = i
	fs.mu.Unlock()
	if sub, ok := i.(*dir); ok {
		sub.keep(newListing(0), fs.edits.Load())
	}
	added, arm := fs.later.add(change{of: i, make: x})
	d.added(name, i)
	fs.added(added, arm, done(c))
	return i
}

// linkLater gives a file that the guest has made another name, on the host a moment later.
// It reports whether it could.
func (d *dir) linkLater(c vfs.Ctx, name string, i inode) bool {
	n, l := i.base(), &d.fs.later
	if n.typ != linux.S_IFREG || !n.made.Load() || n.ask.Load() || !d.isFree(name) {
		return false
	}
	l.mu.Lock()
	closed := l.born.closed
	l.mu.Unlock()
	if closed {
		return false
	}
	n.mu.Lock()
	a := &n.attr
	if n.removed || a.Nlink == 0 || a.Nlink > maxLinks || a.Flags&wire.AttrFixed != 0 || a.UID == overflowID || a.GID == overflowID {
		n.mu.Unlock()
		return false
	}
	n.late.Add(1)
	n.ver++ // attributes under way are those of before
	a.Nlink++
	n.mu.Unlock()
	d.late.Add(1)
	d.mu.Lock()
	d.ver++
	d.mu.Unlock()
	l.endRow()
	i.Hold()
	d.Hold()
	added, arm := l.add(change{of: i, link: d, name: name})
	d.added(name, i)
	d.fs.added(added, arm, done(c))
	return true
}

// stamp is the time that the host would give a file that changes now.
func stamp() wire.Time {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &t); err != nil {
		return wireTime(linux.NsecToTimespec(time.Now().UnixNano()))
	}
	return wire.Time{Sec: t.Sec, Nsec: uint32(t.Nsec)}
}

// writeLater writes to a file that is not under way to the host yet, if it is short
// enough. off is -1 for the end. wrote: it has, or err says why not.
func (n *node) writeLater(src usermem.Seq, off int64) (count, end int64, wrote bool, err error) {
	x, size := n.making.Load(), src.Len()
	if x == nil || size == 0 || off > wire.MaxMake || size > wire.MaxMake {
		return 0, 0, false, nil
	}
	b := make([]byte, size)
	k, err := src.CopyIn(b)
	if k == 0 {
		return 0, 0, true, err
	}
	b = b[:k]
	at := stamp()
	l := &n.fs.later
	n.mu.Lock() // until it has its attributes: or those of the host may come before
	l.mu.Lock()
	have := int64(len(x.req.Data))
	if off < 0 {
		off = have
	}
	if end = off + int64(k); !x.queued || off > have || end > wire.MaxMake {
		l.mu.Unlock()
		n.mu.Unlock()
		return 0, 0, false, nil
	}
	if have == 0 {
		x.req.Data = b
	} else {
		x.req.Data = append(x.req.Data[:off], append(b, x.req.Data[min(end, have):]...)...)
	}
	x.req.Mtime = at
	grown := max(end-have, 0)
	l.born.held += int(grown)
	l.born.room -= grown
	full := l.born.held > maxHeld
	l.mu.Unlock()
	n.attr.Size, n.attr.Mtime, n.attr.Ctime = max(n.attr.Size, uint64(end)), at, at
	n.mu.Unlock()
	if full {
		_ = n.fs.settle(nil)
	}
	return int64(k), end, true, nil
}

// joinMadeLocked makes x, which sets attributes of a file that is not under way yet, a part
// of its making. later.mu is held.
func (x *change) joinMadeLocked() bool {
	m := x.of.base().making.Load()
	if m == nil || !m.queued {
		return false
	}
	q, to := x.set, &m.req
	if to.Mode&wire.TypeMask == wire.TypeDir && q.Mask&(wire.SetAtime|wire.SetMtime) != 0 {
		return false // what is made in it meanwhile changes its times
	}
	if q.Mask&wire.SetMode != 0 {
		to.Mode = to.Mode&wire.TypeMask | q.Mode
	}
	if q.Mask&wire.SetAtime != 0 {
		to.Atime, to.Times = q.Atime, to.Times|wire.SetAtime
	}
	if q.Mask&wire.SetMtime != 0 {
		to.Mtime, to.Times = q.Mtime, to.Times|wire.SetMtime
	}
	return true
}

// isMade takes in that the host has made the file of x, with attributes a, or why not.
func (x *change) isMade(a *wire.Attr, err linux.Errno) {
	n, d := x.of.base(), x.make.dir
	if err == 0 {
		n.ino.Store(a.Ino)
	} else {
		n.mu.Lock()
		n.removed, n.attr.Nlink = true, 0
		n.mu.Unlock()
		d.doubt(x.make.req.Name)
	}
	n.making.Store(nil)
	l := &n.fs.later
	l.mu.Lock()
	l.born.held -= len(x.make.req.Data)
	if err != 0 && err != linux.EEXIST && err != linux.ENOENT && err != linux.ESTALE {
		l.born.closed = true
	}
	l.mu.Unlock()
}

// size is how much of a message the change takes at most.
func (x *change) size() int {
	if x.first != nil {
		return 0
	}
	if x.make == nil {
		return wire.MakeSize // no other takes more
	}
	return wire.MakeSize + len(x.make.req.Data) + len(x.make.req.Target)
}

// take is the next changes that were put off, as many as one message takes, and their size.
func (l *later) take() (batch []change, size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for ; n < min(len(l.queue), wire.MaxEdits); n++ {
		more := l.queue[n].size()
		if n > 0 && size+more > maxBatch {
			break
		}
		if m := l.queue[n].make; m != nil {
			m.queued = false
		}
		size += more
	}
	batch = slices.Clip(l.queue[:n])
	l.under = batch
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue = nil
	}
	return batch, size
}
