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
		p := page{s: s, dir: dir, fd: fd, bare: q.Bare, lists: q.Lists, room: wire.MaxPage, resp: resp}
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
			r := &reader{s: s, top: dir, bare: q.Bare, lists: q.Lists, buf: c.conn.dir, room: min(p.room, int(q.Ahead)), resp: resp}
			r.readAhead(q.Next)
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

// A page is a reply that is being filled with a directory's entries.
type page struct {
	s     *server
	dir   *node
	fd    int // its descriptor
	bare  wire.Bare
	lists bool // as the request has it
	room  int  // left in the message
	resp  *wire.ReaddirResp
}

// fill fills the page from cookie on until it is full or the directory ends. buf is memory
// for it.
func (p *page) fill(cookie uint64, buf []byte) error {
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
		for b := buf[:n]; len(b) > 0; {
			ent, ok := nextDirent(&b)
			if !ok {
				return unix.EIO
			}
			full, err := p.add(ent)
			if err != nil {
				return err
			}
			if full {
				p.resp.Next = cookie
				return nil
			}
			cookie = ent.next
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

// add adds one entry, unless it has gone meanwhile. full: there is no room for it.
func (p *page) add(ent dirent) (full bool, err error) {
	if !wire.ValidName(ent.name) { // "." and ".."
		return false, nil
	}
	e, bare := ent.entry(), ent.bare(p.dir, p.bare)
	// What it takes is known only after the look, but a reference must not be given
	// out that is then not sent: ask for the most it can be.
	if most := wire.EntrySize(len(ent.name), wire.MaxTarget); p.room < e.Size() || !bare && p.room < most {
		return true, nil
	}
	if !bare {
		n, found, err := p.s.look(p.dir, p.fd, ent.name)
		if gone(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if p.lists && n.isDir() { // a file may never be opened
			found.Attr.Flags |= p.s.bare(p.fd, ent.name, &found.Attr)
		}
		p.s.put(n)
		e.Node = found
	}
	p.room -= e.Size()
	p.resp.Entries = append(p.resp.Entries, e)
	return false, nil
}

// gone reports whether a name that was listed is no more, or not the sandbox's to see.
func gone(err error) bool { return err == unix.ENOENT || err == unix.ESTALE || err == unix.EXDEV }
