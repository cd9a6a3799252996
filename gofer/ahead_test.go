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

// names is the names of entries, sorted.
func names(entries []wire.Entry) (out []string) {
	for _, e := range entries {
		out = append(out, e.Name)
	}
	slices.Sort(out)
	return out
}

func TestReadAhead(t *testing.T) {
	p := newPeer(t, nil)
	for _, f := range []string{"d/a/x/1", "d/a/x/2", "d/a/y/3", "d/b/4", "next/z/5", "next/6", "d/7"} {
		p.write(f, "")
	}
	if err := os.Symlink("/", p.dir+"/d/a/link"); err != nil {
		t.Fatal(err)
	}
	d, next := p.walk("d").ID, p.walk("next").ID
	paths := map[wire.ID]string{d: "d", next: "next"}
	var r wire.ReaddirResp
	p.ok(&wire.ReaddirReq{Dir: d, Ahead: wire.MaxPage, Next: []wire.ID{99, d + 1<<40, p.walk("d", "7").ID, next}}, &r)
	learn := func(dir wire.ID, entries []wire.Entry) {
		for _, e := range entries {
			paths[e.Node.ID] = paths[dir] + "/" + e.Name
		}
	}
	learn(d, r.Entries)
	got := map[string][]string{}
	for _, l := range r.Ahead {
		if paths[l.Dir] == "" {
			t.Errorf("a listing of %x, which nothing has named", l.Dir)
		}
		learn(l.Dir, l.Entries)
		got[paths[l.Dir]] = names(l.Entries)
	}
	want := map[string][]string{
		"d/a": {"link", "x", "y"}, "d/a/x": {"1", "2"}, "d/a/y": {"3"}, "d/b": {"4"},
		"next": {"6", "z"}, "next/z": {"5"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if last := r.Ahead[len(r.Ahead)-1]; paths[last.Dir] != "next/z" {
		t.Errorf("the last is %s", paths[last.Dir])
	}
	r.IDs(func(id wire.ID) { p.c.Forget(id, 1) })
	p.c.Flush()
}

// What is read ahead takes no more than was offered, a directory is whole or not there,
// and none is there before the last page of the one asked for.
func TestReadAheadRoom(t *testing.T) {
	p := newPeer(t, nil)
	const dirs, files = 40, 20
	for i := range dirs {
		for j := range files {
			p.write(fmt.Sprintf("d/%d/%d", i, j), "")
		}
	}
	for i := range 600 {
		p.write(fmt.Sprintf("many/%d/f", i), "")
	}
	d := p.walk("d").ID
	for _, room := range []uint32{0, 1, 4 << 10, 16 << 10, wire.MaxPage, 1<<32 - 1} {
		var r wire.ReaddirResp
		p.ok(&wire.ReaddirReq{Dir: d, Ahead: room}, &r)
		size := 0
		for _, l := range r.Ahead {
			if len(l.Entries) != files {
				t.Errorf("room %d: a listing of %d", room, len(l.Entries))
			}
			size += wire.ListingSize
			for _, e := range l.Entries {
				size += wire.EntrySize(len(e.Name), len(e.Node.Target))
			}
		}
		if size > int(room) || room >= 4<<10 && size < int(min(room, wire.MaxPage))/2 {
			t.Errorf("room %d: %d bytes in %d listings", room, size, len(r.Ahead))
		}
	}
	many := p.walk("many").ID
	var r wire.ReaddirResp
	p.ok(&wire.ReaddirReq{Dir: many, Ahead: wire.MaxPage}, &r)
	if r.Next == 0 || len(r.Ahead) != 0 {
		t.Errorf("first page: next %d, %d listings", r.Next, len(r.Ahead))
	}
	for r.Next != 0 {
		q := &wire.ReaddirReq{Dir: many, Cookie: r.Next, Ahead: wire.MaxPage}
		r = wire.ReaddirResp{}
		p.ok(q, &r)
	}
	if len(r.Ahead) == 0 {
		t.Error("last page: no listings")
	}
}

// A directory that is swapped for a link is not read ahead through it, and what others
// change is revalidated, so that reading ahead would be in vain.
func TestReadAheadRefuses(t *testing.T) {
	p := newPeer(t, nil)
	p.write("d/a/f", "")
	p.write("else/g", "")
	a := p.walk("d", "a").ID
	if err := os.RemoveAll(p.dir + "/d/a"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(p.dir, "else"), p.dir+"/d/a"); err != nil {
		t.Fatal(err)
	}
	var r wire.ReaddirResp
	p.ok(&wire.ReaddirReq{Dir: p.walk("else").ID, Ahead: wire.MaxPage, Next: []wire.ID{a}}, &r)
	if len(r.Ahead) != 0 {
		t.Errorf("%+v", r.Ahead)
	}
	p = newPeer(t, func(c *Config) { c.Mounts[0].Shared = true })
	p.write("d/a/f", "")
	r = wire.ReaddirResp{}
	p.ok(&wire.ReaddirReq{Dir: p.walk("d").ID, Ahead: wire.MaxPage}, &r)
	if len(r.Entries) != 1 || len(r.Ahead) != 0 {
		t.Errorf("%+v", r)
	}
}

// The attributes of many files are those of each, and of one that can't be had none.
func TestAttrs(t *testing.T) {
	p := newPeer(t, nil)
	p.write("d/f", "hello")
	d, f := p.walk("d"), p.walk("d", "f")
	p.write("lost/f", "")
	lost := p.walk("lost")
	if err := os.RemoveAll(p.dir + "/lost"); err != nil {
		t.Fatal(err)
	}
	var r wire.AttrsResp
	p.ok(&wire.AttrsReq{IDs: []wire.ID{d.ID, 0, lost.ID, f.ID, d.ID}}, &r)
	want := []wire.Attr{d.Attr, {}, {}, f.Attr, d.Attr}
	if !slices.Equal(r.Attrs, want) {
		t.Errorf("got  %+v\nwant %+v", r.Attrs, want)
	}
	p.ok(&wire.AttrsReq{}, &r)
	if len(r.Attrs) != 0 {
		t.Errorf("%d of none", len(r.Attrs))
	}
}

// The descriptor by which a directory was read ahead serves on: to find names in it, and
// when it is read ahead again, with what has changed meanwhile.
func TestReadAheadAgain(t *testing.T) {
	p := newPeer(t, nil)
	p.write("d/a/f", "")
	d := p.walk("d").ID
	ahead := func() []string {
		var r wire.ReaddirResp
		p.ok(&wire.ReaddirReq{Dir: d, Ahead: wire.MaxPage}, &r)
		if len(r.Ahead) != 1 {
			t.Fatalf("%d listings", len(r.Ahead))
		}
		return names(r.Ahead[0].Entries)
	}
	if got := ahead(); !slices.Equal(got, []string{"f"}) {
		t.Errorf("at first: %q", got)
	}
	p.write("d/a/g", "")
	p.walk("d", "a", "g")
	for range 2 {
		if got := ahead(); !slices.Equal(got, []string{"f", "g"}) {
			t.Errorf("again: %q", got)
		}
	}
}

// What would mount something if it were opened is not read ahead, and not opened.
func TestReadAheadTrap(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/trap", 0o755); err != nil {
		t.Fatal(err)
	}
	s := &server{}
	s.watch.init(s)
	if err := s.addTree(Mount{Path: dir}); err != nil {
		t.Fatal(err)
	}
	root := s.trees[0].root
	defer unix.Close(root.fd)
	for _, trap := range []bool{true, false} {
		var st unix.Statx_t
		if err := statx(root.fd, "trap", &st); err != nil {
			t.Fatal(err)
		}
		if trap {
			st.Attributes |= unix.STATX_ATTR_AUTOMOUNT
		}
		n, err := s.intern(root, "trap", &st, 1)
		if err != nil {
			t.Fatal(err)
		}
		r := &reading{reader: &reader{s: s, top: root, room: wire.MaxPage}, buf: make([]byte, direntSize)}
		l, whole := r.listing(n.id)
		if !whole || (l != nil) == trap || (n.fd >= 0) == trap {
			t.Errorf("trap %v: listing %v, descriptor %d", trap, l, n.fd)
		}
		s.put(n)
		s.forget(n.id, 1)
	}
}
