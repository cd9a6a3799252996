package goferfs

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// newNursery is a world with a directory /d in which files are made later, for nobody
// looks.
func newNursery(t testing.TB) *world {
	t.Helper()
	w := newDeaf(t)
	w.nursery()
	return w
}

func (w *world) nursery() {
	w.Helper()
	w.ok(vfs.Mkdir(w, at("/d"), 0o755))
	w.open("/first", linux.O_CREAT|linux.O_WRONLY).Release(w) // that the host lets have its owners
	w.ok(vfs.Unlink(w, at("/first")))
	w.patient(true)
}

// hostHas reports whether the host has a file.
func (w *world) hostHas(name string) bool {
	w.Helper()
	_, err := os.Lstat(w.host + name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Fatal(err)
	}
	return err == nil
}

// born makes a file with some text, which the host does not have yet.
func (w *world) born(name, text string) *vfs.FileDescription {
	w.Helper()
	d := w.open(name, linux.O_CREAT|linux.O_EXCL|linux.O_RDWR)
	if text != "" {
		w.write(d, text)
	}
	if w.hostHas(name) {
		w.Fatalf("%s was made at once", name)
	}
	return d
}

// Files that are made, written and dressed take few messages, and are then as they were
// meant to be.
func TestMakeLater(t *testing.T) {
	w := newNursery(t)
	const files = 300
	before := w.sent()
	for i := range files {
		d := w.open(nth("/d", i), linux.O_CREAT|linux.O_EXCL|linux.O_WRONLY)
		w.write(d, strings.Repeat("text", i))
		w.write(d, nth("", i))
		d.Release(w)
		w.dress(nth("/d", i), 0o600+linux.FileMode(i%8))
	}
	w.root().Settle()
	if n := w.sent() - before; n > files/8 {
		t.Errorf("%d files took %d messages", files, n)
	}
	inos := map[string]uint64{}
	d := w.open("/d", linux.O_DIRECTORY)
	defer d.Release(w)
	w.ok(d.List(w, func(e vfs.Dirent) bool { inos[e.Name] = e.Ino; return true }))
	for i := range files {
		name := nth("/d", i)
		w.same(name)
		a := w.mustStat(name)
		if a.Mode.Perm() != 0o600+linux.FileMode(i%8) || a.Mtime != someTime || a.Atime != someTime || a.Ino == 0 || inos[name[3:]] != a.Ino {
			t.Fatalf("%s: %+v, listed as %d", name, a, inos[name[3:]])
		}
		if got := w.onHost(name); got != strings.Repeat("text", i)+nth("", i) {
			t.Fatalf("%s has %d bytes", name, len(got))
		}
	}
	w.same("/d")
}

// Whatever is done with such a file, it is as if it had been there from the beginning.
func TestMakeLaterUsed(t *testing.T) {
	big := strings.Repeat("x", wire.MaxMake)
	for name, do := range map[string]func(*world, *vfs.FileDescription) (want string){
		"stat": func(w *world, _ *vfs.FileDescription) string { w.same("/d/f"); return "text" },
		"read": func(w *world, d *vfs.FileDescription) string {
			if got := w.read(d, 1); got != "ext" {
				w.Errorf("read %q", got)
			}
			return "text"
		},
		"write much": func(w *world, d *vfs.FileDescription) string { w.write(d, big); return "text" + big },
		"write over": func(w *world, d *vfs.FileDescription) string {
			_, err := d.WriteAt(w, usermem.FromBytes([]byte("EX")), 1)
			w.ok(err)
			return "tEXt"
		},
		"write beyond": func(w *world, d *vfs.FileDescription) string {
			_, err := d.WriteAt(w, usermem.FromBytes([]byte("end")), 6)
			w.ok(err)
			return "text\x00\x00end"
		},
		"append": func(w *world, _ *vfs.FileDescription) string {
			d := w.open("/d/f", linux.O_WRONLY|linux.O_APPEND)
			w.write(d, "more")
			d.Release(w)
			return "textmore"
		},
		"truncate": func(w *world, d *vfs.FileDescription) string { w.ok(d.Truncate(w, 2)); return "te" },
		"open to truncate": func(w *world, _ *vfs.FileDescription) string {
			w.open("/d/f", linux.O_WRONLY|linux.O_TRUNC).Release(w)
			return ""
		},
		"allocate": func(w *world, d *vfs.FileDescription) string {
			w.ok(d.Allocate(w, 0, 0, 6))
			return "text\x00\x00"
		},
		"fsync": func(w *world, d *vfs.FileDescription) string { w.ok(d.Sync(w, false)); return "text" },
		"link": func(w *world, d *vfs.FileDescription) string {
			w.ok(vfs.Link(w, d.Path(), at("/d/g")))
			w.same("/d/g")
			return "text"
		},
		"rename": func(w *world, _ *vfs.FileDescription) string {
			w.ok(vfs.Rename(w, at("/d/f"), at("/g"), 0))
			w.same("/g")
			w.ok(vfs.Rename(w, at("/g"), at("/d/f"), 0))
			return "text"
		},
		"chown": func(w *world, d *vfs.FileDescription) string {
			w.ok(vfs.Chown(w, d.Path(), uint32(os.Getuid()), uint32(os.Getgid())))
			return "text"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newNursery(t)
			d := w.born("/d/f", "text")
			want := do(w, d)
			d.Release(w)
			w.root().Settle()
			w.same("/d")
			w.same("/d/f")
			if got := w.onHost("/d/f"); got != want {
				t.Errorf("the host has %d bytes %.20q, want %d %.20q", len(got), got, len(want), want)
			}
		})
	}
}

