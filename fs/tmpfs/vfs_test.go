package tmpfs_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"garrison/fs/fstest"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// The tests here are of vfs itself; tmpfs is what they have at hand.

type env struct {
	*testing.T
	s  *vfs.System
	ns *vfs.MountNamespace
	c  *fstest.Caller
}

func newEnv(t *testing.T) *env {
	s := vfs.New(nil)
	s.RegisterType(newType(t))
	fs := mk(t, s)
	ns := s.NewMountNamespace(fs, "root", 0)
	fs.DecRef()
	t.Cleanup(ns.DecRef)
	e := &env{t, s, ns, fstest.NewCaller(t, ns)}
	e.c.Place.SetUmask(0)
	return e
}

func (e *env) want(what string, err, want error) {
	e.Helper()
	if err != want {
		e.Fatalf("%s: %v, want %v", what, err, want)
	}
}

func at(name string) vfs.At { return vfs.At{Name: name} }

func (e *env) mkdir(names ...string) {
	e.Helper()
	for _, n := range names {
		e.want("mkdir "+n, vfs.Mkdir(e.c, at(n), 0o755), nil)
	}
}

func (e *env) path(name string) vfs.Path {
	e.Helper()
	p, err := vfs.Resolve(e.c, at(name))
	e.want("resolve "+name, err, nil)
	e.Cleanup(p.Drop)
	return p
}

// with calls f with a path that is held only as long.
func (e *env) with(name string, f func(vfs.Path) error) error {
	e.Helper()
	p, err := vfs.Resolve(e.c, at(name))
	e.want("resolve "+name, err, nil)
	defer p.Drop()
	return f(p)
}

func (e *env) mount(name string, flags linux.MountFlags) {
	e.Helper()
	fs, err := e.s.NewFilesystem(e.c, e.s.Type("tmpfs"), &vfs.NewArgs{})
	e.want("new", err, nil)
	defer fs.DecRef()
	e.want("mount "+name, e.with(name, func(p vfs.Path) error { return vfs.MountFS(e.c, p, fs, name, flags) }), nil)
}

func (e *env) umount(name string, flags int) error {
	e.Helper()
	return e.with(name, func(p vfs.Path) error { return vfs.Unmount(e.c, p, flags) })
}

func (e *env) bind(from, to string, rec bool) {
	e.Helper()
	e.want("bind", e.with(from, func(p vfs.Path) error {
		return e.with(to, func(q vfs.Path) error { return vfs.Bind(e.c, p, q, rec) })
	}), nil)
}

func (e *env) open(name string, flags linux.OpenFlags) *vfs.FileDescription {
	e.Helper()
	d, err := vfs.Open(e.c, at(name), vfs.OpenSpec{Flags: flags, Mode: 0o644})
	e.want("open "+name, err, nil)
	return d
}

func (e *env) touch(name string) { e.open(name, linux.O_CREAT|linux.O_RDWR).Release(e.c) }

func (e *env) exists(name string) bool {
	p, err := vfs.Resolve(e.c, at(name))
	p.Drop()
	return err == nil
}

