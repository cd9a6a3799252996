package gofer

import (
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// ownPeriod is how long what the sandbox did to a name explains an event of it: longer
// than it takes until events are looked at, and short enough for what then has to be
// looked at to be told within a second.
const ownPeriod = watchPeriod + 100*time.Millisecond

// A deed is what the gofer did to a name for the sandbox. Of an event within ownPeriod
// nobody can say whose it was. Afterwards the name is looked at once: others were there,
// too, if it has changed later than by the gofer.
type deed struct {
	at    time.Time // of the last
	gone  bool      // it removed the name
	event bool      // there was one since
}

// did is told, beforehand, that the gofer is changing name in dir for the sandbox.
func (w *watcher) did(dir *node, name string) { w.note(dir, name, false) }

// removes is did for a change after which there is no such name.
func (w *watcher) removes(dir *node, name string) { w.note(dir, name, true) }

func (w *watcher) note(dir *node, name string, gone bool) {
	if !w.on.Load() || dir == nil || !dir.seen.Load() {
		return
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	p := place{dir.id, name}
	d := w.own[p]
	if d == nil {
		d = &deed{}
		if len(w.own) == 0 {
			time.AfterFunc(ownPeriod, w.expire)
		}
		w.own[p] = d
	}
	d.at, d.gone = now, gone
	w.ownDirs[dir.id] = now
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

// explains reports whether an event of p may come from the gofer itself.
func (w *watcher) explains(p place) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.own[p]
	if d == nil || time.Since(d.at) > ownPeriod {
		return false
	}
	d.event = true
	return true
}

// expire forgets what the gofer did some time ago, and looks whether it was alone.
func (w *watcher) expire() {
	doubtful := map[place]deed{}
	w.mu.Lock()
	for p, d := range w.own {
		if time.Since(d.at) > ownPeriod {
			delete(w.own, p)
			if d.event {
				doubtful[p] = *d
			}
		}
	}
	for dir, t := range w.ownDirs {
		if time.Since(t) > ownPeriod {
			delete(w.ownDirs, dir)
		}
	}
	if len(w.own) > 0 && w.fd >= 0 {
		time.AfterFunc(ownPeriod, w.expire)
	}
	w.mu.Unlock()
	for p, d := range doubtful {
		w.verify(p, d)
	}
}

// verify reports what is not as d left it at p.
func (w *watcher) verify(p place, d deed) {
	f, err := w.look(p)
	switch {
	case err == unix.ENOENT && !d.gone, err == nil && !f.here && p.name != "":
		w.report(wire.Change{ID: p.dir, Name: p.name})
	}
	if err == nil && f.id != 0 && f.changed.After(d.at.Add(clockGrain)) {
		w.report(wire.Change{ID: f.id})
	}
}

// A found is what a look at a place found.
type found struct {
	id      wire.ID   // 0 if the sandbox does not know it
	here    bool      // this is where it was last seen
	changed time.Time // its status, last
}

// look sees what is at p. ENOENT: nothing; EBADF: the directory has been forgotten.
func (w *watcher) look(p place) (f found, err error) {
	dir, err := w.s.get(p.dir)
	if err != nil {
		return f, err
	}
	defer w.s.put(dir)
	fd, err := w.s.fd(dir)
	if err != nil {
		return f, err
	}
	var st unix.Statx_t
	if err := statx(fd, p.name, &st); err != nil {
		return f, err
	}
	f.changed = time.Unix(st.Ctime.Sec, int64(st.Ctime.Nsec))
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if n := dir.tree.byKey[keyOf(&st)]; n != nil {
		f.id, f.here = n.id, n.parent == dir && n.name == p.name
	}
	return f, nil
}
