package gofer

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

func read(t *testing.T, fds *wire.FDs) string {
	t.Helper()
	fd := fds.Take()
	if fd < 0 {
		t.Fatal("no descriptor came along")
	}
	f := os.NewFile(uintptr(fd), "donated")
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWalk(t *testing.T) {
	p := newPeer(t, nil)
	p.write("a/b/f", "text")
	if err := os.Symlink("b/f", p.dir+"/a/l"); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		path, target string
		found        int
		errno        syscall.Errno
	}{
		{"a/b/f", "", 3, 0},
		{"a/l", "b/f", 2, 0},
		{"a/l/x", "b/f", 2, 0},
		{"a/none/x", "", 1, unix.ENOENT},
		{"a/b/f/x", "", 3, unix.ENOTDIR},
	} {
		var w wire.WalkResp
		p.ok(&wire.WalkReq{Dir: p.root, Names: strings.Split(x.path, "/")}, &w)
		if len(w.Nodes) != x.found || w.Errno != uint32(x.errno) || w.Nodes[len(w.Nodes)-1].Target != x.target {
			t.Errorf("walk %s: %d nodes, errno %v, %+v", x.path, len(w.Nodes), syscall.Errno(w.Errno), w.Nodes)
		}
	}
	f := p.walk("a", "b", "f")
	var st unix.Stat_t
	if err := unix.Stat(p.dir+"/a/b/f", &st); err != nil {
		t.Fatal(err)
	}
	if a := f.Attr; a.Ino != st.Ino || a.Dev != st.Dev || a.Size != 4 || a.Mode != st.Mode || a.Mtime.Nsec != uint32(st.Mtim.Nsec) {
		t.Errorf("attributes %+v, not %+v", a, st)
	}
	if again := p.walk("a", "b", "f"); again.ID != f.ID {
		t.Errorf("the same file has ids %x and %x", f.ID, again.ID)
	}
	var w wire.WalkResp
	fds := p.ok(&wire.WalkReq{Dir: p.root, Names: []string{"a", "b", "f"}, Open: true}, &w)
	if got := read(t, fds); got != "text" {
		t.Errorf("read %q", got)
	}
}

// TestMounts: what is mounted below a tree is a part of it, unless the tree is told not to.
func TestMounts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: it mounts a filesystem")
	}
	for alone, want := range map[bool]int{false: 2, true: 0} {
		p := newPeer(t, func(c *Config) { c.Mounts[0].NoXDev = alone })
		if err := os.Mkdir(p.dir+"/d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("none", p.dir+"/d", "tmpfs", 0, "size=64k"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(p.dir+"/d", unix.MNT_DETACH) })
		p.write("d/f", "text")
		var w wire.WalkResp
		p.ok(&wire.WalkReq{Dir: p.root, Names: []string{"d", "f"}}, &w)
		if len(w.Nodes) != want || want == 0 && w.Errno != uint32(unix.ENOENT) {
			t.Errorf("alone %v: %d nodes, errno %v", alone, len(w.Nodes), syscall.Errno(w.Errno))
		}
	}
}

