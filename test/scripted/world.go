package scripted

import (
	"testing"
	"time"

	"garrison/fs/tmpfs"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/mm/mmtest"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/test/idle"
)

// A World is a kernel with one container, whose init runs a function.
type World struct {
	testing.TB
	P         *Platform
	K         *kernel.Kernel
	Container *kernel.Container
	Init      *kernel.ThreadGroup
}

// New makes a world with the given system calls; Start makes it go. What guests
// report with Errorf must come from Go: they share the test's memory.
func New(t testing.TB, table *kernel.Table, main func(*Guest)) *World {
	mem, err := mmtest.NewFile()
	if err != nil {
		t.Fatal(err)
	}
	w := &World{TB: t, P: NewPlatform(main)}
	s := vfs.New(nil)
	w.K = kernel.New(kernel.Options{Platform: w.P, Table: table, VFS: s, Version: "test", CPUs: 2, Memory: 1 << 30})
	typ := tmpfs.NewType("tmpfs", tmpfs.Config{Memory: func(vfs.Ctx) *memfile.File { return mem }, Total: func() uint64 { return 1 << 30 }})
	s.RegisterType(typ)
	root, err := s.NewFilesystem(s.Internal(), typ, &vfs.NewArgs{System: s})
	w.must(err)
	ns := s.NewMountNamespace(root, "rootfs", 0)
	root.DecRef()
	w.Container, err = w.K.NewContainer(kernel.ContainerSpec{ID: "test", Memory: mem, Mounts: ns, Hostname: "guest"})
	w.must(err)
	at := &vfs.Internal{Who: auth.Root(w.K.RootUserNS()), Place: vfs.NewFSContext(ns)}
	d, err := vfs.Open(at, vfs.At{Name: "/init"}, vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_WRONLY, Mode: 0o755})
	w.must(err)
	_, err = d.Write(at, usermem.FromBytes(idle.Program()))
	w.must(err)
	d.Release(at)
	w.Init, err = w.Container.NewProcess(&kernel.ProcessSpec{Container: w.Container, Argv: []string{"/init"}})
	w.must(err)
	return w
}

func (w *World) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// Run starts init and waits until it has ended.
func (w *World) Run() linux.WaitStatus {
	w.Helper()
	w.Init.Start()
	return w.Wait()
}

// Wait waits until init has ended.
func (w *World) Wait() linux.WaitStatus {
	w.Helper()
	select {
	case <-w.Init.Done():
	case <-time.After(20 * time.Second):
		for _, g := range w.Container.Groups() {
			for _, t := range w.K.Tasks(g) {
				w.Logf("%d %s: state %c, pending %x, blocked %x", t.PID().In(w.Container.PIDs), t.Name(), rune(t.RunState()),
					t.SignalState().Pending|t.SignalState().Shared, t.SignalState().Blocked)
			}
		}
		w.Fatal("init did not end")
	}
	return w.Init.Status()
}

// Close gives up what the world holds, for tests that make many.
func (w *World) Close() {
	w.Container.Remove()
	w.Container.Memory.Close()
}
