package inotify_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"garrison/fs/fstest"
	"garrison/fs/inotify"
	"garrison/fs/tmpfs"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

type env struct {
	*testing.T
	c *fstest.Caller
	d *vfs.FileDescription
	i *inotify.Instance
}

func newEnv(t *testing.T) *env {
	s, mem := vfs.New(nil), fstest.Memory(t)
	typ := tmpfs.NewType("tmpfs", tmpfs.Config{
		Memory: func(vfs.Ctx) *memfile.File { return mem },
		Total:  func() uint64 { return 0 },
	})
	fs, err := s.NewFilesystem(s.Internal(), typ, &vfs.NewArgs{})
	if err != nil {
		t.Fatal(err)
	}
	ns := s.NewMountNamespace(fs, "tmpfs", 0)
	fs.DecRef()
	c := fstest.NewCaller(t, ns)
	e := &env{T: t, c: c, d: inotify.New(c, s, linux.O_NONBLOCK)}
	e.i, err = inotify.Of(e.d)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *env) watch(name string, mask uint32) int32 {
	e.Helper()
	p, err := vfs.Resolve(e.c, vfs.At{Name: name})
	if err != nil {
		e.Fatal(err)
	}
	defer p.Drop()
	wd, err := e.i.Add(p, mask)
	if err != nil {
		e.Fatal(err)
	}
	return wd
}

// events is what can be read: "wd mask name", and whether cookies pair.
func (e *env) events() string {
	e.Helper()
	b := make([]byte, 1<<16)
	n, err := e.d.Read(e.c, usermem.FromBytes(b))
	if err == linux.EAGAIN {
		return ""
	}
	if err != nil {
		e.Fatal(err)
	}
	var out []string
	for b = b[:n]; len(b) > 0; {
		size := binary.LittleEndian.Uint32(b[12:])
		name := strings.TrimRight(string(b[16:16+size]), "\x00")
		out = append(out, fmt.Sprintf("%d %x %s", int32(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:]), name))
		b = b[16+size:]
	}
	return strings.Join(out, "; ")
}

func (e *env) expect(want string) {
	e.Helper()
	if got := e.events(); got != want {
		e.Fatalf("got  %s\nwant %s", got, want)
	}
}

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *env) create(name string) {
	e.Helper()
	d, err := vfs.Open(e.c, vfs.At{Name: name}, vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_RDWR, Mode: 0o644})
	e.ok(err)
	_, err = d.Write(e.c, usermem.FromBytes([]byte("x")))
	e.ok(err)
	d.Release(e.c)
}

func at(name string) vfs.At { return vfs.At{Name: name} }

func TestDirectory(t *testing.T) {
	e := newEnv(t)
	e.ok(vfs.Mkdir(e.c, at("/d"), 0o755))
	wd := e.watch("/d", linux.IN_ALL_EVENTS)
	e.create("/d/f")
	e.expect(fmt.Sprintf("%d 100 f; %d 20 f; %d 2 f; %d 8 f", wd, wd, wd, wd))
	e.ok(vfs.Mkdir(e.c, at("/d/sub"), 0o755))
	e.ok(vfs.Rename(e.c, at("/d/f"), at("/d/g"), 0))
	e.expect(fmt.Sprintf("%d 40000100 sub; %d 40 f; %d 80 g", wd, wd, wd))
	e.ok(vfs.Unlink(e.c, at("/d/g")))
	e.ok(vfs.Rmdir(e.c, at("/d/sub")))
	e.expect(fmt.Sprintf("%d 200 g; %d 40000200 sub", wd, wd))
	e.ok(vfs.Rmdir(e.c, at("/d")))
	e.expect(fmt.Sprintf("%d 400 ; %d 8000 ", wd, wd))
	if err := e.i.Remove(wd); err != linux.EINVAL {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	e := newEnv(t)
	e.create("/f")
	wd := e.watch("/f", linux.IN_MODIFY|linux.IN_ATTRIB|linux.IN_DELETE_SELF)
	d, err := vfs.Open(e.c, at("/f"), vfs.OpenSpec{Flags: linux.O_RDWR})
	e.ok(err)
	d.Write(e.c, usermem.FromBytes([]byte("y")))
	d.Write(e.c, usermem.FromBytes([]byte("y"))) // the same again is one event
	e.ok(vfs.Unlink(e.c, at("/f")))
	e.expect(fmt.Sprintf("%d 2 ; %d 4 ", wd, wd))
	d.Release(e.c)
	e.expect(fmt.Sprintf("%d 400 ; %d 8000 ", wd, wd))
}

func TestMasks(t *testing.T) {
	e := newEnv(t)
	e.create("/f")
	wd := e.watch("/f", linux.IN_OPEN)
	if again := e.watch("/f", linux.IN_CLOSE_WRITE|linux.IN_MASK_ADD); again != wd {
		t.Fatal(wd, again)
	}
	e.create("/f")
	e.expect(fmt.Sprintf("%d 20 ; %d 8 ", wd, wd))
	p, _ := vfs.Resolve(e.c, at("/f"))
	defer p.Drop()
	if _, err := e.i.Add(p, linux.IN_OPEN|linux.IN_MASK_CREATE); err != linux.EEXIST {
		t.Fatal(err)
	}
	if _, err := e.i.Add(p, 0); err != linux.EINVAL {
		t.Fatal(err)
	}
	e.watch("/f", linux.IN_OPEN|linux.IN_ONESHOT)
	e.create("/f")
	e.create("/f")
	e.expect(fmt.Sprintf("%d 20 ; %d 8000 ", wd, wd))
	wd = e.watch("/f", linux.IN_OPEN)
	e.ok(e.i.Remove(wd))
	e.expect(fmt.Sprintf("%d 8000 ", wd))
	e.create("/f")
	e.expect("")
	var n [4]byte
	if _, err := e.i.Read(e.c, usermem.FromBytes(n[:]), 0); err != linux.EAGAIN {
		t.Fatal(err)
	}
	e.watch("/", linux.IN_OPEN)
	e.create("/f")
	if _, err := e.i.Read(e.c, usermem.FromBytes(n[:]), 0); err != linux.EINVAL {
		t.Fatal(err)
	}
	e.d.Release(e.c)
}
