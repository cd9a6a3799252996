package gofer

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// unlinks is changes that remove names.
func unlinks(names ...wire.UnlinkReq) (out []wire.Edit) {
	for _, u := range names {
		out = append(out, wire.Edit{Kind: wire.EditUnlink, Unlink: u})
	}
	return out
}

// Of many names those go that can, and the others say why not.
func TestApplyUnlinks(t *testing.T) {
	p := newPeer(t, nil)
	top := mkdirs(t, p, "d/e")
	p.write("f", "text")
	d, f := p.walk(top).ID, p.walk("f").ID
	var r wire.ApplyResp
	p.ok(&wire.ApplyReq{Edits: unlinks(
		wire.UnlinkReq{Dir: p.root, Name: "f", Victim: f}, wire.UnlinkReq{Dir: p.root, Name: "f", Victim: f},
		wire.UnlinkReq{Dir: p.root, Name: top, RmDir: true, Victim: d}, wire.UnlinkReq{Dir: d, Name: "e", RmDir: true},
		wire.UnlinkReq{Dir: p.root, Name: top, RmDir: true, Victim: d}, wire.UnlinkReq{Dir: f, Name: "x"}, wire.UnlinkReq{Dir: 12345, Name: "x"},
	)}, &r)
	want := []uint32{0, uint32(unix.ENOENT), uint32(unix.ENOTEMPTY), 0, 0, uint32(unix.ESTALE), uint32(unix.EBADF)}
	if !slices.Equal(r.Errnos, want) {
		t.Errorf("%v", r.Errnos)
	}
	if len(r.Attrs) != 4 || r.Attrs[0].Nlink != 2 || r.Attrs[1].Mode != 0 || r.Attrs[2].Mode != 0 || r.Attrs[3].Mode != 0 {
		t.Errorf("%+v", r.Attrs)
	}
	p.ok(&wire.ApplyReq{}, &r)
}

// What is asked for along with changes comes after them, with its own descriptors and its
// own error.
func TestApplyThen(t *testing.T) {
	p := newPeer(t, nil)
	p.write("f", "text")
	f := p.walk("f").ID
	set := wire.Edit{Kind: wire.EditSet, Set: wire.SetattrReq{ID: f, Mask: wire.SetMode | wire.SetMtime, Mode: 0o751, Mtime: wire.Time{Sec: 12345, Nsec: 678}}}
	create := func(name string) []byte {
		return wire.Marshal(&wire.CreateReq{Dir: p.root, Name: name, Mode: 0o600, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())})
	}
	var r wire.ApplyResp
	fds := p.ok(&wire.ApplyReq{Edits: append([]wire.Edit{set}, unlinks(wire.UnlinkReq{Dir: p.root, Name: "f", Victim: f})...),
		Then: wire.OpCreate, Body: create("f")}, &r)
	defer fds.Close()
	var made wire.NodeResp
	if err := r.Answer(&made); err != nil || made.Node.ID == f || made.Node.Attr.Size != 0 || fds.Len() != 1 {
		t.Errorf("%v, %+v, %d descriptors", err, made, fds.Len())
	}
	if !slices.Equal(r.Errnos, []uint32{0, 0}) || len(r.Attrs) != 2 {
		t.Errorf("%+v", r)
	}
	set.Set.ID = made.Node.ID
	none := p.ok(&wire.ApplyReq{Edits: []wire.Edit{set}, Then: wire.OpCreate, Body: create("f")}, &r)
	if err := r.Answer(&made); err != unix.EEXIST || none.Len() != 0 {
		t.Errorf("%v, %d descriptors", err, none.Len())
	}
	if a := r.Attrs[0]; a.Mode != wire.TypeFile|0o751 || a.Mtime != set.Set.Mtime {
		t.Errorf("%+v", a)
	}
	set.Set.Mask = 1 << 31
	p.ok(&wire.ApplyReq{Edits: []wire.Edit{set}}, &r)
	if !slices.Equal(r.Errnos, []uint32{uint32(unix.EINVAL)}) {
		t.Errorf("%+v", r)
	}
}

// reserve is ids for files to come.
func (p *peer) reserve(n uint32) []wire.ID {
	p.Helper()
	var r wire.ReserveResp
	p.ok(&wire.ReserveReq{Root: p.root, N: n}, &r)
	if len(r.Reserved) != int(n) || r.Bytes == 0 || r.Inodes == 0 {
		p.Fatalf("%+v", r)
	}
	return r.Reserved
}

