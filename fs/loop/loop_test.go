package loop_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"garrison/fs/erofs"
	"garrison/fs/fstest"
	"garrison/fs/loop"
	"garrison/fs/overlay"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/test/idle"
)

// A world is a kernel with loop devices, whose init does what is done.
type world struct {
	*idle.World
	control *vfs.FileDescription
	allowed error
}

func newWorld(t *testing.T) *world {
	w := &world{World: idle.New(t)}
	loop.Register(w.K.VFS, loop.Config{Allowed: func(vfs.Ctx, linux.FileMode, uint32, uint32, linux.OpenFlags) error { return w.allowed }})
	mem := fstest.Memory(t)
	w.K.VFS.RegisterType(erofs.NewType(erofs.Config{Memory: func(vfs.Ctx) *memfile.File { return mem }}))
	w.K.VFS.RegisterType(overlay.Type())
	w.node("control", linux.S_IFCHR, 10, 237)
	for n := range uint32(3) {
		w.node(string('0'+rune(n)), linux.S_IFBLK, 7, n)
	}
	w.control = w.Open(w.Init, "/control", linux.O_RDWR)
	return w
}

func (w *world) node(name string, kind linux.FileMode, major, minor uint32) {
	p, err := vfs.Mknod(w.Init, vfs.At{Name: "/" + name}, kind|0o600, linux.Makedev(major, minor))
	w.Must(err)
	p.Drop()
}

// fails checks that an ioctl(2) ends with err.
func (w *world) fails(d *vfs.FileDescription, cmd uint32, arg uint64, want error) {
	w.Helper()
	if _, err := d.Ioctl(w.Init, usermem.Bytes(nil), cmd, arg); err != want {
		w.Errorf("ioctl %#x: %v, want %v", cmd, err, want)
	}
}

// fd is a descriptor of d for init.
func (w *world) fd(d *vfs.FileDescription) uint64 {
	w.Helper()
	fd, err := w.Init.NewFD(0, d)
	w.Must(err)
	return uint64(fd)
}

// file makes a file of the guest's that holds b.
func (w *world) file(name string, b []byte) *vfs.FileDescription {
	w.Helper()
	d := w.Open(w.Init, name, linux.O_RDWR|linux.O_CREAT)
	_, err := d.Write(w.Init, usermem.FromBytes(b))
	w.Must(err)
	return d
}

func (w *world) mount(source, at, kind, options string) {
	w.Helper()
	w.Must(vfs.Mkdir(w.Init, vfs.At{Name: at}, 0o755))
	fs, err := w.K.VFS.MakeFilesystem(w.Init, w.K.VFS.Type(kind), &source, linux.MS_RDONLY, vfs.ParseOptions(options))
	w.Must(err)
	defer fs.DecRef()
	p, err := vfs.Resolve(w.Init, vfs.At{Name: at})
	w.Must(err)
	defer p.Drop()
	w.Must(vfs.MountFS(w.Init, p, fs, source, linux.MS_RDONLY))
}

// nested is an EROFS image with a file "inner".
func nested(t *testing.T) []byte {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/inner", make([]byte, 20_000), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command("mkfs.erofs", file, dir).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs (make deps installs it): %v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What lies on a device can't become what the device lies on, by whatever there is between
// them: to read it would never end.
func TestNoCircle(t *testing.T) {
	w := newWorld(t)
	image := nested(t)
	w.file("/image", image)
	first := w.Open(w.Init, "/0", linux.O_RDONLY)
	w.fails(first, linux.LOOP_SET_FD, w.fd(w.Open(w.Init, "/image", linux.O_RDONLY)), nil)
	w.mount("/0", "/m", "erofs", "")
	w.mount("none", "/o", "overlay", "lowerdir=/m:/")
	inner := w.Open(w.Init, "/m/inner", linux.O_RDONLY)
	second := w.Open(w.Init, "/1", linux.O_RDONLY)
	w.fails(second, linux.LOOP_SET_FD, w.fd(inner), nil)
	covered := w.Open(w.Init, "/o/inner", linux.O_RDONLY)
	for _, d := range []*vfs.FileDescription{first, second, inner, covered} {
		w.fails(first, linux.LOOP_CHANGE_FD, w.fd(d), linux.EBADF)
	}
	// What is as long and lies elsewhere will do.
	w.file("/copy", image)
	w.fails(first, linux.LOOP_CHANGE_FD, w.fd(w.Open(w.Init, "/copy", linux.O_RDONLY)), nil)
	third := w.Open(w.Init, "/2", linux.O_RDONLY)
	w.fails(third, linux.LOOP_SET_FD, w.fd(second), nil)
	w.fails(third, linux.LOOP_CHANGE_FD, w.fd(third), linux.EBADF)
	b := make([]byte, 100)
	if n, err := third.ReadAt(w.Init, usermem.FromBytes(b), 19_900); n != 68 || err != nil { // 39 sectors
		t.Errorf("%d, %v", n, err)
	}
}

// There are so many devices and no more, and those that nobody uses can go.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	made := 0
	for ; made < 10_000; made++ {
		if _, err := w.control.Ioctl(w.Init, nil, linux.LOOP_CTL_ADD, ^uint64(0)); err != nil {
			if err != linux.ENOSPC {
				t.Error(err)
			}
			break
		}
	}
	if made != 256 || len(w.K.VFS.Disks(w.Init)) != made {
		t.Errorf("%d devices", made)
	}
	w.fails(w.control, linux.LOOP_CTL_ADD, 5000, linux.ENOSPC)
	w.node("far", linux.S_IFBLK, 7, 5000)
	if _, err := vfs.Open(w.Init, vfs.At{Name: "/far"}, vfs.OpenSpec{}); err != linux.ENXIO {
		t.Error(err)
	}
	for n := range uint64(256) {
		w.fails(w.control, linux.LOOP_CTL_REMOVE, n, nil)
	}
	w.fails(w.control, linux.LOOP_CTL_REMOVE, 0, linux.ENODEV)
	w.allowed = linux.EPERM
	for _, name := range []string{"/0", "/control"} {
		if _, err := vfs.Open(w.Init, vfs.At{Name: name}, vfs.OpenSpec{}); err != linux.EPERM {
			t.Error(name, err)
		}
	}
}

