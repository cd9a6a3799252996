package goferfs

import (
	"os"
	"syscall"
	"testing"
	"time"

	"garrison/gofer"
	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// someTime is a time of no file.
var someTime = linux.Timespec{Sec: 1e9 + 7, Nsec: 123456789}

// dress sets the attributes of a file as tar does.
func (w *world) dress(name string, mode linux.FileMode) {
	w.Helper()
	p, err := vfs.Resolve(w, vfs.At{Name: name, Flags: vfs.NoFollow})
	w.ok(err)
	defer p.Drop()
	w.ok(vfs.Utimes(w, p, &[2]linux.Timespec{someTime, someTime}))
	w.ok(vfs.Chown(w, p, uint32(os.Getuid()), uint32(os.Getgid())))
	if mode != 0 { // chmod(2) is not for symlinks
		w.ok(vfs.Chmod(w, p, mode))
	}
}

// sent is how many messages the gofer has had that make or change something.
func (w *world) sent() (n uint64) {
	for _, op := range []wire.Op{wire.OpApply, wire.OpCreate, wire.OpMknod, wire.OpSetattr, wire.OpGetattr, wire.OpWalk} {
		n += w.fs.client.Count(op)
	}
	return n
}

// patient sees to it that what is put off waits until somebody asks, or not so.
func (w *world) patient(on bool) {
	l := &w.fs.later
	l.mu.Lock()
	defer l.mu.Unlock()
	for on && l.armed { // there is one
		l.mu.Unlock()
		time.Sleep(laterDelay)
		l.mu.Lock()
	}
	l.armed = on // as if there was a timer
}

// make makes a file and dresses it.
func (w *world) make(name string, mode linux.FileMode) {
	w.Helper()
	d := w.open(name, linux.O_CREAT|linux.O_EXCL|linux.O_RDWR)
	w.write(d, "text")
	d.Release(w)
	w.dress(name, mode)
}

// What the guest has made gets its attributes for the guest at once, and on the host in a
// moment, though nobody asks.
func TestSetLater(t *testing.T) {
	w := newDeaf(t)
	w.ok(vfs.Mkdir(w, at("/d"), 0o755))
	const files = 200
	w.patient(true)
	before := w.sent()
	for i := range files {
		w.make(nth("/d", i), 0o600+linux.FileMode(i%8))
	}
	if n := w.sent() - before; n > files+files/wire.MaxEdits { // each so many go by themselves
		t.Errorf("%d files took %d messages", files, n)
	}
	w.patient(false)
	w.ok(vfs.MakeSymlink(w, "nowhere", at("/d/link")))
	w.dress("/d/link", 0)
	w.dress("/d", 0o710)
	deadline := time.Now().Add(5 * time.Second)
	for {
		st, err := os.Stat(w.host + "/d")
		w.ok(err)
		if st.Mode().Perm() == 0o710 && st.ModTime().Unix() == someTime.Sec {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the host does not have it", st.Mode(), st.ModTime())
		}
		time.Sleep(time.Millisecond)
	}
	for i := range files {
		w.same(nth("/d", i))
		if a := w.mustStat(nth("/d", i)); a.Mode.Perm() != 0o600+linux.FileMode(i%8) || a.Mtime != someTime || a.Atime != someTime {
			t.Fatalf("%+v", a)
		}
	}
	w.same("/d/link")
	w.same("/d")
}

// Attributes are the host's at any time, and permissions those that were set.
func TestSetLaterSeen(t *testing.T) {
	w := newDeaf(t)
	for i := range 20 {
		name := nth("", i)
		w.make(name, 0o640)
		w.same(name)
		w.dress(name, 0o400)
		a, err := vfs.BasicAttr(w, w.inode(name))
		if err != nil || a.Mode.Perm() != 0o400 {
			t.Errorf("%+v, %v", a, err)
		}
		w.same(name)
	}
}

// What comes after attributes were set is not undone by them, and whoever looks from
// outside after he was told sees them.
func TestSetLaterOrder(t *testing.T) {
	recent := func(t *testing.T, got linux.Timespec) {
		t.Helper()
		if d := time.Since(time.Unix(got.Sec, got.Nsec)); d > time.Hour || d < -time.Hour {
			t.Errorf("the time is %v", got)
		}
	}
	for name, do := range map[string]func(*testing.T, *world, *vfs.FileDescription){
		"write": func(t *testing.T, w *world, d *vfs.FileDescription) {
			w.write(d, "more")
			recent(t, w.mustStat("/f").Mtime)
		},
		"truncate": func(t *testing.T, w *world, d *vfs.FileDescription) {
			w.ok(d.Truncate(w, 1))
			recent(t, w.mustStat("/f").Mtime)
		},
		"open to truncate": func(t *testing.T, w *world, _ *vfs.FileDescription) {
			w.open("/f", linux.O_RDWR|linux.O_TRUNC).Release(w)
			recent(t, w.mustStat("/f").Mtime)
		},
		"read": func(t *testing.T, w *world, d *vfs.FileDescription) {
			w.read(d, 0)
			recent(t, w.mustStat("/f").Atime)
		},
		"fsync":  func(t *testing.T, w *world, d *vfs.FileDescription) { w.ok(d.Sync(w, false)) },
		"syncfs": func(t *testing.T, w *world, _ *vfs.FileDescription) { w.ok(w.root().SyncFS(w)) },
		"settle": func(t *testing.T, w *world, _ *vfs.FileDescription) { w.root().Settle() },
		"rename": func(t *testing.T, w *world, _ *vfs.FileDescription) {
			w.ok(vfs.Rename(w, at("/f"), at("/g"), 0))
			w.same("/g")
			w.ok(vfs.Rename(w, at("/g"), at("/f"), 0))
		},
		"mkdir": func(t *testing.T, w *world, _ *vfs.FileDescription) { w.ok(vfs.Mkdir(w, at("/d"), 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newDeaf(t)
			w.make("/f", 0o600)
			d := w.open("/f", linux.O_RDWR)
			defer d.Release(w)
			w.root().Settle()
			w.patient(true)
			w.dress("/f", 0o642)
			do(t, w, d)
			var st syscall.Stat_t
			w.ok(syscall.Stat(w.host+"/f", &st))
			if st.Mode&0o777 != 0o642 {
				t.Errorf("mode %o on the host", st.Mode)
			}
			w.same("/f")
		})
	}
}

// Of what may be refused, or is not as asked for, the caller is told, and the host has it
// at once.
func TestSetNow(t *testing.T) {
	set := func(w *world, a *vfs.Attr, mask vfs.AttrMask) {
		w.Helper()
		before := w.fs.later.added.Load()
		w.ok(w.inode("/f").SetAttr(w, a, mask))
		if w.fs.later.added.Load() != before {
			w.Errorf("%+v was put off", a)
		}
		w.same("/f")
	}
	mode := &vfs.Attr{Mode: 0o611}
	w := newDeaf(t)
	w.hostWrite("/f", "") // and so perhaps below an overlay of the host
	set(w, mode, vfs.SetMode)
	w = newWorld(t, func(m *gofer.Mount) { m.Shared = true })
	w.open("/f", linux.O_CREAT|linux.O_RDWR).Release(w)
	set(w, mode, vfs.SetMode)
	w = newDeaf(t)
	w.open("/f", linux.O_CREAT|linux.O_RDWR).Release(w)
	set(w, &vfs.Attr{Mode: 0o4711}, vfs.SetMode)
	set(w, mode, vfs.SetMode) // which was 4711
	set(w, &vfs.Attr{UID: 1234, GID: 5678}, vfs.SetUID|vfs.SetGID)
	set(w, &vfs.Attr{Mtime: linux.Timespec{Sec: 1 << 40}}, vfs.SetMtime)
	if err := w.inode("/f").SetAttr(w, &vfs.Attr{Size: -1}, vfs.SetSize); err == nil {
		t.Error("a file of less than nothing")
	}
}

// If the host refuses against all expectation, the attributes are the host's, and fsync(2)
// and syncfs(2) tell, once.
func TestSetRefused(t *testing.T) {
	w := newDeaf(t)
	w.make("/f", 0o640)
	w.root().Settle()
	w.fix("/f")
	w.dress("/f", 0o611)
	d := w.open("/f", linux.O_RDONLY)
	defer d.Release(w)
	if err := d.Sync(w, false); err != linux.EPERM {
		t.Errorf("fsync: %v", err)
	}
	if err := d.Sync(w, false); err != nil {
		t.Errorf("second fsync: %v", err)
	}
	if err := w.root().SyncFS(w); err != linux.EPERM {
		t.Errorf("syncfs: %v", err)
	}
	if err := w.root().SyncFS(w); err != nil {
		t.Errorf("second syncfs: %v", err)
	}
	w.same("/f")
	p, err := vfs.Resolve(w, at("/f"))
	w.ok(err)
	defer p.Drop()
	if err := vfs.Chmod(w, p, 0o600); err != linux.EPERM {
		t.Errorf("chmod: %v", err)
	}
}

// Many at once make files, dress them and remove them.
func TestSetMany(t *testing.T) {
	w := newDeaf(t)
	const threads, files = 4, 150
	done := make(chan error, threads)
	for i := range threads {
		dir := nth("", i)
		w.ok(vfs.Mkdir(w, at(dir), 0o755))
		go func() { done <- w.makeMany(dir, files) }()
	}
	for range threads {
		w.ok(<-done)
	}
	w.ok(w.root().SyncFS(w))
	for i := range threads {
		if n := w.onHostNow(nth("", i)); n != files/2 {
			t.Errorf("%d names", n)
		}
		for j := range files {
			if j%2 == 0 {
				w.same(nth(nth("", i), j))
			}
		}
	}
}

// makeMany makes files, and removes every second.
func (w *world) makeMany(dir string, files int) error {
	for j := range files {
		name := nth(dir, j)
		d, err := vfs.Open(w, at(name), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_EXCL | linux.O_RDWR, Mode: 0o600})
		if err != nil {
			return err
		}
		err = vfs.Chmod(w, d.Path(), 0o600+linux.FileMode(j%8))
		if err == nil {
			err = vfs.Utimes(w, d.Path(), &[2]linux.Timespec{someTime, someTime})
		}
		d.Release(w)
		if err == nil && j%2 == 1 {
			err = vfs.Unlink(w, at(name))
		}
		if err != nil {
			return err
		}
		if a, err := w.stat(name); j%2 == 0 && (err != nil || a.Mtime != someTime || a.Mode.Perm() != 0o600+linux.FileMode(j%8)) {
			return linux.EBADMSG
		}
	}
	return nil
}
