package goferfs

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer"
	"garrison/gofer/wire"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

func TestFile(t *testing.T) {
	w := newWorld(t, nil)
	d := w.open("/f", linux.O_RDWR|linux.O_CREAT|linux.O_EXCL)
	w.write(d, "hello")
	w.same("/f")
	if got := w.read(d, 1); got != "ello" || w.onHost("/f") != "hello" {
		t.Errorf("read %q", got)
	}
	w.ok(d.Truncate(w, 2))
	w.same("/f")
	w.ok(d.Allocate(w, 0, 0, 8192))
	if a := w.mustStat("/f"); a.Size != 8192 {
		t.Errorf("size %d", a.Size)
	}
	w.ok(d.Sync(w, false))
	d.Release(w)
	w.same("/f")

	// It is opened again without a round trip, and truncated.
	d = w.open("/f", linux.O_WRONLY|linux.O_TRUNC)
	w.same("/f")
	d.Release(w)
	d = w.open("/f", linux.O_WRONLY|linux.O_APPEND)
	w.write(d, "one")
	w.write(d, "two")
	d.Release(w)
	if got := w.onHost("/f"); got != "onetwo" {
		t.Errorf("appended %q", got)
	}
	w.same("/f")
	w.same("/")
}

func TestSeekHoles(t *testing.T) {
	w := newWorld(t, nil)
	d := w.open("/f", linux.O_RDWR|linux.O_CREAT)
	defer d.Release(w)
	w.ok(d.Truncate(w, 1<<20))
	if _, err := d.WriteAt(w, usermem.FromBytes([]byte("x")), 1<<19); err != nil {
		t.Fatal(err)
	}
	if off, err := d.Seek(w, 0, linux.SEEK_DATA); err != nil || off == 0 || off > 1<<19 {
		t.Errorf("data at %d, %v", off, err)
	}
	if off, err := d.Seek(w, 0, linux.SEEK_END); err != nil || off != 1<<20 {
		t.Errorf("end at %d, %v", off, err)
	}
	if off, err := d.Seek(w, -1, linux.SEEK_SET); err != linux.EINVAL {
		t.Errorf("%d, %v", off, err)
	}
}

func TestNames(t *testing.T) {
	w := newWorld(t, nil)
	w.ok(vfs.Mkdir(w, at("/d"), 0o755))
	w.ok(vfs.MakeSymlink(w, "d/f", at("/l")))
	w.open("/d/f", linux.O_CREAT|linux.O_WRONLY).Release(w)
	if got := w.list("/"); strings.Join(got, " ") != ". .. d l" {
		t.Errorf("list %q", got)
	}
	p, err := vfs.Resolve(w, at("/l"))
	w.ok(err)
	w.ok(vfs.Link(w, p, at("/h")))
	if !p.Type().IsRegular() {
		t.Error("not followed")
	}
	p.Drop()
	if a, b := w.mustStat("/h"), w.mustStat("/d/f"); a.Ino != b.Ino || a.Nlink != 2 || b.Nlink != 2 {
		t.Errorf("%+v %+v", a, b)
	}
	w.ok(vfs.Rename(w, at("/h"), at("/d/g"), 0))
	w.same("/d/g")
	w.same("/d")
	w.same("/")
	w.ok(vfs.Unlink(w, at("/d/f")))
	w.same("/d/g")
	if _, err := w.stat("/d/f"); err != linux.ENOENT {
		t.Error(err)
	}
	if err := vfs.Rmdir(w, at("/d")); err != linux.ENOTEMPTY {
		t.Error(err)
	}
	w.ok(vfs.Rename(w, at("/d"), at("/l"), linux.RENAME_EXCHANGE))
	if got := w.list("/l"); strings.Join(got, " ") != ". .. g" {
		t.Errorf("list %q", got)
	}
	w.ok(vfs.Unlink(w, at("/l/g")))
	w.ok(vfs.Rmdir(w, at("/l")))
	if got := w.list("/"); strings.Join(got, " ") != ". .. d" {
		t.Errorf("list %q", got)
	}
}

