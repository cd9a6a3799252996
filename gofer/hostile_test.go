package gofer

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// raw is a connection to a gofer that can send anything.
func raw(t testing.TB, p *wire.Client) *wire.Conn {
	t.Helper()
	var fds wire.FDs
	if err := p.Call(nil, &wire.ChannelReq{Plain: true}, &wire.Empty{}, &fds); err != nil {
		t.Fatal(err)
	}
	c, err := wire.NewConn(fds.Take())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// What is no message ends its connection, and nothing else.
func TestGarbage(t *testing.T) {
	p := newPeer(t, nil)
	for _, name := range []string{"..", ".", "", "a/b", "a\x00"} {
		c := raw(t, p.c)
		if err := c.Send(wire.AppendRequest(nil, &wire.WalkReq{Dir: p.root, Names: []string{name}}, nil)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recv(nil); !errors.Is(err, wire.ErrClosed) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, b := range []string{"\x00", "\xff\xff\xff\xff", "\x04\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		c := raw(t, p.c)
		if err := c.Send([]byte(b)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recv(nil); !errors.Is(err, wire.ErrClosed) {
			t.Errorf("message %q: %v", b, err)
		}
	}
	p.fails(unix.EBADF, &wire.GetattrReq{ID: 0xdeadbeef}, &wire.AttrResp{})
	p.fails(unix.ENODEV, &wire.AttachReq{Mount: 7}, &wire.AttachResp{})
	p.ok(&wire.GetattrReq{ID: p.root}, &wire.AttrResp{})
}

// Descriptors that a sandbox sends are closed.
func TestUnwantedDescriptors(t *testing.T) {
	p := newPeer(t, nil)
	c := raw(t, p.c)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(wire.AppendRequest(nil, &wire.ForgetReq{}, nil), int(w.Fd())); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recv(nil); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the gofer has kept a descriptor")
	}
	r.Close()
}

// A name that becomes a symlink between walk and use leads nowhere.
func TestSwappedForSymlink(t *testing.T) {
	p := newPeer(t, nil)
	p.write("d/f", "inside")
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/f", []byte("outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := p.walk("d").ID
	if err := os.RemoveAll(p.dir + "/d"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, p.dir+"/d"); err != nil {
		t.Fatal(err)
	}
	p.fails(unix.ESTALE, &wire.WalkReq{Dir: d, Names: []string{"f"}}, &wire.WalkResp{})
	p.fails(unix.ESTALE, &wire.CreateReq{Dir: d, Name: "x"}, &wire.NodeResp{})
	p.fails(unix.ESTALE, &wire.ReaddirReq{Dir: d}, &wire.ReaddirResp{})
}

func TestTooManyConnections(t *testing.T) {
	p := newPeer(t, nil)
	for range 2 * maxConns {
		var fds wire.FDs
		err := p.c.Call(nil, &wire.ChannelReq{CPUs: []uint32{1 << 31}}, &wire.Empty{}, &fds)
		if err == unix.EMFILE {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer fds.Close()
	}
	t.Error("no limit")
}

func TestProcess(t *testing.T) {
	c, dir, root, cmd := startProcess(t)
	if err := os.WriteFile(dir+"/f", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	var w wire.WalkResp
	if err := c.Call(nil, &wire.WalkReq{Dir: root, Names: []string{"f"}}, &w, nil); err != nil || len(w.Nodes) != 1 {
		t.Fatal(w, err)
	}
	// A stopped gofer holds up nobody who is being killed…
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatal(ws, err)
	}
	done := make(chan struct{})
	time.AfterFunc(20*time.Millisecond, func() { close(done) })
	begin := time.Now()
	if err := c.Call(done, &wire.WalkReq{Dir: root, Names: []string{"f"}}, &wire.WalkResp{}, nil); err != syscall.EINTR {
		t.Error(err)
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("waited %v", d)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	var a wire.AttrResp
	if err := c.Call(nil, &wire.GetattrReq{ID: root}, &a, nil); err != nil {
		t.Error(err)
	}
	// … and a dead one is an error for all.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Call(nil, &wire.GetattrReq{ID: root}, &a, nil); wire.Errno(err) != syscall.EIO {
		t.Error(err)
	}
	<-c.Dead()
	if err := c.Call(nil, &wire.GetattrReq{ID: root}, &a, nil); wire.Errno(err) != syscall.EIO || !errors.Is(err, wire.ErrClosed) {
		t.Error(err)
	}
}

func TestBadMount(t *testing.T) {
	a, b, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(a)
	if err := Serve(b, Config{Mounts: []Mount{{Path: "/no/such/directory"}}}); !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}

// A sandbox that hangs up but keeps a pipe does not keep the gofer.
func TestHeldConnection(t *testing.T) {
	a, b, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- Serve(b, Config{}) }()
	first, err := wire.NewConn(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Send(wire.AppendRequest(nil, &wire.ChannelReq{}, nil)); err != nil {
		t.Fatal(err)
	}
	var fds wire.FDs
	if _, err := first.Recv(&fds); err != nil || fds.Len() != 3 {
		t.Fatal(fds.Len(), err)
	}
	first.Close()
	if err := <-served; err == nil {
		t.Error("ended as if all was well")
	}
	fds.Close()
}

// FuzzServer sends arbitrary requests. The gofer may refuse them, no more.
func FuzzServer(f *testing.F) {
	c, dir, root := start(f, func(c *Config) { c.Mounts[0].Sockets = BindSockets; c.MaxOpen = 3 })
	if err := os.WriteFile(dir+"/f", []byte("x"), 0o644); err != nil {
		f.Fatal(err)
	}
	names := []string{"f"}
	for _, q := range []wire.Request{
		&wire.AttachReq{}, &wire.WalkReq{Dir: root, Names: names}, &wire.GetattrReq{ID: root}, &wire.SetattrReq{ID: root, Mask: 1, Mode: 0o755},
		&wire.OpenReq{ID: 1 << 32}, &wire.CreateReq{Dir: root, Name: "x"}, &wire.MknodReq{Dir: root, Name: "d", Mode: unix.S_IFDIR},
		&wire.LinkReq{ID: 1<<32 | 1, Dir: root, Name: "l"}, &wire.RenameReq{OldDir: root, OldName: "x", NewDir: root, NewName: "d"},
		&wire.UnlinkReq{Dir: root, Name: "d", RmDir: true}, &wire.ReaddirReq{Dir: root}, &wire.ReadlinkReq{ID: root},
		&wire.GetxattrReq{ID: root, Name: "user.x"}, &wire.SetxattrReq{ID: root, Name: "user.x"}, &wire.ListxattrReq{ID: root},
		&wire.StatfsReq{ID: root}, &wire.ConnectReq{ID: root}, &wire.BindReq{Dir: root, Name: "s", Type: 1},
	} {
		f.Add(wire.AppendRequest(nil, q, []wire.Forget{{ID: root, N: 1}}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > wire.MaxMessage {
			return
		}
		conn := raw(t, c)
		if err := conn.Send(b); err != nil {
			t.Fatal(err)
		}
		_, err := conn.Recv(nil)
		if err != nil && !errors.Is(err, wire.ErrClosed) {
			t.Fatal(err)
		}
		conn.Close()
		var a wire.AttrResp
		if err := c.Call(nil, &wire.GetattrReq{ID: root}, &a, nil); err != nil {
			t.Fatal(err)
		}
	})
}