func TestOpen(t *testing.T) {
	p := newPeer(t, nil)
	p.write("f", "text")
	if err := unix.Mkfifo(p.dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	var r wire.AttrResp
	if got := read(t, p.ok(&wire.OpenReq{ID: p.walk("f").ID}, &r)); got != "text" {
		t.Errorf("read %q", got)
	}
	p.fails(unix.EINVAL, &wire.OpenReq{ID: p.walk("fifo").ID}, &r)
	p.fails(unix.EINVAL, &wire.OpenReq{ID: p.root}, &r)
	p.fails(unix.EINVAL, &wire.OpenReq{ID: p.walk("f").ID, Mode: wire.OpenTruncate}, &r)
	fds := p.ok(&wire.OpenReq{ID: p.walk("f").ID, Mode: wire.OpenWrite | wire.OpenTruncate}, &r)
	fd := fds.Take()
	defer unix.Close(fd)
	if r.Attr.Size != 0 {
		t.Error("not truncated")
	}
	if _, err := unix.Pwrite(fd, []byte("new"), 0); err != nil {
		t.Error(err)
	}
}

// What the host has put in the place of a file is not given out for it, and opening it does
// not block.
func TestOpenReplaced(t *testing.T) {
	for name, replace := range map[string]func(name string) error{
		"file":    func(name string) error { return os.WriteFile(name, []byte("else"), 0o600) },
		"fifo":    func(name string) error { return unix.Mkfifo(name, 0o600) },
		"symlink": func(name string) error { return os.Symlink("f.old", name) },
		"dir":     func(name string) error { return os.Mkdir(name, 0o700) },
		"nothing": func(string) error { return nil },
	} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprint(name, shared), func(t *testing.T) {
				p := newPeer(t, func(c *Config) { c.Mounts[0].Shared = shared })
				p.write("d/f", "text")
				p.write("d/g", "good")
				f, g := p.walk("d", "f").ID, p.walk("d", "g").ID
				old := p.dir + "/d/f"
				if err := os.Rename(old, old+".old"); err != nil {
					t.Fatal(err)
				}
				if err := replace(old); err != nil {
					t.Fatal(err)
				}
				p.fails(unix.ESTALE, &wire.OpenReq{ID: f}, &wire.AttrResp{})
				var r wire.OpensResp
				fds := p.ok(&wire.OpensReq{IDs: []wire.ID{g, f}}, &r)
				if len(r.Opened) != 1 || fds.Len() != 1 {
					t.Errorf("opened %v, %d descriptors", r.Opened, fds.Len())
				}
				if got := read(t, fds); got != "good" {
					t.Errorf("read %q", got)
				}
			})
		}
	}
}

func TestReadOnly(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.Mounts[0].ReadOnly = true })
	p.write("f", "text")
	f := p.walk("f").ID
	var r wire.AttrResp
	p.fails(unix.EROFS, &wire.OpenReq{ID: f, Mode: wire.OpenWrite}, &r)
	p.fails(unix.EROFS, &wire.SetattrReq{ID: f, Mask: wire.SetMode}, &r)
	p.fails(unix.EROFS, &wire.CreateReq{Dir: p.root, Name: "x"}, &wire.NodeResp{})
	p.fails(unix.EROFS, &wire.UnlinkReq{Dir: p.root, Name: "f"}, &wire.UnlinkResp{})
	p.fails(unix.EROFS, &wire.LinkReq{ID: f, Dir: p.root, Name: "x"}, &wire.LinkResp{})
	if got := read(t, p.ok(&wire.OpenReq{ID: f}, &r)); got != "text" {
		t.Errorf("read %q", got)
	}
}

func TestMake(t *testing.T) {
	p := newPeer(t, nil)
	if os.Getuid() != 0 {
		t.Skip("needs root: it gives files away")
	}
	var r wire.NodeResp
	fds := p.ok(&wire.CreateReq{Dir: p.root, Name: "f", Mode: 0o4751, UID: 7, GID: 8}, &r)
	fd := fds.Take()
	if _, err := unix.Write(fd, []byte("x")); err != nil {
		t.Error(err)
	}
	unix.Close(fd)
	if a := r.Node.Attr; a.Mode != unix.S_IFREG|0o4751 || a.UID != 7 || a.GID != 8 || r.Dir.Mode&unix.S_IFMT != unix.S_IFDIR {
		t.Errorf("made %+v", r)
	}
	p.fails(unix.EEXIST, &wire.CreateReq{Dir: p.root, Name: "f"}, &r)
	for name, q := range map[string]wire.MknodReq{
		"dir":  {Mode: unix.S_IFDIR | 0o3775},
		"fifo": {Mode: unix.S_IFIFO | 0o640},
		"sock": {Mode: unix.S_IFSOCK | 0o777},
		"link": {Mode: unix.S_IFLNK | 0o777, Target: "some/where"},
	} {
		q.Dir, q.Name, q.UID, q.GID = p.root, name, 11, 12
		p.ok(&q, &r)
		if a := r.Node.Attr; a.Mode != q.Mode || a.UID != 11 || a.GID != 12 || r.Node.Target != q.Target {
			t.Errorf("made %s: %+v", name, r)
		}
	}
	p.fails(unix.EINVAL, &wire.MknodReq{Dir: p.root, Name: "x", Mode: unix.S_IFREG}, &r)
	p.fails(unix.ENOTDIR, &wire.MknodReq{Dir: p.walk("f").ID, Name: "x", Mode: unix.S_IFDIR}, &r)
	var l wire.ReadlinkResp
	p.ok(&wire.ReadlinkReq{ID: p.walk("link").ID}, &l)
	if l.Target != "some/where" {
		t.Errorf("link to %q", l.Target)
	}
}

