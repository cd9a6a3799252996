package goferfs

import (
	"sync"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// counted checks that all of d's names that are kept are counted, and nothing else.
func (d *dir) counted(t *testing.T) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	have := 0
	if d.names != nil {
		have = len(d.names.where)
	}
	if d.kept != have || d.place.Linked() != (d.names != nil) {
		t.Errorf("%d entries of %d are counted, listed %v", d.kept, have, d.place.Linked())
	}
}

// TestCountTogether: what is kept is counted exactly, whoever else adds names, gives
// listings up and keeps others at the same time.
func TestCountTogether(t *testing.T) {
	w := newDeaf(t)
	w.ok(vfs.Mkdir(w, at("/d"), 0o755))
	w.open("/f", linux.O_CREAT|linux.O_RDWR).Release(w)
	w.root().Settle()
	d, err := asDir(w.inode("/d"))
	w.ok(err)
	f := w.inode("/f").(inode)
	d.Hold()
	defer d.Drop()
	f.Hold()
	defer f.Drop()
	const rounds = 2000
	var all sync.WaitGroup
	for _, do := range []func(){
		func() { d.added("name", f); d.removedName("name") },
		func() { d.added("other", f); d.added("other", f) },
		d.forgetNames,
		func() {
			l := newListing(1)
			l.add(entry{name: "name"})
			d.keep(l, w.fs.edits.Load())
		},
	} {
		all.Go(func() {
			for range rounds {
				do()
				if d.counted(t); t.Failed() {
					return
				}
			}
		})
	}
	all.Wait()
	d.forgetNames()
	d.counted(t)
}
