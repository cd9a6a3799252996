package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
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