func TestTemporaryFile(t *testing.T) {
	p := newPeer(t, nil)
	var r wire.NodeResp
	fds := p.ok(&wire.CreateReq{Dir: p.root, Mode: 0o600, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}, &r)
	defer fds.Close()
	var a wire.AttrResp
	p.ok(&wire.SetattrReq{ID: r.Node.ID, Mask: wire.SetMode | wire.SetSize, Mode: 0o640, Size: 5}, &a)
	if a.Attr.Mode != unix.S_IFREG|0o640 || a.Attr.Size != 5 || a.Attr.Nlink != 0 {
		t.Errorf("%+v", a)
	}
	p.ok(&wire.LinkReq{ID: r.Node.ID, Dir: p.root, Name: "f"}, &wire.LinkResp{})
	if n := p.walk("f"); n.ID != r.Node.ID || n.Attr.Nlink != 1 {
		t.Errorf("linked %+v", n)
	}
}

func TestSetattr(t *testing.T) {
	p := newPeer(t, nil)
	p.write("f", "text")
	if err := os.Symlink("f", p.dir+"/l"); err != nil {
		t.Fatal(err)
	}
	var a wire.AttrResp
	f := p.walk("f").ID
	want := wire.Time{Sec: 1234, Nsec: 5678}
	p.ok(&wire.SetattrReq{ID: f, Mask: wire.SetMode | wire.SetSize | wire.SetAtime | wire.SetMtimeNow,
		Mode: 0o6711, Size: 2, Atime: want}, &a)
	if a.Attr.Mode != unix.S_IFREG|0o6711 || a.Attr.Size != 2 || a.Attr.Atime != want || a.Attr.Mtime.Sec < 1e9 {
		t.Errorf("%+v", a)
	}
	l := p.walk("l").ID
	p.ok(&wire.SetattrReq{ID: l, Mask: wire.SetMtime, Mtime: want}, &a)
	if a.Attr.Mtime != want || a.Attr.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Errorf("times of a symlink: %+v", a)
	}
	p.fails(unix.EINVAL, &wire.SetattrReq{ID: l, Mask: wire.SetSize}, &a)
	p.fails(unix.EINVAL, &wire.SetattrReq{ID: f, Mask: wire.SetAtime | wire.SetAtimeNow}, &a)
	p.fails(unix.EINVAL, &wire.SetattrReq{ID: f, Mask: wire.SetMtime, Mtime: wire.Time{Nsec: unix.UTIME_OMIT}}, &a)
}

func TestUnlinkKeeps(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.MaxOpen = 4 })
	p.write("kept", "text")
	p.write("lost", "text")
	kept, lost := p.walk("kept").ID, p.walk("lost").ID
	var u wire.UnlinkResp
	p.ok(&wire.UnlinkReq{Dir: p.root, Name: "kept", Victim: kept, Keep: true}, &u)
	p.ok(&wire.UnlinkReq{Dir: p.root, Name: "lost", Victim: lost}, &u)
	var a wire.AttrResp
	p.ok(&wire.SetattrReq{ID: kept, Mask: wire.SetMode, Mode: 0o600}, &a)
	if a.Attr.Nlink != 0 || a.Attr.Mode&0o777 != 0o600 {
		t.Errorf("%+v", a)
	}
	if got := read(t, p.ok(&wire.OpenReq{ID: kept}, &a)); got != "text" {
		t.Errorf("read %q", got)
	}
	p.fails(unix.ESTALE, &wire.GetattrReq{ID: lost}, &a)
	p.write("lost", "another")
	if again := p.walk("lost"); again.ID == lost {
		t.Error("a new file has the id of a removed one")
	}
	p.fails(unix.ENOTEMPTY, &wire.UnlinkReq{Dir: p.root, Name: mkdirs(t, p, "d/e"), RmDir: true}, &u)
}

// mkdirs makes a directory and returns the first component of its path.
func mkdirs(t *testing.T, p *peer, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(p.dir, path), 0o755); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(path, "/")
	return first
}

