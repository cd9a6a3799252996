package goferfs

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer"
	"garrison/gofer/wire"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// fill makes n files in a new directory of the guest, which is listed. The host has them.
func (w *world) fill(dir string, n int) {
	w.Helper()
	w.ok(vfs.Mkdir(w, at(dir), 0o755))
	for i := range n {
		w.open(nth(dir, i), linux.O_CREAT|linux.O_RDWR).Release(w)
	}
	w.root().Settle()
}

func nth(dir string, i int) string { return fmt.Sprintf("%s/%d", dir, i) }

// unlink removes files from to before end.
func (w *world) unlink(dir string, from, end int) {
	w.Helper()
	for i := from; i < end; i++ {
		w.ok(vfs.Unlink(w, at(nth(dir, i))))
	}
}

// onHostNow is how many names the host has in a directory.
func (w *world) onHostNow(dir string) int {
	w.Helper()
	es, err := os.ReadDir(w.host + dir)
	w.ok(err)
	return len(es)
}

// waiting sees to it that names wait for the host, and returns how many files of dir the
// guest has removed: a timer may come in between.
func (w *world) waiting(dir string, n int) (removed int) {
	w.Helper()
	for i := range n {
		w.unlink(dir, i, i+1)
		if i >= minRow && w.fs.later.waiting() && w.onHostNow(dir) > n-i-1 {
			return i + 1
		}
	}
	w.Fatal("nothing was put off")
	return 0
}

// A row of names goes for the guest at once, and from the host in a moment, though
// nobody asks.
func TestRemoveRow(t *testing.T) {
	w := newDeaf(t)
	const files = 300
	w.fill("/d", files)
	n := w.waiting("/d", files)
	if _, err := w.stat(nth("/d", n-1)); err != linux.ENOENT {
		t.Error(err)
	}
	if got := len(w.list("/d")); got != 2+files-n {
		t.Errorf("%d names are left", got)
	}
	w.unlink("/d", n, files)
	w.ok(vfs.Rmdir(w, at("/d")))
	deadline := time.Now().Add(5 * time.Second)
	for {
		if _, err := os.Stat(w.host + "/d"); os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the host still has it")
		}
		time.Sleep(time.Millisecond)
	}
}

// One or two names that go are gone on the host at once.
func TestRemoveOne(t *testing.T) {
	w := newDeaf(t)
	w.fill("/d", minRow)
	for i := range minRow {
		w.unlink("/d", i, i+1)
		if got := w.onHostNow("/d"); got != minRow-1-i {
			t.Errorf("%d names are on the host", got)
		}
	}
}

// Whatever asks of the host, or lets it be seen, comes after the names that went before.
func TestRemoveOrder(t *testing.T) {
	const files = 40
	for name, do := range map[string]func(*world, int) error{
		"create": func(w *world, n int) error {
			d := w.open(nth("/d", 0), linux.O_CREAT|linux.O_EXCL|linux.O_RDWR)
			defer d.Release(w)
			w.ok(d.Sync(w, false)) // or it is made later, too
			return vfs.Unlink(w, at(nth("/d", 0)))
		},
		"mkdir": func(w *world, n int) error {
			w.ok(vfs.Mkdir(w, at(nth("/d", n-1)), 0o700))
			w.mustStat(nth("/d", n-1)) // or it is made later, too
			return vfs.Rmdir(w, at(nth("/d", n-1)))
		},
		"link": func(w *world, n int) error {
			p, err := vfs.Resolve(w, at(nth("/d", n)))
			if err != nil {
				return err
			}
			defer p.Drop()
			return vfs.Link(w, p, at("/link"))
		},
		"rename":  func(w *world, n int) error { return vfs.Rename(w, at("/d"), at("/e"), 0) },
		"fsync":   func(w *world, _ int) error { return w.fsync("/d") },
		"syncfs":  func(w *world, _ int) error { return w.root().SyncFS(w) },
		"statfs":  func(w *world, _ int) error { _, err := w.root().Statfs(w); return err },
		"settle":  func(w *world, _ int) error { w.root().Settle(); return nil },
		"getattr": func(w *world, _ int) error { w.mustStat("/d"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newDeaf(t)
			w.fill("/d", files)
			n := w.waiting("/d", files-1)
			w.ok(do(w, n))
			dir := "/d"
			if name == "rename" {
				dir = "/e"
			}
			if got := w.onHostNow(dir); got != files-n {
				t.Errorf("%d names are on the host, want %d", got, files-n)
			}
		})
	}
}