// So are directories and symlinks made, and what is in them.
func TestMakeTree(t *testing.T) {
	w := newNursery(t)
	before := w.sent()
	for i := range 20 {
		dir := nth("/d", i)
		w.ok(vfs.Mkdir(w, at(dir), 0o2700))
		w.ok(vfs.Mkdir(w, at(dir+"/sub"), 0o755))
		w.ok(vfs.MakeSymlink(w, "../f", at(dir+"/sub/link")))
		d := w.open(dir+"/f", linux.O_CREAT|linux.O_EXCL|linux.O_WRONLY)
		w.write(d, "text")
		d.Release(w)
		w.dress(dir+"/sub/link", 0)
		w.dress(dir+"/sub", 0o710)
		w.dress(dir, 0o751)
		if w.hostHas(dir) && i == 0 {
			t.Error("all was made at once")
		}
	}
	w.root().Settle()
	if n := w.sent() - before; n > 10 {
		t.Errorf("%d messages", n)
	}
	for i := range 20 {
		dir := nth("/d", i)
		for _, name := range []string{dir, dir + "/sub", dir + "/sub/link", dir + "/f"} {
			w.same(name)
		}
		if a := w.mustStat(dir); a.Mtime != someTime || a.Mode.Perm() != 0o751 {
			t.Errorf("%+v", a)
		}
		if a := w.mustStat(dir + "/sub"); a.Mtime != someTime || a.Mode.Perm() != 0o710 {
			t.Errorf("%+v", a)
		}
		if got := w.onHost(dir + "/sub/link"); got != "text" {
			t.Errorf("the link leads to %q", got)
		}
	}
	w.ok(vfs.Mkdir(w, at("/d/e"), 0o700))
	d := w.open("/d/e", linux.O_DIRECTORY)
	w.ok(d.List(w, func(e vfs.Dirent) bool {
		if e.Ino == 0 || e.Name == "." && e.Ino != w.mustStat("/d/e").Ino {
			t.Errorf("%s is listed as %d", e.Name, e.Ino)
		}
		return true
	}))
	d.Release(w)
	w.ok(vfs.Mkdir(w, at("/d/g"), 0o700))
	w.ok(vfs.Rmdir(w, at("/d/g")))
	w.ok(vfs.Rmdir(w, at("/d/e")))
	w.ok(vfs.Mkdir(w, at("/d/e"), 0o700))
	w.ok(vfs.Rename(w, at("/d/e"), at("/e"), 0))
	w.same("/e")
	w.same("/d")
}

// Such a file can lose its name, opened or not.
func TestMakeLaterUnlink(t *testing.T) {
	w := newNursery(t)
	w.born("/d/f", "text").Release(w)
	before := w.sent()
	w.ok(vfs.Unlink(w, at("/d/f")))
	if n := w.sent() - before; n != 0 {
		t.Errorf("%d messages", n)
	}
	d := w.born("/d/f", "more")
	w.ok(vfs.Unlink(w, at("/d/f")))
	w.write(d, " text")
	if got := w.read(d, 0); got != "more text" {
		t.Errorf("an unlinked file has %q", got)
	}
	d.Release(w)
	w.born("/d/g", "").Release(w)
	w.ok(vfs.Rename(w, at("/d/g"), at("/d/f"), 0))
	w.born("/d/g", "text").Release(w)
	w.ok(vfs.Rename(w, at("/d/g"), at("/d/f"), 0))
	if got := w.onHost("/d/f"); got != "text" || w.onHostNow("/d") != 1 {
		t.Errorf("the host has %q of %d files", got, w.onHostNow("/d"))
	}
}

