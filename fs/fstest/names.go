package fstest

import (
	"fmt"
	"strings"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

var nameTests = []test{
	{"create", 0, create},
	{"walk", 0, walk},
	{"symlink", 0, symlinks},
	{"loop", 0, loops},
	{"link", NoLinks, links},
	{"unlink", 0, unlink},
	{"unlinked", NoUnlinked, unlinked},
	{"rmdir", 0, rmdir},
	{"list", 0, list},
	{"list-change", 0, listChange},
	{"tmpfile", NoTmpfile, tmpfile},
	{"special", NoDevices, special},
	{"many", 0, many},
}

func create(e *env) {
	e.write("/a", "hello")
	e.equal("a", e.read("/a"), "hello")
	e.openErr("/a", linux.O_CREAT|linux.O_EXCL|linux.O_WRONLY, linux.EEXIST)
	e.openErr("/a/", linux.O_RDONLY, linux.ENOTDIR)
	e.openErr("/a/b", linux.O_RDONLY, linux.ENOTDIR)
	e.openErr("/b", linux.O_RDONLY, linux.ENOENT)
	e.openErr("/b/", linux.O_CREAT|linux.O_WRONLY, linux.EISDIR)
	e.openErr("/b/c", linux.O_CREAT|linux.O_WRONLY, linux.ENOENT)
	e.openErr("/", linux.O_WRONLY, linux.EISDIR)
	e.openErr("/", linux.O_CREAT, linux.EISDIR)
	e.openErr("/a", linux.O_DIRECTORY, linux.ENOTDIR)
	e.openErr("/"+strings.Repeat("x", 256), linux.O_CREAT|linux.O_WRONLY, linux.ENAMETOOLONG)
	long := "/" + strings.Repeat("x", 255)
	e.write(long, "long")
	e.equal("long", e.read(long), "long")
	e.write("/a", "")
	e.equal("truncated", e.attr("/a").Size, int64(0))
	d := e.open("/o", linux.O_CREAT|linux.O_RDWR, 0o000) // the mode does not hold for the maker
	d.Release(e.c)
	e.equal("mode", e.attr("/o").Mode, linux.S_IFREG)
	e.c.Place.SetUmask(0o027)
	e.open("/u", linux.O_CREAT|linux.O_RDONLY, 0o666).Release(e.c)
	e.equal("umask", e.attr("/u").Mode, linux.S_IFREG|0o640)
}

func walk(e *env) {
	e.mkdir("/d")
	e.mkdir("/d/e")
	e.mkdir("/d/e/f")
	e.write("/d/e/f/x", "deep")
	for _, name := range []string{"/d/e/f/x", "//d//e/./f/x", "/d/e/../e/f/../f/x", "/../../d/e/f/x", "d/e/f/x"} {
		e.equal(name, e.read(name), "deep")
	}
	e.openErr("/d/e/f/y/z", 0, linux.ENOENT)
	e.openErr("/d/e/f/x/z", 0, linux.ENOTDIR)
	p := e.resolve("/d/e", 0)
	defer p.Drop()
	q, err := vfs.Resolve(e.c, vfs.At{Start: p, Name: "f/x"})
	e.want("relative", err, nil)
	root := e.c.Place.Root()
	defer root.Drop()
	name, ok := q.Abs(root)
	e.equal("path", name, "/d/e/f/x")
	e.equal("reachable", ok, true)
	q.Drop()
	for _, x := range []struct {
		name  string
		flags vfs.ResolveFlags
		want  error
	}{
		{"f/x", vfs.Beneath, nil}, {"../e/f/x", vfs.Beneath, linux.EXDEV}, {"/d", vfs.Beneath, linux.EXDEV},
		{"f/../..", vfs.Beneath, linux.EXDEV}, {"/f/x", vfs.InRoot, nil}, {"../../f/x", vfs.InRoot, nil},
		{"", vfs.EmptyOK, nil}, {"", 0, linux.ENOENT}, {"f/x", vfs.Directory, linux.ENOTDIR},
	} {
		q, err := vfs.Resolve(e.c, vfs.At{Start: p, Name: x.name, Flags: x.flags})
		q.Drop()
		e.want(fmt.Sprintf("resolve %q %#x", x.name, x.flags), err, x.want)
	}
}

func symlinks(e *env) {
	e.mkdir("/d")
	e.write("/d/f", "file")
	link := func(target, name string) {
		e.Helper()
		e.want("symlink "+name, vfs.MakeSymlink(e.c, target, at(name)), nil)
	}
	link("f", "/d/rel")
	link("/d/f", "/abs")
	link("d", "/dir")
	link("nowhere", "/dangling")
	link("/made", "/maker")
	e.equal("rel", e.read("/d/rel"), "file")
	e.equal("abs", e.read("/abs"), "file")
	e.equal("through", e.read("/dir/rel"), "file")
	p := e.resolve("/abs", vfs.NoFollow)
	s, err := vfs.Readlink(e.c, p)
	p.Drop()
	e.want("readlink", err, nil)
	e.equal("readlink", s, "/d/f")
	e.equal("size", e.attr("/abs").Size, int64(4))
	e.equal("mode", e.attr("/abs").Mode, linux.S_IFLNK|0o777)
	e.openErr("/abs", linux.O_NOFOLLOW, linux.ELOOP)
	e.openErr("/dir", linux.O_NOFOLLOW|linux.O_DIRECTORY, linux.ENOTDIR)
	e.openErr("/dangling", 0, linux.ENOENT)
	e.openErr("/dangling", linux.O_CREAT|linux.O_EXCL|linux.O_WRONLY, linux.EEXIST)
	e.write("/maker", "made")
	e.equal("made", e.read("/made"), "made")
	e.want("exists", vfs.MakeSymlink(e.c, "x", at("/abs")), linux.EEXIST)
	e.want("empty", vfs.MakeSymlink(e.c, "", at("/empty")), linux.ENOENT)
	q, err := vfs.Resolve(e.c, vfs.At{Name: "/dir/f", Flags: vfs.NoSymlinks})
	q.Drop()
	e.want("no symlinks", err, linux.ELOOP)
	e.want("unlink", vfs.Unlink(e.c, at("/abs")), nil)
	e.equal("still", e.read("/d/f"), "file")
	e.want("unlink dir/", vfs.Unlink(e.c, at("/dir/")), linux.ENOTDIR)
}

func loops(e *env) {
	for i := range 41 {
		e.want("symlink", vfs.MakeSymlink(e.c, fmt.Sprint("l", i), at(fmt.Sprint("/l", i+1))), nil)
	}
	e.write("/l0", "end")
	e.equal("40 links", e.read("/l40"), "end")
	e.openErr("/l41", 0, linux.ELOOP)
	e.want("symlink", vfs.MakeSymlink(e.c, "self", at("/self")), nil)
	e.openErr("/self", 0, linux.ELOOP)
	e.openErr("/self", linux.O_CREAT|linux.O_WRONLY, linux.ELOOP)
}

func links(e *env) {
	e.write("/a", "one")
	a := e.resolve("/a", 0)
	defer a.Drop()
	e.want("link", vfs.Link(e.c, a, at("/b")), nil)
	e.want("link again", vfs.Link(e.c, a, at("/b")), linux.EEXIST)
	e.equal("nlink", e.attr("/a").Nlink, uint32(2))
	e.equal("ino", e.attr("/a").Ino, e.attr("/b").Ino)
	e.write("/b", "two")
	e.equal("same", e.read("/a"), "two")
	p := e.resolve("/b", 0)
	e.equal("same file", p.SameFile(a), true)
	p.Drop()
	e.want("unlink", vfs.Unlink(e.c, at("/a")), nil)
	e.equal("nlink", e.attr("/b").Nlink, uint32(1))
	e.equal("left", e.read("/b"), "two")
	e.mkdir("/d")
	d := e.resolve("/d", 0)
	defer d.Drop()
	e.want("link dir", vfs.Link(e.c, d, at("/e")), linux.EPERM)
	b := e.resolve("/b", 0)
	defer b.Drop()
	e.want("link in dir", vfs.Link(e.c, b, at("/d/x")), nil)
	e.equal("nlink", e.attr("/b").Nlink, uint32(2))
}

func unlink(e *env) {
	e.write("/a", "x")
	e.mkdir("/d")
	e.want("unlink", vfs.Unlink(e.c, at("/a")), nil)
	e.gone("/a")
	e.want("again", vfs.Unlink(e.c, at("/a")), linux.ENOENT)
	e.want("dir", vfs.Unlink(e.c, at("/d")), linux.EISDIR)
	e.want("dot", vfs.Unlink(e.c, at("/d/.")), linux.EISDIR)
	e.write("/a", "new")
	e.equal("made again", e.read("/a"), "new")
	e.want("slash", vfs.Unlink(e.c, at("/a/")), linux.ENOTDIR)
	e.equal("list", e.list("/"), []string{"a", "d"})
}

func unlinked(e *env) {
	e.write("/a", "before")
	d := e.open("/a", linux.O_RDWR, 0)
	defer d.Release(e.c)
	e.want("unlink", vfs.Unlink(e.c, at("/a")), nil)
	e.write("/a", "another")
	e.equal("content", e.readAll(d), "before")
	n, err := d.Write(e.c, usermem.FromBytes([]byte(" after")))
	if n != 6 || err != nil {
		e.Fatal(n, err)
	}
	a, err := d.Attr(e.c)
	e.want("stat", err, nil)
	e.equal("nlink", a.Nlink, uint32(0))
	e.equal("size", a.Size, int64(12))
	e.want("truncate", d.Truncate(e.c, 3), nil)
	d.Seek(e.c, 0, 0)
	e.equal("content", e.readAll(d), "bef")
	root := e.c.Place.Root()
	defer root.Drop()
	name, _ := d.Path().Abs(root)
	e.equal("path", name, "/a (deleted)")
	e.equal("other", e.read("/a"), "another")
}

func rmdir(e *env) {
	e.mkdir("/d")
	e.mkdir("/d/e")
	e.write("/f", "")
	e.want("not empty", vfs.Rmdir(e.c, at("/d")), linux.ENOTEMPTY)
	e.want("file", vfs.Rmdir(e.c, at("/f")), linux.ENOTDIR)
	e.want("dot", vfs.Rmdir(e.c, at("/d/.")), linux.EINVAL)
	e.want("dotdot", vfs.Rmdir(e.c, at("/d/e/..")), linux.ENOTEMPTY)
	e.want("root", vfs.Rmdir(e.c, at("/")), linux.EBUSY)
	if e.lacks&NoDirNlink == 0 {
		e.equal("nlink", e.attr("/d").Nlink, uint32(3))
	}
	p := e.resolve("/d/e", 0)
	defer p.Drop()
	e.want("rmdir", vfs.Rmdir(e.c, at("/d/e/")), nil)
	e.gone("/d/e")
	e.want("mkdir in removed", vfs.Mkdir(e.c, vfs.At{Start: p, Name: "x"}, 0o755), linux.ENOENT)
	d, err := vfs.Open(e.c, vfs.At{Start: p, Name: "x"}, vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_RDWR})
	e.want("create in removed", err, linux.ENOENT)
	_ = d
	if e.lacks&NoDirNlink == 0 {
		e.equal("nlink", e.attr("/d").Nlink, uint32(2))
	}
	e.want("rmdir", vfs.Rmdir(e.c, at("/d")), nil)
	e.want("mkdir", vfs.Mkdir(e.c, at("/d/"), 0o755), nil)
	e.want("mkdir", vfs.Mkdir(e.c, at("/d"), 0o755), linux.EEXIST)
	e.want("mkdir", vfs.Mkdir(e.c, at("/"), 0o755), linux.EEXIST)
	e.want("mkdir", vfs.Mkdir(e.c, at("/f/x"), 0o755), linux.ENOTDIR)
	e.want("mkdir", vfs.Mkdir(e.c, at("/no/x"), 0o755), linux.ENOENT)
}

