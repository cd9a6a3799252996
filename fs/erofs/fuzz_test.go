package erofs_test

import (
	"os"
	"path/filepath"
	"testing"

	"garrison/fs/erofs"
	"garrison/fs/fstest"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Whatever an image holds, looking at all of it ends, with errors or without.
func FuzzImage(f *testing.F) {
	host := f.TempDir()
	for name, n := range map[string]int{"a": 10, "b": 5000, "c": 70_000} {
		if err := os.WriteFile(filepath.Join(host, name), make([]byte, n), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.MkdirAll(host+"/d/e", 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink("a", host+"/d/l"); err != nil {
		f.Fatal(err)
	}
	for _, flags := range [][]string{nil, {"--chunksize=4096"}} {
		file := filepath.Join(f.TempDir(), "image")
		mkfsTo(f, file, host, flags...)
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		b[1024+8] &^= 1 // without the checksum
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		file := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(file, image, 0o644); err != nil {
			t.Fatal(err)
		}
		s := vfs.New(nil)
		root, err := open(t, s, file)
		if err != nil {
			return
		}
		fs := s.NewFilesystemOf(erofs.NewType(erofs.Config{}), root)
		ns := s.NewMountNamespace(fs, "image", 0)
		fs.DecRef()
		defer ns.DecRef()
		w := &wanderer{c: fstest.NewCaller(t, ns)}
		w.dir("/", 4)
	})
}

// A wanderer looks at everything, up to a number of files.
type wanderer struct {
	c    *fstest.Caller
	seen int
}

func (w *wanderer) dir(name string, depth int) {
	d, err := vfs.Open(w.c, vfs.At{Name: name}, vfs.OpenSpec{Flags: linux.O_DIRECTORY})
	if err != nil {
		return
	}
	defer d.Release(w.c)
	var names []string
	_ = d.List(w.c, func(e vfs.Dirent) bool { names = append(names, e.Name); return len(names) < 100 })
	for _, x := range names {
		if w.seen++; w.seen > 300 || x == "." || x == ".." {
			continue
		}
		p, err := vfs.Resolve(w.c, vfs.At{Name: name + "/" + x, Flags: vfs.NoFollow})
		if err != nil {
			continue
		}
		a, err := p.Attr(w.c)
		_, _ = vfs.Readlink(w.c, p)
		_, _ = vfs.GetXattr(w.c, p, "user.x")
		p.Drop()
		switch {
		case err != nil:
		case a.Mode.IsDir() && depth > 0:
			w.dir(name+"/"+x, depth-1)
		case a.Mode.IsRegular():
			w.file(name+"/"+x, a.Size)
		}
	}
}

func (w *wanderer) file(name string, size int64) {
	d, err := vfs.Open(w.c, vfs.At{Name: name}, vfs.OpenSpec{})
	if err != nil {
		return
	}
	defer d.Release(w.c)
	for _, off := range []int64{0, size / 2, size - 1} {
		_, _ = d.ReadAt(w.c, usermem.FromBytes(make([]byte, 10_000)), max(off, 0))
	}
	m, err := d.Mmap(w.c, vfs.MapSpec{Len: 1 << 20, Access: arch.Read, Max: arch.Read})
	if err != nil {
		return
	}
	for off := uint64(0); off < 1<<20; off += arch.PageSize {
		_, _ = m.Pages(off, arch.PageSize, arch.Read)
	}
}
