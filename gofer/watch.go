package gofer

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
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
	// ownPeriod is how long what the sandbox did to a name explains an event of it.
	ownPeriod = 3 * watchPeriod
	// maxWatches bounds the directories watched, and maxPending the changes that wait
	// for the sandbox to ask.
	maxWatches = 1 << 16
	maxPending = 1 << 14
)

// A watcher notices what others do to the files of mounts that are not shared, of
// which the sandbox caches everything. It watches the directories in which something
// was looked up, from the moment the sandbox first asks for changes. inotify(7) also
// tells what the gofer does for the sandbox; those names are noted beforehand.
type watcher struct {
	s    *server
	on   atomic.Bool
	adds chan wire.ID // directories to watch
	done chan struct{}

	caughtUp chan struct{} // closed when what was known at the start is watched

	mu      sync.Mutex
	fd      int      // the inotify descriptor; -1 if there is none
	file    *os.File // the same, waited for by Go's poller
	dirs    map[int32]wire.ID
	own     map[place]time.Time
	pending []wire.Change
	known   map[wire.Change]bool // those of pending
	all     bool
	more    chan struct{} // has an element if there is something pending
}

// A place is a name in a directory.
type place struct {
	dir  wire.ID
	name string
}

func (w *watcher) init(s *server) {
	*w = watcher{s: s, fd: -1, adds: make(chan wire.ID, 1024), done: make(chan struct{}),
		caughtUp: make(chan struct{}), more: make(chan struct{}, 1),
		dirs: map[int32]wire.ID{}, own: map[place]time.Time{}, known: map[wire.Change]bool{}}
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
	w.fd, w.file = fd, os.NewFile(uintptr(fd), "inotify")
	w.on.Store(true)
	w.s.wg.Go(w.read)
	w.s.wg.Go(w.add)
	return true, nil
}

// catchUp watches the directories that are known already, and waits for that.
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
	for _, id := range append(dirs, 0) { // the zero one is answered
		select {
		case w.adds <- id:
		case <-w.done:
			return
		}
	}
	select {
	case <-w.caughtUp:
	case <-w.done:
	}
}

// close ends what start began.
func (w *watcher) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.done)
	if w.file != nil {
		w.file.Close()
		w.fd = -1
	}
}

// see is told that the sandbox is learning about what is in dir.
func (w *watcher) see(dir *node) {
	if !w.on.Load() || dir.tree.Shared || !dir.seen.CompareAndSwap(false, true) {
		return
	}
	select {
	case w.adds <- dir.id:
	default:
		dir.seen.Store(false) // too many at once: at its next turn
	}
}

// did is told, beforehand, that the gofer is changing name in dir for the sandbox.
func (w *watcher) did(dir *node, name string) {
	if !w.on.Load() || dir == nil || !dir.seen.Load() {
		return
	}
	w.mu.Lock()
	w.own[place{dir.id, name}] = time.Now()
	w.mu.Unlock()
}

// didNode is did for the attributes of n, wherever it was last seen.
func (w *watcher) didNode(n *node) {
	if !w.on.Load() {
		return
	}
	w.s.mu.Lock()
	dir, name := n.parent, n.name
	w.s.mu.Unlock()
	w.did(dir, name)
	w.did(n, "")
}

// add watches directories, on a thread whose working directory is /proc/self/fd:
// inotify_add_watch(2) takes nothing but a path.
func (w *watcher) add() {
	runtime.LockOSThread() // for good
	if unix.Unshare(unix.CLONE_FS) != nil || unix.Fchdir(w.s.proc) != nil {
		return
	}
	for {
		select {
		case id := <-w.adds:
			if id == 0 {
				close(w.caughtUp)
			} else {
				w.addOne(id)
			}
		case <-w.done:
			return
		}
	}
}

func (w *watcher) addOne(id wire.ID) {
	n, err := w.s.get(id)
	if err != nil {
		return // forgotten already
	}
	defer w.s.put(n)
	fd, err := w.s.fd(n)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 || len(w.dirs) >= maxWatches {
		return
	}
	// ENOSPC: the host allows no more; this directory's changes go unnoticed.
	wd, err := unix.InotifyAddWatch(w.fd, procName(fd), watchMask)
	if err != nil {
		return
	}
	w.dirs[int32(wd)] = id
	w.s.mu.Lock()
	n.wd = int32(wd)
	w.s.mu.Unlock()
}