// A new file gets its own name by link(2) and unlink(2), as git makes its own.
func TestLinkLater(t *testing.T) {
	w := newNursery(t)
	d := w.born("/d/tmp", "text")
	d.Release(w)
	link := func(from, to string) {
		t.Helper()
		p, err := vfs.Resolve(w, at(from))
		w.ok(err)
		defer p.Drop()
		w.ok(vfs.Link(w, p, at(to)))
	}
	before := w.sent()
	link("/d/tmp", "/d/f")
	w.ok(vfs.Unlink(w, at("/d/tmp")))
	if n := w.sent() - before; n != 0 || w.hostHas("/d/f") {
		t.Errorf("%d messages", n)
	}
	w.same("/d/f")
	w.same("/d")
	if w.hostHas("/d/tmp") {
		t.Error("the first name is still there")
	}
	link("/d/f", "/d/g") // now that it is there
	w.ok(vfs.Unlink(w, at("/d/g")))
	w.same("/d/f")
	link("/d/f", "/d/h")
	w.ok(vfs.Unlink(w, at("/d/f")))
	w.same("/d/h")
	d = w.open("/d/h", linux.O_RDONLY)
	defer d.Release(w)
	if got := w.read(d, 0); got != "text" || w.onHostNow("/d") != 1 {
		t.Errorf("%q in %d files", got, w.onHostNow("/d"))
	}
	w.ok(vfs.Unlink(w, at("/d/h")))
	if a, err := d.Attr(w); err != nil || a.Nlink != 0 {
		t.Errorf("%+v, %v", a, err)
	}
}

// Files that were made so are opened to be read as those that were there.
func TestMakeAndRead(t *testing.T) {
	w := newNursery(t)
	const files = 200
	for i := range files {
		d := w.open(nth("/d", i), linux.O_CREAT|linux.O_EXCL|linux.O_RDWR)
		w.write(d, nth("", i))
		d.Release(w)
	}
	w.root().Settle()
	before := w.fs.client.Count(wire.OpOpen) + w.fs.client.Count(wire.OpOpens)
	for i := range files {
		d := w.open(nth("/d", i), linux.O_RDONLY)
		if got := w.read(d, 0); got != nth("", i) {
			t.Errorf("read %q", got)
		}
		d.Release(w)
	}
	if n := w.fs.client.Count(wire.OpOpen) + w.fs.client.Count(wire.OpOpens) - before; n > files/4 {
		t.Errorf("%d messages", n)
	}
}

// Who makes a file, looks at it and then writes, as stdio does, waits for one message; who
// only looks at it gets no descriptor.
func TestMakeAndLook(t *testing.T) {
	w := newNursery(t)
	const files = 10
	before := w.messages()
	for i := range files {
		d := w.born(nth("/d", i), "")
		w.mustStat(nth("/d", i))
		w.write(d, "text")
		d.Release(w)
	}
	if sent := w.messages() - before; sent > files+1 { // ids are asked for once
		t.Errorf("%d messages", sent)
	}
	for i := range files {
		w.same(nth("/d", i))
		if got := w.onHost(nth("/d", i)); got != "text" {
			t.Errorf("%d: %q", i, got)
		}
	}
	w.born("/d/closed", "").Release(w)
	w.same("/d/closed")
	if x := w.inode("/d/closed").(*file).bytes(); x.current(false) != nil {
		t.Error("a closed file was opened")
	}
}

// TestWriteLaterTogether: what is known of a file that the host does not have yet is what it
// will be given, at any time.
func TestWriteLaterTogether(t *testing.T) {
	w := newNursery(t)
	d := w.born("/d/f", "")
	defer d.Release(w)
	n := w.inode("/d/f").(inode).base()
	m := n.making.Load()
	var written atomic.Bool
	var looks sync.WaitGroup
	looks.Go(func() {
		for !written.Load() && !t.Failed() {
			n.mu.Lock()
			w.fs.later.mu.Lock()
			if has, will := n.attr.Size, len(m.req.Data); int(has) != will || n.attr.Mtime != m.req.Mtime {
				t.Errorf("%d bytes at %v, and %d at %v to come", has, n.attr.Mtime, will, m.req.Mtime)
			}
			w.fs.later.mu.Unlock()
			n.mu.Unlock()
		}
	})
	for range 5000 {
		w.write(d, "text")
	}
	written.Store(true)
	looks.Wait()
}