// points is where things are mounted, with options and propagation.
func (e *env) points() string {
	root := e.c.Place.Root()
	defer root.Drop()
	var out []string
	for _, m := range e.c.Place.Namespace().Mounts(root) {
		s := m.Point
		if m.Root != "/" {
			s += "=" + m.Root
		}
		if m.Propagation != "" {
			s += "(" + m.Propagation + ")"
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (e *env) expect(want string) {
	e.Helper()
	if got := e.points(); got != want {
		e.Fatalf("mounts: %s\nwant    %s", got, want)
	}
}

func TestMount(t *testing.T) {
	e := newEnv(t)
	e.mkdir("/m", "/m/below")
	e.mount("/m", linux.MS_NOSUID)
	if e.exists("/m/below") {
		t.Fatal("not covered")
	}
	e.mkdir("/m/in")
	e.mount("/m", 0) // on top
	e.touch("/m/top")
	e.expect("/ /m /m")
	e.want("busy", vfs.Rmdir(e.c, at("/m")), linux.EBUSY)
	e.want("across", vfs.Rename(e.c, at("/m/top"), at("/x"), 0), linux.EXDEV)
	p := e.path("/m/..")
	root := e.path("/")
	if !p.Same(root) {
		t.Fatal("dotdot")
	}
	d := e.open("/m/top", linux.O_RDONLY)
	e.want("in use", e.umount("/m", 0), linux.EBUSY)
	e.want("detach", e.umount("/m", linux.MNT_DETACH), nil)
	if _, err := d.Attr(e.c); err != nil {
		t.Fatal(err)
	}
	d.Release(e.c)
	if !e.exists("/m/in") {
		t.Fatal("what was below")
	}
	e.want("expire", e.umount("/m", linux.MNT_EXPIRE), linux.EAGAIN)
	e.want("expire", e.umount("/m", linux.MNT_EXPIRE), nil)
	e.want("no mount", e.umount("/m", 0), linux.EINVAL)
	e.expect("/")
	if !e.exists("/m/below") {
		t.Fatal("still covered")
	}
}

func TestBind(t *testing.T) {
	e := newEnv(t)
	e.mkdir("/a", "/a/sub", "/a/sub/deep", "/b", "/c")
	e.mount("/a/sub/deep", 0)
	e.touch("/a/sub/deep/f")
	e.bind("/a/sub", "/b", false)
	e.expect("/ /a/sub/deep /b=/a/sub")
	if e.exists("/b/deep/f") {
		t.Fatal("bound what is mounted below")
	}
	e.bind("/a", "/c", true)
	e.expect("/ /a/sub/deep /b=/a/sub /c/sub/deep /c=/a")
	if !e.exists("/c/sub/deep/f") {
		t.Fatal("not recursive")
	}
	e.want("remount", e.with("/c", func(p vfs.Path) error {
		return vfs.Remount(e.c, p, linux.MS_BIND|linux.MS_RDONLY, nil)
	}), nil)
	e.want("read-only", vfs.Mkdir(e.c, at("/c/x"), 0o755), linux.EROFS)
	e.mkdir("/a/x")
	p := e.path("/c/..")
	if !p.Same(e.path("/")) {
		t.Fatal("dotdot out of a bind mount")
	}
	e.want("children", e.umount("/c", 0), linux.EBUSY)
	p.Drop()
	p.Hold()
	e.want("detach", e.umount("/c", linux.MNT_DETACH), nil)
	e.touch("/file")
	e.touch("/over")
	e.bind("/file", "/over", false)
	e.want("dir on file", e.with("/a", func(p vfs.Path) error {
		return e.with("/file", func(q vfs.Path) error { return vfs.Bind(e.c, p, q, false) })
	}), linux.ENOTDIR)
	e.expect("/ /a/sub/deep /b=/a/sub /over=/file")
}

func TestMoveMount(t *testing.T) {
	e := newEnv(t)
	e.mkdir("/a", "/b")
	e.mount("/a", 0)
	e.mkdir("/a/in")
	move := func(from, to string) error {
		return e.with(from, func(p vfs.Path) error {
			return e.with(to, func(q vfs.Path) error { return vfs.MoveMount(e.c, p, q, false) })
		})
	}
	e.want("into itself", move("/a", "/a/in"), linux.ELOOP)
	e.want("move", move("/a", "/b"), nil)
	e.expect("/ /b")
	e.want("no mount", move("/a", "/b"), linux.EINVAL)
}

func TestPropagation(t *testing.T) {
	e := newEnv(t)
	e.mkdir("/a", "/peer", "/slave", "/private")
	set := func(name string, f linux.MountFlags) {
		e.Helper()
		e.want("propagation", e.with(name, func(p vfs.Path) error { return vfs.SetPropagation(e.c, p, f) }), nil)
	}
	e.mount("/a", 0)
	e.mkdir("/a/x", "/a/y")
	set("/a", linux.MS_SHARED)
	for _, n := range []string{"/peer", "/slave", "/private"} {
		e.bind("/a", n, false)
	}
	set("/slave", linux.MS_SLAVE)
	set("/private", linux.MS_PRIVATE)
	e.expect("/ /a(shared:1) /peer(shared:1) /private /slave(master:1)")
	e.mount("/a/x", 0)
	e.expect("/ /a(shared:1) /a/x(shared:2) /peer(shared:1) /peer/x(shared:2) /private /slave(master:1) /slave/x(master:2)")
	e.mount("/slave/y", 0)
	if strings.Contains(e.points(), "/a/y") {
		t.Fatal("a slave's mount came up")
	}
	e.want("umount", e.umount("/peer/x", 0), nil)
	e.expect("/ /a(shared:1) /peer(shared:1) /private /slave(master:1) /slave/y")
}

func TestNamespaces(t *testing.T) {
	e := newEnv(t)
	e.mkdir("/m", "/n")
	e.mount("/m", 0)
	e.mkdir("/m/dir")
	e.want("chdir", e.with("/m/dir", func(p vfs.Path) error { e.c.Place.SetCwd(p); return nil }), nil)
	child := fstest.NewCaller(t, e.ns)
	child.Place.DecRef()
	child.Place = e.c.Place.Copy()
	ns, err := e.ns.Clone(child, child.Place, nil)
	e.want("clone", err, nil)
	ns.DecRef()
	f := &env{t, e.s, ns, child}
	f.expect("/ /m")
	f.mount("/n", 0)
	f.expect("/ /m /n")
	e.expect("/ /m")
	e.want("in the other", e.umount("/m", linux.MNT_DETACH), nil)
	cwd := child.Place.Cwd()
	root := child.Place.Root()
	if name, ok := cwd.Abs(root); name != "/m/dir" || !ok {
		t.Fatal(name, ok)
	}
	cwd.Drop()
	root.Drop()
	cwd, root = e.c.Place.Cwd(), e.c.Place.Root()
	if _, ok := cwd.Abs(root); ok {
		t.Fatal("reachable, though unmounted")
	}
	cwd.Drop()
	root.Drop()
}

func TestPivotRoot(t *testing.T) {
	e := newEnv(t)
	e.mkdir("/new", "/old")
	e.want("no mount", e.with("/new", func(p vfs.Path) error { return vfs.PivotRoot(e.c, p, p) }), linux.EBUSY)
	e.mount("/new", 0)
	e.mkdir("/new/put")
	e.touch("/marker")
	e.touch("/new/inside")
	other := fstest.NewCaller(t, e.ns)
	e.want("pivot", e.with("/new", func(p vfs.Path) error {
		return e.with("/new/put", func(q vfs.Path) error { return vfs.PivotRoot(e.c, p, q) })
	}), nil)
	e.expect("/ /put")
	if !e.exists("/inside") || !e.exists("/put/marker") || e.exists("/marker") {
		t.Fatal("wrong root")
	}
	o := &env{t, e.s, e.ns, other}
	if !o.exists("/inside") {
		t.Fatal("another task stays behind")
	}
	other.Place.SetCwd(e.path("/"))
	e.want("umount", e.umount("/put", linux.MNT_DETACH), nil)
	e.expect("/")
}

func TestChroot(t *testing.T) {
	e := newEnv(t)
	e.mkdir("/jail", "/jail/in")
	e.touch("/outside")
	e.want("chroot", e.with("/jail", func(p vfs.Path) error { e.c.Place.SetRoot(p); e.c.Place.SetCwd(p); return nil }), nil)
	for _, name := range []string{"/../outside", "../outside", "/outside", "in/../../outside"} {
		if e.exists(name) {
			t.Fatal(name)
		}
	}
	e.want("symlink", vfs.MakeSymlink(e.c, "/in", at("/l")), nil)
	if p := e.path("/l"); p.Name() != "in" {
		t.Fatal(p.Name())
	}
}

func lockOf(d *vfs.FileDescription, owner any, start, end int64, write bool) vfs.RecordLock {
	return vfs.RecordLock{Start: start, End: end, Write: write, Owner: owner}
}

func TestRecordLocks(t *testing.T) {
	e := newEnv(t)
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR)
	defer d.Release(e.c)
	a, b := vfs.NewFDTable(), vfs.NewFDTable()
	set := func(owner any, start, end int64, write, unlock bool) error {
		return d.SetLock(e.c, lockOf(d, owner, start, end, write), unlock, false)
	}
	e.want("a", set(a, 0, 99, true, false), nil)
	e.want("b", set(b, 50, 60, false, false), linux.EAGAIN)
	e.want("b", set(b, 100, math.MaxInt64, true, false), nil)
	e.want("a splits", set(a, 40, 59, false, true), nil)
	e.want("b", set(b, 45, 55, false, false), nil)
	e.want("a shares", set(a, 45, 55, false, false), nil)
	e.want("a upgrades", set(a, 45, 55, true, false), linux.EAGAIN)
	l, found, _ := d.TestLock(e.c, lockOf(d, b, 0, 1, false), false)
	if !found || l.Start != 0 || l.End != 39 || !l.Write {
		t.Fatal(l, found)
	}
	done := make(chan error)
	go func() { done <- d.SetLock(e.c, lockOf(d, b, 10, 20, true), false, true) }()
	time.Sleep(20 * time.Millisecond)
	// a now waits for b, which waits for a.
	e.want("deadlock", d.SetLock(e.c, lockOf(d, a, 200, 300, true), false, true), linux.EDEADLK)
	fds := vfs.NewFDTable()
	_ = fds
	e.want("unlock", set(a, 0, math.MaxInt64, false, true), nil)
	e.want("b waited", <-done, nil)
	// Closing any descriptor of the file gives up the process's locks.
	b2, err := b.Install(e.c, e.openSame("/f"), 0, false)
	e.want("install", err, nil)
	e.want("close", b.Close(e.c, b2), nil)
	e.want("a has all", set(a, 0, math.MaxInt64, true, false), nil)
}

func (e *env) openSame(name string) *vfs.FileDescription {
	d := e.open(name, linux.O_RDONLY)
	e.Cleanup(func() { d.Release(e.c) })
	return d
}

func TestFlock(t *testing.T) {
	e := newEnv(t)
	a, b := e.open("/f", linux.O_CREAT|linux.O_RDWR), e.open("/f", linux.O_RDWR)
	e.want("shared", a.Flock(e.c, linux.LOCK_SH, false), nil)
	e.want("shared", b.Flock(e.c, linux.LOCK_SH, false), nil)
	e.want("exclusive", a.Flock(e.c, linux.LOCK_EX, false), linux.EWOULDBLOCK)
	done := make(chan error)
	go func() { done <- a.Flock(e.c, linux.LOCK_EX, true) }()
	time.Sleep(10 * time.Millisecond)
	b.Release(e.c)
	e.want("exclusive", <-done, nil)
	b = e.open("/f", linux.O_RDWR)
	e.want("locked", b.Flock(e.c, linux.LOCK_SH, false), linux.EWOULDBLOCK)
	e.want("unlock", a.Flock(e.c, linux.LOCK_UN, false), nil)
	e.want("free", b.Flock(e.c, linux.LOCK_EX, false), nil)
	a.Release(e.c)
	b.Release(e.c)
}

func TestFDTable(t *testing.T) {
	e := newEnv(t)
	e.c.Limits.Set(limits.NOFile, limits.Limit{Cur: 100, Max: 100})
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR)
	defer d.Release(e.c)
	x := vfs.NewFDTable()
	for i := range 100 {
		fd, err := x.Install(e.c, d, 0, i%2 == 1)
		if err != nil || int(fd) != i {
			t.Fatal(fd, err)
		}
	}
	_, err := x.Install(e.c, d, 0, false)
	e.want("full", err, linux.EMFILE)
	_, err = x.Install(e.c, d, 100, false)
	e.want("beyond", err, linux.EINVAL)
	e.want("beyond", x.Replace(e.c, 100, d, false), linux.EBADF)
	e.want("close", x.Close(e.c, 50), nil)
	e.want("close", x.Close(e.c, 50), linux.EBADF)
	e.want("close", x.Close(e.c, -1), linux.EBADF)
	fd, err := x.Install(e.c, d, 10, true)
	if fd != 50 || err != nil {
		t.Fatal(fd, err)
	}
	y := x.Copy()
	x.CloseOnExec(e.c)
	if n := len(x.FDs()); n != 49 {
		t.Fatal(n)
	}
	if on, err := y.CloExec(51); !on || err != nil {
		t.Fatal(on, err)
	}
	y.CloseRange(e.c, 10, 1<<31, false)
	if n := len(y.FDs()); n != 10 {
		t.Fatal(n)
	}
	fds, err := y.InstallAll(e.c, true, d, d)
	if err != nil || fds[0] != 10 || fds[1] != 11 {
		t.Fatal(fds, err)
	}
	x.DecRef(e.c)
	y.DecRef(e.c)
	if _, err := d.Attr(e.c); err != nil {
		t.Fatal(err)
	}
}

// TestRaces uses names while others change them; the race detector and lockcheck look.
func TestRaces(t *testing.T) {
	e := newEnv(t)
	e.mkdir("/a", "/b", "/a/sub")
	e.s.Trim(8)
	var wg sync.WaitGroup
	run := func(f func(c *fstest.Caller, i int)) {
		wg.Add(1)
		c := fstest.NewCaller(t, e.ns)
		go func() {
			defer wg.Done()
			for i := range 300 {
				f(c, i)
			}
		}()
	}
	run(func(c *fstest.Caller, i int) { vfs.Rename(c, at("/a/sub"), at("/b/sub"), 0) })
	run(func(c *fstest.Caller, i int) { vfs.Rename(c, at("/b/sub"), at("/a/sub"), 0) })
	run(func(c *fstest.Caller, i int) { vfs.Rename(c, at("/a"), at("/b"), linux.RENAME_EXCHANGE) })
	for _, dir := range []string{"/a/sub/", "/b/sub/"} {
		run(func(c *fstest.Caller, i int) {
			d, err := vfs.Open(c, at(dir+fmt.Sprint(i%5)), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_RDWR})
			if err == nil {
				d.Write(c, usermem.FromBytes([]byte("x")))
				d.Path().Abs(vfs.Path{})
				d.Release(c)
			}
			vfs.Unlink(c, at(dir+fmt.Sprint((i+2)%5)))
		})
	}
	run(func(*fstest.Caller, int) { e.s.Trim(2) })
	wg.Wait()
}

