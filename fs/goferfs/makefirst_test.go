package goferfs

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// behind makes files that wait for the host.
func (w *world) behind(n int) {
	w.Helper()
	for i := range n {
		w.born(fmt.Sprintf("/d/behind%d", i), "text").Release(w)
	}
}

// stillBehind checks that they still wait, and that the host has them as they should be when
// it has.
func (w *world) stillBehind(n int) {
	w.Helper()
	for i := range n {
		if name := fmt.Sprintf("/d/behind%d", i); w.hostHas(name) {
			w.Errorf("%s had to be made first", name)
		}
	}
	w.root().Settle()
	for i := range n {
		name := fmt.Sprintf("/d/behind%d", i)
		w.same(name)
		if got := w.onHost(name); got != "text" {
			w.Errorf("%s: %q", name, got)
		}
	}
	w.same("/d")
}

// Who wants to see what was just made waits for that alone, and for what leads to it.
func TestMakeFirst(t *testing.T) {
	long := strings.Repeat("x", wire.MaxMake)
	for name, do := range map[string]func(w *world){
		"directory": func(w *world) {
			w.ok(vfs.Mkdir(w, at("/d/sub"), 0o700))
			w.same("/d/sub")
		},
		"directories": func(w *world) {
			w.ok(vfs.Mkdir(w, at("/d/sub"), 0o755))
			w.ok(vfs.Mkdir(w, at("/d/sub/b"), 0o755))
			w.ok(vfs.Mkdir(w, at("/d/sub/b/c"), 0o755))
			w.same("/d/sub/b/c")
			w.same("/d/sub/b")
			w.same("/d/sub")
		},
		"symlink": func(w *world) {
			w.ok(vfs.MakeSymlink(w, "target", at("/d/link")))
			w.same("/d/link")
		},
		"long file": func(w *world) {
			w.ok(vfs.Mkdir(w, at("/d/sub"), 0o755))
			d := w.open("/d/sub/f", linux.O_CREAT|linux.O_EXCL|linux.O_RDWR)
			defer d.Release(w)
			w.write(d, "text")
			w.write(d, long)
			w.same("/d/sub/f")
			if got := w.onHost("/d/sub/f"); got != "text"+long {
				w.Errorf("%d bytes", len(got))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newNursery(t)
			w.behind(10)
			do(w)
			w.stillBehind(10)
		})
	}
}

// What must come before it does: the name that it takes, and what is set of its directory.
func TestMakeFirstAfter(t *testing.T) {
	w := newNursery(t)
	const files = 100
	for i := range files {
		w.born(nth("/d", i), "").Release(w)
	}
	w.root().Settle()
	removed := w.waiting("/d", files)
	name := nth("/d", removed-1)
	w.ok(vfs.Mkdir(w, at(name), 0o755))
	w.same(name)
	w.ok(vfs.Mkdir(w, at("/d/s"), 0o755))
	w.root().Settle()
	w.dress("/d/s", 0o755)
	w.ok(vfs.Mkdir(w, at("/d/s/sub"), 0o755))
	w.same("/d/s/sub")
	w.same("/d/s")
	if a := w.mustStat("/d/s"); a.Mtime == someTime {
		t.Error("the directory does not show that something was made in it")
	}
}

// pulled is a directory that was just made, under way before all others but not sent.
func (w *world) pulled(name string) (x *application, q *wire.ApplyReq) {
	w.Helper()
	w.ok(vfs.Mkdir(w, at(name), 0o755))
	batch, f := w.fs.later.pull(&w.inode(name).(*dir).node)
	if f == nil {
		w.Fatalf("%s is not made first", name)
	}
	x, q = &application{fs: w.fs, batch: batch, first: f}, &wire.ApplyReq{}
	x.fill(q)
	return x, q
}

// Who waits for all that was put off waits for what is made first, too.
func TestMakeFirstAwaited(t *testing.T) {
	w := newNursery(t)
	w.behind(3)
	x, q := w.pulled("/d/sub")
	settled := make(chan error)
	go func() { settled <- w.fs.settle(nil) }()
	select {
	case err := <-settled:
		t.Fatalf("settled before it is made: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	w.ok(x.call(nil, q, nil))
	w.ok(<-settled)
	w.same("/d/sub")
	w.same("/d")
}

// What is known of a directory is not older than what was made in it, whoever's answer comes
// first.
func TestMakeFirstCrossed(t *testing.T) {
	w := newNursery(t)
	l := &w.fs.later
	w.ok(vfs.Mkdir(w, at("/d/earlier"), 0o755))
	w.ok(l.enter(nil))
	batch, _ := l.take()
	x, q := w.pulled("/d/sub")
	w.ok(w.fs.client.Call(nil, q, x, nil))
	w.fs.carryOut(batch)
	l.leave()
	x.end(nil)
	w.root().Settle()
	w.same("/d")
	w.same("/d/sub")
}

// The same, by chance.
func TestMakeFirstTogether(t *testing.T) {
	w := newNursery(t)
	w.patient(false)
	var all sync.WaitGroup
	const threads, rounds = 4, 40
	for i := range threads {
		all.Go(func() {
			for j := range rounds {
				dir := fmt.Sprintf("/d/%d-%d", i, j)
				if err := vfs.Mkdir(w, at(dir), 0o755); err != nil {
					t.Errorf("%s: %v", dir, err)
					return
				}
				if j%3 == 0 {
					w.root().Settle()
					if !w.hostHas(dir) {
						t.Errorf("%s is not there", dir)
					}
				}
				if a, err := w.stat(dir); err != nil || a.Ino == 0 {
					t.Errorf("%s: %+v, %v", dir, a, err)
				}
				d, err := vfs.Open(w, at(dir+"/f"), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_WRONLY, Mode: 0o600})
				if err != nil {
					t.Errorf("%s/f: %v", dir, err)
					return
				}
				d.Release(w)
				_ = vfs.Unlink(w, at(fmt.Sprintf("/d/%d-%d/f", i, j-1)))
			}
		})
	}
	all.Wait()
	w.root().Settle()
	w.same("/d")
	for i := range threads {
		for j := range rounds {
			w.same(fmt.Sprintf("/d/%d-%d", i, j))
		}
	}
}
