package goferfs

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// forest makes directories /t/0 … with two levels below each, and files in all.
func (w *world) forest(trees int) (dirs []string) {
	w.Helper()
	dirs = append(dirs, "/t")
	for i := range trees {
		top := fmt.Sprintf("/t/%d", i)
		dirs = append(dirs, top, top+"/a", top+"/a/b", top+"/c")
		w.ok(os.MkdirAll(w.host+top+"/a/b", 0o755))
		w.ok(os.MkdirAll(w.host+top+"/c", 0o755))
		w.ok(os.Symlink("nowhere", w.host+top+"/link"))
		for _, d := range dirs[len(dirs)-4:] {
			w.hostWrite(d+"/f", d)
		}
	}
	return dirs
}

// walk goes through a tree as find(1) does, and has see called with each directory, and
// with the names in it.
func (w *world) walk(dir string, see func(dir string, names []string)) {
	w.Helper()
	d := w.open(dir, linux.O_DIRECTORY)
	defer d.Release(w)
	var subs, names []string
	w.ok(d.List(w, func(e vfs.Dirent) bool {
		names = append(names, e.Name)
		if e.Name[0] != '.' && e.Type == linux.FileMode(linux.S_IFDIR).DirentType() {
			subs = append(subs, e.Name)
		}
		return true
	}))
	see(dir, names)
	for _, s := range subs {
		w.walk(dir+"/"+s, see)
	}
}

// hostNames is what the host says is in a directory.
func (w *world) hostNames(dir string) []string {
	w.Helper()
	es, err := os.ReadDir(w.host + dir)
	w.ok(err)
	names := []string{".", ".."}
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}

// known counts the directories whose names are.
func (w *world) known() (n int) {
	w.fs.each(func(i inode) {
		if d, err := asDir(i); err == nil && d.knows() >= knowsNames {
			n++
		}
	})
	return n
}

func TestReadAhead(t *testing.T) {
	w := newDeaf(t)
	dirs := w.forest(30)
	seen, ahead := 0, 0
	w.walk("/t", func(dir string, names []string) {
		seen++
		ahead = max(ahead, w.known()-seen)
		if len(names) != len(w.hostNames(dir)) {
			t.Errorf("%s: %q", dir, names)
		}
	})
	if seen != len(dirs) || ahead < 30 {
		t.Errorf("%d of %d directories seen, at most %d read ahead", seen, len(dirs), ahead)
	}
	for _, d := range dirs[1:] {
		w.same(d + "/f")
		if got := w.list(d); strings.Join(got, " ") != strings.Join(w.hostNames(d), " ") {
			t.Errorf("%s: %q", d, got)
		}
	}
	w.same("/t/3/link")
}

// One directory, or some that no listing named, is no walk.
func TestNoReadAhead(t *testing.T) {
	w := newDeaf(t)
	w.forest(10)
	w.list("/t/3")
	w.list("/t/4/a")
	w.list("/t/5/a")
	w.list("/t/6/a")
	if n := w.known(); n != 4 {
		t.Errorf("%d listings for 4 directories", n)
	}
	w.list("/t") // and one directory of it
	w.list("/t/7")
	if n := w.known(); n != 6 {
		t.Errorf("%d listings for 6 directories", n)
	}
}

// Names that change while a directory is read ahead are right afterwards.
func TestReadAheadWhileChanging(t *testing.T) {
	w := newDeaf(t)
	dirs := w.forest(25)
	for range 5 {
		w.fs.trimListings(0)
		var wg sync.WaitGroup
		wg.Go(func() { w.walk("/t", func(string, []string) {}) })
		wg.Go(func() {
			for _, d := range dirs[1:] {
				w.open(d+"/new", linux.O_CREAT|linux.O_RDWR).Release(w)
				w.ok(vfs.Rename(w, at(d+"/f"), at(d+"/g"), 0))
			}
		})
		wg.Wait()
		for _, d := range dirs[1:] {
			if got, want := strings.Join(w.list(d), " "), strings.Join(w.hostNames(d), " "); got != want {
				t.Errorf("%s: guest %s, host %s", d, got, want)
			}
			w.same(d + "/g")
			w.ok(vfs.Rename(w, at(d+"/g"), at(d+"/f"), 0))
			w.ok(vfs.Unlink(w, at(d+"/new")))
		}
	}
}

// A reply is of no use for directories that were changed since it was asked for, even if
// they have been forgotten since.
func TestLateReadAhead(t *testing.T) {
	w := newDeaf(t)
	w.forest(1)
	asDirOf := func(name string) *dir {
		d, err := asDir(w.inode(name))
		w.ok(err)
		return d
	}
	d := asDirOf("/t/0")
	ask := func() *wire.ReaddirResp {
		var r wire.ReaddirResp
		w.ok(w.fs.call(nil, &wire.ReaddirReq{Dir: d.id, Ahead: wire.MaxPage}, &r, nil))
		return &r
	}
	list := &listing{where: map[string]int{}}
	since, r := w.fs.edits.Load(), ask()
	w.open("/t/0/a/new", linux.O_CREAT|linux.O_RDWR).Release(w)
	for i := range r.Entries {
		d.take(list, &r.Entries[i])
	}
	w.fs.keepAhead(r.Ahead, &w.fs.walk, since)
	if asDirOf("/t/0/a").knows() >= knowsNames || asDirOf("/t/0/c").knows() == knowsNothing {
		t.Error("kept what was changed, or nothing")
	}
	asDirOf("/t/0/c").forgetNames()
	since, r = w.fs.edits.Load(), ask()
	w.fs.changed(&wire.ChangesResp{Changes: []wire.Change{{ID: 1 << 60, Name: "x"}}}) // of what is not known yet
	for i := range r.Entries {
		d.take(list, &r.Entries[i])
	}
	w.fs.keepAhead(r.Ahead, &w.fs.walk, since)
	if asDirOf("/t/0/c").knows() >= knowsNames {
		t.Error("kept what somebody has changed")
	}
	list.release()
}

// What others do to a directory that was only read ahead shows.
func TestHostChangesAhead(t *testing.T) {
	w := newWorld(t, nil)
	dirs := w.forest(20)
	time.Sleep(1200 * time.Millisecond) // watching has begun
	w.list("/t")
	w.list("/t/" + w.first("/t", 0))
	w.list("/t/" + w.first("/t", 1))
	var ahead string
	for _, d := range dirs {
		if i, err := asDir(w.inode(d)); err == nil && i.knows() >= knowsNames {
			ahead = d
		}
	}
	if w.known() < 5 {
		t.Fatalf("%d directories known", w.known())
	}
	w.hostWrite(ahead+"/new", "")
	deadline := time.Now().Add(10 * time.Second)
	for strings.Join(w.list(ahead), " ") != strings.Join(w.hostNames(ahead), " ") {
		if time.Now().After(deadline) {
			t.Fatalf("%s stays %q", ahead, w.list(ahead))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// first is the n-th name of a directory as it is listed.
func (w *world) first(dir string, n int) string {
	w.Helper()
	d := w.open(dir, linux.O_DIRECTORY)
	defer d.Release(w)
	var names []string
	w.ok(d.List(w, func(e vfs.Dirent) bool { names = append(names, e.Name); return true }))
	return names[2+n]
}