// Files are made with all they begin with, by ids that were given out for them, and only by
// those.
func TestApplyMakes(t *testing.T) {
	p := newPeer(t, nil)
	p.write("there", "")
	ids := p.reserve(4)
	q := wire.MakeReq{ID: ids[0], Dir: p.root, Name: "f", Mode: wire.TypeFile | 0o2754, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
		Times: wire.SetMtime, Mtime: wire.Time{Sec: 12345, Nsec: 678}, Data: []byte("text")}
	with := func(id wire.ID, name string, uid uint32) wire.Edit {
		x := q
		x.ID, x.Name, x.UID = id, name, uid
		return wire.Edit{Kind: wire.EditMake, Make: x}
	}
	p.c.Forget(ids[3], 1) // which goes with the next request
	var r wire.ApplyResp
	p.ok(&wire.ApplyReq{Edits: []wire.Edit{
		with(ids[0], "f", q.UID), with(ids[0], "g", q.UID), with(12345, "g", q.UID), with(ids[1], "there", q.UID),
		with(ids[1], "g", 1234), with(ids[3], "h", q.UID), {Kind: wire.EditSet, Set: wire.SetattrReq{ID: ids[1], Mask: wire.SetMode, Mode: 0o600}},
	}}, &r)
	want := []uint32{0, uint32(unix.EBADF), uint32(unix.EBADF), uint32(unix.EEXIST), 0, uint32(unix.EBADF), 0}
	if !slices.Equal(r.Errnos, want) {
		t.Errorf("%v", r.Errnos)
	}
	f := p.walk("f")
	if a := f.Attr; f.ID != ids[0] || a.Mode != wire.TypeFile|0o2754 || a.Size != 4 || a.Mtime != q.Mtime || a != r.Attrs[0] {
		t.Errorf("%+v, and told %+v", f, r.Attrs[0])
	}
	if g := p.walk("g"); g.ID != ids[1] || g.Attr.UID != 1234 || g.Attr.Mode != wire.TypeFile|0o600 {
		t.Errorf("%+v", g)
	}
	// ids: f, its directory, 12345, g, h.
	if len(r.Attrs) != 5 || r.Attrs[1].Mode&wire.TypeMask != wire.TypeDir || r.Attrs[2].Mode != 0 || r.Attrs[3].Mode != wire.TypeFile|0o600 || r.Attrs[4].Mode != 0 {
		t.Errorf("%+v", r.Attrs)
	}
	ids = p.reserve(3)
	q.Data, q.Mode = nil, wire.TypeDir|0o2751
	edits := []wire.Edit{with(ids[0], "dir", 1234), with(ids[1], "link", 1234), with(ids[2], "fifo", q.UID)}
	edits[1].Make.Mode, edits[1].Make.Target, edits[2].Make.Mode = wire.TypeLink|0o777, "f", 0o010600
	p.ok(&wire.ApplyReq{Edits: edits}, &r)
	if !slices.Equal(r.Errnos, []uint32{0, 0, uint32(unix.EINVAL)}) {
		t.Errorf("%v", r.Errnos)
	}
	if d := p.walk("dir"); d.ID != ids[0] || d.Attr.Mode != wire.TypeDir|0o2751 || d.Attr.UID != 1234 || d.Attr.Mtime != q.Mtime {
		t.Errorf("%+v", d)
	}
	if l := p.walk("link"); l.ID != ids[1] || l.Target != "f" || l.Attr.UID != 1234 || l.Attr.Mtime != q.Mtime {
		t.Errorf("%+v", l)
	}
	p.fails(unix.EINVAL, &wire.ReserveReq{Root: p.root, N: wire.MaxReserve + 1}, &wire.ReserveResp{})
	p.fails(unix.EBADF, &wire.GetattrReq{ID: ids[2]}, &wire.AttrResp{}) // not made
}

// A file that has another name is not kept open when it loses one.
func TestApplyLinks(t *testing.T) {
	p := newPeer(t, nil)
	p.write("tmp", "text")
	id := p.walk("tmp").ID
	var r wire.ApplyResp
	p.ok(&wire.ApplyReq{Edits: append([]wire.Edit{{Kind: wire.EditLink, Link: wire.LinkReq{ID: id, Dir: p.root, Name: "f"}}},
		unlinks(wire.UnlinkReq{Dir: p.root, Name: "tmp", Victim: id, Keep: true})...)}, &r)
	if !slices.Equal(r.Errnos, []uint32{0, 0}) || len(r.Attrs) != 2 || r.Attrs[0].Nlink != 1 || r.Attrs[1].Mode&wire.TypeMask != wire.TypeDir {
		t.Errorf("%+v", r)
	}
	if f := p.walk("f"); f.ID != id || f.Attr != r.Attrs[0] {
		t.Errorf("%+v, and told %+v", f, r.Attrs[0])
	}
	p.ok(&wire.ApplyReq{Edits: []wire.Edit{{Kind: wire.EditLink, Link: wire.LinkReq{ID: id, Dir: p.root, Name: "f"}}}}, &r)
	if !slices.Equal(r.Errnos, []uint32{uint32(unix.EEXIST)}) {
		t.Errorf("%v", r.Errnos)
	}
}
