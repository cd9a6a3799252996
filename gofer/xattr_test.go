package gofer

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// Who asks is told of files without extended attributes, and of no others.
func TestBare(t *testing.T) {
	p := newPeer(t, nil)
	for _, name := range []string{"plain", "marked", "private"} {
		p.write(name, "text")
	}
	for _, err := range []error{
		os.Mkdir(p.dir+"/d", 0o755), unix.Setxattr(p.dir+"/marked", "user.x", []byte("y"), 0),
		os.Chmod(p.dir+"/private", 0o600), // no list could hold for the group
		os.Symlink("plain", p.dir+"/link"), unix.Mkfifo(p.dir+"/fifo", 0o640),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, err := unix.Open("/proc/self/fd", unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	has := probeXattrAt(dir) // else it is told of none
	unix.Close(dir)
	for name, want := range map[string]bool{"plain": true, "marked": false, "private": false, "d": true, "link": false, "fifo": true} {
		for _, lists := range []bool{true, false} {
			var r wire.WalkResp
			p.ok(&wire.WalkReq{Dir: p.root, Names: []string{name}, Lists: lists}, &r)
			var one wire.AttrResp
			p.ok(&wire.GetattrReq{ID: r.Nodes[0].ID, Lists: lists}, &one)
			var many wire.AttrsResp
			p.ok(&wire.AttrsReq{IDs: []wire.ID{r.Nodes[0].ID}, Lists: lists}, &many)
			for i, a := range []wire.Attr{r.Nodes[0].Attr, one.Attr, many.Attrs[0]} {
				if got := a.Flags&wire.AttrBare != 0; got != (want && lists && has) {
					t.Errorf("%s, %v, way %d: %v", name, lists, i, got)
				}
			}
		}
	}
	var r wire.ReaddirResp
	p.ok(&wire.ReaddirReq{Dir: p.root, Lists: true}, &r)
	for _, e := range r.Entries {
		if got := e.Node.Attr.Flags&wire.AttrBare != 0; got != (e.Name == "d" && has) {
			t.Errorf("%s listed: %v", e.Name, got)
		}
	}
}