// With few descriptors each request finds its directories closed, and opens them by
// names that have changed meanwhile.
func TestEviction(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.MaxOpen = 2 })
	p.write("a/b/c/d/e/f", "deep")
	p.write("x/y", "")
	f, b := p.walk("a", "b", "c", "d", "e", "f").ID, p.walk("a", "b").ID
	x := p.walk("x").ID
	for range 3 {
		var r wire.AttrResp
		p.ok(&wire.GetattrReq{ID: p.walk("x", "y").ID}, &r)
		if got := read(t, p.ok(&wire.OpenReq{ID: f}, &r)); got != "deep" {
			t.Fatalf("read %q", got)
		}
		var rn wire.RenameResp
		p.ok(&wire.RenameReq{OldDir: p.walk("a").ID, OldName: "b", NewDir: x, NewName: "z", Moved: b}, &rn)
		p.ok(&wire.GetattrReq{ID: f}, &r)
		p.ok(&wire.RenameReq{OldDir: x, OldName: "z", NewDir: p.walk("a").ID, NewName: "b", Moved: b}, &rn)
	}
}

// A process that may have few files makes do with them.
func TestFewDescriptors(t *testing.T) {
	c, dir, root, cmd := startProcess(t)
	p := &peer{t, c, dir, root}
	const files = 200
	for i := range files {
		p.write(fmt.Sprintf("f%d", i), "x")
	}
	if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}, nil); err != nil {
		t.Skip(err)
	}
	for i := range files {
		var r wire.AttrResp
		fds := p.ok(&wire.OpenReq{ID: p.walk(fmt.Sprintf("f%d", i)).ID}, &r)
		if fds.Len() != 1 {
			t.Fatalf("file %d: %d descriptors", i, fds.Len())
		}
		fds.Close()
	}
}

func TestRename(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.MaxOpen = 1 })
	p.write("a/f", "f")
	p.write("b/g", "g")
	a, b := p.walk("a").ID, p.walk("b").ID
	f, g := p.walk("a", "f").ID, p.walk("b", "g").ID
	var r wire.RenameResp
	var at wire.AttrResp
	q := &wire.RenameReq{OldDir: a, OldName: "f", NewDir: b, NewName: "g", Flags: unix.RENAME_NOREPLACE, Moved: f, Victim: g}
	p.fails(unix.EEXIST, q, &r)
	q.Flags = unix.RENAME_WHITEOUT
	p.fails(unix.EINVAL, q, &r)
	q.Flags = unix.RENAME_EXCHANGE
	p.ok(q, &r)
	if got := read(t, p.ok(&wire.OpenReq{ID: g}, &at)); got != "g" {
		t.Errorf("g reads %q", got)
	}
	// Now f is b/g and g is a/f: put g over f, which stays in use.
	p.ok(&wire.RenameReq{OldDir: a, OldName: "f", NewDir: b, NewName: "g", Moved: g, Victim: f, Keep: true}, &r)
	if got := read(t, p.ok(&wire.OpenReq{ID: f}, &at)); got != "f" || at.Attr.Nlink != 0 {
		t.Errorf("f reads %q, %d links", got, at.Attr.Nlink)
	}
	if n := p.walk("b", "g"); n.ID != g {
		t.Errorf("b/g is %x, not %x", n.ID, g)
	}
}

func TestReaddir(t *testing.T) {
	p := newPeer(t, nil)
	const files = 1500
	for i := range files {
		p.write(fmt.Sprintf("d/%0*d", 5+i%200, i), "")
	}
	if err := os.Symlink("else", p.dir+"/d/link"); err != nil {
		t.Fatal(err)
	}
	d := p.walk("d").ID
	seen := map[string]wire.ID{}
	pages := 0
	for cookie := uint64(0); ; pages++ {
		var r wire.ReaddirResp
		p.ok(&wire.ReaddirReq{Dir: d, Cookie: cookie}, &r)
		for _, e := range r.Entries {
			if seen[e.Name] != 0 {
				t.Errorf("%s twice", e.Name)
			}
			if seen[e.Name] = e.Node.ID; (e.Node.Target == "else") != (e.Name == "link") {
				t.Errorf("%s: target %q", e.Name, e.Node.Target)
			}
		}
		if cookie = r.Next; cookie == 0 {
			break
		}
	}
	if len(seen) != files+1 || pages < 2 {
		t.Errorf("%d names in %d pages", len(seen), pages)
	}
	if n := p.walk("d", "link"); n.ID != seen["link"] {
		t.Error("a listing and a walk give different ids")
	}
}

