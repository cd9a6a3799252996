package gofer

import (
	"sync"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

const (
	// minShared is how many directories wait to be read, and minAlone how many have been,
	// before others help: to wake a thread costs as much as to read some.
	minShared, minAlone = 3, 4
)

// A reader reads directories ahead, into the reply that has the last page of one: who
// goes through a tree then needs a round trip for many directories, not for each. Who
// asked waits for it, with the processors that it had, and so some threads read at a time.
type reader struct {
	s     *server
	top   *node // the directory asked for
	bare  wire.Bare
	lists bool // as the request has it

	helpers sync.WaitGroup

	mu      sync.Mutex
	todo    []wire.ID // in the order in which find(1) goes
	room    int
	full    bool // a listing had no room
	busy    int  // directories that are being read
	changed sync.Cond
	resp    *wire.ReaddirResp
}

// readAhead adds whole listings to resp while they fit: of the directories in its page and
// what is below each, then of next. What goes wrong with one is for the request to tell that
// asks for it. buf is memory for it.
func (r *reader) readAhead(next []wire.ID, buf []byte) {
	r.changed.L = &r.mu
	r.todo = append(dirs(r.resp.Entries), next...)
	h := &reading{reader: r, buf: buf}
	for {
		h.run()
		r.mu.Lock()
		for r.busy > 0 && len(r.todo) == 0 {
			r.changed.Wait()
		}
		end := !r.moreLocked()
		r.mu.Unlock()
		if end {
			break
		}
	}
	r.helpers.Wait()
}

// moreLocked reports whether there is another directory to read. r.mu is held.
func (r *reader) moreLocked() bool {
	return len(r.todo) > 0 && !r.full && len(r.resp.Ahead)+r.busy < wire.MaxAhead
}

// dirs is the ids of those entries that are directories.
func dirs(entries []wire.Entry) (ids []wire.ID) {
	for i := range entries {
		if n := &entries[i].Node; n.Attr.Mode&unix.S_IFMT == unix.S_IFDIR {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// next is the next directory to read; it wants a done. ok: there is one.
func (r *reader) next() (id wire.ID, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.moreLocked() {
		return 0, false
	}
	id, r.todo = r.todo[0], r.todo[1:]
	r.busy++
	if len(r.todo) >= minShared && len(r.resp.Ahead) >= minAlone {
		r.s.help(&r.helpers, r.help)
	}
	return id, true
}

// done ends what next began. l is what was read, or nil; whole is false if it did not fit.
func (r *reader) done(l *wire.Listing, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	r.full = r.full || !whole
	if l != nil {
		r.resp.Ahead = append(r.resp.Ahead, *l)
		r.todo = append(dirs(l.Entries), r.todo...)
	}
	r.changed.Signal()
}

// take takes n bytes of the room, or says that there are not as many.
func (r *reader) take(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.room {
		return false
	}
	r.room -= n
	return true
}

// help reads directories while there are any.
func (r *reader) help() {
	buf := direntBufs.Get().(*[direntSize]byte)
	defer direntBufs.Put(buf)
	(&reading{reader: r, buf: buf[:]}).run()
}

// direntBufs is the memory of those that help.
var direntBufs = sync.Pool{New: func() any { return new([direntSize]byte) }}

// A reading is one thread's part.
type reading struct {
	*reader
	buf  []byte
	list []dirent // memory for names
}

// run reads directories until there are no more just now.
func (r *reading) run() {
	for {
		id, ok := r.next()
		if !ok {
			return
		}
		r.done(r.listing(id))
	}
}

// listing lists one directory. It is nil if it can't be had, and not whole if there is
// no room for it.
func (r *reading) listing(id wire.ID) (l *wire.Listing, whole bool) {
	s := r.s
	n, err := s.get(id)
	if err != nil {
		return nil, true
	}
	defer s.put(n)
	// Another filesystem that is mounted below may be slow, or mount yet another.
	s.mu.Lock()
	near := n.tree == r.top.tree && n.key.dev == r.top.key.dev
	s.mu.Unlock()
	if !near || !n.isDir() || n.trap {
		return nil, true
	}
	fd, own, err := s.listFD(n)
	if err != nil {
		return nil, true
	}
	s.watch.see(n)
	if !own {
		fd, err = unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, true
		}
		defer unix.Close(fd)
	}
	names, size, err := r.names(n, fd)
	if err != nil {
		return nil, true
	}
	if !r.take(size) {
		return nil, false
	}
	return r.look(n, fd, names)
}

// names is the names in the directory n, whose descriptor is fd, and what they take of the
// reply at least. If there is no room for it, they may not be all.
func (r *reading) names(dir *node, fd int) (names []dirent, size int, err error) {
	r.mu.Lock()
	room := r.room
	r.mu.Unlock()
	size = wire.ListingSize
	defer func() { r.list = names[:0] }()
	names = r.list
	for {
		n, err := unix.Getdents(fd, r.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return names, size, err
		}
		for b := r.buf[:n]; len(b) > 0; {
			ent, ok := nextDirent(&b)
			if !ok {
				return nil, 0, unix.EIO
			}
			if !wire.ValidName(ent.name) { // "." and ".."
				continue
			}
			names = append(names, ent)
			if size += ent.size(dir, r.bare); size > room {
				return names, size, nil
			}
		}
	}
}

// look finds what names name in n, whose descriptor is fd. Their room has been taken.
func (r *reading) look(n *node, fd int, names []dirent) (l *wire.Listing, whole bool) {
	l = &wire.Listing{Dir: n.id, Entries: make([]wire.Entry, 0, len(names))}
	v := view{r.s, n, fd, r.bare, r.lists}
	targets := 0
	for i := range names {
		e, err := v.entry(&names[i])
		if gone(err) {
			continue
		}
		if err != nil {
			wire.EntryIDs(l.Entries, func(id wire.ID) { r.s.forget(id, 1) })
			return nil, true
		}
		l.Entries = append(l.Entries, e)
		targets += len(e.Node.Target)
	}
	if !r.take(targets) {
		wire.EntryIDs(l.Entries, func(id wire.ID) { r.s.forget(id, 1) })
		return nil, false
	}
	return l, true
}
