package gofer

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// A listing is a directory that was listed in part, kept for the next page.
type listing struct {
	dir  wire.ID
	next uint64
	fd   int
}

// maxListings is how many of them are kept.
const maxListings = 16

// direntSize is the length of a page of getdents64(2).
const direntSize = 32 << 10

func (s *server) doReaddir(c *call, q *wire.ReaddirReq) (wire.Message, error) {
	return s.withDir(q.Dir, false, func(dir *node, dfd int) (wire.Message, error) {
		s.watch.see(dir)
		fd, err := s.openListing(dir, dfd, q.Cookie)
		if err != nil {
			return nil, err
		}
		if c.conn.dir == nil {
			c.conn.dir = make([]byte, direntSize)
		}
		resp := &wire.ReaddirResp{}
		p := page{view: view{s, dir, fd, q.Bare, q.Lists}, room: wire.MaxPage, resp: resp}
		err = p.fill(q.Cookie, c.conn.dir)
		if err != nil || resp.Next == 0 {
			unix.Close(fd)
		} else {
			s.keepListing(listing{dir.id, resp.Next, fd})
		}
		if err != nil {
			resp.IDs(func(id wire.ID) { s.forget(id, 1) })
			return nil, err
		}
		if q.Ahead > 0 && resp.Next == 0 && !dir.tree.Shared {
			r := &reader{s: s, top: dir, bare: q.Bare, lists: q.Lists, room: min(p.room, int(q.Ahead)), resp: resp}
			r.readAhead(q.Next, c.conn.dir)
		}
		return resp, nil
	})
}

// openListing is a descriptor of dir that stands at cookie.
func (s *server) openListing(dir *node, dfd int, cookie uint64) (int, error) {
	if cookie != 0 {
		s.mu.Lock()
		for i, l := range s.listings {
			if l.dir == dir.id && l.next == cookie {
				s.listings = append(s.listings[:i], s.listings[i+1:]...)
				s.mu.Unlock()
				return l.fd, seek(l.fd, cookie)
			}
		}
		s.mu.Unlock()
	}
	fd, err := unix.Openat(dfd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil && cookie != 0 {
		if err = seek(fd, cookie); err != nil {
			unix.Close(fd)
		}
	}
	return fd, err
}

func seek(fd int, cookie uint64) error {
	_, err := unix.Seek(fd, int64(cookie), unix.SEEK_SET)
	return err
}

// keepListing keeps l, and drops the oldest if they are too many.
func (s *server) keepListing(l listing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listings) == maxListings {
		unix.Close(s.listings[0].fd)
		s.listings = append(s.listings[:0], s.listings[1:]...)
	}
	s.listings = append(s.listings, l)
}

// A view is how entries of a directory are told.
type view struct {
	s     *server
	dir   *node
	fd    int // its descriptor
	bare  wire.Bare
	lists bool // as the request has it
}

// entry is e for a reply.
func (v *view) entry(e *dirent) (wire.Entry, error) {
	out := e.entry()
	if e.bare(v.dir, v.bare) {
		return out, nil
	}
	n, found, err := v.s.lookFor(v.dir, v.fd, e.name, 0)
	if err != nil {
		return out, err
	}
	if v.lists && n.isDir() { // a file may never be opened
		found.Attr.Flags |= v.s.bare(v.fd, e.name, &found.Attr)
	}
	out.Node = found
	return out, nil
}

// A page is a reply that is being filled with a directory's entries.
type page struct {
	view
	room  int      // left in the message
	names []dirent // memory
	resp  *wire.ReaddirResp
}

// fill fills the page from cookie on until it is full or the directory ends. buf is memory
// for it.
func (p *page) fill(cookie uint64, buf []byte) error {
	p.resp.Next = cookie
	for {
		n, err := unix.Getdents(p.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			p.resp.Next = 0
			return nil
		}
		p.names = p.names[:0]
		for b := buf[:n]; len(b) > 0; {
			ent, ok := nextDirent(&b)
			if !ok {
				return unix.EIO
			}
			p.names = append(p.names, ent)
		}
		if full, err := p.add(p.names); full || err != nil {
			return err
		}
	}
}