func TestAttributes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: it gives files away")
	}
	w := newWorld(t, nil)
	w.open("/f", linux.O_CREAT|linux.O_WRONLY).Release(w)
	p, err := vfs.Resolve(w, at("/f"))
	w.ok(err)
	defer p.Drop()
	w.ok(vfs.Chmod(w, p, 0o4711))
	w.same("/f")
	w.ok(vfs.Chown(w, p, 5, 6))
	w.same("/f")
	w.ok(vfs.Utimes(w, p, &[2]linux.Timespec{{Sec: 10, Nsec: 20}, {Sec: 30, Nsec: 40}}))
	w.same("/f")
	w.ok(vfs.Truncate(w, p, 100))
	w.same("/f")
	if a := w.mustStat("/f"); a.UID != 5 || a.GID != 6 || a.Size != 100 {
		t.Errorf("%+v", a)
	}
	w.ok(vfs.Chmod(w, p, 0o600))
	w.ok(vfs.MakeSymlink(w, "x", at("/l")))
	w.same("/l")
	if _, err := vfs.Mknod(w, at("/fifo"), linux.S_IFIFO|0o666, 0); err != nil {
		t.Error(err)
	}
	w.same("/fifo")
}

func TestXattr(t *testing.T) {
	w := newWorld(t, nil)
	w.hostWrite("/f", "")
	if err := unix.Setxattr(w.host+"/f", "user.x", []byte("v"), 0); err != nil {
		t.Skip("the temporary directory has no extended attributes")
	}
	p, err := vfs.Resolve(w, at("/f"))
	w.ok(err)
	defer p.Drop()
	x := p.Inode().(vfs.Xattr)
	if v, err := x.GetXattr(w, "user.x"); string(v) != "v" || err != nil {
		t.Error(v, err)
	}
	w.ok(x.RemoveXattr(w, "user.x"))
	for range 2 { // the second time from memory
		if _, err := x.GetXattr(w, linux.XATTR_CAPS); err != linux.ENODATA {
			t.Error(err)
		}
	}
	w.ok(x.SetXattr(w, "user.y", []byte("w"), linux.XATTR_CREATE))
	if names, err := x.ListXattr(w); len(names) != 1 || err != nil {
		t.Error(names, err)
	}
	if _, err := x.GetXattr(w, "security.selinux"); err != linux.ENODATA {
		t.Error(err)
	}
	if err := x.SetXattr(w, "trusted.x", nil, 0); err != linux.EPERM {
		t.Error(err)
	}
}

// A file without a name lives on while it is open.
func TestUnlinkedOpen(t *testing.T) {
	w := newWorld(t, nil)
	d := w.open("/f", linux.O_CREAT|linux.O_RDWR)
	w.ok(vfs.Unlink(w, at("/f")))
	w.write(d, "still here")
	if a, err := d.Attr(w); err != nil || a.Nlink != 0 || a.Size != 10 {
		t.Errorf("%+v, %v", a, err)
	}
	w.ok(vfs.Chmod(w, d.Path(), 0o600))
	if a, err := d.Attr(w); err != nil || a.Mode.Perm() != 0o600 {
		t.Errorf("%+v, %v", a, err)
	}
	if got := w.read(d, 0); got != "still here" {
		t.Errorf("read %q", got)
	}
	w.hostWrite("/g", "new")
	w.open("/f", linux.O_CREAT|linux.O_RDWR).Release(w)
	d.Release(w)
	w.same("/f")
	if n, m := w.fs.counts(); n > 3 || m != 0 {
		t.Errorf("%d inodes and %d open files are left", n, m)
	}
}

func (fs *filesystem) counts() (inodes, opens int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, i := range fs.inodes {
		if d := i.base().data.Load(); d != nil {
			opens += int(d.opens.Load())
		}
	}
	return len(fs.inodes), opens
}

func TestTemporary(t *testing.T) {
	w := newWorld(t, nil)
	d, err := vfs.Open(w, at("/"), vfs.OpenSpec{Flags: linux.O_TMPFILE | linux.O_RDWR, Mode: 0o600})
	w.ok(err)
	w.write(d, "text")
	w.ok(vfs.Link(w, d.Path(), at("/f")))
	d.Release(w)
	w.same("/f")
	if got := w.onHost("/f"); got != "text" {
		t.Errorf("linked %q", got)
	}
}

