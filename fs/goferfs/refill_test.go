package goferfs

import (
	"fmt"
	"os"
	"testing"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// messages counts what the gofer was asked for.
func (w *world) messages() (n uint64) {
	for op := range wire.NumOps {
		n += w.fs.client.Count(op)
	}
	return n
}

// usr makes a tree of 40 directories, of which the tenth and the twentieth have many files,
// and returns how many names it has.
func (w *world) usr() (n int) {
	w.Helper()
	w.ok(os.Mkdir(w.host+"/usr", 0o755))
	for i := range 40 {
		dir, files := fmt.Sprintf("/usr/%02d", i), 12
		if i%10 == 9 && i < 20 {
			files = 400
		}
		w.ok(os.MkdirAll(w.host+dir+"/sub", 0o755))
		for k := range files {
			w.hostWrite(fmt.Sprintf("%s/%d", dir, k), "")
			n++
		}
		w.hostWrite(dir+"/sub/file", "")
		n += 3
	}
	return n
}

// addUp goes through a tree as du(1) does, and counts what it has.
func (w *world) addUp(dir string) (n int) {
	w.Helper()
	var names []string
	d := w.open(dir, linux.O_DIRECTORY)
	w.ok(d.List(w, func(e vfs.Dirent) bool {
		if e.Name != "." && e.Name != ".." {
			names = append(names, dir+"/"+e.Name)
		}
		return true
	}))
	d.Release(w)
	for _, x := range names {
		n++
		if w.mustStat(x).Mode.IsDir() {
			n += w.addUp(x)
		}
	}
	return n
}

// Who has listed a tree without a look at its files, and then looks at all of them, asks for
// many at a time, also where a directory is large.
func TestFindThenAddUp(t *testing.T) {
	w := newDeaf(t)
	want := w.usr()
	w.walk("/usr", func(string, []string) {})
	before := w.messages()
	if n := w.addUp("/usr"); n != want {
		t.Errorf("%d of %d", n, want)
	}
	if sent := w.messages() - before; sent > 24 {
		t.Errorf("%d messages", sent)
	}
}

// Directories that have no files are no end to reading ahead, though all of their names are
// known.
func TestAddUpBelowKnown(t *testing.T) {
	w := newDeaf(t)
	const dirs = 200
	for i := range dirs {
		w.ok(os.MkdirAll(fmt.Sprintf("%s/t/%d/only", w.host, i), 0o755))
		w.hostWrite(fmt.Sprintf("/t/%d/only/file", i), "")
	}
	w.walk("/t", func(string, []string) {})
	before := w.messages()
	if n := w.addUp("/t"); n != 3*dirs {
		t.Errorf("%d names", n)
	}
	if sent := w.messages() - before; sent > 16 {
		t.Errorf("%d messages", sent)
	}
}
