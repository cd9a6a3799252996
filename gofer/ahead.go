package gofer

import (
	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// A reader reads directories ahead, into the reply that has the last page of one: who
// goes through a tree then needs a round trip for many directories, not for each.
type reader struct {
	s     *server
	top   *node // the directory asked for
	bare  wire.Bare
	lists bool // as the request has it
	buf   []byte
	list  []dirent // memory for names
	room  int
	resp  *wire.ReaddirResp
}

// readAhead adds whole listings to resp while they fit: of the directories in its page and
// what is below each, in the order in which find(1) goes, then of next. What goes wrong
// with one is for the request to tell that asks for it.
func (r *reader) readAhead(next []wire.ID) {
	todo := append(dirs(r.resp.Entries), next...)
	for len(todo) > 0 && len(r.resp.Ahead) < wire.MaxAhead {
		id := todo[0]
		l, whole := r.listing(id)
		if !whole {
			return
		}
		todo = todo[1:]
		if l != nil {
			r.resp.Ahead = append(r.resp.Ahead, *l)
			todo = append(dirs(l.Entries), todo...)
		}
	}
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

// listing lists one directory. It is nil if it can't be had, and not whole if there is
// no room for it.
func (r *reader) listing(id wire.ID) (l *wire.Listing, whole bool) {
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
	names, whole, err := r.names(n, fd)
	if err != nil || !whole {
		return nil, whole
	}
	return r.look(n, fd, names)
}

// names is the names in the directory n, whose descriptor is fd, if there is room for as many.
func (r *reader) names(dir *node, fd int) (names []dirent, whole bool, err error) {
	room := r.room - wire.ListingSize
	defer func() { r.list = names[:0] }()
	names = r.list
	for {
		n, err := unix.Getdents(fd, r.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return names, true, err
		}
		for b := r.buf[:n]; len(b) > 0; {
			ent, ok := nextDirent(&b)
			if !ok {
				return nil, true, unix.EIO
			}
			if !wire.ValidName(ent.name) { // "." and ".."
				continue
			}
			if ent.bare(dir, r.bare) {
				room -= wire.BareSize(len(ent.name))
			} else {
				room -= wire.EntrySize(len(ent.name), 0)
			}
			if room < 0 {
				return nil, false, nil
			}
			names = append(names, ent)
		}
	}
}

// look finds what names name in n, whose descriptor is fd.
func (r *reader) look(n *node, fd int, names []dirent) (l *wire.Listing, whole bool) {
	l = &wire.Listing{Dir: n.id, Entries: make([]wire.Entry, 0, len(names))}
	room := r.room - wire.ListingSize
	for i := range names {
		e := names[i].entry()
		if !names[i].bare(n, r.bare) {
			child, found, err := r.s.look(n, fd, e.Name)
			if gone(err) {
				continue
			}
			if err != nil {
				wire.EntryIDs(l.Entries, func(id wire.ID) { r.s.forget(id, 1) })
				return nil, true
			}
			if r.lists && child.isDir() {
				found.Attr.Flags |= r.s.bare(fd, e.Name, &found.Attr)
			}
			r.s.put(child)
			e.Node = found
		}
		l.Entries = append(l.Entries, e)
		room -= e.Size()
		if room < 0 {
			wire.EntryIDs(l.Entries, func(id wire.ID) { r.s.forget(id, 1) })
			return nil, false
		}
	}
	r.room = room
	return l, true
}