// What has become shorter below is an error to read, and no device gets longer by writing.
func TestShorter(t *testing.T) {
	w := newWorld(t)
	f := w.file("/f", bytes.Repeat([]byte{1}, 4096))
	d := w.Open(w.Init, "/0", linux.O_RDWR)
	w.fails(d, linux.LOOP_SET_FD, w.fd(f), nil)
	w.Must(f.Truncate(w.Init, 1000))
	b := make([]byte, 4096)
	if n, err := d.ReadAt(w.Init, usermem.FromBytes(b), 0); n != 1000 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := d.ReadAt(w.Init, usermem.FromBytes(b), 1000); n != 0 || err != linux.EIO {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := d.WriteAt(w.Init, usermem.FromBytes(b), 100); n != 3996 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if a, err := f.Attr(w.Init); a.Size != 4096 || err != nil {
		t.Errorf("%d, %v", a.Size, err)
	}
}

// What the file has behind the end of the device is not to be had by a mapping.
func TestMapEnd(t *testing.T) {
	w := newWorld(t)
	f := w.file("/f", make([]byte, 4096+512))
	d := w.Open(w.Init, "/0", linux.O_RDWR)
	w.fails(d, linux.LOOP_SET_FD, w.fd(f), nil)
	w.Must(f.Truncate(w.Init, 1<<20))
	m := d.File().(vfs.Mapper)
	for _, x := range []struct {
		off, n uint64
		want   error
	}{{0, 8192, nil}, {4096, 4096, nil}, {0, 12288, linux.ENODEV}, {8192, 4096, linux.ENODEV}, {4096, 1<<64 - 4096, linux.ENODEV}} {
		if _, err := m.Mmap(w.Init, vfs.MapSpec{Off: x.off, Len: x.n}); err != x.want {
			t.Errorf("%d bytes at %d: %v, want %v", x.n, x.off, err, x.want)
		}
	}
}

// Who asks for partitions of what has some is refused, as they would not be there.
func TestPartitions(t *testing.T) {
	w := newWorld(t)
	boot := make([]byte, 4096)
	boot[510], boot[511] = 0x55, 0xaa
	parts := bytes.Clone(boot)
	parts[446], parts[446+4] = 0x80, 0x83
	code := bytes.Clone(parts)
	code[446+16] = 0x12
	guid := make([]byte, 4096)
	copy(guid[512:], "EFI PART")
	for i, c := range []struct {
		disk []byte
		want error
	}{{make([]byte, 512), nil}, {boot, nil}, {code, nil}, {parts, linux.EINVAL}, {guid, linux.EINVAL}} {
		d := w.Open(w.Init, "/0", linux.O_RDWR)
		k := make([]byte, 304)
		binary.LittleEndian.PutUint32(k, uint32(w.fd(w.file("/f"+string('0'+rune(i)), c.disk))))
		binary.LittleEndian.PutUint32(k[8+52:], linux.LO_FLAGS_PARTSCAN|linux.LO_FLAGS_AUTOCLEAR)
		if _, err := d.Ioctl(w.Init, usermem.Bytes(k), linux.LOOP_CONFIGURE, 0); err != c.want {
			t.Errorf("%d: %v, want %v", i, err, c.want)
		}
		d.Release(w.Init)
	}
}

// All that can be done at once is done at once; at the end nothing is bound, nor open.
func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	f := w.file("/f", make([]byte, 65536))
	fd := w.fd(f)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			b := make([]byte, 5000)
			for range 200 {
				d, err := vfs.Open(w.Init, vfs.At{Name: "/0"}, vfs.OpenSpec{Flags: linux.O_RDWR})
				if err != nil {
					continue
				}
				_, _ = d.Ioctl(w.Init, nil, linux.LOOP_SET_FD, fd)
				_, _ = d.ReadAt(w.Init, usermem.FromBytes(b), 3000)
				_, _ = d.WriteAt(w.Init, usermem.FromBytes(b), 3000)
				_, _ = d.Ioctl(w.Init, usermem.Bytes(make([]byte, 304)), linux.LOOP_GET_STATUS64, 8)
				_, _ = d.Ioctl(w.Init, nil, linux.LOOP_CHANGE_FD, fd)
				_ = w.K.VFS.Disks(w.Init)
				_, _ = d.Ioctl(w.Init, nil, linux.LOOP_CLR_FD, 0)
				d.Release(w.Init)
			}
		})
	}
	all.Wait()
	for _, i := range w.K.VFS.Disks(w.Init) {
		if i.Sectors != 0 || i.Driver != "" {
			t.Errorf("%+v", i)
		}
	}
	w.fails(w.control, linux.LOOP_CTL_REMOVE, 0, nil)
	w.Must(w.Init.FDs().Close(w.Init, kernel.FD(fd)))
	if n := f.Refs(); n != 1 {
		t.Errorf("the file has %d references", n)
	}
}