func TestReadOnly(t *testing.T) {
	w := newWorld(t, func(m *gofer.Mount) {
		m.ReadOnly = true
		if err := os.WriteFile(m.Path+"/f", []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	if err := vfs.Mkdir(w, at("/d"), 0o755); err != linux.EROFS {
		t.Error(err)
	}
	if err := vfs.Unlink(w, at("/f")); err != linux.EROFS {
		t.Error(err)
	}
	if _, err := vfs.Open(w, at("/f"), vfs.OpenSpec{Flags: linux.O_RDWR}); err != linux.EROFS {
		t.Error(err)
	}
	d := w.open("/f", linux.O_RDONLY)
	if got := w.read(d, 0); got != "x" {
		t.Errorf("read %q", got)
	}
	d.Release(w)
}

// Files that others change show their changes in a shared mount at once.
func TestShared(t *testing.T) {
	w := newWorld(t, func(m *gofer.Mount) { m.Shared = true })
	if _, err := w.stat("/f"); err != linux.ENOENT {
		t.Fatal(err)
	}
	w.hostWrite("/f", "one")
	w.settle()
	w.same("/f")
	d := w.open("/f", linux.O_RDONLY)
	w.hostWrite("/f", "three")
	w.settle()
	w.same("/f")
	if got := w.read(d, 0); got != "three" {
		t.Errorf("read %q", got)
	}
	w.ok(os.Rename(w.host+"/f", w.host+"/g"))
	w.hostWrite("/f", "other")
	w.settle()
	w.same("/f")
	w.same("/g")
	if got := w.list("/"); strings.Join(got, " ") != ". .. f g" {
		t.Errorf("list %q", got)
	}
	w.ok(os.Remove(w.host + "/g"))
	w.settle()
	if got := w.list("/"); strings.Join(got, " ") != ". .. f" {
		t.Errorf("list %q", got)
	}
	d.Release(w)
}

// settle waits until attributes are no longer believed.
func (w *world) settle() {
	for begin := now(); now()-begin < freshness; {
	}
}

// A directory that changes while it is read shows each name that stays exactly once.
func TestListWhileChanging(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 500 {
		w.hostWrite(fmt.Sprintf("/f%03d", i), "")
	}
	d := w.open("/", linux.O_DIRECTORY)
	defer d.Release(w)
	seen := map[string]int{}
	for round := 0; ; round++ {
		n := 0
		w.ok(d.List(w, func(e vfs.Dirent) bool {
			if n == 20 {
				return false
			}
			n++
			seen[e.Name]++
			return true
		}))
		if n == 0 {
			break
		}
		for name, times := range seen { // remove half of what was shown
			if times == 1 && strings.HasPrefix(name, "f") && name[3]%2 == 0 {
				w.ok(vfs.Unlink(w, at("/"+name)))
				seen[name] = 1000
			}
		}
		if round < 10 { // else each would show the one before, and there were no end
			w.ok(vfs.Mkdir(w, at(fmt.Sprintf("/new%d", round)), 0o755))
		}
	}
	files := 0
	for name, times := range seen {
		if times != 1 && times != 1000 {
			t.Errorf("%s: %d times", name, times)
		}
		if strings.HasPrefix(name, "f") {
			files++
		}
	}
	if files != 500 {
		t.Errorf("%d files", files)
	}
	if got := len(w.list("/")); got < 252 {
		t.Errorf("%d names afterwards", got)
	}
}

// A large directory is listed, and not kept.
func TestLargeDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many files")
	}
	w := newWorld(t, nil)
	for i := range maxListing + 100 {
		fd, err := unix.Open(fmt.Sprintf("%s/%d", w.host, i), unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		w.ok(err)
		unix.Close(fd)
	}
	if got := len(w.list("/")); got != maxListing+102 {
		t.Errorf("%d names", got)
	}
	w.fs.client.Flush()
	if n, _ := w.fs.counts(); n > 2 {
		t.Errorf("%d inodes kept", n)
	}
	if _, err := w.stat("/7"); err != nil {
		t.Error(err)
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t, nil)
	w.hostWrite("/f", strings.Repeat("x", 5000))
	d := w.open("/f", linux.O_RDONLY)
	m, err := d.Mmap(w, vfs.MapSpec{Len: 8192, Access: arch.Read | arch.Exec, Max: arch.Read | arch.Exec})
	w.ok(err)
	p, err := m.Pages(0, 1<<20, arch.Read)
	if err != nil || p.Len != 8192 || p.Host == nil || p.Access != arch.Read|arch.Exec {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := m.Pages(8192, 4096, arch.Read); err != nil || p.Len != 0 {
		t.Errorf("beyond the end: %+v, %v", p, err)
	}
	rw := w.open("/f", linux.O_RDWR)
	w.ok(rw.Truncate(w, 100))
	if p, err := m.Pages(0, 4096, arch.Read|arch.Write); err != nil || p.Len != 4096 || !p.Access.Has(arch.Write) {
		t.Errorf("%+v, %v", p, err)
	}
	rw.Release(w)
	d.Release(w)
}

func TestSingleFile(t *testing.T) {
	var name string
	w := newWorld(t, func(m *gofer.Mount) {
		name = m.Path + "/conf"
		if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		m.Path = name
	})
	f := w.Internal.Place.Root()
	defer f.Drop()
	d, err := vfs.OpenPath(w, f, linux.O_RDWR)
	w.ok(err)
	w.write(d, "yz")
	d.Release(w)
	if b, _ := os.ReadFile(name); string(b) != "yz" {
		t.Errorf("wrote %q", b)
	}
}

func TestManyThreads(t *testing.T) {
	w := newWorld(t, nil)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for j := range 50 {
				name := fmt.Sprintf("/f%d", (i+j)%4)
				d, err := vfs.Open(w, at(name), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_RDWR, Mode: 0o600})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := d.Write(w, usermem.FromBytes([]byte(name))); err != nil {
					t.Error(err)
				}
				if _, err := d.Attr(w); err != nil {
					t.Error(err)
				}
				if err := vfs.Unlink(w, at(name)); err != nil && err != linux.ENOENT {
					t.Error(err)
				}
				d.Release(w)
				w.list("/")
			}
		})
	}
	wg.Wait()
	w.same("/")
}

