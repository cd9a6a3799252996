package erofs_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/fs/erofs"
	"garrison/fs/fstest"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// tree makes files of every kind and returns their directory.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{0, 1, 100, 4000, 4095, 4096, 4097, 8192, 70_000, 3 << 20} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i>>12 + i*7)
		}
		ok(os.WriteFile(fmt.Sprintf("%s/f%d", dir, n), b, 0o640))
	}
	sparse, err := os.Create(dir + "/sparse")
	ok(err)
	_, err = sparse.WriteAt([]byte("end"), 1<<20+5)
	ok(err)
	ok(sparse.Close())
	ok(os.MkdirAll(dir+"/many/deep", 0o2755))
	for i := range 1500 {
		ok(os.WriteFile(fmt.Sprintf("%s/many/%s%d", dir, strings.Repeat("n", i%60), i), nil, 0o600))
	}
	ok(os.Symlink("f100", dir+"/short"))
	ok(os.Symlink(strings.Repeat("x", 3000), dir+"/long"))
	ok(os.Link(dir+"/f100", dir+"/linked"))
	ok(unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	ok(unix.Mknod(dir+"/disk", unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70_000))))
	ok(unix.Mkfifo(dir+"/fifo", 0o622))
	ok(os.Lchown(dir+"/f1", 70_000, 80_000))
	for _, f := range []string{"f100", "many", "f4097"} {
		ok(unix.Setxattr(dir+"/"+f, "user.shared", []byte("the same"), 0))
		ok(unix.Setxattr(dir+"/"+f, "trusted.own", []byte(f), 0))
	}
	return dir
}

func mkfs(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image")
	mkfsTo(t, file, dir, flags...)
	return file
}

func mkfsTo(t testing.TB, file, dir string, flags ...string) {
	t.Helper()
	if out, err := exec.Command("mkfs.erofs", append(flags, file, dir)...).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs (make deps installs it): %v\n%s", err, out)
	}
}

func open(t *testing.T, s *vfs.System, file string) (vfs.Inode, error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	mem := fstest.Memory(t)
	return erofs.New(s.Internal(), erofs.Config{Memory: func(vfs.Ctx) *memfile.File { return mem }}, fd)
}

// A world is an image and the directory that it was made of.
type world struct {
	*testing.T
	c    *fstest.Caller
	host string
}

func mounted(t *testing.T, host, file string) *world {
	t.Helper()
	s := vfs.New(nil)
	root, err := open(t, s, file)
	if err != nil {
		t.Fatal(err)
	}
	fs := s.NewFilesystemOf(erofs.NewType(erofs.Config{}), root)
	ns := s.NewMountNamespace(fs, "image", 0)
	fs.DecRef()
	return &world{t, fstest.NewCaller(t, ns), host}
}