func (w *world) root() *node { return &w.inode("/").(*dir).node }

// fsync is fsync(2) of a directory.
func (w *world) fsync(name string) error {
	d := w.open(name, linux.O_RDONLY|linux.O_DIRECTORY)
	defer d.Release(w)
	return d.Sync(w, false)
}

// A directory that is mounted a second time, as others share it, has no names that were
// removed where it is mounted first.
func TestRemoveElsewhere(t *testing.T) {
	w := &world{TB: t, host: t.TempDir()}
	if err := os.Mkdir(w.host+"/d", 0o755); err != nil {
		t.Fatal(err)
	}
	w.mount(gofer.Mount{Path: w.host}, gofer.Mount{Path: w.host + "/d", Shared: true})
	const files = 40
	for i := range files {
		w.open(nth("/d", i), linux.O_CREAT|linux.O_RDWR).Release(w)
	}
	n := w.waiting("/d", files)
	if _, err := w.stat(nth("/1", n-1)); err != linux.ENOENT {
		t.Error("it is there still:", err)
	}
	w.unlink("/d", n, files)
	if left := w.list("/1"); len(left) != 2 {
		t.Error(left)
	}
}

// The attributes are the host's, at any time.
func TestRemoveAttributes(t *testing.T) {
	w := newDeaf(t)
	const files = 60
	w.fill("/d", files)
	for i := range files {
		w.ok(vfs.Mkdir(w, at(nth("/d", files+i)), 0o755))
	}
	w.waiting("/d", files)
	w.same("/d")
	for i := range files {
		w.ok(vfs.Rmdir(w, at(nth("/d", files+i))))
		if i%7 == 6 {
			w.same("/d")
		}
	}
	w.same("/d")
}

// What is open, or has other names, is right at once.
func TestRemoveUsed(t *testing.T) {
	w := newDeaf(t)
	w.fill("/d", 20)
	p, err := vfs.Resolve(w, at("/d/18"))
	w.ok(err)
	w.ok(vfs.Link(w, p, at("/other")))
	p.Drop()
	d := w.open("/d/19", linux.O_RDWR)
	w.write(d, "still here")
	w.unlink("/d", 0, 20)
	if a, err := d.Attr(w); err != nil || a.Nlink != 0 || a.Size != 10 {
		t.Errorf("open: %+v, %v", a, err)
	}
	if got := w.read(d, 0); got != "still here" {
		t.Errorf("read %q", got)
	}
	d.Release(w)
	w.same("/other")
	if a := w.mustStat("/other"); a.Nlink != 1 {
		t.Errorf("other: %+v", a)
	}
}

// setFlags sets inode flags on the host, as chattr(1) does.
func setFlags(path string, flags int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags)
}

// fix makes a file or directory of the host immutable, until the test ends at most.
func (w *world) fix(name string) {
	w.Helper()
	const immutable = 0x10 // FS_IMMUTABLE_FL
	w.Cleanup(func() { _ = setFlags(w.host+name, 0) })
	if err := setFlags(w.host+name, immutable); err != nil {
		w.Skipf("no immutable files here: %v", err)
	}
}

// If the host refuses against all expectation, the names are there again, and fsync(2)
// and syncfs(2) tell, once.
func TestRemoveRefused(t *testing.T) {
	w := newDeaf(t)
	const files = 30
	w.fill("/d", files)
	w.ok(vfs.Mkdir(w, at("/d/sub"), 0o755))
	w.root().Settle()
	w.fix("/d/20")
	w.hostWrite("/d/sub/hidden", "")
	w.unlink("/d", 0, files)
	w.ok(vfs.Rmdir(w, at("/d/sub")))
	if err := w.fsync("/d"); err != linux.EPERM && err != linux.ENOTEMPTY {
		t.Errorf("fsync: %v", err)
	}
	if err := w.fsync("/d"); err != nil {
		t.Errorf("second fsync: %v", err)
	}
	if err := w.root().SyncFS(w); err != linux.EPERM && err != linux.ENOTEMPTY {
		t.Errorf("syncfs: %v", err)
	}
	if err := w.root().SyncFS(w); err != nil {
		t.Errorf("second syncfs: %v", err)
	}
	if got := fmt.Sprint(w.list("/d")); got != "[. .. 20 sub]" {
		t.Error(got)
	}
	w.same("/d/20")
	w.same("/d/sub")
	if got := fmt.Sprint(w.list("/d/sub")); got != "[. .. hidden]" {
		t.Error(got)
	}
	if err := vfs.Unlink(w, at("/d/20")); err != linux.EPERM {
		t.Errorf("unlink: %v", err)
	}
	if err := vfs.Rmdir(w, at("/d/sub")); err != linux.ENOTEMPTY {
		t.Errorf("rmdir: %v", err)
	}
	w.open("/d/20", linux.O_RDONLY).Release(w)
	w.ok(setFlags(w.host+"/d/20", 0))
	w.ok(vfs.Unlink(w, at("/d/20")))
	w.ok(vfs.Unlink(w, at("/d/sub/hidden")))
	w.ok(vfs.Rmdir(w, at("/d/sub")))
	w.ok(vfs.Rmdir(w, at("/d")))
	w.root().Settle()
	if got := w.onHostNow("/"); got != 0 {
		t.Errorf("%d names are left on the host", got)
	}
}

