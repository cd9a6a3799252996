package overlay_test

import (
	"fmt"
	"slices"
	"testing"

	"garrison/fs/fstest"
	"garrison/fs/overlay"
	"garrison/fs/tmpfs"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

func newTmpfs(t testing.TB, c vfs.Ctx) vfs.Inode {
	mem := fstest.Memory(t)
	i, err := tmpfs.New(c, tmpfs.Config{
		Memory: func(vfs.Ctx) *memfile.File { return mem },
		Total:  func() uint64 { return 1 << 30 },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func newOverlay(t testing.TB, s *vfs.System, k overlay.Config) *vfs.Filesystem {
	r, err := overlay.New(s.Internal(), k)
	if err != nil {
		t.Fatal(err)
	}
	return s.NewFilesystemOf(overlay.Type(), r)
}

func mk(t *testing.T, s *vfs.System) *vfs.Filesystem {
	return newOverlay(t, s, overlay.Config{Upper: newTmpfs(t, s.Internal()), Lower: []vfs.Inode{newTmpfs(t, s.Internal())}})
}

func TestSuite(t *testing.T) { fstest.Test(t, mk, fstest.NoDirNlink) }

type env struct {
	*testing.T
	c            *fstest.Caller
	s            *vfs.System
	upper, lower vfs.Inode
}

// newEnv is an overlay over a lower layer with /d/{a,b}, /d/sub/c, /link -> d/a, /f.
func newEnv(t *testing.T, redirect bool) *env {
	s := vfs.New(nil)
	e := &env{T: t, s: s, upper: newTmpfs(t, s.Internal()), lower: newTmpfs(t, s.Internal())}
	low := s.NewFilesystemOf(&vfs.Type{Name: "tmpfs"}, e.lower)
	ns := s.NewMountNamespace(low, "low", 0)
	e.c = fstest.NewCaller(t, ns)
	e.c.Place.SetUmask(0)
	for _, d := range []string{"/d", "/d/sub"} {
		e.ok(vfs.Mkdir(e.c, at(d), 0o755))
	}
	for _, f := range []string{"/d/a", "/d/b", "/d/sub/c", "/f"} {
		e.write(f, "lower "+f)
	}
	e.ok(vfs.MakeSymlink(e.c, "d/a", at("/link")))
	fs := newOverlay(t, s, overlay.Config{Upper: e.upper, Lower: []vfs.Inode{e.lower}, Redirect: redirect})
	e.c = fstest.NewCaller(t, s.NewMountNamespace(fs, "overlay", 0))
	e.c.Place.SetUmask(0)
	return e
}

func at(name string) vfs.At { return vfs.At{Name: name} }

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *env) write(name, text string) {
	e.Helper()
	d, err := vfs.Open(e.c, at(name), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_TRUNC | linux.O_WRONLY, Mode: 0o644})
	e.ok(err)
	_, err = d.Write(e.c, usermem.FromBytes([]byte(text)))
	e.ok(err)
	d.Release(e.c)
}

func (e *env) readFrom(d *vfs.FileDescription) string {
	e.Helper()
	b := make([]byte, 1000)
	n, err := d.ReadAt(e.c, usermem.FromBytes(b), 0)
	e.ok(err)
	return string(b[:n])
}

func (e *env) read(name string) string {
	d, err := vfs.Open(e.c, at(name), vfs.OpenSpec{})
	if err != nil {
		return err.Error()
	}
	defer d.Release(e.c)
	return e.readFrom(d)
}

func (e *env) list(name string) string {
	e.Helper()
	d, err := vfs.Open(e.c, at(name), vfs.OpenSpec{})
	e.ok(err)
	defer d.Release(e.c)
	var out []string
	e.ok(d.List(e.c, func(x vfs.Dirent) bool {
		if x.Name[0] != '.' {
			out = append(out, x.Name)
		}
		return true
	}))
	slices.Sort(out)
	return fmt.Sprint(out)
}

func (e *env) attr(name string) vfs.Attr {
	e.Helper()
	p, err := vfs.Resolve(e.c, vfs.At{Name: name, Flags: vfs.NoFollow})
	e.ok(err)
	defer p.Drop()
	a, err := p.Attr(e.c)
	e.ok(err)
	return a
}

func (e *env) equal(got, want any) {
	e.Helper()
	if got != want {
		e.Fatalf("got %v, want %v", got, want)
	}
}

// cold forgets all names, so that everything is found anew.
func (e *env) cold() { e.s.Trim(0) }

func TestMerge(t *testing.T) {
	e := newEnv(t, false)
	e.equal(e.list("/"), "[d f link]")
	e.equal(e.read("/link"), "lower /d/a")
	e.write("/d/new", "upper")
	e.equal(e.list("/d"), "[a b new sub]")
	e.ok(vfs.Unlink(e.c, at("/d/a")))
	e.equal(e.list("/d"), "[b new sub]")
	e.equal(e.read("/d/a"), "no such file or directory")
	e.cold()
	e.equal(e.list("/d"), "[b new sub]")
	e.equal(e.read("/d/a"), "no such file or directory")
	e.write("/d/a", "again")
	e.cold()
	e.equal(e.read("/link"), "again")
	e.equal(e.list("/d"), "[a b new sub]")
}

func TestCopyUp(t *testing.T) {
	e := newEnv(t, false)
	before := e.attr("/d/sub/c")
	dir := e.attr("/d/sub")
	r, err := vfs.Open(e.c, at("/d/sub/c"), vfs.OpenSpec{})
	e.ok(err)
	defer r.Release(e.c)
	d, err := vfs.Open(e.c, at("/d/sub/c"), vfs.OpenSpec{Flags: linux.O_RDWR})
	e.ok(err)
	e.equal(e.readFrom(d), "lower /d/sub/c")
	_, err = d.WriteAt(e.c, usermem.FromBytes([]byte("UPPER")), 0)
	e.ok(err)
	d.Release(e.c)
	e.equal(e.read("/d/sub/c"), "UPPER /d/sub/c")
	e.equal(e.readFrom(r), "UPPER /d/sub/c") // opened before
	after := e.attr("/d/sub/c")
	e.equal(after.Ino, before.Ino)
	e.equal(e.attr("/d/sub").Mtime, dir.Mtime)
	e.cold()
	e.equal(e.attr("/d/sub/c").Ino, before.Ino)
	p, err := vfs.Resolve(e.c, at("/f"))
	e.ok(err)
	e.ok(vfs.Chmod(e.c, p, 0o600))
	p.Drop()
	e.cold()
	e.equal(e.attr("/f").Mode, linux.S_IFREG|0o600)
	e.equal(e.read("/f"), "lower /f")
}

func TestRmdir(t *testing.T) {
	e := newEnv(t, false)
	e.equal(vfs.Rmdir(e.c, at("/d")), error(linux.ENOTEMPTY))
	e.ok(vfs.Unlink(e.c, at("/d/sub/c")))
	e.ok(vfs.Rmdir(e.c, at("/d/sub")))
	e.cold()
	e.equal(e.list("/d"), "[a b]")
	e.ok(vfs.Mkdir(e.c, at("/d/sub"), 0o700))
	e.cold()
	e.equal(e.list("/d/sub"), "[]") // opaque
	e.ok(vfs.Rmdir(e.c, at("/d/sub")))
	e.cold()
	e.equal(e.list("/d"), "[a b]")
}

func TestRename(t *testing.T) {
	e := newEnv(t, false)
	e.ok(vfs.Rename(e.c, at("/f"), at("/g"), 0))
	e.cold()
	e.equal(e.list("/"), "[d g link]")
	e.equal(e.read("/g"), "lower /f")
	e.equal(vfs.Rename(e.c, at("/d"), at("/e"), 0), error(linux.EXDEV))
	e.ok(vfs.Rename(e.c, at("/g"), at("/d/a"), 0))
	e.cold()
	e.equal(e.read("/d/a"), "lower /f")
	e.ok(vfs.Mkdir(e.c, at("/new"), 0o755))
	e.write("/new/x", "x")
	e.ok(vfs.Rename(e.c, at("/new"), at("/newer"), 0))
	e.cold()
	e.equal(e.read("/newer/x"), "x")
	e.equal(e.list("/"), "[d link newer]")
}

func TestRedirect(t *testing.T) {
	e := newEnv(t, true)
	e.ok(vfs.Rename(e.c, at("/d"), at("/e"), 0))
	e.cold()
	e.equal(e.list("/"), "[e f link]")
	e.equal(e.list("/e"), "[a b sub]")
	e.equal(e.read("/e/sub/c"), "lower /d/sub/c")
	e.ok(vfs.Unlink(e.c, at("/e/a")))
	e.cold()
	e.equal(e.list("/e"), "[b sub]")
	e.ok(vfs.Mkdir(e.c, at("/d"), 0o755))
	e.cold()
	e.equal(e.list("/d"), "[]")
	e.equal(e.read("/e/b"), "lower /d/b")
	e.ok(vfs.Rename(e.c, at("/e/sub"), at("/d/sub"), 0))
	e.cold()
	e.equal(e.read("/d/sub/c"), "lower /d/sub/c")
	e.equal(e.list("/e"), "[b]")
	e.ok(vfs.Rename(e.c, at("/d"), at("/e"), linux.RENAME_EXCHANGE))
	e.cold()
	e.equal(e.read("/e/sub/c"), "lower /d/sub/c")
	e.equal(e.list("/d"), "[b]")
}

// TestUnlinkedOpen changes a lower file that has lost its name.
func TestUnlinkedOpen(t *testing.T) {
	e := newEnv(t, false)
	d, err := vfs.Open(e.c, at("/f"), vfs.OpenSpec{})
	e.ok(err)
	defer d.Release(e.c)
	e.ok(vfs.Unlink(e.c, at("/f")))
	e.equal(e.readFrom(d), "lower /f")
	e.ok(vfs.Chmod(e.c, d.Path(), 0o600))
	e.equal(e.readFrom(d), "lower /f")
	e.equal(e.list("/"), "[d link]")
}

func TestLinks(t *testing.T) {
	e := newEnv(t, false)
	p, err := vfs.Resolve(e.c, at("/f"))
	e.ok(err)
	e.ok(vfs.Link(e.c, p, at("/d/f2")))
	p.Drop()
	e.cold()
	e.write("/d/f2", "both")
	e.equal(e.read("/f"), "both")
	e.equal(e.attr("/f").Ino, e.attr("/d/f2").Ino)
	e.equal(e.attr("/f").Nlink, uint32(2))
	e.ok(vfs.Unlink(e.c, at("/f")))
	e.cold()
	e.equal(e.read("/d/f2"), "both")
	e.equal(e.read("/f"), "no such file or directory")
}

func TestReadOnly(t *testing.T) {
	e := newEnv(t, false)
	a, b := newTmpfs(t, e.c), newTmpfs(t, e.c)
	fs := newOverlay(t, e.s, overlay.Config{Lower: []vfs.Inode{a, b}})
	c := fstest.NewCaller(t, e.s.NewMountNamespace(fs, "o", 0))
	e.equal(vfs.Mkdir(c, at("/x"), 0o755), error(linux.EROFS))
}

// TestMount mounts by names; what changes shows in the upper layer's own mount.
func TestMount(t *testing.T) {
	e := newEnv(t, false)
	mount := func(name string, typ *vfs.Type, o string) error {
		fs, err := e.s.NewFilesystem(e.c, typ, &vfs.NewArgs{Options: vfs.ParseOptions(o)})
		if err != nil {
			return err
		}
		defer fs.DecRef()
		p, err := vfs.Resolve(e.c, at(name))
		e.ok(err)
		defer p.Drop()
		return vfs.MountFS(e.c, p, fs, "", 0)
	}
	for _, d := range []string{"/m", "/o"} {
		e.ok(vfs.Mkdir(e.c, at(d), 0o755))
	}
	e.equal(mount("/o", overlay.Type(), "lowerdir=/d,upperdir=/m,workdir=/m"), error(linux.EINVAL))
	upper := newTmpfs(t, e.c)
	e.ok(mount("/m", &vfs.Type{Name: "tmpfs", New: func(vfs.Ctx, *vfs.NewArgs) (vfs.Inode, error) { return upper, nil }}, ""))
	e.ok(vfs.Mkdir(e.c, at("/m/u"), 0o755))
	e.equal(e.read("/m/u/a"), "no such file or directory") // and now the cache knows it
	e.ok(mount("/o", overlay.Type(), "lowerdir=/d,upperdir=/m/u,workdir=/m/u"))
	e.write("/o/a", "changed")
	e.equal(e.read("/m/u/a"), "changed")
	e.equal(e.read("/d/a"), "lower /d/a")
	e.ok(vfs.Unlink(e.c, at("/o/a")))
	e.equal(e.attr("/m/u/a").Mode.Type(), linux.S_IFCHR)
}
