package goferfs

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// What is in a directory that the guest has made is known from the start, and stays so
// while the guest changes it.
func TestMadeDirectory(t *testing.T) {
	w := newWorld(t, nil)
	w.ok(vfs.Mkdir(w, at("/d"), 0o755))
	d, err := asDir(w.inode("/d"))
	w.ok(err)
	check := func(want string) {
		t.Helper()
		if got := strings.Join(w.list("/d"), " "); got != want || d.knows() == knowsNothing {
			t.Errorf("got %s, want %s, known %v", got, want, d.knows() >= knowsNames)
		}
	}
	check(". ..")
	if _, err := w.stat("/d/f"); err != linux.ENOENT {
		t.Error(err)
	}
	w.open("/d/f", linux.O_CREAT|linux.O_RDWR).Release(w)
	w.ok(vfs.Mkdir(w, at("/d/sub"), 0o755))
	check(". .. f sub")
	w.same("/d/f")
	w.ok(vfs.Rename(w, at("/d/f"), at("/d/g"), 0))
	w.ok(vfs.Rmdir(w, at("/d/sub")))
	check(". .. g")
	w.ok(vfs.Rename(w, at("/d/g"), at("/g"), 0))
	w.ok(vfs.Rmdir(w, at("/d")))
	if err := vfs.Mkdir(w, at("/d"), 0o755); err != nil { // another one
		t.Error(err)
	}
	if got := strings.Join(w.list("/"), " "); got != ". .. d g" {
		t.Error(got)
	}
}

// hostMake makes a file f in a directory, at a time that differs from that of others even
// if the host's clock for files is coarse.
func (w *world) hostMake(dir string) {
	w.Helper()
	w.root().Settle() // or the host does not have the directory yet
	w.hostWrite(dir+"/f", "")
	w.ok(os.Chtimes(w.host+dir, time.Time{}, time.Now().Add(time.Second)))
}

// What others do in such a directory shows within a second, from the sandbox's second
// second on.
func TestMadeHostChanges(t *testing.T) {
	w := newWorld(t, nil)
	mkdir := func(name string, then func()) {
		t.Helper()
		w.ok(vfs.Mkdir(w, at(name), 0o755))
		if then != nil {
			then()
		}
		if got := w.list(name); len(got) != 2 {
			t.Errorf("%s: %q", name, got)
		}
	}
	mkdir("/early", func() { w.hostMake("/early") })
	mkdir("/quiet", nil)
	time.Sleep(1200 * time.Millisecond)
	mkdir("/late", func() { w.hostMake("/late") }) // before it is watched
	mkdir("/later", nil)
	mkdir("/still", nil)
	time.Sleep(700 * time.Millisecond)
	w.hostWrite("/later/f", "")
	deadline := time.Now().Add(10 * time.Second)
	for _, name := range []string{"/early", "/late", "/later"} {
		for {
			_, err := w.stat(name + "/f")
			if err == nil && len(w.list(name)) == 3 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v, %q", name, err, w.list(name))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	for _, name := range []string{"/quiet", "/still"} {
		if d, err := asDir(w.inode(name)); err != nil || d.doubtful.Load() || d.knows() == knowsNothing {
			t.Errorf("%s, which nobody has touched, is in doubt (%v)", name, err)
		}
	}
	if _, err := os.Stat(w.host + "/still"); err != nil {
		t.Error(err)
	}
}

// When watching begins, those directories are in doubt that others have changed, and no
// more, of however many there are.
func TestRecheck(t *testing.T) {
	w := newDeaf(t) // or watching may begin under way
	const dirs = 600
	for i := range dirs {
		name := fmt.Sprintf("/%d", i)
		w.ok(vfs.Mkdir(w, at(name), 0o755))
		if i%2 == 0 {
			w.open(name+"/own", linux.O_CREAT|linux.O_RDWR).Release(w)
		}
		if i%100 == 7 {
			w.hostMake(name)
		}
	}
	w.fs.recheck()
	for i := range dirs {
		d, err := asDir(w.inode(fmt.Sprintf("/%d", i)))
		w.ok(err)
		if d.doubtful.Load() != (i%100 == 7) {
			t.Errorf("directory %d: in doubt is %v", i, d.doubtful.Load())
		}
	}
}

// Of files that others have changed, and of those that the guest itself has written and
// closed, the attributes are there before the guest asks for them.
func TestLookAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.ok(vfs.Mkdir(w, at("/d"), 0o755))
	const files = 300
	name := func(i int) string { return fmt.Sprintf("/d/%d", i) }
	for i := range files {
		w.open(name(i), linux.O_CREAT|linux.O_RDWR).Release(w)
	}
	time.Sleep(1500 * time.Millisecond)
	for i := range files {
		w.hostWrite(name(i), "more")
	}
	deadline := time.Now().Add(10 * time.Second)
	for i := range files {
		n := w.inode(name(i)).(inode).base()
		size := func() uint64 { n.mu.Lock(); defer n.mu.Unlock(); return n.attr.Size }
		for n.ask.Load() || size() != 4 {
			if time.Now().After(deadline) {
				t.Fatalf("%s: in doubt is %v, size %d", name(i), n.ask.Load(), size())
			}
			time.Sleep(10 * time.Millisecond)
		}
		w.same(name(i))
	}
}

// What others do to a name is told though the guest has just done something to it, and
// though nothing else has happened since it did something long ago.
func TestTouchedByBoth(t *testing.T) {
	size := func(want int64) func(*world) bool {
		return func(w *world) bool { a, err := w.stat("/d/f"); return err == nil && a.Size == want }
	}
	chmod := func(w *world) { w.dress("/d/f", 0o600); w.root().Settle() }
	unlink := func(w *world) { w.ok(vfs.Unlink(w, at("/d/f"))); w.root().Settle() }
	for name, x := range map[string]struct {
		guest func(*world)
		pause time.Duration
		host  func(*world)
		seen  func(*world) bool
	}{
		"write":         {chmod, 50 * time.Millisecond, func(w *world) { w.hostWrite("/d/f", "more") }, size(4)},
		"write, later":  {chmod, 2 * time.Second, func(w *world) { w.hostWrite("/d/f", "more") }, size(4)},
		"make again":    {unlink, 50 * time.Millisecond, func(w *world) { w.hostWrite("/d/f", "more") }, size(4)},
		"make, later":   {unlink, 2 * time.Second, func(w *world) { w.hostWrite("/d/f", "more") }, size(4)},
		"remove":        {chmod, 50 * time.Millisecond, hostRemove, isGone},
		"remove, later": {chmod, 2 * time.Second, hostRemove, isGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.ok(os.Mkdir(w.host+"/d", 0o755))
			w.hostWrite("/d/f", "f")
			w.same("/d/f")
			time.Sleep(1500 * time.Millisecond) // the directory is watched by now
			x.guest(w)
			time.Sleep(x.pause)
			x.host(w)
			deadline := time.Now().Add(10 * time.Second)
			for !x.seen(w) {
				if time.Now().After(deadline) {
					t.Fatal("not told")
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

func hostRemove(w *world) { w.ok(os.Remove(w.host + "/d/f")) }

func isGone(w *world) bool {
	_, err := w.stat("/d/f")
	return err == linux.ENOENT
}
