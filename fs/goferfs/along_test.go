package goferfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// grove makes directories of files, whose text is their name.
func (w *world) grove(dirs, files int) (names [][]string) {
	w.Helper()
	for i := range dirs {
		d := fmt.Sprintf("/g%02d", i)
		w.ok(os.Mkdir(w.host+d, 0o755))
		var in []string
		for j := range files {
			in = append(in, fmt.Sprintf("%s/%02d", d, j))
			w.hostWrite(in[j], in[j])
		}
		names = append(names, in)
	}
	return names
}

// readAll reads files as tar does, and returns how many had no descriptor before.
func (w *world) readAll(names []string) (asked int) {
	w.Helper()
	for _, name := range names {
		w.mustStat(name)
		if x := w.inode(name).(*file).data.Load(); x == nil {
			asked++
		} else if fd := x.current(false); fd == nil {
			asked++
		} else {
			fd.DecRef()
		}
		d := w.open(name, linux.O_RDONLY)
		if got := w.read(d, 0); got != name {
			w.Errorf("%s reads %q", name, got)
		}
		d.Release(w)
	}
	return asked
}

// Who reads one file after the other, by name or as they are listed, asks for few.
func TestOpenAlong(t *testing.T) {
	for _, sorted := range []bool{true, false} {
		w := newDeaf(t)
		w.grove(12, 60)
		asked, files := 0, 0
		for _, d := range w.list("/")[2:] {
			names := w.list("/" + d)[2:]
			if sorted {
				slices.Sort(names)
			}
			for i := range names {
				names[i] = "/" + d + "/" + names[i]
			}
			if d[0] == 'g' {
				asked += w.readAll(names)
				files += len(names)
			}
		}
		if files != 12*60 || asked > files/6 {
			t.Errorf("sorted %v: asked %d times for %d files", sorted, asked, files)
		}
	}
}

// Small directories are read so, too: files of the next are opened along with one.
func TestOpenAlongDirectories(t *testing.T) {
	const dirs, files = 60, 4
	w := newDeaf(t)
	for _, sub := range w.grove(dirs, files) {
		w.ok(os.MkdirAll(w.host+sub[0][:4]+"/s", 0o755))
		w.hostWrite(sub[0][:4]+"/s/f", sub[0][:4]+"/s/f")
	}
	asked := 0
	var read func(dir string)
	read = func(dir string) {
		for _, name := range w.list(dir)[2:] {
			if name = dir + name; w.mustStat(name).Mode.IsDir() {
				read(name + "/")
			} else {
				asked += w.readAll([]string{name})
			}
		}
	}
	read("/")
	if all := dirs * (files + 1); asked > all/6 {
		t.Errorf("asked %d times for %d files", asked, all)
	}
}

// Who opens some files of many here and there has few others opened along.
func TestNoOpenAlong(t *testing.T) {
	w := newDeaf(t)
	dirs := w.grove(4, 300)
	before := w.fs.fds.Load()
	rnd := rand.New(rand.NewPCG(1, 2))
	opened := 0
	for range 60 {
		d := dirs[rnd.IntN(2)]
		w.list(d[0][:4])
		w.readAll(d[:1])
		opened += w.readAll([]string{d[rnd.IntN(len(d))]})
	}
	if n := w.fs.fds.Load() - before; n > int64(opened)+20 {
		t.Errorf("%d descriptors for %d files", n, opened)
	}
}

// What was opened along with another file is like any file that nobody has open.
func TestOpenedAlongChanges(t *testing.T) {
	w := newDeaf(t)
	names := w.grove(1, 40)[0]
	w.list("/g00")
	w.readAll(names[:16])
	var ahead []string
	for _, name := range names[16:] {
		if x := w.inode(name).(*file).data.Load(); x != nil {
			ahead = append(ahead, name)
		}
	}
	if len(ahead) < 4 {
		t.Fatalf("opened along: %q", ahead)
	}
	w.hostWrite(ahead[0], "by the host")
	d := w.open(ahead[1], linux.O_RDWR|linux.O_TRUNC)
	w.write(d, "by the guest")
	d.Release(w)
	w.ok(vfs.Unlink(w, at(ahead[2])))
	w.ok(vfs.Rename(w, at(ahead[3]), at("/g00/new"), 0))
	if got := w.onHost(ahead[1]); got != "by the guest" {
		t.Errorf("%s: %q", ahead[1], got)
	}
	for name, want := range map[string]string{ahead[0]: "by the host", ahead[1]: "by the guest", "/g00/new": ahead[3]} {
		d := w.open(name, linux.O_RDONLY)
		if got := w.read(d, 0); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		d.Release(w)
	}
	if _, err := w.stat(ahead[2]); err != linux.ENOENT {
		t.Error(err)
	}
}

// A tree that is read again when its descriptors have been closed takes no more messages
// than the first time, in whatever order.
func TestReadAgainAlong(t *testing.T) {
	w := newDeaf(t)
	const dirs, files = 4, 200
	for i := range dirs {
		w.ok(os.Mkdir(fmt.Sprintf("%s/%d", w.host, i), 0o755))
		for k := range files {
			w.hostWrite(fmt.Sprintf("/%d/%03d", i, k), fmt.Sprint(i, k))
		}
	}
	for pass := range 3 {
		before := w.messages()
		for i := range dirs {
			w.list(fmt.Sprint("/", i))
			for k := range files {
				if pass == 1 {
					k = files - 1 - k
				}
				d := w.open(fmt.Sprintf("/%d/%03d", i, k), linux.O_RDONLY)
				if got := w.read(d, 0); got != fmt.Sprint(i, k) {
					t.Fatalf("read %q", got)
				}
				d.Release(w)
			}
		}
		// Backwards nothing is known of what comes next but what is listed.
		if sent := w.messages() - before; pass != 1 && sent > dirs*files/8 {
			t.Errorf("pass %d: %d messages", pass, sent)
		}
	}
}
