package goferfs

import (
	"fmt"
	"os"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// What is only listed is not asked for; what is looked up in part, all of it.
func TestBareListing(t *testing.T) {
	w := newDeaf(t)
	dirs := w.forest(30)
	known := func(name string) knowledge {
		d, err := asDir(w.inode(name))
		w.ok(err)
		return d.knows()
	}
	w.walk("/t", func(dir string, names []string) {})
	for _, d := range dirs {
		if got := known(d); d != "/t" && got != knowsNames {
			t.Fatalf("%s: knows %d of its names", d, got)
		}
	}
	w.same("/t/3/f")
	w.same("/t/3/link")
	if got := known("/t/3"); got != knowsFiles {
		t.Errorf("two of four names looked up: knows %d", got)
	}
	// Who looks at one directory after the other gets those behind, too.
	for _, d := range dirs[1:50] {
		for _, name := range w.hostNames(d)[2:] {
			w.mustStat(d + "/" + name)
		}
	}
	ahead := 0
	for _, d := range dirs[50:] {
		if known(d) == knowsFiles {
			ahead++
		}
	}
	if ahead < 20 {
		t.Errorf("files of %d directories are known ahead", ahead)
	}
	for _, d := range dirs {
		if d != "/t" {
			w.same(d + "/f")
		}
		if fmt.Sprint(w.list(d)) != fmt.Sprint(w.hostNames(d)) {
			t.Errorf("%s: %q", d, w.list(d))
		}
	}
}

// Names of which only the type is known change like any others.
func TestChangedBareNames(t *testing.T) {
	w := newDeaf(t)
	w.forest(1)
	for i := range 40 {
		w.hostWrite(fmt.Sprintf("/t/0/%02d", i), "x")
	}
	before := len(w.list("/t/0"))
	d, err := asDir(w.inode("/t/0"))
	w.ok(err)
	if d.knows() != knowsNames {
		t.Fatalf("knows %d", d.knows())
	}
	w.ok(vfs.Unlink(w, at("/t/0/00")))
	w.ok(vfs.Rename(w, at("/t/0/01"), at("/t/0/02"), 0))
	w.open("/t/0/new", linux.O_CREAT|linux.O_RDWR).Release(w)
	w.open("/t/0/03", linux.O_CREAT|linux.O_RDWR|linux.O_TRUNC).Release(w)
	if got := w.list("/t/0"); fmt.Sprint(got) != fmt.Sprint(w.hostNames("/t/0")) || len(got) != before-1 {
		t.Errorf("%q", got)
	}
	d.fs.mu.Lock()
	kept := d.kept
	d.fs.mu.Unlock()
	if d.mu.Lock(); kept != len(d.names.where) {
		t.Errorf("%d entries counted of %d", kept, len(d.names.where))
	}
	d.mu.Unlock()
	w.ok(d.fill(w))
	for _, name := range w.list("/t/0")[2:] {
		w.same("/t/0/" + name)
	}
	if _, err := w.stat("/t/0/01"); err != linux.ENOENT {
		t.Error(err)
	}
}

// Who searches a directory for names that are not there gets them all, unless it is large.
func TestSearch(t *testing.T) {
	w := newDeaf(t)
	w.forest(1)
	d, err := asDir(w.inode("/t/0"))
	w.ok(err)
	for i, want := range []knowledge{knowsNothing, knowsNames, knowsNames} {
		if _, err := w.stat(fmt.Sprintf("/t/0/none-%d", i)); err != linux.ENOENT || d.knows() != want {
			t.Errorf("%d: %v, knows %d", i, err, d.knows())
		}
	}
	w.ok(os.WriteFile(w.host+"/t/0/none-9", nil, 0o644))
	w.ok(os.Mkdir(w.host+"/large", 0o755))
	for i := range 9000 {
		w.ok(os.WriteFile(fmt.Sprintf("%s/large/a name that is rather long %d", w.host, i), nil, 0o644))
	}
	d, err = asDir(w.inode("/large"))
	w.ok(err)
	for i := range 3 {
		if _, err := w.stat(fmt.Sprintf("/large/none-%d", i)); err != linux.ENOENT || d.knows() != knowsNothing {
			t.Errorf("large: %v, knows %d", err, d.knows())
		}
	}
}
