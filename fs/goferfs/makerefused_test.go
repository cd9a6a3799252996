package goferfs

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/gofer"
	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Where others look, or the host may refuse, or it is full, files are made at once.
func TestMakeNow(t *testing.T) {
	made := func(w *world) {
		w.Helper()
		w.open("/d/f", linux.O_CREAT|linux.O_EXCL|linux.O_WRONLY).Release(w)
		if !w.hostHas("/d/f") {
			w.Error("the file was put off")
		}
	}
	w := newWorld(t, func(m *gofer.Mount) { m.Shared = true })
	w.nursery()
	made(w)
	w = newNursery(t)
	w.fs.later.born.closed = true
	made(w)
	w = newNursery(t)
	w.born("/d/first", "").Release(w)
	w.fs.later.born.room = spareBytes - 1
	made(w)
	w = newDeaf(t)
	w.ok(os.Mkdir(w.host+"/old", 0o755))
	w.nursery()
	w.open("/old/f", linux.O_CREAT|linux.O_EXCL|linux.O_WRONLY).Release(w) // who knows what is in there
	if !w.hostHas("/old/f") {
		t.Error("the file was put off")
	}
}

// If the host refuses against all expectation, the file is gone, fsync(2) and syncfs(2) tell,
// once, and no other is put off.
func TestMakeRefused(t *testing.T) {
	w := newNursery(t)
	w.fix("/d")
	d := w.born("/d/f", "text")
	defer d.Release(w)
	w.born("/d/g", "").Release(w)
	w.ok(vfs.Unlink(w, at("/d/g")))
	w.ok(vfs.Mkdir(w, at("/d/sub"), 0o700))
	w.born("/d/sub/f", "").Release(w)
	w.dress("/d/sub", 0o711)
	if err := d.Sync(w, false); err != linux.EPERM {
		t.Errorf("fsync: %v", err)
	}
	if err := w.root().SyncFS(w); err != linux.EPERM {
		t.Errorf("syncfs: %v", err)
	}
	if err := w.root().SyncFS(w); err != nil {
		t.Errorf("second syncfs: %v", err)
	}
	if _, err := d.Write(w, usermem.FromBytes([]byte("more"))); err != linux.EIO {
		t.Errorf("write: %v", err)
	}
	if a, err := d.Attr(w); err != nil || a.Nlink != 0 {
		t.Errorf("fstat: %+v, %v", a, err)
	}
	for _, name := range []string{"/d/f", "/d/g", "/d/sub"} {
		if _, err := w.stat(name); err != linux.ENOENT {
			t.Errorf("stat %s: %v", name, err)
		}
	}
	if _, err := vfs.Open(w, at("/d/f"), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_WRONLY, Mode: 0o600}); err != linux.EPERM {
		t.Errorf("open: %v", err)
	}
}

// If somebody outside makes the same file first, it is theirs.
func TestMakeTaken(t *testing.T) {
	w := newNursery(t)
	d := w.born("/d/f", "text")
	defer d.Release(w)
	w.hostWrite("/d/f", "theirs")
	if err := d.Sync(w, false); err != linux.EEXIST {
		t.Errorf("fsync: %v", err)
	}
	w.same("/d/f")
	g := w.open("/d/f", linux.O_RDONLY)
	defer g.Release(w)
	if got := w.read(g, 0); got != "theirs" {
		t.Errorf("the file has %q", got)
	}
}

// What waits is bounded.
func TestMakeMuch(t *testing.T) {
	w := newNursery(t)
	text := strings.Repeat("x", wire.MaxMake)
	for i := range 2 * maxHeld / wire.MaxMake {
		d := w.open(nth("/d", i), linux.O_CREAT|linux.O_WRONLY)
		w.write(d, text)
		d.Release(w)
		w.fs.later.mu.Lock()
		held := w.fs.later.born.held
		w.fs.later.mu.Unlock()
		if held > maxHeld+wire.MaxMake {
			t.Fatalf("%d bytes wait", held)
		}
	}
	w.root().Settle()
	if n := w.fs.later.born.held; n != 0 || w.onHostNow("/d") != 2*maxHeld/wire.MaxMake {
		t.Errorf("%d bytes wait, %d files are there", n, w.onHostNow("/d"))
	}
}

// Its times are those of the host, when it was written.
func TestMakeTimes(t *testing.T) {
	w := newNursery(t)
	var from, to unix.Timespec
	w.ok(unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &from))
	w.born("/d/f", "text").Release(w)
	w.ok(unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &to))
	w.root().Settle()
	var st syscall.Stat_t
	w.ok(syscall.Stat(w.host+"/d/f", &st))
	for _, at := range []syscall.Timespec{st.Atim, st.Mtim} {
		if at.Nano() < from.Nano() || at.Nano() > to.Nano() {
			t.Errorf("%v, not between %v and %v", at, from, to)
		}
	}
}

// If the host refuses a link, it is gone, and fsync(2) of the file tells.
func TestLinkRefused(t *testing.T) {
	w := newNursery(t)
	d := w.born("/d/f", "text")
	defer d.Release(w)
	w.root().Settle()
	w.ok(vfs.Mkdir(w, at("/e"), 0o755))
	w.root().Settle()
	w.fix("/e")
	w.ok(vfs.Link(w, d.Path(), at("/e/g")))
	if err := d.Sync(w, false); err != linux.EPERM {
		t.Errorf("fsync: %v", err)
	}
	if _, err := w.stat("/e/g"); err != linux.ENOENT {
		t.Errorf("stat: %v", err)
	}
	w.same("/d/f")
}