func BenchmarkStat(b *testing.B) {
	s := vfs.New(nil)
	fs, err := s.NewFilesystem(s.Internal(), newType(b), &vfs.NewArgs{})
	if err != nil {
		b.Fatal(err)
	}
	c := fstest.NewCaller(b, s.NewMountNamespace(fs, "root", 0))
	name := ""
	for _, n := range []string{"/usr", "/share", "/doc", "/bash", "/README"} {
		name += n
		if err := vfs.Mkdir(c, at(name), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		p, err := vfs.Resolve(c, at(name))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Attr(c); err != nil {
			b.Fatal(err)
		}
		p.Drop()
	}
}

func BenchmarkRead(b *testing.B) {
	s := vfs.New(nil)
	fs, err := s.NewFilesystem(s.Internal(), newType(b), &vfs.NewArgs{})
	if err != nil {
		b.Fatal(err)
	}
	c := fstest.NewCaller(b, s.NewMountNamespace(fs, "root", 0))
	d, err := vfs.Open(c, at("/f"), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_RDWR})
	if err != nil {
		b.Fatal(err)
	}
	var mem usermem.Memory = usermem.Bytes(make([]byte, 4096))
	d.Write(c, usermem.One(mem, 0, 4096))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := d.ReadAt(c, usermem.One(mem, 0, 4096), 0); n != 4096 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkOpenClose(b *testing.B) {
	s := vfs.New(nil)
	fs, err := s.NewFilesystem(s.Internal(), newType(b), &vfs.NewArgs{})
	if err != nil {
		b.Fatal(err)
	}
	c := fstest.NewCaller(b, s.NewMountNamespace(fs, "root", 0))
	vfs.Mkdir(c, at("/d"), 0o755)
	d, err := vfs.Open(c, at("/d/f"), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_RDWR, Mode: 0o644})
	if err != nil {
		b.Fatal(err)
	}
	d.Release(c)
	t := vfs.NewFDTable()
	b.ReportAllocs()
	for b.Loop() {
		d, err := vfs.Open(c, at("/d/f"), vfs.OpenSpec{})
		if err != nil {
			b.Fatal(err)
		}
		fd, _ := t.Install(c, d, 0, false)
		d.Release(c)
		t.Close(c, fd)
	}
}