func list(e *env) {
	e.mkdir("/d")
	e.equal("empty", e.list("/d"), []string{})
	e.mkdir("/d/dir")
	e.write("/d/file", "")
	e.want("symlink", vfs.MakeSymlink(e.c, "x", at("/d/link")), nil)
	e.equal("names", e.list("/d"), []string{"dir", "file", "link"})
	d := e.open("/d", linux.O_RDONLY, 0)
	defer d.Release(e.c)
	types := map[string]uint8{".": linux.DT_DIR, "..": linux.DT_DIR, "dir": linux.DT_DIR, "file": linux.DT_REG, "link": linux.DT_LNK}
	// One entry at a time: what did not fit comes again.
	for seen := 0; ; seen++ {
		var got *vfs.Dirent
		err := d.List(e.c, func(x vfs.Dirent) bool {
			if got != nil {
				return false
			}
			got = &x
			return true
		})
		e.want("list", err, nil)
		if got == nil {
			e.equal("entries", seen, 5)
			break
		}
		if t, ok := types[got.Name]; !ok || t != got.Type && got.Type != linux.DT_UNKNOWN {
			e.Fatalf("entry %+v", *got)
		}
		if got.Name != ".." && e.lacks&NoStableIno == 0 {
			e.equal("ino of "+got.Name, got.Ino, e.attr("/d/"+got.Name).Ino)
		}
	}
	if _, err := d.Seek(e.c, 0, linux.SEEK_SET); err != nil {
		e.Fatal(err)
	}
	n := 0
	d.List(e.c, func(vfs.Dirent) bool { n++; return true })
	e.equal("again", n, 5)
	buf := usermem.FromBytes(make([]byte, 10))
	_, err := d.Read(e.c, buf)
	e.want("read", err, linux.EISDIR)
	f := e.open("/d/file", linux.O_RDONLY, 0)
	defer f.Release(e.c)
	e.want("list a file", f.List(e.c, func(vfs.Dirent) bool { return true }), linux.ENOTDIR)
}

