package gofer

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// peer is a client of a gofer that serves a directory of the test.
type peer struct {
	*testing.T
	c    *wire.Client
	dir  string
	root wire.ID
}

// start serves a new directory, with what change makes of the mount.
func start(t testing.TB, change func(*Config)) (c *wire.Client, dir string, root wire.ID) {
	t.Helper()
	dir = t.TempDir()
	old := unix.Umask(0)
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Mounts: []Mount{{Path: dir}}, Proc: proc}
	if change != nil {
		change(&cfg)
	}
	a, b, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- Serve(b, cfg) }()
	c, err = wire.NewClient(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		unix.Close(proc)
		unix.Umask(old)
	})
	var at wire.AttachResp
	if err := c.Call(nil, &wire.AttachReq{}, &at, nil); err != nil {
		t.Fatal(err)
	}
	return c, dir, at.Node.ID
}

func newPeer(t *testing.T, change func(*Config)) *peer {
	c, dir, root := start(t, change)
	return &peer{t, c, dir, root}
}

// ok makes a call that must succeed.
func (p *peer) ok(q wire.Request, r wire.Message) *wire.FDs {
	p.Helper()
	fds := &wire.FDs{}
	if err := p.c.Call(nil, q, r, fds); err != nil {
		p.Fatalf("%s %+v: %v", q.Op(), q, err)
	}
	return fds
}

// fails makes a call that must fail.
func (p *peer) fails(want syscall.Errno, q wire.Request, r wire.Message) {
	p.Helper()
	if err := p.c.Call(nil, q, r, nil); err != want {
		p.Errorf("%s %+v: got %v, want %v", q.Op(), q, err, want)
	}
}

func (p *peer) write(name, text string) {
	p.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(p.dir, name)), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
		p.Fatal(err)
	}
}

// walk finds one file, which must exist.
func (p *peer) walk(names ...string) wire.Node {
	p.Helper()
	var w wire.WalkResp
	p.ok(&wire.WalkReq{Dir: p.root, Names: names}, &w).Close()
	if len(w.Nodes) != len(names) {
		p.Fatalf("walk %v: %d found, errno %v", names, len(w.Nodes), syscall.Errno(w.Errno))
	}
	return w.Nodes[len(w.Nodes)-1]
}

func BenchmarkGetattr(b *testing.B) {
	c, _, root := start(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		var r wire.AttrResp
		if err := c.Call(nil, &wire.GetattrReq{ID: root}, &r, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForget(b *testing.B) {
	c, _, _ := start(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Call(nil, &wire.ForgetReq{}, &wire.Empty{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWalk3(b *testing.B) {
	c, dir, root := start(b, nil)
	if err := os.MkdirAll(dir+"/a/b/c", 0o755); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	names := []string{"a", "b", "c"}
	for b.Loop() {
		var r wire.WalkResp
		if err := c.Call(nil, &wire.WalkReq{Dir: root, Names: names}, &r, nil); err != nil {
			b.Fatal(err)
		}
		r.IDs(func(id wire.ID) { c.Forget(id, 1) })
	}
}

func BenchmarkOpen(b *testing.B) {
	c, dir, root := start(b, nil)
	if err := os.WriteFile(dir+"/f", nil, 0o644); err != nil {
		b.Fatal(err)
	}
	var w wire.WalkResp
	if err := c.Call(nil, &wire.WalkReq{Dir: root, Names: []string{"f"}}, &w, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var r wire.AttrResp
		var fds wire.FDs
		if err := c.Call(nil, &wire.OpenReq{ID: w.Nodes[0].ID}, &r, &fds); err != nil {
			b.Fatal(err)
		}
		fds.Close()
	}
}
