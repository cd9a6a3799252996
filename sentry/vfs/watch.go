package vfs

import (
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A Watch tells a Watcher of what happens to one inode (inotify(7)), or to all files of a
// mount or a filesystem (fanotify(7)).
type Watch struct {
	To Watcher
	fs *Filesystem
	on *watchList
	st *inodeState // of an inode: a use of it, while watching
	// asks: it is counted among those that can forbid.
	asks bool
}

// A Watcher is told of events. It does not block, and takes no lock but leaves and
// those of signals. It may remove the watch.
type Watcher interface {
	// Event is one event with inotify's bits; name is of the entry of a watched
	// directory that it concerns, unlinked that this name is gone (IN_EXCL_UNLINK).
	// A Marker hears only of the end so: IN_UNMOUNT, IN_IGNORED.
	Event(w *Watch, e WatchEvent)
}

// A Marker is a Watcher that is one of a group's: the group is told of each event once,
// by whichever of its marks.
type Marker interface {
	Watcher
	Group() Group
}

// A Group is what marks belong to: fanotify(7).
type Group interface {
	// Class is its place in the order of being told, the highest first. Those above 0
	// are asked before a file is used.
	Class() int
	// Tell tells of e, which marks have met. Where e is about what has not happened yet
	// (it asks), an error forbids it, and the caller may be made to wait.
	Tell(e *Event, marks []Hit) error
}

// A Hit is a mark that an event has met, and as what.
type Hit struct {
	Mark Marker
	As   MarkPlace
}

// A MarkPlace is what a mark that an event has met is on.
type MarkPlace uint8

const (
	OnInode      MarkPlace = iota // what it happens to, or the directory whose entry it is about
	OnParent                      // the directory of what it happens to
	OnTarget                      // the directory that something is renamed to
	OnMount                       // the mount by which it happens
	OnFilesystem                  // the filesystem
)

// A WatchEvent is what inotify(7) reports.
type WatchEvent struct {
	Mask, Cookie uint32
	Name         string
	Unlinked     bool
}

// watchList is the watches of one inode, mount or filesystem.
type watchList struct {
	mu lock.Mutex[lock.Leaf]
	ws []*Watch // protected by mu
}

func (l *watchList) all() []*Watch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ws)
}

// Watch begins to tell w.To of what happens to p's inode.
func (p Path) Watch(w *Watch) {
	w.st = p.d.fs.state(p.d.node, true)
	w.begin(p.d.fs, &w.st.watches)
}

// Watch begins to tell w.To, a Marker, of what happens by m.
func (m *Mount) Watch(w *Watch) { w.begin(m.fs, &m.watches) }

// Watch begins to tell w.To, a Marker, of what happens in fs.
func (fs *Filesystem) Watch(w *Watch) { w.begin(fs, &fs.marks) }

func (w *Watch) begin(fs *Filesystem, l *watchList) {
	w.fs, w.on = fs, l
	m, is := w.To.(Marker)
	w.asks = is && m.Group().Class() > 0
	w.count(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ws = append(l.ws, w)
}

// count counts w: where nobody watches, events cost one look.
func (w *Watch) count(n int32) {
	w.fs.watches.Add(n)
	if w.asks {
		w.fs.askers.Add(n)
	}
}

// Remove ends a watch. It may be called more than once.
func (w *Watch) Remove() {
	l := w.on
	l.mu.Lock()
	i := slices.Index(l.ws, w)
	if i >= 0 {
		l.ws = slices.Delete(l.ws, i, i+1)
	}
	l.mu.Unlock()
	if i >= 0 {
		w.count(-1)
		if w.st != nil {
			w.fs.putState(w.st)
		}
	}
}

// On reports whether w watches p's inode.
func (w *Watch) On(p Path) bool { return w.st != nil && w.fs == p.d.fs && w.st.node == p.d.node }

// Inode is what is watched, and Dev the device it is on.
func (w *Watch) Inode() Inode { return w.st.node }

// Dev is the device number of what is watched.
func (w *Watch) Dev() uint64 { return w.fs.dev }

// end ends all watches of l.
func (l *watchList) end(why uint32) {
	for _, w := range l.all() {
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
		st.watches.end(linux.IN_UNMOUNT)
		fs.putState(st)
	}
	fs.marks.end(linux.IN_UNMOUNT)
}