type told chan linux.Signal

func (c told) SignalIO(s linux.Signal, _ int32, _ wait.Events) { c <- s }

func TestDirNotify(t *testing.T) {
	e := newEnv(t)
	e.mkdir("/d")
	d := e.open("/d", linux.O_RDONLY)
	c := make(told, 10)
	e.want("notify", d.DirNotify(c, 3, linux.DN_CREATE), nil)
	d.SetSignal(linux.SIGUSR1)
	e.touch("/d/a")
	if s := <-c; s != linux.SIGUSR1 {
		t.Fatal(s)
	}
	e.touch("/d/b") // once only
	e.want("again", d.DirNotify(nil, 3, linux.DN_DELETE|linux.DN_MULTISHOT), nil)
	for _, n := range []string{"/d/a", "/d/b"} {
		e.want("unlink", vfs.Unlink(e.c, at(n)), nil)
		<-c
	}
	d.Release(e.c)
	if len(c) != 0 {
		t.Fatal(len(c))
	}
}

// TestFileCaps: a program that is written to, cut or given away loses its capabilities.
func TestFileCaps(t *testing.T) {
	e := newEnv(t)
	e.touch("/f")
	p := e.path("/f")
	e.want("chmod", vfs.Chmod(e.c, p, 0o755), nil)
	for name, change := range map[string]func() error{
		"write": func() error {
			d := e.open("/f", linux.O_WRONLY)
			defer d.Release(e.c)
			_, err := d.Write(e.c, usermem.FromBytes([]byte("x")))
			return err
		},
		"truncate": func() error { return vfs.Truncate(e.c, p, 1) },
		"chown":    func() error { return vfs.Chown(e.c, p, 5, 5) },
	} {
		e.want("malformed", vfs.SetXattr(e.c, p, linux.XATTR_CAPS, []byte("caps"), 0), linux.EINVAL)
		caps := append([]byte{1, 0, 0, 2, 0x20}, make([]byte, 15)...) // revision 2, effective: CAP_KILL
		e.want("setcap", vfs.SetXattr(e.c, p, linux.XATTR_CAPS, caps, 0), nil)
		e.want(name, change(), nil)
		_, err := vfs.GetXattr(e.c, p, linux.XATTR_CAPS)
		e.want("caps after "+name, err, linux.ENODATA)
	}
}