// Of what the host is known to refuse, the caller is told.
func TestRemoveFixed(t *testing.T) {
	w := newDeaf(t)
	w.ok(os.Mkdir(w.host+"/d", 0o755))
	w.ok(os.Mkdir(w.host+"/fixed", 0o755))
	for i := range 20 {
		w.hostWrite(nth("/d", i), "")
		w.hostWrite(nth("/fixed", i), "")
	}
	w.hostWrite("/d/kept", "")
	w.ok(os.Mkdir(w.host+"/d/mounted", 0o755))
	w.ok(unix.Mount("none", w.host+"/d/mounted", "tmpfs", 0, ""))
	defer func() { _ = unix.Unmount(w.host+"/d/mounted", unix.MNT_DETACH) }()
	w.fix("/d/kept")
	w.fix("/fixed")
	w.list("/d")
	w.list("/fixed")
	w.unlink("/d", 0, 20)
	if err := vfs.Unlink(w, at("/d/kept")); err != linux.EPERM {
		t.Errorf("immutable file: %v", err)
	}
	if err := vfs.Unlink(w, at("/fixed/3")); err != linux.EPERM {
		t.Errorf("immutable directory: %v", err)
	}
	if err := vfs.Rmdir(w, at("/d/mounted")); err != linux.EBUSY {
		t.Errorf("mount point: %v", err)
	}
	if err := w.root().SyncFS(w); err != nil {
		t.Error(err)
	}
}

// Many at once remove and make the same names.
func TestRemoveMany(t *testing.T) {
	w := newDeaf(t)
	const threads, rounds, files = 4, 8, 3 * wire.MaxEdits / 4
	done := make(chan error, threads)
	for i := range threads {
		go func() {
			dir := fmt.Sprintf("/t%d", i)
			for range rounds {
				if err := vfs.Mkdir(w, at(dir), 0o755); err != nil {
					done <- fmt.Errorf("mkdir: %w", err)
					return
				}
				for j := range files {
					d, err := vfs.Open(w, at(nth(dir, j)), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_EXCL | linux.O_RDWR, Mode: 0o600})
					if err != nil {
						done <- fmt.Errorf("create: %w", err)
						return
					}
					d.Release(w)
				}
				for j := range files {
					if err := vfs.Unlink(w, at(nth(dir, j))); err != nil {
						done <- fmt.Errorf("unlink: %w", err)
						return
					}
				}
				if err := vfs.Rmdir(w, at(dir)); err != nil {
					done <- fmt.Errorf("rmdir: %w", err)
					return
				}
			}
			done <- nil
		}()
	}
	for range threads {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := w.root().SyncFS(w); err != nil {
		t.Error(err)
	}
	if got := w.onHostNow("/"); got != 0 {
		t.Errorf("%d names are left on the host", got)
	}
}

// A timer begins with the first name that waits, also if that is the last of a message.
func TestRemoveTimer(t *testing.T) {
	w := newDeaf(t)
	const files = 3 * wire.MaxEdits
	w.fill("/d", files)
	l := &w.fs.later
	rest := func() {
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			l.mu.Lock()
			armed := l.armed
			l.mu.Unlock()
			if !armed && !l.waiting() {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("there is no timer")
			}
		}
	}
	for i := range files {
		if l.added.Load()%wire.MaxEdits == wire.MaxEdits-1 {
			rest()
			for range minRow {
				l.inRow() // as if the row had gone on
			}
		}
		w.unlink("/d", i, i+1)
	}
	rest()
	if n := w.onHostNow("/d"); n > 0 {
		t.Errorf("the host still has %d names", n)
	}
}
