package vfs

import (
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A Watch tells a Watcher of what happens to one inode: inotify(7).
type Watch struct {
	To Watcher
	fs *Filesystem
	st *inodeState // a use of it, while watching
}

// A Watcher is told of events. It does not block, and takes no lock but leaves and
// those of signals. It may remove the watch.
type Watcher interface {
	// Event is one event with inotify's bits; name is of the entry of a watched
	// directory that it concerns, unlinked that this name is gone (IN_EXCL_UNLINK).
	Event(w *Watch, e WatchEvent)
}

// A WatchEvent is what inotify(7) reports.
type WatchEvent struct {
	Mask, Cookie uint32
	Name         string
	Unlinked     bool
}

// watchList is an inode's watches.
type watchList struct {
	mu lock.Mutex[lock.Leaf]
	ws []*Watch // protected by mu
}

// Watch begins to tell w.To of what happens to p's inode.
func (p Path) Watch(w *Watch) {
	w.fs = p.d.fs
	w.st = w.fs.state(p.d.node, true)
	w.fs.watches.Add(1)
	w.st.watches.mu.Lock()
	defer w.st.watches.mu.Unlock()
	w.st.watches.ws = append(w.st.watches.ws, w)
}

// Remove ends a watch. It may be called more than once.
func (w *Watch) Remove() {
	l := &w.st.watches
	l.mu.Lock()
	i := slices.Index(l.ws, w)
	if i >= 0 {
		l.ws = slices.Delete(l.ws, i, i+1)
	}
	l.mu.Unlock()
	if i >= 0 {
		w.fs.watches.Add(-1)
		w.fs.putState(w.st)
	}
}

// On reports whether w watches p's inode.
func (w *Watch) On(p Path) bool { return w.fs == p.d.fs && w.st.node == p.d.node }

// Inode is what is watched, and Dev the device it is on.
func (w *Watch) Inode() Inode { return w.st.node }

// Dev is the device number of what is watched.
func (w *Watch) Dev() uint64 { return w.fs.dev }

// emit tells those who watch node.
func (fs *Filesystem) emit(node Inode, e WatchEvent) {
	st := fs.state(node, false)
	if st == nil {
		return
	}
	st.watches.mu.Lock()
	ws := slices.Clone(st.watches.ws)
	st.watches.mu.Unlock()
	for _, w := range ws {
		w.To.Event(w, e)
	}
	fs.putState(st)
}

// Notify tells of an event that happens to p's file: for those who use the file not
// through a FileDescription.
func (p Path) Notify(mask uint32) { p.notify(mask) }

func (p Path) notify(mask uint32) { p.d.notify(mask) }

// notify tells those who watch d, and those who watch the directory it is in.
func (d *Dentry) notify(mask uint32) {
	if d.fs.watches.Load() == 0 || d.node == nil {
		return
	}
	if d.dir != nil {
		mask |= linux.IN_ISDIR
	}
	gone := d.deleted.Load()
	if at := d.place.Load(); at.parent != nil {
		d.fs.emit(at.parent.node, WatchEvent{Mask: mask, Name: at.name, Unlinked: gone})
	}
	d.fs.emit(d.node, WatchEvent{Mask: mask, Unlinked: gone})
}

// notifyDir tells those who watch the directory that p is in.
func (p Path) notifyDir(mask uint32) {
	at := p.d.place.Load()
	if p.d.fs.watches.Load() == 0 || at.parent == nil {
		return
	}
	if p.d.dir != nil {
		mask |= linux.IN_ISDIR
	}
	p.d.fs.emit(at.parent.node, WatchEvent{Mask: mask, Name: at.name})
}

// removed tells those who watch node, whose last name known to vfs is gone and which
// nobody has open any more, that it is gone, if it is.
func (fs *Filesystem) removed(node Inode) {
	st := fs.state(node, false)
	if st == nil {
		return
	}
	defer fs.putState(st)
	if a, err := node.Attr(fs.sys.internl); err == nil && a.Nlink != 0 {
		return
	}
	fs.emit(node, WatchEvent{Mask: linux.IN_DELETE_SELF})
	fs.end(st, 0)
}

// end ends all watches of st.
func (fs *Filesystem) end(st *inodeState, why uint32) {
	st.watches.mu.Lock()
	ws := slices.Clone(st.watches.ws)
	st.watches.mu.Unlock()
	for _, w := range ws {
		if why != 0 {
			w.To.Event(w, WatchEvent{Mask: why})
		}
		w.Remove()
		w.To.Event(w, WatchEvent{Mask: linux.IN_IGNORED})
	}
}

// unmounted tells all who watch anything in fs that it is gone.
func (fs *Filesystem) unmounted() {
	if fs.watches.Load() == 0 {
		return
	}
	fs.mu.Lock()
	all := make([]*inodeState, 0, len(fs.states))
	for _, st := range fs.states {
		st.users++
		all = append(all, st)
	}
	fs.mu.Unlock()
	for _, st := range all {
		fs.end(st, linux.IN_UNMOUNT)
		fs.putState(st)
	}
}