// What we did ourselves is not taken for another's doing; but for what the gofer gets to look
// at too late, as it may on a busy host.
func TestOwnChanges(t *testing.T) {
	w := newWorld(t, nil)
	w.ok(os.Mkdir(w.host+"/d", 0o755))
	w.list("/d")
	time.Sleep(1200 * time.Millisecond) // watching has begun
	var known [2]bool                   // with the directory watched before, and not
	for i := range 20 {
		mine, other := fmt.Sprintf("/mine%d", i), fmt.Sprintf("other%d", i)
		w.ok(vfs.Mkdir(w, at(mine), 0o755))
		if i%2 == 0 {
			time.Sleep(time.Second) // it is watched
		}
		w.open(mine+"/f", linux.O_CREAT|linux.O_RDWR).Release(w)
		w.ok(vfs.Rename(w, at(mine+"/f"), at(mine+"/g"), 0))
		w.ok(vfs.Unlink(w, at(mine+"/g")))
		w.hostWrite("/d/"+other, "")
		for end := time.Now().Add(10 * time.Second); !slices.Contains(w.list("/d"), other); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s does not show", other)
			}
		}
		// The gofer has looked at what there was then.
		d, err := asDir(w.inode(mine))
		w.ok(err)
		if !d.doubtful.Load() && d.knows() != knowsNothing {
			known[i%2] = true
		}
		if known[0] && known[1] {
			return
		}
	}
	t.Errorf("our own changes are in doubt, each time (not so where it was watched before: %v)", known[0])
}

// What somebody does to the files from outside shows within a second.
func TestHostChanges(t *testing.T) {
	w := newWorld(t, nil)
	w.ok(os.Mkdir(w.host+"/d", 0o755))
	w.hostWrite("/d/f", "one")
	w.hostWrite("/d/old", "")
	w.list("/d")
	w.same("/d/f")
	if _, err := w.stat("/d/new"); err != linux.ENOENT {
		t.Fatal(err)
	}
	w.hostWrite("/d/early", "") // before the watch begins
	if got := w.list("/d"); strings.Join(got, " ") != ". .. f old" {
		t.Fatalf("list %q", got)
	}
	time.Sleep(1200 * time.Millisecond)
	for end := time.Now().Add(10 * time.Second); strings.Join(w.list("/d"), " ") != ". .. early f old"; {
		if time.Now().After(end) {
			t.Fatalf("list %q", w.list("/d"))
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.hostWrite("/d/f", "longer")
	w.hostWrite("/d/new", "")
	w.ok(os.Remove(w.host + "/d/old"))
	deadline := time.Now().Add(time.Second)
	for {
		a, errNew := w.stat("/d/f")
		w.ok(errNew)
		_, errNew = w.stat("/d/new")
		_, errOld := w.stat("/d/old")
		names := strings.Join(w.list("/d"), " ")
		if a.Size == 6 && errNew == nil && errOld == linux.ENOENT && names == ". .. early f new" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a second: size %d, new: %v, old: %v, names %s", a.Size, errNew, errOld, names)
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.fs.changed(&wire.ChangesResp{All: true})
	w.same("/d")
	w.same("/d/f")
	if got := w.list("/d"); strings.Join(got, " ") != ". .. early f new" {
		t.Errorf("list %q", got)
	}
}