// drop ends the watch of a directory that is being forgotten. server.mu is held, and
// so the descriptor's own lock is not taken: removal happens in the background.
func (w *watcher) drop(n *node) {
	if n.wd != 0 {
		go w.remove(n.wd)
		n.wd = 0
	}
}

func (w *watcher) remove(wd int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.dirs[wd]; ok && w.fd >= 0 {
		delete(w.dirs, wd)
		_, _ = unix.InotifyRmWatch(w.fd, uint32(wd))
	}
}

// read takes events in, a batch a period.
func (w *watcher) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		w.events(buf[:n])
		select {
		case <-time.After(watchPeriod):
		case <-w.done:
			return
		}
	}
}

// events handles a batch: struct inotify_event is wd s32, mask u32, cookie u32,
// len u32, name.
func (w *watcher) events(b []byte) {
	seen := map[wire.Change]uint32{}
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.LittleEndian.Uint32(b))
		mask := binary.LittleEndian.Uint32(b[4:])
		l := int(binary.LittleEndian.Uint32(b[12:]))
		if l > len(b)-unix.SizeofInotifyEvent {
			break
		}
		name := b[unix.SizeofInotifyEvent : unix.SizeofInotifyEvent+l]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		b = b[unix.SizeofInotifyEvent+l:]
		w.mu.Lock()
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			w.reportAllLocked()
		case mask&unix.IN_IGNORED != 0:
			delete(w.dirs, wd)
		default:
			if id, ok := w.dirs[wd]; ok {
				seen[wire.Change{ID: id, Name: string(name)}] |= mask
			}
		}
		w.mu.Unlock()
	}
	for c, mask := range seen {
		w.event(c, mask)
	}
	w.expire()
}

// event handles what happened to a name in a batch.
func (w *watcher) event(c wire.Change, mask uint32) {
	w.mu.Lock()
	_, own := w.own[place{c.ID, c.Name}]
	w.mu.Unlock()
	if own {
		return
	}
	if mask&nameMask == 0 && c.Name != "" {
		// The file's attributes: of interest if the sandbox knows it.
		if c.ID = w.child(c.ID, c.Name); c.ID == 0 {
			return
		}
		c.Name = ""
	}
	w.report(c)
}

// child is the id of what name names in the directory, or 0.
func (w *watcher) child(dir wire.ID, name string) wire.ID {
	n, err := w.s.get(dir)
	if err != nil {
		return 0
	}
	defer w.s.put(n)
	fd, err := w.s.fd(n)
	if err != nil {
		return 0
	}
	var st unix.Statx_t
	if statx(fd, name, &st) != nil {
		return 0
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if x := n.tree.byKey[keyOf(&st)]; x != nil {
		return x.id
	}
	return 0
}

// expire forgets what the gofer did long ago.
func (w *watcher) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, t := range w.own {
		if time.Since(t) > ownPeriod {
			delete(w.own, p)
		}
	}
}

func (w *watcher) report(c wire.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.all || w.known[c]:
		return
	case len(w.pending) >= maxPending:
		w.reportAllLocked()
		return
	}
	w.known[c] = true
	w.pending = append(w.pending, c)
	w.wakeLocked()
}

func (w *watcher) reportAllLocked() {
	w.all = true
	w.pending = nil
	clear(w.known)
	w.wakeLocked()
}

func (w *watcher) wakeLocked() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// take is what is pending, as far as it fits a message.
func (w *watcher) take() *wire.ChangesResp {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &wire.ChangesResp{All: w.all}
	w.all = false
	room, n := wire.MaxPage, 0
	for _, c := range w.pending {
		if room -= wire.ChangeSize(len(c.Name)); room < 0 {
			break
		}
		delete(w.known, c)
		n++
	}
	r.Changes = w.pending[:n:n]
	if w.pending = w.pending[n:]; len(w.pending) > 0 {
		w.wakeLocked()
	}
	return r
}

func (s *server) doChanges(*call, *wire.ChangesReq) (wire.Message, error) {
	if began, err := s.watch.start(); err != nil {
		return nil, err
	} else if began {
		s.watch.catchUp()
		return &wire.ChangesResp{Began: true}, nil
	}
	for {
		select {
		case <-s.watch.more:
			if r := s.watch.take(); r.All || len(r.Changes) > 0 {
				return r, nil
			}
		case <-s.watch.done:
			return nil, unix.EIO
		}
	}
}