func TestXattr(t *testing.T) {
	p := newPeer(t, nil)
	p.write("f", "")
	if err := unix.Setxattr(p.dir+"/f", "user.probe", nil, 0); err != nil {
		t.Skipf("the temporary directory has no extended attributes: %v", err)
	}
	f := p.walk("f").ID
	big := strings.Repeat("v", 3000)
	var x wire.XattrResp
	p.ok(&wire.SetxattrReq{ID: f, Name: "user.big", Value: []byte(big)}, &wire.AttrResp{})
	p.ok(&wire.GetxattrReq{ID: f, Name: "user.big"}, &x)
	if string(x.Value) != big {
		t.Errorf("got %d bytes", len(x.Value))
	}
	p.fails(unix.EEXIST, &wire.SetxattrReq{ID: f, Name: "user.big", Flags: unix.XATTR_CREATE}, &wire.AttrResp{})
	p.fails(unix.ENODATA, &wire.SetxattrReq{ID: f, Name: "user.no", Flags: unix.XATTR_REPLACE}, &wire.AttrResp{})
	p.fails(unix.ENODATA, &wire.GetxattrReq{ID: f, Name: "user.no"}, &x)
	p.fails(unix.EOPNOTSUPP, &wire.GetxattrReq{ID: f, Name: "trusted.x"}, &x)
	p.fails(unix.EOPNOTSUPP, &wire.SetxattrReq{ID: f, Name: "security.selinux"}, &wire.AttrResp{})
	p.fails(unix.EINVAL, &wire.GetxattrReq{ID: f, Name: "user.\x00"}, &x)
	var l wire.ListxattrResp
	p.ok(&wire.ListxattrReq{ID: f}, &l)
	if len(l.Names) != 2 {
		t.Errorf("names %q", l.Names)
	}
	p.ok(&wire.RemovexattrReq{ID: f, Name: "user.big"}, &wire.AttrResp{})
	p.fails(unix.ENODATA, &wire.GetxattrReq{ID: f, Name: "user.big"}, &x)
}

// The way of kernels without getxattrat(2).
func TestXattrOld(t *testing.T) {
	s := &server{ops: &handlers, maxOpen: 8, conns: map[*conn]bool{}}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/f", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(proc)
	s.proc = proc
	fd, err := unix.Open(dir+"/f", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	n := &node{typ: unix.S_IFREG}
	if err := s.setxattr(n, fd, "user.x", []byte("v"), 0); err == unix.EOPNOTSUPP {
		t.Skip("the temporary directory has no extended attributes")
	} else if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if size, err := s.getxattr(n, fd, "user.x", b); err != nil || string(b[:size]) != "v" {
		t.Error(size, err)
	}
	if size, err := s.listxattr(n, fd, b); err != nil || string(b[:size]) != "user.x\x00" {
		t.Error(size, err)
	}
	if err := s.removexattr(n, fd, "user.x"); err != nil {
		t.Error(err)
	}
	n.typ = unix.S_IFIFO
	if _, err := s.getxattr(n, fd, "user.x", b); err != unix.ENODATA {
		t.Error(err)
	}
}

func TestSync(t *testing.T) {
	p := newPeer(t, nil)
	p.write("f", "x")
	var st wire.StatfsResp
	p.ok(&wire.StatfsReq{ID: p.root}, &st)
	if st.Bsize == 0 || st.Blocks == 0 || st.Namelen != 255 {
		t.Errorf("%+v", st)
	}
	p.ok(&wire.FsyncReq{ID: p.root}, &wire.Empty{})
	p.ok(&wire.FsyncReq{ID: p.walk("f").ID, Data: true}, &wire.Empty{})
}

func TestForget(t *testing.T) {
	p := newPeer(t, nil)
	p.write("d/f", "x")
	f := p.walk("d", "f").ID
	p.walk("d", "f") // a second reference
	var a wire.AttrResp
	p.c.Forget(f, 1)
	p.ok(&wire.GetattrReq{ID: f}, &a)
	p.c.Forget(f, 1)
	p.fails(unix.EBADF, &wire.GetattrReq{ID: f}, &a)
	if again := p.walk("d", "f").ID; again == f {
		t.Error("the id of a forgotten file is in use again")
	}
	p.c.Forget(p.root, 1000)
	p.ok(&wire.GetattrReq{ID: p.root}, &a)
	for range 5 * wire.MaxForgets {
		p.c.Forget(1<<40, 1)
	}
	p.c.Flush()
}

func TestSockets(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.Mounts[0].Sockets = BindSockets })
	deep := strings.Repeat("long-name/", 12) // a path that fits no address
	mkdirs(t, p, deep)
	dir := p.walk(strings.Split(strings.Trim(deep, "/"), "/")...).ID
	var n wire.NodeResp
	fds := p.ok(&wire.BindReq{Dir: dir, Name: "s", Type: unix.SOCK_STREAM, Mode: 0o666}, &n)
	f := os.NewFile(uintptr(fds.Take()), "socket")
	if err := unix.Listen(int(f.Fd()), 1); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	defer l.Close()
	fds = p.ok(&wire.ConnectReq{ID: n.Node.ID, Type: unix.SOCK_STREAM}, &wire.Empty{})
	fd := fds.Take()
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	p.fails(unix.EPROTONOSUPPORT, &wire.ConnectReq{ID: n.Node.ID, Type: unix.SOCK_RAW}, &wire.Empty{})
	p.fails(unix.EADDRINUSE, &wire.BindReq{Dir: dir, Name: "s", Type: unix.SOCK_STREAM}, &n)
}

