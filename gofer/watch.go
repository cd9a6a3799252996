package gofer

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

const (
	// watchMask is what is noticed in a directory: names, attributes, and files that
	// were written. What is written and not yet closed is not worth an event a write.
	watchMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ATTRIB |
		unix.IN_CLOSE_WRITE | unix.IN_ONLYDIR | unix.IN_EXCL_UNLINK
	// nameMask is those of them after which a name may name something else.
	nameMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO
	// watchPeriod is how often events are looked at: rarely enough that what the
	// sandbox itself does costs little, and often enough for a second to suffice.
	watchPeriod = 300 * time.Millisecond
	// maxWatches bounds the directories watched, and maxPending the changes that wait
	// for the sandbox to ask.
	maxWatches = 1 << 16
	maxPending = 1 << 14
	// clockGrain is how far the times of files may lag behind the clock.
	clockGrain = 10 * time.Millisecond
)

// A watcher notices what others do to the files of mounts that are not shared, of
// which the sandbox caches everything. It watches the directories in which something
// was looked up, from the moment the sandbox first asks for changes. inotify(7) also
// tells what the gofer does for the sandbox; those names are noted beforehand.
type watcher struct {
	s    *server
	on   atomic.Bool
	kick chan struct{} // has an element if there is something in todo
	done chan struct{}

	mu      sync.Mutex
	todo    []sighting // directories to watch, soon
	fd      int        // the inotify descriptor; -1 if there is none
	bell    *bell      // rings for fd
	dirs    map[int32]wire.ID
	own     map[place]*deed       // what the gofer did to names lately
	ownDirs map[wire.ID]time.Time // ... to any name of a directory, and when
	pending []wire.Change
	known   map[wire.Change]bool // those of pending
	all     bool
	more    chan struct{} // has an element if there is something pending

	endedMu sync.Mutex // may be taken with server.mu held
	ended   []watch    // watches of directories that were forgotten
}

// A watch is that of a directory.
type watch struct {
	wd  int32
	dir wire.ID
}

// A sighting is a directory in which something was looked up, and when.
type sighting struct {
	dir   wire.ID
	at    time.Time // zero: before watching began, which is the sandbox's to care for
	since time.Time // who has changed it since did so unseen
}

// A place is a name in a directory.
type place struct {
	dir  wire.ID
	name string
}

func (w *watcher) init(s *server) {
	*w = watcher{s: s, fd: -1, kick: make(chan struct{}, 1), done: make(chan struct{}), more: make(chan struct{}, 1),
		dirs: map[int32]wire.ID{}, own: map[place]*deed{}, ownDirs: map[wire.ID]time.Time{}, known: map[wire.Change]bool{}}
}

// start begins to watch, unless that has begun. EMFILE: the host allows no more inotify
// instances.
func (w *watcher) start() (began bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.done:
		return false, unix.EIO // the server is ending
	default:
	}
	if w.on.Load() {
		return false, nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return false, err
	}
	if w.bell, err = newBell(fd); err != nil {
		unix.Close(fd)
		return false, err
	}
	w.fd = fd
	w.on.Store(true)
	w.s.wg.Go(w.read)
	w.s.wg.Go(w.add)
	return true, nil
}

// catchUp watches the directories that are known already.
func (w *watcher) catchUp() {
	var dirs []wire.ID
	w.s.mu.Lock()
	for _, t := range w.s.trees {
		for _, n := range t.byKey {
			if n.isDir() && !t.Shared && n.seen.CompareAndSwap(false, true) {
				dirs = append(dirs, n.id)
			}
		}
	}
	w.s.mu.Unlock()
	// inDirectory is what add does for good.
	_ = inDirectory(w.s.proc, func() error {
		for _, id := range dirs {
			w.addOne(sighting{dir: id})
		}
		return nil
	})
}

// close ends what start began.
func (w *watcher) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.done)
	if w.bell != nil {
		w.bell.close()
		unix.Close(w.fd)
		w.fd = -1
	}
}

// see is told that the sandbox is learning about what is in dir. Watching it can wait
// a moment: to wake a thread for each would cost more than all the rest.
func (w *watcher) see(dir *node) {
	if !w.on.Load() || dir.seen.Load() {
		return
	}
	now := time.Now()
	w.seeAt(dir, now, now.Add(-clockGrain))
}

// made is see for a directory that the gofer has just made, as which it is empty. Its
// times tell whether somebody else was there, but not from when on the gofer was.
func (w *watcher) made(dir *node, a *wire.Attr) {
	if w.on.Load() {
		w.seeAt(dir, time.Now(), time.Unix(a.Mtime.Sec, int64(a.Mtime.Nsec)+1))
	}
}

func (w *watcher) seeAt(dir *node, at, since time.Time) {
	if dir.tree.Shared || !dir.seen.CompareAndSwap(false, true) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.todo = append(w.todo, sighting{dir.id, at, since})
	if len(w.todo) == 1 {
		time.AfterFunc(watchPeriod, func() { w.kick <- struct{}{} })
	}
}

// add watches directories, on a thread whose working directory is /proc/self/fd:
// inotify_add_watch(2) takes nothing but a path.
func (w *watcher) add() {
	_ = inDirectory(w.s.proc, func() error {
		for {
			select {
			case <-w.kick:
			case <-w.done:
				return nil
			}
			w.mu.Lock()
			todo := w.todo
			w.todo = nil
			w.mu.Unlock()
			for _, x := range todo {
				w.addOne(x)
			}
		}
	})
}

// addOne watches a directory, and reports it if it has changed since it was seen.
func (w *watcher) addOne(x sighting) {
	n, err := w.s.get(x.dir)
	if err != nil {
		return // forgotten already
	}
	defer w.s.put(n)
	fd, err := w.s.fd(n)
	if err != nil || !w.addWatch(n, fd) || x.at.IsZero() {
		return
	}
	w.mu.Lock()
	own := w.ownDirs[x.dir]
	w.mu.Unlock()
	var st unix.Statx_t
	if own.Before(x.at) && statx(fd, "", &st) == nil && !time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)).Before(x.since) {
		w.report(wire.Change{ID: x.dir, Name: "."})
	}
}

func (w *watcher) addWatch(n *node, fd int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 || len(w.dirs) >= maxWatches {
		return false
	}
	// ENOSPC: the host allows no more; this directory's changes go unnoticed.
	wd, err := unix.InotifyAddWatch(w.fd, procName(fd), watchMask)
	if err != nil {
		return false
	}
	w.dirs[int32(wd)] = n.id
	w.s.mu.Lock()
	n.wd = int32(wd)
	w.s.mu.Unlock()
	return true
}

// drop ends the watch of a directory that is being forgotten. server.mu is held, and
// so the descriptor's own lock is not taken. It can wait, too: most such directories
// were removed, with which the host has ended the watch.
func (w *watcher) drop(n *node) {
	if n.wd == 0 {
		return
	}
	w.endedMu.Lock()
	defer w.endedMu.Unlock()
	w.ended = append(w.ended, watch{n.wd, n.id})
	n.wd = 0
	if len(w.ended) == 1 {
		time.AfterFunc(watchPeriod, w.removeEnded)
	}
}

func (w *watcher) removeEnded() {
	w.endedMu.Lock()
	ended := w.ended
	w.ended = nil
	w.endedMu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range ended {
		// The directory may have been found again by now: that is the same watch.
		if w.dirs[x.wd] == x.dir && w.fd >= 0 {
			delete(w.dirs, x.wd)
			_, _ = unix.InotifyRmWatch(w.fd, uint32(x.wd))
		}
	}
}
