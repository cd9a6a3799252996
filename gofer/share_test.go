package gofer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// newServer is one that serves dir to nobody, with so many helpers.
func newServer(t *testing.T, dir string, helpers int) *server {
	t.Helper()
	s := &server{helpers: helpers, maxOpen: defaultOpen}
	s.watch.init(s)
	if err := s.addTree(Mount{Path: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.closeFiles)
	return s
}

// refs is how many references of files the server has given out.
func (s *server) refs() (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.nodes.slot {
		if x.n != nil {
			n += x.n.refs
		}
	}
	return n
}

// makeTree makes dirs directories of so many files in dir.
func makeTree(t *testing.T, dir string, dirs, files int) {
	t.Helper()
	for i := range dirs {
		d := filepath.Join(dir, fmt.Sprintf("%03d", i))
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range files {
			if err := os.Symlink(d, fmt.Sprintf("%s/%d", d, j)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// list asks for a page of the root.
func (s *server) list(t *testing.T, q wire.ReaddirReq) *wire.ReaddirResp {
	t.Helper()
	q.Dir = s.trees[0].root.id
	m, err := s.doReaddir(&call{conn: &conn{s: s}}, &q)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*wire.ReaddirResp)
}

// forgetAll gives the references back that r has.
func (s *server) forgetAll(r *wire.ReaddirResp) { r.IDs(func(id wire.ID) { s.forget(id, 1) }) }

// Whoever reads, and however many do: what is read fits, is whole, comes after what names
// it, and holds no references that are not sent.
func TestReadShared(t *testing.T) {
	dir := t.TempDir()
	makeTree(t, dir, 40, 12)
	for helpers := range maxHelpers + 1 {
		s := newServer(t, dir, helpers)
		for room := uint32(1 << 10); room <= wire.MaxPage; room += 1777 {
			r := s.list(t, wire.ReaddirReq{Ahead: room})
			if len(r.Entries) != 40 || r.Next != 0 {
				t.Fatalf("%d entries, next %d", len(r.Entries), r.Next)
			}
			size := 0
			for _, l := range r.Ahead {
				if !slices.ContainsFunc(r.Entries, func(e wire.Entry) bool { return e.Node.ID == l.Dir }) || len(l.Entries) != 12 {
					t.Fatalf("listing %x of %d", l.Dir, len(l.Entries))
				}
				size += wire.ListingSize
				for _, e := range l.Entries {
					size += e.Size()
				}
			}
			if size > int(room) {
				t.Fatalf("room %d: %d bytes", room, size)
			}
			s.forgetAll(r)
			if n := s.refs(); n != 1 {
				t.Fatalf("%d helpers, room %d: %d references are left", helpers, room, n)
			}
		}
	}
}

// Who is stuck with one directory does not keep others from reading the rest.
func TestReadHelped(t *testing.T) {
	dir := t.TempDir()
	makeTree(t, dir, 20, 3)
	s := newServer(t, dir, 1)
	r := &reader{s: s, top: s.trees[0].root, room: wire.MaxPage, resp: s.list(t, wire.ReaddirReq{})}
	r.changed.L = &r.mu
	r.todo = dirs(r.resp.Entries)
	h := &reading{reader: r, buf: make([]byte, direntSize)}
	for range minAlone {
		id, _ := r.next()
		r.done(h.listing(id))
	}
	id, ok := r.next()
	r.helpers.Wait()
	if n := len(r.resp.Ahead); !ok || n != 19 {
		t.Errorf("%d were read", n)
	}
	r.done(h.listing(id))
	if len(r.resp.Ahead) != 20 || s.helping.Load() != 0 || r.busy != 0 {
		t.Errorf("%d listings, %d helping, %d busy", len(r.resp.Ahead), s.helping.Load(), r.busy)
	}
}

// Pages of a large directory, whose names many look at, are all of it, each name once.
func TestPagesShared(t *testing.T) {
	const files = 1500
	dir := t.TempDir()
	for i := range files {
		if err := os.Symlink(dir[:i%len(dir)+1], fmt.Sprintf("%s/name-%d", dir, i)); err != nil {
			t.Fatal(err)
		}
	}
	for helpers := range maxHelpers + 1 {
		s := newServer(t, dir, helpers)
		got, pages := map[string]string{}, 0
		for q := (wire.ReaddirReq{}); ; pages++ {
			r := s.list(t, q)
			for _, e := range r.Entries {
				if _, twice := got[e.Name]; twice || e.Node.Attr.Mode&unix.S_IFMT != unix.S_IFLNK {
					t.Fatalf("%+v", e)
				}
				got[e.Name] = e.Node.Target
			}
			if n := len(wire.Marshal(r)); n > wire.MaxMessage {
				t.Fatalf("a page of %d bytes", n)
			}
			s.forgetAll(r)
			if n := s.refs(); n != 1 {
				t.Fatalf("%d references are left", n)
			}
			if q.Cookie = r.Next; q.Cookie == 0 {
				break
			}
		}
		if len(got) != files || pages < 3 {
			t.Errorf("%d names on %d pages", len(got), pages)
		}
		for i := range files {
			if name := fmt.Sprintf("name-%d", i); got[name] != dir[:i%len(dir)+1] {
				t.Fatalf("%s: %q", name, got[name])
			}
		}
	}
}