func TestSocketsRefused(t *testing.T) {
	p := newPeer(t, nil)
	if err := unix.Mknod(p.dir+"/s", unix.S_IFSOCK|0o777, 0); err != nil {
		t.Fatal(err)
	}
	p.fails(unix.ECONNREFUSED, &wire.ConnectReq{ID: p.walk("s").ID, Type: unix.SOCK_STREAM}, &wire.Empty{})
	p.fails(unix.EPERM, &wire.BindReq{Dir: p.root, Name: "x", Type: unix.SOCK_STREAM}, &wire.NodeResp{})
}

func TestSingleFile(t *testing.T) {
	var file string
	p := newPeer(t, func(c *Config) {
		file = c.Mounts[0].Path + "/conf"
		if err := os.WriteFile(file, []byte("name"), 0o644); err != nil {
			t.Fatal(err)
		}
		c.Mounts[0].Path = file
	})
	var a wire.AttrResp
	if got := read(t, p.ok(&wire.OpenReq{ID: p.root}, &a)); got != "name" {
		t.Errorf("read %q", got)
	}
	var w wire.WalkResp
	p.ok(&wire.WalkReq{Dir: p.root, Names: []string{"x"}}, &w)
	if w.Errno != uint32(unix.ENOTDIR) {
		t.Errorf("walk below a file: %+v", w)
	}
}

func TestConcurrent(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.MaxOpen = 8 })
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("d%d", i%3)
			for j := range 60 {
				var n wire.NodeResp
				err := p.c.Call(nil, &wire.MknodReq{Dir: p.root, Name: name, Mode: unix.S_IFDIR | 0o755, UID: uid, GID: gid}, &n, nil)
				// ENOENT: somebody removed it before it was looked at.
				if err != nil && err != unix.EEXIST && err != unix.ENOENT {
					t.Error("mkdir:", err)
				}
				var w wire.WalkResp
				if err := p.c.Call(nil, &wire.WalkReq{Dir: p.root, Names: []string{name}}, &w, nil); err != nil {
					t.Error("walk:", err)
				}
				w.IDs(func(id wire.ID) { p.c.Forget(id, 1) })
				if n.Node.ID != 0 {
					p.c.Forget(n.Node.ID, 1)
				}
				err = p.c.Call(nil, &wire.UnlinkReq{Dir: p.root, Name: name, RmDir: true}, &wire.UnlinkResp{}, nil)
				if err != nil && err != unix.ENOENT {
					t.Error("rmdir:", j, err)
				}
			}
		})
	}
	wg.Wait()
}