// Everything is as in the directory that the image was made of.
func TestSame(t *testing.T) {
	host := tree(t)
	for name, flags := range map[string][]string{
		"plain":    nil,
		"extended": {"-Eforce-inode-extended"},
		"compact":  {"-Eforce-inode-compact", "--all-root"},
		"outline":  {"-Enoinline_data"},
		"chunks":   {"--chunksize=4096"},
		"large":    {"--chunksize=65536"},
		"times":    {"-T1000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			w := mounted(t, host, mkfs(t, host, flags...))
			err := filepath.WalkDir(host, func(path string, _ fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				w.same(strings.TrimPrefix(path, host), slices.Contains(flags, "--all-root"), name == "plain")
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			w.refuses()
		})
	}
}

// same compares one file with the host's.
func (w *world) same(name string, rooted, times bool) {
	w.Helper()
	p, err := vfs.Resolve(w.c, vfs.At{Name: "/" + name, Flags: vfs.NoFollow})
	if err != nil {
		w.Errorf("%s: %v", name, err)
		return
	}
	defer p.Drop()
	a, err := p.Attr(w.c)
	if err != nil {
		w.Errorf("%s: %v", name, err)
		return
	}
	var st unix.Stat_t
	if err := unix.Lstat(w.host+name, &st); err != nil {
		w.Fatal(err)
	}
	if rooted {
		st.Uid, st.Gid = 0, 0
	}
	got := []any{uint32(a.Mode), uint64(a.Nlink), a.UID, a.GID, a.Rdev}
	want := []any{st.Mode, st.Nlink, st.Uid, st.Gid, st.Rdev}
	if !a.Mode.IsDir() {
		got, want = append(got, a.Size), append(want, st.Size)
	}
	if times {
		got, want = append(got, a.Mtime.Sec), append(want, st.Mtim.Sec)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s: got %v, want %v", name, got, want)
	}
	switch {
	case a.Mode.IsSymlink():
		target, _ := os.Readlink(w.host + name)
		if got, err := vfs.Readlink(w.c, p); err != nil || got != target {
			w.Errorf("%s: leads to %q, %v", name, got, err)
		}
	case a.Mode.IsDir():
		w.sameNames(name)
	case a.Mode.IsRegular():
		w.sameBytes(name)
	}
	w.sameXattrs(name, p)
}

func (w *world) sameNames(name string) {
	d, err := vfs.Open(w.c, vfs.At{Name: "/" + name}, vfs.OpenSpec{Flags: linux.O_DIRECTORY})
	if err != nil {
		w.Errorf("%s: %v", name, err)
		return
	}
	defer d.Release(w.c)
	var got []string
	for more := true; more; { // a few at a time, as by a small buffer
		more = false
		n := 0
		err := d.List(w.c, func(e vfs.Dirent) bool {
			if n++; n > 7 {
				more = true
				return false
			}
			got = append(got, fmt.Sprint(e.Name, " ", e.Type))
			return true
		})
		if err != nil {
			w.Errorf("%s: %v", name, err)
			return
		}
	}
	want := []string{". 4", ".. 4"}
	entries, _ := os.ReadDir(w.host + name)
	for _, e := range entries {
		i, err := e.Info()
		if err != nil {
			w.Fatal(err)
		}
		want = append(want, fmt.Sprint(e.Name(), " ", i.Sys().(*syscall.Stat_t).Mode>>12))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("%s: %d names, want %d: %.200q", name, len(got), len(want), got)
	}
}

// sameBytes compares what is read, in pieces, and what is mapped.
func (w *world) sameBytes(name string) {
	want, err := os.ReadFile(w.host + name)
	if err != nil {
		w.Fatal(err)
	}
	d, err := vfs.Open(w.c, vfs.At{Name: "/" + name}, vfs.OpenSpec{})
	if err != nil {
		w.Errorf("%s: %v", name, err)
		return
	}
	defer d.Release(w.c)
	var got []byte
	for b := make([]byte, 70_001); ; {
		n, err := d.ReadAt(w.c, usermem.FromBytes(b), int64(len(got)))
		if err != nil {
			w.Errorf("%s: read: %v", name, err)
			return
		}
		if n == 0 {
			break
		}
		got = append(got, b[:n]...)
	}
	if !bytes.Equal(got, want) {
		w.Errorf("%s: read %d bytes, not the host's %d", name, len(got), len(want))
	}
	if len(want) == 0 {
		return
	}
	m, err := d.Mmap(w.c, vfs.MapSpec{Len: uint64(len(want)), Access: arch.Read, Max: arch.Read | arch.Exec})
	if err != nil {
		w.Errorf("%s: mmap: %v", name, err)
		return
	}
	got = got[:0]
	for {
		off := uint64(len(got))
		p, err := m.Pages(off, 1<<20, arch.Read)
		if err != nil {
			w.Errorf("%s: pages: %v", name, err)
			return
		}
		if p.Len == 0 {
			break
		}
		got = append(got, pagesOf(w.T, p)...)
	}
	rest := bytes.TrimRight(got[min(len(want), len(got)):], "\x00")
	if len(got) < len(want) || len(got)-len(want) >= arch.PageSize || !bytes.Equal(got[:len(want)], want) || len(rest) > 0 {
		w.Errorf("%s: mapped %d bytes, not the host's %d, and %d behind", name, len(got), len(want), len(rest))
	}
}

// pagesOf is what pages hold.
func pagesOf(t *testing.T, p mm.Pages) []byte {
	t.Helper()
	fd := 0
	if p.Memory != nil {
		fd = p.Memory.FD()
	} else {
		fd = p.Host.FD()
	}
	b := make([]byte, p.Len)
	if n, err := unix.Pread(fd, b, int64(p.Off)); err != nil || n < len(b) && p.Memory == nil {
		t.Fatalf("pages at %#x: %d bytes, %v", p.Off, n, err)
	}
	return b
}

func (w *world) sameXattrs(name string, p vfs.Path) {
	for _, x := range []string{"user.shared", "trusted.own", "user.none"} {
		b := make([]byte, 100)
		n, wantErr := unix.Lgetxattr(w.host+name, x, b)
		got, err := vfs.GetXattr(w.c, p, x)
		if err != nil != (wantErr != nil) || err == nil && string(got) != string(b[:n]) {
			w.Errorf("%s: %s is %q, %v, want %q, %v", name, x, got, err, b[:max(n, 0)], wantErr)
		}
	}
}

// refuses tries to change something.
func (w *world) refuses() {
	w.Helper()
	for what, err := range map[string]error{
		"mkdir":  vfs.Mkdir(w.c, vfs.At{Name: "/new"}, 0o755),
		"unlink": vfs.Unlink(w.c, vfs.At{Name: "/f1"}),
		"rename": vfs.Rename(w.c, vfs.At{Name: "/f1"}, vfs.At{Name: "/f2"}, 0),
	} {
		if err != linux.EROFS {
			w.Errorf("%s: %v, want %v", what, err, linux.EROFS)
		}
	}
	if d, err := vfs.Open(w.c, vfs.At{Name: "/f1"}, vfs.OpenSpec{Flags: linux.O_RDWR}); err != linux.EROFS {
		w.Errorf("open for writing: %v", err)
		if err == nil {
			d.Release(w.c)
		}
	}
}

// Images that are none, or that this package does not read, are refused with the reason.
func TestRefused(t *testing.T) {
	host := t.TempDir()
	if err := os.WriteFile(host+"/f", bytes.Repeat([]byte("text "), 10_000), 0o644); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(mkfs(t, host))
	if err != nil {
		t.Fatal(err)
	}
	lz4, err := os.ReadFile(mkfs(t, host, "-zlz4"))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(at int, b ...byte) []byte {
		x := bytes.Clone(good)
		copy(x[at:], b)
		return x
	}
	for name, x := range map[string]struct {
		image []byte
		says  string
	}{
		"empty":      {nil, "it has 0 bytes"},
		"short":      {good[:1100], "it has 1100 bytes"},
		"magic":      {edit(1024, 0), "no EROFS image: magic"},
		"compressed": {lz4, "such as compression"},
		"blocks":     {edit(1024+12, 9), "blocks of 2^9 bytes"},
		"checksum":   {edit(1024+48, 1, 2, 3), "checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(file, x.image, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := open(t, vfs.New(nil), file); err == nil || !strings.Contains(err.Error(), x.says) {
				t.Errorf("got %v, want %q", err, x.says)
			}
		})
	}
}
