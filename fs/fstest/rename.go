package fstest

import (
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

var renameTests = []test{
	{"rename", 0, rename},
	{"rename-over", 0, renameOver},
	{"rename-dir", NoDirRename, renameDir},
	{"rename-into-self", NoDirRename, renameIntoSelf},
	{"rename-flags", 0, renameFlags},
	{"rename-exchange", NoExchange, renameExchange},
	{"rename-links", NoLinks, renameLinks},
}

func (e *env) rename(from, to string, flags uint32, want error) {
	e.Helper()
	e.want("rename "+from+" "+to, vfs.Rename(e.c, at(from), at(to), flags), want)
}

func rename(e *env) {
	e.write("/a", "text")
	e.mkdir("/d")
	ino := e.attr("/a").Ino
	e.rename("/a", "/b", 0, nil)
	e.gone("/a")
	e.equal("content", e.read("/b"), "text")
	e.rename("/b", "/d/c", 0, nil)
	e.gone("/b")
	e.equal("content", e.read("/d/c"), "text")
	if e.lacks&NoStableIno == 0 {
		e.equal("ino", e.attr("/d/c").Ino, ino)
	}
	e.equal("list", e.list("/d"), []string{"c"})
	e.equal("list", e.list("/"), []string{"d"})
	e.rename("/no", "/x", 0, linux.ENOENT)
	e.rename("/d/c", "/no/x", 0, linux.ENOENT)
	e.rename("/d/c", "/d/c", 0, nil)
	e.rename("/d/.", "/x", 0, linux.EBUSY)
	e.rename("/d/c", "/d/..", 0, linux.EBUSY)
	e.rename("/d/c/", "/x", 0, linux.ENOTDIR)
	e.rename("/d/c", "/x/", 0, linux.ENOTDIR)
	d := e.open("/d/c", linux.O_RDONLY, 0)
	defer d.Release(e.c)
	e.rename("/d/c", "/moved", 0, nil)
	root := e.c.Place.Root()
	defer root.Drop()
	name, _ := d.Path().Abs(root)
	e.equal("path of an open file", name, "/moved")
	e.write("/d/c", "new")
	e.equal("new", e.read("/d/c"), "new")
	e.equal("old", e.readAll(d), "text")
}

func renameOver(e *env) {
	e.write("/a", "a")
	e.write("/b", "b")
	e.mkdir("/d")
	e.mkdir("/e")
	d := e.open("/b", linux.O_RDONLY, 0)
	defer d.Release(e.c)
	e.rename("/a", "/b", 0, nil)
	e.gone("/a")
	e.equal("content", e.read("/b"), "a")
	if e.lacks&NoUnlinked == 0 {
		e.equal("replaced", e.readAll(d), "b")
		a, err := d.Attr(e.c)
		e.want("stat", err, nil)
		e.equal("nlink", a.Nlink, uint32(0))
	}
	e.rename("/b", "/d", 0, linux.EISDIR)
	e.rename("/d", "/b", 0, linux.ENOTDIR)
}

func renameDir(e *env) {
	e.mkdir("/d")
	e.mkdir("/d/sub")
	e.write("/d/sub/f", "deep")
	e.mkdir("/e")
	e.mkdir("/e/full")
	e.write("/e/full/x", "")
	e.rename("/d/sub", "/e/moved", 0, nil)
	e.equal("content", e.read("/e/moved/f"), "deep")
	e.gone("/d/sub")
	if e.lacks&NoDirNlink == 0 {
		e.equal("nlink", e.attr("/d").Nlink, uint32(2))
		e.equal("nlink", e.attr("/e").Nlink, uint32(4))
	}
	p := e.resolve("/e/moved/..", 0)
	q := e.resolve("/e", 0)
	e.equal("dotdot", p.Same(q), true)
	p.Drop()
	q.Drop()
	e.rename("/e/moved", "/e/full", 0, linux.ENOTEMPTY)
	e.mkdir("/empty")
	e.rename("/e/moved", "/empty/", 0, nil)
	e.equal("content", e.read("/empty/f"), "deep")
	e.equal("list", e.list("/"), []string{"d", "e", "empty"})
	e.want("rmdir", vfs.Rmdir(e.c, at("/d")), nil)
}

func renameIntoSelf(e *env) {
	e.mkdir("/d")
	e.mkdir("/d/sub")
	e.rename("/d", "/d/x", 0, linux.EINVAL)
	e.rename("/d", "/d/sub/x", 0, linux.EINVAL)
	e.rename("/d/sub", "/d", 0, linux.ENOTEMPTY)
}

func renameFlags(e *env) {
	e.write("/a", "a")
	e.write("/b", "b")
	e.rename("/a", "/b", linux.RENAME_NOREPLACE, linux.EEXIST)
	e.rename("/a", "/c", linux.RENAME_NOREPLACE, nil)
	e.equal("content", e.read("/c"), "a")
	e.rename("/b", "/c", 1<<10, linux.EINVAL)
	e.rename("/b", "/c", linux.RENAME_NOREPLACE|linux.RENAME_EXCHANGE, linux.EINVAL)
	e.rename("/b", "/none", linux.RENAME_EXCHANGE, linux.ENOENT)
}

func renameExchange(e *env) {
	e.write("/a", "a")
	e.mkdir("/d")
	e.write("/d/b", "b")
	e.rename("/a", "/d/b", linux.RENAME_EXCHANGE, nil)
	e.equal("a", e.read("/a"), "b")
	e.equal("b", e.read("/d/b"), "a")
	e.mkdir("/e")
	e.rename("/a", "/e", linux.RENAME_EXCHANGE, nil)
	e.equal("e", e.read("/e"), "b")
	e.equal("a", e.list("/a"), []string{})
	e.rename("/d", "/a", linux.RENAME_EXCHANGE, nil)
	e.equal("a", e.list("/a"), []string{"b"})
}

// renameLinks renames between two names of one file: nothing happens.
func renameLinks(e *env) {
	e.write("/a", "x")
	a := e.resolve("/a", 0)
	defer a.Drop()
	e.want("link", vfs.Link(e.c, a, at("/b")), nil)
	e.rename("/a", "/b", 0, nil)
	e.equal("list", e.list("/"), []string{"a", "b"})
	e.equal("nlink", e.attr("/a").Nlink, uint32(2))
}
