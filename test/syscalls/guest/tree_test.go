package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTreeChanges: who goes through a tree finds in each directory what is there when
// they come to it, also if it was changed after the walk began, and who removes a tree
// finds all of it.
func TestTreeChanges(t *testing.T) {
	covers(t, "getdents64", "unlinkat", "mkdirat", "renameat", "newfstatat")
	root, err := os.MkdirTemp("/", "tree")
	ok(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, top := range []string{root, dir(t)} {
		const trees = 12
		sub := func(i int, s string) string { return fmt.Sprintf("%s/%02d/%s", top, i, s) }
		for i := range trees {
			ok(t, os.MkdirAll(sub(i, "a/b"), 0o755))
			ok(t, os.WriteFile(sub(i, "a/f"), []byte("f"), 0o644))
			ok(t, os.WriteFile(sub(i, "a/b/g"), []byte("gg"), 0o644))
			ok(t, os.Symlink("f", sub(i, "a/link")))
		}
		come, files := 0, 0
		ok(t, filepath.WalkDir(top, func(path string, e os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.Name() == "b" {
				// All that follows changes behind the walk's back.
				if come++; come == 4 {
					for i := 6; i < trees; i++ {
						ok(t, os.Remove(sub(i, "a/b/g")))
						ok(t, os.WriteFile(sub(i, "a/b/new"), []byte("new"), 0o600))
						ok(t, os.Rename(sub(i, "a/f"), sub(i, "a/b/moved")))
						ok(t, os.Mkdir(sub(i, "a/b/c"), 0o700))
					}
				}
			}
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() {
				return err
			}
			files++
			if want := map[string]int64{"f": 1, "moved": 1, "g": 2, "new": 3}[e.Name()]; info.Size() != want {
				t.Errorf("%s: %d bytes, want %d", path, info.Size(), want)
			}
			return nil
		}))
		if want := 2 * trees; come != trees || files != want {
			t.Errorf("%s: %d files in %d directories, want %d in %d", top, files, come, want, trees)
		}
		for i := range trees {
			names, err := os.ReadDir(sub(i, "a/b"))
			ok(t, err)
			want := "[- g]"
			if i >= 6 {
				want = "[d c/ - moved - new]"
			}
			if got := fmt.Sprint(names); got != want {
				t.Errorf("tree %d: %s, want %s", i, got, want)
			}
			ok(t, os.RemoveAll(sub(i, "")))
		}
		if left, err := os.ReadDir(top); err != nil || len(left) != 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

// TestRemoveRow: names that go one after the other are gone at once, for whoever looks:
// by name, in a listing, by attributes, in a watch.
func TestRemoveRow(t *testing.T) {
	covers(t, "unlinkat", "rmdir", "unlink", "inotify_add_watch", "openat", "getdents64")
	root, err := os.MkdirTemp("/", "row")
	ok(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, d := range []string{root, dir(t)} {
		const files = 90
		name := func(i int) string { return fmt.Sprintf("%s/%02d", d, i) }
		for i := range files {
			if i%3 == 0 {
				ok(t, os.Mkdir(name(i), 0o755))
			} else {
				ok(t, os.WriteFile(name(i), nil, 0o644))
			}
		}
		var before, st unix.Stat_t
		ok(t, unix.Stat(d, &before))
		fd := newInotify(t, d, unix.IN_DELETE)
		for i := range files {
			if i%3 == 0 {
				ok(t, unix.Rmdir(name(i)))
			} else {
				ok(t, unix.Unlink(name(i)))
			}
			fails(t, unix.Unlink(name(i)), unix.ENOENT)
			if i == 50 {
				left, err := os.ReadDir(d)
				ok(t, err)
				equal(t, "names left", len(left), files-51)
				ok(t, unix.Stat(d, &st))
				if before.Nlink > 1 { // some filesystems don't count directories
					equal(t, "links", st.Nlink, before.Nlink-17)
				}
				equal(t, "mtime moves", st.Mtim.Nano() >= before.Mtim.Nano(), true)
			}
		}
		masks, _ := inotifyEvents(t, fd)
		equal(t, "events", len(masks), files)
		equal(t, "of a directory", masks[0], unix.IN_DELETE|unix.IN_ISDIR)
		equal(t, "of a file", masks[1], unix.IN_DELETE)
		ok(t, os.Mkdir(name(1), 0o755)) // a name that was a file's
		ok(t, os.WriteFile(name(0), []byte("x"), 0o644))
		left, err := os.ReadDir(d)
		ok(t, err)
		equal(t, "new names", len(left), 2)
	}
}
