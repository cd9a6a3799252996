package vfs

import (
	"slices"

	"garrison/sentry/linux"
)

// An Event is something that happens to a file, or is about to: all that who watches may
// want to know.
type Event struct {
	Mask uint32 // FAN_*, of which inotify(7) has the first as IN_*; FAN_ONDIR of a directory
	By   Ctx    // who does it; nil if nobody in particular
	At   Path   // by which open file, not held; nowhere if by none
	Node Inode  // what it happens to

	// Dir is the directory that has it as Name; nil if that is not known, or of no
	// interest. Entry says that it happens to that entry, not to what it names.
	Dir   Inode
	Name  string
	Entry bool

	// To and ToName are where what was Name in Dir is now: FAN_RENAME.
	To     Inode
	ToName string

	cookie uint32
	gone   bool // the name has been removed
	fs     *Filesystem
}

// Ino is the inode number of one of e's files, which may be gone by now: 0 if the
// filesystem can't tell.
func (e *Event) Ino(i Inode) uint64 {
	n, _ := InodeNumber(e.fs.sys.internl, i)
	return n
}

// inotifyEvents is what of an Event's Mask inotify(7) knows.
const inotifyEvents = linux.IN_ALL_EVENTS | linux.IN_ISDIR

// asking is the events that are told before they happen.
const asking = linux.FAN_OPEN_PERM | linux.FAN_ACCESS_PERM | linux.FAN_OPEN_EXEC_PERM

// Asks reports whether e has not happened yet, and can be forbidden.
func (e *Event) Asks() bool { return e.Mask&asking != 0 }

// tell tells all who watch what e is about: those who watch by themselves at once, groups
// in their order. Its error is that of the first that forbids e.
func (fs *Filesystem) tell(e *Event) error {
	e.fs = fs
	var hits []Hit
	if e.Dir != nil {
		as := OnParent
		if e.Entry {
			as = OnInode
		}
		hits = fs.tellInode(hits, e, as, WatchEvent{Name: e.Name, Unlinked: e.gone})
	}
	if e.To != nil {
		hits = fs.tellInode(hits, e, OnTarget, WatchEvent{})
	}
	if !e.Entry {
		hits = fs.tellInode(hits, e, OnInode, WatchEvent{Unlinked: e.gone})
	}
	if m := e.At.mnt; m != nil {
		hits = m.watches.tell(hits, e, OnMount, WatchEvent{})
	}
	hits = fs.marks.tell(hits, e, OnFilesystem, WatchEvent{})
	return tellGroups(e, hits)
}

// tellInode is tell to those who watch one inode of e's: we is for those who are told by
// themselves, all but what e says.
func (fs *Filesystem) tellInode(hits []Hit, e *Event, as MarkPlace, we WatchEvent) []Hit {
	node := e.Node
	switch {
	case as == OnParent, as == OnInode && e.Entry:
		node = e.Dir
	case as == OnTarget:
		node = e.To
	}
	st := fs.state(node, false)
	if st == nil {
		return hits
	}
	defer fs.putState(st)
	return st.watches.tell(hits, e, as, we)
}

func (l *watchList) tell(hits []Hit, e *Event, as MarkPlace, we WatchEvent) []Hit {
	we.Mask, we.Cookie = e.Mask&inotifyEvents, e.cookie
	if we.Mask&(linux.IN_MOVE_SELF|linux.IN_DELETE_SELF) != 0 {
		we.Mask &^= linux.IN_ISDIR // which inotify(7) has never told of these
	}
	for _, w := range l.all() {
		if m, ok := w.To.(Marker); ok {
			hits = append(hits, Hit{m, as})
		} else if we.Mask&^linux.IN_ISDIR != 0 {
			w.To.Event(w, we)
		}
	}
	return hits
}

// tellGroups tells each group that has a mark among hits once.
func tellGroups(e *Event, hits []Hit) error {
	slices.SortStableFunc(hits, func(a, b Hit) int { return b.Mark.Group().Class() - a.Mark.Group().Class() })
	for len(hits) > 0 {
		g := hits[0].Mark.Group()
		var its, rest []Hit
		for _, h := range hits {
			if h.Mark.Group() == g {
				its = append(its, h)
			} else {
				rest = append(rest, h)
			}
		}
		if err := g.Tell(e, its); err != nil && e.Asks() {
			return err
		}
		hits = rest
	}
	return nil
}