// listChange removes entries while a directory is read, as rm -r does.
func listChange(e *env) {
	e.mkdir("/d")
	for i := range 300 {
		e.write(fmt.Sprintf("/d/f%03d", i), "")
	}
	d := e.open("/d", linux.O_RDONLY, 0)
	defer d.Release(e.c)
	seen := map[string]bool{}
	for {
		var batch []string
		err := d.List(e.c, func(x vfs.Dirent) bool {
			if len(batch) == 40 {
				return false
			}
			batch = append(batch, x.Name)
			return true
		})
		e.want("list", err, nil)
		if len(batch) == 0 {
			break
		}
		for _, n := range batch {
			if n == "." || n == ".." {
				continue
			}
			if seen[n] {
				e.Fatalf("%s twice", n)
			}
			seen[n] = true
			e.want("unlink", vfs.Unlink(e.c, at("/d/"+n)), nil)
		}
	}
	e.equal("seen", len(seen), 300)
	e.want("rmdir", vfs.Rmdir(e.c, at("/d")), nil)
}

func tmpfile(e *env) {
	d := e.open("/", linux.O_TMPFILE|linux.O_RDWR, 0o600)
	defer d.Release(e.c)
	d.Write(e.c, usermem.FromBytes([]byte("temp")))
	e.equal("nothing", e.list("/"), []string{})
	a, err := d.Attr(e.c)
	e.want("stat", err, nil)
	e.equal("nlink", a.Nlink, uint32(0))
	e.openErr("/", linux.O_TMPFILE|linux.O_RDONLY, linux.EINVAL)
	e.want("link", vfs.Link(e.c, d.Path(), at("/named")), nil)
	e.equal("content", e.read("/named"), "temp")
	e.equal("nlink", e.attr("/named").Nlink, uint32(1))
}

