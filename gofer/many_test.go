package gofer

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// Several files are opened in one go: those that can be, but not without the first.
func TestOpens(t *testing.T) {
	p := newPeer(t, nil)
	p.write("d/f", "f")
	p.write("d/g", "g")
	if err := unix.Mkfifo(p.dir+"/d/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	d, f, g, fifo := p.walk("d").ID, p.walk("d", "f").ID, p.walk("d", "g").ID, p.walk("d", "fifo").ID
	var r wire.OpensResp
	fds := p.ok(&wire.OpensReq{IDs: []wire.ID{g, fifo, d, 1 << 40, f}}, &r)
	if fmt.Sprint(r.Opened) != fmt.Sprint([]wire.ID{g, f}) || r.Attr.Size != 1 || fds.Len() != 2 {
		t.Errorf("%+v, %d descriptors", r, fds.Len())
	}
	fds.Close()
	p.fails(unix.EINVAL, &wire.OpensReq{IDs: []wire.ID{fifo, f}}, &r)
	p.fails(unix.EBADF, &wire.OpensReq{IDs: []wire.ID{1 << 40, f}}, &r)
	p.fails(unix.EINVAL, &wire.OpensReq{}, &r)
}

// Of bare entries the gofer tells what the directory says, and of the others all.
func TestBareReaddir(t *testing.T) {
	p := newPeer(t, nil)
	for _, f := range []string{"d/file", "d/sub/below", "d/sub/sub/deep"} {
		p.write(f, "")
	}
	if err := os.Symlink("else", p.dir+"/d/link"); err != nil {
		t.Fatal(err)
	}
	d := p.walk("d").ID
	for bare, want := range map[wire.Bare]int{wire.BareNone: 6, wire.BareFiles: 2, wire.BareAll: 0} {
		var r wire.ReaddirResp
		p.ok(&wire.ReaddirReq{Dir: d, Bare: bare, Ahead: wire.MaxPage}, &r)
		nodes := 0
		r.IDs(func(id wire.ID) { nodes++; p.c.Forget(id, 1) })
		listings := 1
		if bare != wire.BareAll {
			listings += 2 // those of which the directories' ids are known
		}
		if nodes != want || len(r.Entries) != 3 || 1+len(r.Ahead) != listings {
			t.Errorf("bare %d: %d nodes, %+v", bare, nodes, r)
		}
		for _, e := range r.Entries {
			var st unix.Stat_t
			if err := unix.Lstat(p.dir+"/d/"+e.Name, &st); err != nil {
				t.Fatal(err)
			}
			if a := e.Node.Attr; a.Ino != st.Ino || a.Mode&wire.TypeMask != st.Mode&unix.S_IFMT || e.Node.ID != 0 && a.Mode != st.Mode {
				t.Errorf("bare %d: %s: %+v", bare, e.Name, e.Node)
			}
		}
	}
}
