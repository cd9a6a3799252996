package goferfs

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer"
	"garrison/gofer/wire"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A world is a guest's view of a host directory that a gofer serves.
type world struct {
	testing.TB
	*vfs.Internal
	host string // the directory
	fs   *filesystem
	deaf bool   // set before mount: no change by others is told
	end  func() // undoes mount, as the test's end does
}

// newWorld serves a new directory, as change has it.
func newWorld(t testing.TB, change func(*gofer.Mount)) *world {
	t.Helper()
	w := &world{TB: t, host: t.TempDir()}
	old := unix.Umask(0)
	t.Cleanup(func() { unix.Umask(old) })
	m := gofer.Mount{Path: w.host}
	if change != nil {
		change(&m)
	}
	w.mount(m)
	return w
}

// newDeaf is newWorld, of a world in which nobody watches: what the gofer is asked for is what
// the test does, however long that takes.
func newDeaf(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, host: t.TempDir(), deaf: true}
	old := unix.Umask(0)
	t.Cleanup(func() { unix.Umask(old) })
	w.mount(gofer.Mount{Path: w.host})
	return w
}

// mount makes m the root of the guest, and mounts the others, which are directories of
// it, at /1, /2 and so on.
func (w *world) mount(m gofer.Mount, others ...gofer.Mount) {
	t := w.TB
	t.Helper()
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- gofer.Serve(b, gofer.Config{Mounts: append([]gofer.Mount{m}, others...), Proc: proc})
	}()
	client, err := wire.NewClient(a)
	if err != nil {
		t.Fatal(err)
	}
	if w.deaf {
		client.WatchDelay = 24 * time.Hour
	}
	sys := vfs.New(nil)
	w.Internal = &vfs.Internal{Who: auth.Root(nil)}
	root, err := New(w, client, 0, sys.Settle, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	w.fs = root.(inode).base().fs
	ns := sys.NewMountNamespace(sys.NewFilesystemOf(&Type, root), "root", 0)
	w.Internal.Place = vfs.NewFSContext(ns)
	for i := range others {
		root, err := New(w, client, uint32(1+i), sys.Settle, t.Logf)
		w.ok(err)
		fs := sys.NewFilesystemOf(&Type, root)
		name := fmt.Sprintf("/%d", 1+i)
		w.ok(vfs.Mkdir(w, at(name), 0o755))
		p, err := vfs.Resolve(w, at(name))
		w.ok(err)
		w.ok(vfs.MountFS(w, p, fs, name, 0))
		p.Drop()
		fs.DecRef()
	}
	w.end = sync.OnceFunc(func() {
		w.Internal.Place.DecRef()
		_ = w.fs.settle(nil)
		w.fs.trimIdle(0)
		if n := w.fs.fds.Load(); n != 0 {
			t.Errorf("%d descriptors leaked", n)
		}
		client.Close()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		unix.Close(proc)
	})
	t.Cleanup(w.end)
}

func at(name string) vfs.At { return vfs.At{Name: name} }

func (w *world) open(name string, flags linux.OpenFlags) *vfs.FileDescription {
	w.Helper()
	d, err := vfs.Open(w, at(name), vfs.OpenSpec{Flags: flags, Mode: 0o666})
	if err != nil {
		w.Fatalf("open %s: %v", name, err)
	}
	return d
}

func (w *world) read(d *vfs.FileDescription, off int64) string {
	w.Helper()
	b := make([]byte, 4096)
	n, err := d.ReadAt(w, usermem.FromBytes(b), off)
	if err != nil {
		w.Fatalf("read: %v", err)
	}
	return string(b[:n])
}

func (w *world) write(d *vfs.FileDescription, text string) {
	w.Helper()
	if n, err := d.Write(w, usermem.FromBytes([]byte(text))); n != int64(len(text)) || err != nil {
		w.Fatalf("write: %d, %v", n, err)
	}
}

func (w *world) stat(name string) (vfs.Attr, error) {
	p, err := vfs.Resolve(w, vfs.At{Name: name, Flags: vfs.NoFollow})
	if err != nil {
		return vfs.Attr{}, err
	}
	defer p.Drop()
	return p.Attr(w)
}

func (w *world) mustStat(name string) vfs.Attr {
	w.Helper()
	a, err := w.stat(name)
	if err != nil {
		w.Fatalf("stat %s: %v", name, err)
	}
	return a
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) list(name string) []string {
	w.Helper()
	d := w.open(name, linux.O_DIRECTORY)
	defer d.Release(w)
	var names []string
	w.ok(d.List(w, func(e vfs.Dirent) bool { names = append(names, e.Name); return true }))
	slices.Sort(names)
	return names
}

// onHost reads a file of the host.
func (w *world) onHost(name string) string {
	w.Helper()
	b, err := os.ReadFile(w.host + name)
	if err != nil {
		w.Fatal(err)
	}
	return string(b)
}

func (w *world) hostWrite(name, text string) {
	w.Helper()
	if err := os.WriteFile(w.host+name, []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
}

// same compares what the guest and the host say of a file.
func (w *world) same(name string) {
	w.Helper()
	a := w.mustStat(name)
	var st unix.Stat_t
	if err := unix.Lstat(w.host+name, &st); err != nil {
		w.Fatal(err)
	}
	h := attrOfStat(&st)
	if a.Mode.IsSymlink() {
		h.Atime = wireTime(a.Atime) // the gofer has read it since
	}
	got := wire.Attr{Dev: h.Dev, Ino: a.Ino, Rdev: a.Rdev, Size: uint64(a.Size), Blocks: a.Blocks, Mode: uint32(a.Mode),
		Nlink: a.Nlink, UID: a.UID, GID: a.GID, Blksize: a.Blksize, Atime: wireTime(a.Atime), Mtime: wireTime(a.Mtime), Ctime: wireTime(a.Ctime)}
	if got != h {
		w.Errorf("%s:\n guest %+v\n  host %+v", name, got, h)
	}
}

// inode is a file's inode, not held.
func (w *world) inode(name string) vfs.Inode {
	w.Helper()
	p, err := vfs.Resolve(w, at(name))
	w.ok(err)
	defer p.Drop()
	return p.Inode()
}