// Notify tells of an event that happens to p's file: for those who use the file not
// through a FileDescription.
func (p Path) Notify(c Ctx, mask uint32) { p.notify(c, mask) }

// notify tells those who watch p's file, and those who watch the directory it is in, of
// what does not happen by an open file.
func (p Path) notify(c Ctx, mask uint32) {
	if p.d.fs.watches.Load() != 0 {
		p.d.happens(&Event{Mask: mask, By: c})
	}
}

// notifyUse is notify of what happens by an open file.
func (p Path) notifyUse(c Ctx, mask uint32) {
	if p.d.fs.watches.Load() != 0 {
		p.d.happens(&Event{Mask: mask, By: c, At: p})
	}
}

// ask asks those who may forbid it whether c may do what mask (FAN_*_PERM) says with p's
// file: EPERM. No lock is held. It may wait, till c is killed: ERESTARTSYS.
func (p Path) ask(c Ctx, mask uint32) error {
	if p.d.fs.askers.Load() == 0 {
		return nil
	}
	return p.d.happens(&Event{Mask: mask, By: c, At: p})
}

// happens tells of e, which happens to d.
func (d *Dentry) happens(e *Event) error {
	if d.node == nil {
		return nil
	}
	e.Node, e.gone = d.node, d.deleted.Load()
	if d.dir != nil {
		e.Mask |= linux.FAN_ONDIR
	}
	if at := d.place.Load(); at.parent != nil {
		e.Dir, e.Name = at.parent.node, at.name
	}
	return d.fs.tell(e)
}

// notify tells of what happens by d; of what a listener of fanotify(7) does by the
// descriptors that it was given, nobody is told.
func (d *FileDescription) notify(c Ctx, mask uint32) {
	if !d.quiet {
		d.path.notifyUse(c, mask)
	}
}

// ask is Path.ask of what is to be done by d.
func (d *FileDescription) ask(c Ctx, mask uint32) error {
	if d.quiet {
		return nil
	}
	return d.path.ask(c, mask)
}

// notifyEntry tells those who watch the directory that p is in of p's name.
func (p Path) notifyEntry(c Ctx, mask uint32) {
	if at := p.d.place.Load(); at.parent != nil {
		p.d.fs.entry(at.parent, p.d, &Event{Mask: mask, By: c, Name: at.name})
	}
}

// entry tells of e, which happens to the entry of x in dir.
func (fs *Filesystem) entry(dir, x *Dentry, e *Event) {
	if fs.watches.Load() == 0 {
		return
	}
	if x.dir != nil {
		e.Mask |= linux.FAN_ONDIR
	}
	e.Dir, e.Node, e.Entry = dir.node, x.node, true
	fs.tell(e)
}

// inodeEvent tells those who watch the file x, and not the directory it is in.
func (fs *Filesystem) inodeEvent(c Ctx, x *Dentry, mask uint32) {
	if fs.watches.Load() == 0 {
		return
	}
	if x.dir != nil {
		mask |= linux.FAN_ONDIR
	}
	fs.tell(&Event{Mask: mask, By: c, Node: x.node})
}

// removed tells those who watch x's inode, whose last name known to vfs is gone and which
// nobody has open any more, that it is gone, if it is.
func (fs *Filesystem) removed(c Ctx, x *Dentry) {
	st := fs.state(x.node, false)
	if st == nil {
		return
	}
	defer fs.putState(st)
	if a, err := x.node.Attr(fs.sys.internl); err == nil && a.Nlink != 0 {
		return
	}
	fs.inodeEvent(c, x, linux.FAN_DELETE_SELF)
	st.watches.end(0)
}

// SetMaxQueued has /proc/sys/fs/fanotify/max_queued_events asked for by f.
func (s *System) SetMaxQueued(f func() int64) { s.maxQueued = f }

// MaxQueued is how many events a new group of fanotify(7) may have waiting: Linux's default
// if nobody tells.
func (s *System) MaxQueued() int64 {
	if s.maxQueued == nil {
		return 16384
	}
	return s.maxQueued()
}

// Internal reports whether p is in a mount of the kernel's own: a pipe, a socket.
func (p Path) Internal() bool { return p.mnt.internalUse }

// Written reports whether somebody has p's file open for writing.
func (p Path) Written() bool { return p.d.fs.text.writers(p.d.node) }
