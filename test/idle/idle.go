// Package idle makes a kernel for unit tests of files: with a container, a root in
// memory and an init that has a program loaded but never runs. Its thread is the
// caller of whatever is tested.
package idle

import (
	"bytes"
	"encoding/binary"
	"testing"

	"garrison/fs/tmpfs"
	"garrison/platform"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/mm/mmtest"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A World is such a kernel.
type World struct {
	testing.TB
	K         *kernel.Kernel
	Container *kernel.Container
	Init      *kernel.Task
}

// Program is a static ELF of one page, two instructions of which matter: exit(0).
func Program() []byte {
	code := []byte{0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05}
	const base, head = 0x400000, 64 + 56
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	put := func(v ...any) {
		for _, x := range v {
			binary.Write(&b, binary.LittleEndian, x)
		}
	}
	put(uint16(2), uint16(62), uint32(1), uint64(base+head), uint64(64), uint64(0), uint32(0), uint16(64), uint16(56), uint16(1), uint16(64), uint16(0), uint16(0))
	put(uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), uint64(head+len(code)), uint64(head+len(code)), uint64(0x1000))
	b.Write(code)
	return b.Bytes()
}

// stands is a platform whose guests never run.
type stands struct{ platform.Platform }

func (stands) NewContext() platform.Context { return still{} }

type still struct{ platform.Context }

func (still) ResetFPU()      {}
func (still) Release()       {}
func (still) Interrupt()     {}
func (still) Running() int64 { return 0 }

// New makes a world. Its init was called as "/init", "an arg" with A=1 and B=2 in
// its environment.
func New(t testing.TB) *World {
	mem, err := mmtest.NewFile()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mem.Close)
	s := vfs.New(nil)
	k := kernel.New(kernel.Options{Platform: stands{mmtest.New()}, Table: &kernel.Table{}, VFS: s, Version: "test", CPUs: 2, Memory: 1 << 30})
	typ := tmpfs.NewType("tmpfs", tmpfs.Config{Memory: func(vfs.Ctx) *memfile.File { return mem }, Total: func() uint64 { return 1 << 30 }})
	s.RegisterType(typ)
	w := &World{TB: t, K: k}
	root, err := s.NewFilesystem(s.Internal(), typ, &vfs.NewArgs{})
	w.Must(err)
	ns := s.NewMountNamespace(root, "rootfs", 0)
	root.DecRef()
	w.Container, err = k.NewContainer(kernel.ContainerSpec{ID: "test", Memory: mem, Mounts: ns, Hostname: "guest"})
	w.Must(err)
	at := &vfs.Internal{Who: auth.Root(k.RootUserNS()), Place: vfs.NewFSContext(ns)}
	d, err := vfs.Open(at, vfs.At{Name: "/init"}, vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_WRONLY, Mode: 0o755})
	w.Must(err)
	_, err = d.Write(at, usermem.FromBytes(Program()))
	w.Must(err)
	d.Release(at)
	w.Init = w.Process(&kernel.ProcessSpec{})
	return w
}

// Process adds a process that runs /init.
func (w *World) Process(s *kernel.ProcessSpec) *kernel.Task {
	w.Helper()
	s.Container, s.Argv, s.Env = w.Container, []string{"/init", "an arg"}, []string{"A=1", "B=2"}
	g, err := w.Container.NewProcess(s)
	w.Must(err)
	return g.Leader()
}

// Must ends the test if err is one.
func (w *World) Must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// Mount makes the directory name and mounts a new filesystem of type t there.
func (w *World) Mount(name string, t *vfs.Type, o string) {
	w.Helper()
	w.K.VFS.RegisterType(t)
	if err := vfs.Mkdir(w.Init, vfs.At{Name: name}, 0o755); err != nil && err != linux.EEXIST {
		w.Fatal(err)
	}
	fs, err := w.K.VFS.NewFilesystem(w.Init, t, &vfs.NewArgs{Options: vfs.ParseOptions(o)})
	w.Must(err)
	p, err := vfs.Resolve(w.Init, vfs.At{Name: name})
	w.Must(err)
	defer p.Drop()
	w.Must(vfs.MountFS(w.Init, p, fs, t.Name, 0))
	fs.DecRef()
}

// Open opens name; what is opened is released when the test ends.
func (w *World) Open(c vfs.Ctx, name string, flags linux.OpenFlags) *vfs.FileDescription {
	w.Helper()
	d, err := vfs.Open(c, vfs.At{Name: name}, vfs.OpenSpec{Flags: flags, Mode: 0o644})
	if err != nil {
		w.Fatalf("open %s: %v", name, err)
	}
	return d
}

// Read reads a whole file as init; at most a megabyte.
func (w *World) Read(name string) (string, error) {
	d, err := vfs.Open(w.Init, vfs.At{Name: name}, vfs.OpenSpec{})
	if err != nil {
		return "", err
	}
	defer d.Release(w.Init)
	var out []byte
	buf := make([]byte, 500)
	for len(out) < 1<<20 {
		n, err := d.Read(w.Init, usermem.FromBytes(buf))
		if err != nil {
			return string(out), err
		}
		if n == 0 {
			break
		}
		out = append(out, buf[:n]...)
	}
	return string(out), nil
}

// Readlink is readlink(2) as init.
func (w *World) Readlink(name string) string {
	w.Helper()
	p, err := vfs.Resolve(w.Init, vfs.At{Name: name, Flags: vfs.NoFollow})
	if err != nil {
		w.Fatalf("%s: %v", name, err)
	}
	defer p.Drop()
	s, err := vfs.Readlink(w.Init, p)
	if err != nil {
		w.Fatalf("readlink %s: %v", name, err)
	}
	return s
}

// Write writes text to a file that exists, in one write(2).
func (w *World) Write(name, text string) error {
	d, err := vfs.Open(w.Init, vfs.At{Name: name}, vfs.OpenSpec{Flags: linux.O_WRONLY | linux.O_TRUNC})
	if err != nil {
		return err
	}
	defer d.Release(w.Init)
	_, err = d.Write(w.Init, usermem.FromBytes([]byte(text)))
	return err
}

// List is the entries of a directory but "." and "..".
func (w *World) List(name string) (out []vfs.Dirent) {
	w.Helper()
	d, err := vfs.Open(w.Init, vfs.At{Name: name}, vfs.OpenSpec{})
	if err != nil {
		w.Errorf("open %s: %v", name, err)
		return nil
	}
	defer d.Release(w.Init)
	err = d.List(w.Init, func(e vfs.Dirent) bool {
		if e.Name != "." && e.Name != ".." {
			out = append(out, e)
		}
		return true
	})
	if err != nil {
		w.Errorf("list %s: %v", name, err)
	}
	return out
}

// Walk visits all below dir, follows no links, and calls f for each file. Every
// name that is listed must be found, with the type and number that were listed.
func (w *World) Walk(dir string, f func(name string, a vfs.Attr)) {
	w.Helper()
	for _, e := range w.List(dir) {
		name := dir + "/" + e.Name
		p, err := vfs.Resolve(w.Init, vfs.At{Name: name, Flags: vfs.NoFollow})
		if err != nil {
			w.Errorf("%s is listed but: %v", name, err)
			continue
		}
		a, err := p.Attr(w.Init)
		p.Drop()
		if err != nil || a.Mode.DirentType() != e.Type || a.Ino != e.Ino {
			w.Errorf("%s: listed as type %d number %d, is %o number %d (%v)", name, e.Type, e.Ino, a.Mode, a.Ino, err)
		}
		f(name, a)
		if a.Mode.IsDir() {
			w.Walk(name, f)
		}
	}
}