// A dirent is a struct linux_dirent64. next is the cookie of the entry after it.
type dirent struct {
	name string
	ino  uint64
	typ  byte // DT_REG and so on
	next uint64
}

// bare reports whether e can be told as it is, of a directory that has it.
func (e *dirent) bare(dir *node, which wire.Bare) bool {
	switch {
	case dir.tree.NoXDev, e.typ == unix.DT_UNKNOWN: // what it names has to be seen
		return false
	case e.typ == unix.DT_DIR:
		return which == wire.BareAll
	}
	return which != wire.BareNone
}

// size is what e takes of a reply, but for what a symlink says.
func (e *dirent) size(dir *node, which wire.Bare) int {
	if e.bare(dir, which) {
		return wire.BareSize(len(e.name))
	}
	return wire.EntrySize(len(e.name), 0)
}

// entry is e for a reply, bare.
func (e *dirent) entry() wire.Entry {
	return wire.Entry{Name: e.name, Node: wire.Node{Attr: wire.Attr{Ino: e.ino, Mode: uint32(e.typ) << 12}}}
}

// nextDirent cuts the first entry off b: ino u64, off i64, reclen u16, type u8, name.
func nextDirent(b *[]byte) (dirent, bool) {
	const head = 19
	if len(*b) < head {
		return dirent{}, false
	}
	l := int(binary.LittleEndian.Uint16((*b)[16:]))
	if l < head || l > len(*b) {
		return dirent{}, false
	}
	name := (*b)[head:l]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	d := dirent{string(name), binary.LittleEndian.Uint64(*b), (*b)[18], binary.LittleEndian.Uint64((*b)[8:])}
	*b = (*b)[l:]
	return d, true
}

// add adds names while they fit, but for those that have gone meanwhile, and moves Next
// behind them. full: they don't.
func (p *page) add(names []dirent) (full bool, err error) {
	least, n := 0, 0
	for ; n < len(names); n++ {
		if wire.ValidName(names[n].name) { // not "." and ".."
			least += names[n].size(p.dir, p.bare)
		}
		if least > p.room {
			break
		}
	}
	all := p.entries(names[:n])
	for i := range all {
		x := &all[i]
		if err == nil && x.err != nil && !gone(x.err) {
			err = x.err
		}
		if err == nil && x.err == nil && x.Name != "" && x.Size() > p.room {
			full = true
		}
		switch {
		case err != nil || full: // it is not sent
			wire.EntryIDs([]wire.Entry{x.Entry}, func(id wire.ID) { p.s.forget(id, 1) })
			continue
		case x.err == nil && x.Name != "":
			p.room -= x.Size()
			p.resp.Entries = append(p.resp.Entries, x.Entry)
		}
		p.resp.Next = names[i].next
	}
	return full || n < len(names), err
}

// A seen is an entry, or why there is none. Of "." and ".." it is empty.
type seen struct {
	wire.Entry
	err error
}

// minEntries is how many names are worth a thread, and someEntries how many it takes at a time.
const minEntries, someEntries = 48, 12

// entries looks at names, at several at a time if they are many.
func (p *page) entries(names []dirent) []seen {
	out := make([]seen, len(names))
	worth := minEntries
	if p.bare == wire.BareAll {
		worth = len(names) + 1
	}
	p.s.each(len(names), worth, someEntries, func(i int) {
		if wire.ValidName(names[i].name) {
			out[i].Entry, out[i].err = p.entry(&names[i])
		}
	})
	return out
}

// gone reports whether a name that was listed is no more, or not the sandbox's to see.
func gone(err error) bool { return err == unix.ENOENT || err == unix.ESTALE || err == unix.EXDEV }