func special(e *env) {
	for name, mode := range map[string]linux.FileMode{
		"/fifo": linux.S_IFIFO, "/sock": linux.S_IFSOCK, "/chr": linux.S_IFCHR, "/blk": linux.S_IFBLK, "/reg": linux.S_IFREG,
	} {
		p, err := vfs.Mknod(e.c, at(name), mode|0o644, linux.Makedev(300, 70000))
		e.want("mknod "+name, err, nil)
		p.Drop()
		a := e.attr(name)
		e.equal("mode", a.Mode, mode|0o644)
		if mode == linux.S_IFCHR || mode == linux.S_IFBLK {
			e.equal("rdev", a.Rdev, linux.Makedev(300, 70000))
		}
	}
	e.openErr("/sock", linux.O_RDWR, linux.ENXIO)
	e.openErr("/chr", linux.O_RDWR, linux.ENXIO)
	_, err := vfs.Mknod(e.c, at("/dir"), linux.S_IFDIR, 0)
	e.want("mknod dir", err, linux.EPERM)
	e.mkdir("/roots")
	e.mkdir("/own")
	e.chmod("/own", 0o777)
	for name, want := range map[string]error{"/own/dev": linux.EPERM, "/chr": linux.EEXIST, "/roots/dev": linux.EACCES} {
		_, err = vfs.Mknod(e.c.As(1000, 1000), at(name), linux.S_IFCHR, 1)
		e.want("mknod "+name, err, want)
	}
	e.equal("list", e.list("/"), []string{"blk", "chr", "fifo", "own", "reg", "roots", "sock"})
}

func many(e *env) {
	e.mkdir("/d")
	var want []string
	for i := range 1500 {
		name := fmt.Sprintf("n%05d", i)
		want = append(want, name)
		if i%3 == 0 {
			e.mkdir("/d/" + name)
		} else {
			e.write("/d/"+name, name)
		}
	}
	e.equal("list", e.list("/d"), want)
	e.s.Trim(100)
	e.equal("list", e.list("/d"), want)
	for i, name := range want {
		if i%3 != 0 {
			e.equal(name, e.read("/d/"+name), name)
		}
	}
}
