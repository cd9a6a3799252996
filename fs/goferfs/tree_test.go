package goferfs

import (
	"fmt"
	"os"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// removeTree removes a directory and all below it as rm -r does, and counts the names.
func (w *world) removeTree(dir string) (n int) {
	w.Helper()
	var entries []vfs.Dirent
	d := w.open(dir, linux.O_DIRECTORY)
	w.ok(d.List(w, func(e vfs.Dirent) bool {
		if e.Name != "." && e.Name != ".." {
			entries = append(entries, e)
		}
		return true
	}))
	for _, e := range entries {
		if e.Type == linux.FileMode(linux.S_IFDIR).DirentType() {
			n += w.removeTree(dir + "/" + e.Name)
		} else {
			w.ok(vfs.Unlink(w, at(dir+"/"+e.Name)))
			n++
		}
	}
	d.Release(w)
	w.ok(vfs.Rmdir(w, at(dir)))
	return n + 1
}

// Who removes a tree waits for the host with many names at a time: that directories are
// listed between them is no reason to have it done with those above, which have changed.
func TestRemoveTree(t *testing.T) {
	w := newDeaf(t)
	w.ok(os.Mkdir(w.host+"/t", 0o755))
	for i := range 100 {
		w.ok(os.Mkdir(fmt.Sprintf("%s/t/%d", w.host, i), 0o755))
		for k := range 3 {
			w.hostWrite(fmt.Sprintf("/t/%d/%d", i, k), "")
		}
	}
	w.walk("/t", func(dir string, names []string) {
		for _, x := range names {
			w.mustStat(dir + "/" + x)
		}
	})
	w.patient(true)
	defer w.patient(false)
	before := w.sent()
	n := w.removeTree("/t")
	w.root().Settle()
	if sent := w.sent() - before; n != 401 || sent > 20 {
		t.Errorf("%d names, in %d messages", n, sent)
	}
	if _, err := os.Stat(w.host + "/t"); !os.IsNotExist(err) {
		t.Errorf("the host still has it: %v", err)
	}
}
