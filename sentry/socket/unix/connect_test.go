package unix

import (
	"testing"
	"time"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

func abstractAddr(name string) []byte { return append([]byte{1, 0, 0}, name...) }

func newSocket(t *testing.T, f *Family, typ linux.SockType) *socket.Socket {
	t.Helper()
	s, err := f.Socket(sockettest.New(1), typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestKinds(t *testing.T) {
	f, c := newFamily(), sockettest.New(1)
	if _, err := f.Socket(c, linux.SOCK_RDM, 0); err != linux.ESOCKTNOSUPPORT {
		t.Fatal(err)
	}
	if _, err := f.Socket(c, linux.SOCK_STREAM, 5); err != linux.EPROTONOSUPPORT {
		t.Fatal(err)
	}
	if s := newSocket(t, f, linux.SOCK_RAW); s.Kind().Type != linux.SOCK_DGRAM {
		t.Fatal(s.Kind())
	}
}

func TestConnectAccept(t *testing.T) {
	for _, typ := range []linux.SockType{linux.SOCK_STREAM, linux.SOCK_SEQPACKET} {
		f, c := newFamily(), sockettest.New(1)
		l, s := newSocket(t, f, typ), newSocket(t, f, typ)
		if err := s.Connect(c, abstractAddr("x"), false); err != linux.ECONNREFUSED {
			t.Fatal(err)
		}
		if err := l.Listen(c, 1); err != linux.EINVAL {
			t.Fatal(err)
		}
		must(t, l.Bind(c, abstractAddr("x")))
		if err := s.Bind(c, abstractAddr("x")); err != linux.EADDRINUSE {
			t.Fatal(err)
		}
		if err := s.Connect(c, abstractAddr("x"), false); err != linux.ECONNREFUSED {
			t.Fatal(err)
		}
		must(t, l.Listen(c, 1))
		if r := l.Ready(wait.Readable | wait.Writable); r != 0 {
			t.Fatalf("%#x", r)
		}
		must(t, s.Connect(c, abstractAddr("x"), false))
		if err := s.Connect(c, abstractAddr("x"), false); err != linux.EISCONN {
			t.Fatal(err)
		}
		send(t, c, s, "early")
		if r := l.Ready(wait.Readable); r != wait.Readable {
			t.Fatalf("%#x", r)
		}
		n, err := l.Accept(c, true)
		must(t, err)
		if _, err := l.Accept(c, true); err != linux.EAGAIN {
			t.Fatal(err)
		}
		recv(t, c, n, 10, "early")
		var a socket.Addr
		must(t, s.Name(&a, true))
		if string(a.Bytes()) != string(abstractAddr("x")) {
			t.Fatal(a.Bytes())
		}
		must(t, n.Name(&a, true))
		if a.Len() != 2 {
			t.Fatal(a.Bytes())
		}
	}
}

func TestBacklog(t *testing.T) {
	f, c := newFamily(), sockettest.New(1)
	l := newSocket(t, f, linux.SOCK_STREAM)
	must(t, l.Bind(c, abstractAddr("b")))
	must(t, l.Listen(c, 0))
	must(t, newSocket(t, f, linux.SOCK_STREAM).Connect(c, abstractAddr("b"), true))
	if err := newSocket(t, f, linux.SOCK_STREAM).Connect(c, abstractAddr("b"), true); err != linux.EAGAIN {
		t.Fatal(err)
	}
	done := make(chan error)
	waiter := newSocket(t, f, linux.SOCK_STREAM)
	go func() { done <- waiter.Connect(sockettest.New(2), abstractAddr("b"), false) }()
	select {
	case err := <-done:
		t.Fatal("did not wait", err)
	case <-time.After(10 * time.Millisecond):
	}
	_, err := l.Accept(c, true)
	must(t, err)
	must(t, <-done)
	l.Close(c)
	recvErr(t, c, waiter, linux.ECONNRESET)
}

func TestAutobind(t *testing.T) {
	f, c := newFamily(), sockettest.New(1)
	s := newSocket(t, f, linux.SOCK_DGRAM)
	must(t, s.Bind(c, []byte{1, 0}))
	var a socket.Addr
	must(t, s.Name(&a, false))
	if a.Len() != 8 || a.Bytes()[2] != 0 {
		t.Fatalf("%q", a.Bytes())
	}
	must(t, s.Bind(c, []byte{1, 0}))
}

func TestDatagram(t *testing.T) {
	f, c := newFamily(), sockettest.New(1)
	r, s := newSocket(t, f, linux.SOCK_DGRAM), newSocket(t, f, linux.SOCK_DGRAM)
	must(t, r.Bind(c, abstractAddr("r")))
	must(t, s.Bind(c, abstractAddr("s")))
	if _, err := s.Transmit(c, usermem.FromBytes([]byte("x")), 0, nil); err != linux.ENOTCONN {
		t.Fatal(err)
	}
	to := &socket.Msg{}
	to.Addr.Set(abstractAddr("r"))
	for range 11 {
		if _, err := s.Transmit(c, usermem.FromBytes([]byte("12345")), linux.MSG_DONTWAIT, to); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Transmit(c, usermem.FromBytes([]byte("x")), linux.MSG_DONTWAIT, to); err != linux.EAGAIN {
		t.Fatal(err)
	}
	must(t, s.Connect(c, abstractAddr("r"), true))
	if r := s.Ready(wait.Writable); r != 0 {
		t.Fatalf("%#x", r)
	}
	done := make(chan error)
	go func() {
		_, err := s.Transmit(sockettest.New(2), usermem.FromBytes([]byte("late")), 0, to)
		done <- err
	}()
	var m socket.Msg
	b := make([]byte, 3)
	n, err := r.Receive(c, usermem.FromBytes(b), 0, &m)
	if err != nil || n != 3 || m.Flags != linux.MSG_TRUNC || string(m.Addr.Bytes()) != string(abstractAddr("s")) {
		t.Fatal(n, m, err)
	}
	must(t, <-done)
	if n, err := r.Receive(c, usermem.FromBytes(b), linux.MSG_TRUNC, nil); err != nil || n != 5 {
		t.Fatal(n, err)
	}
	r.Close(c)
	if _, err := s.Transmit(c, usermem.FromBytes([]byte("x")), 0, nil); err != linux.ECONNREFUSED {
		t.Fatal(err)
	}
	if _, err := s.Transmit(c, usermem.FromBytes([]byte("x")), 0, nil); err != linux.ENOTCONN {
		t.Fatal(err)
	}
}

// open gives s a description, as socket(2) does.
func open(c *sockettest.Ctx, sys *vfs.System, s *socket.Socket) *vfs.FileDescription {
	return s.Open(c, sys, 0)
}

// closed is a File that tells when it is closed.
type closed struct{ done chan struct{} }

func (x closed) Read(vfs.Ctx, usermem.Seq, int64) (int64, error)  { return 0, nil }
func (x closed) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, nil }
func (x closed) Close(vfs.Ctx)                                    { close(x.done) }

func TestRights(t *testing.T) {
	f, c, sys := newFamily(), sockettest.New(1), vfs.New(nil)
	a, b := pair(t, f, linux.SOCK_STREAM)
	x := closed{make(chan struct{})}
	d := sys.NewAnon(c, x, "[x]", linux.O_RDWR)
	m := &socket.Msg{}
	m.Rights = []*vfs.FileDescription{d}
	send(t, c, a, "before")
	if n, err := a.Transmit(c, usermem.FromBytes([]byte("with")), 0, m); n != 4 || err != nil || m.Rights != nil {
		t.Fatal(n, err, m.Rights)
	}
	send(t, c, a, "after")
	buf := make([]byte, 100)
	var got socket.Msg
	n, err := b.Receive(c, usermem.FromBytes(buf), linux.MSG_PEEK, &got)
	if err != nil || string(buf[:n]) != "beforewith" || len(got.Rights) != 1 {
		t.Fatal(string(buf[:n]), err, got.Rights)
	}
	got.DropRights(c)
	got = socket.Msg{}
	n, err = b.Receive(c, usermem.FromBytes(buf), 0, &got)
	if err != nil || string(buf[:n]) != "beforewith" || len(got.Rights) != 1 {
		t.Fatal(string(buf[:n]), err, got.Rights)
	}
	recv(t, c, b, 100, "after")
	got.DropRights(c)
	<-x.done
}

func TestRightsDieWithTheSocket(t *testing.T) {
	f, c, sys := newFamily(), sockettest.New(1), vfs.New(nil)
	for _, typ := range []linux.SockType{linux.SOCK_STREAM, linux.SOCK_DGRAM, linux.SOCK_SEQPACKET} {
		a, b := pair(t, f, typ)
		x := closed{make(chan struct{})}
		m := &socket.Msg{}
		m.Rights = []*vfs.FileDescription{sys.NewAnon(c, x, "[x]", linux.O_RDWR)}
		if _, err := a.Transmit(c, usermem.FromBytes([]byte("x")), 0, m); err != nil {
			t.Fatal(err)
		}
		b.Close(c)
		<-x.done
	}
}

// A cycle: each socket of a pair lies in the other's queue, with a file.
func TestGarbage(t *testing.T) {
	f, c, sys := newFamily(), sockettest.New(1), vfs.New(nil)
	a, b := pair(t, f, linux.SOCK_STREAM)
	da, db := open(c, sys, a), open(c, sys, b)
	x := closed{make(chan struct{})}
	dx := sys.NewAnon(c, x, "[x]", linux.O_RDWR)
	give := func(s *socket.Socket, ds ...*vfs.FileDescription) {
		m := &socket.Msg{}
		for _, d := range ds {
			d.IncRef()
		}
		m.Rights = ds
		if _, err := s.Transmit(c, usermem.FromBytes([]byte("x")), 0, m); err != nil {
			t.Fatal(err)
		}
	}
	give(a, da, dx)
	give(b, db)
	dx.Release(c)
	db.Release(c)
	// a is still open: from it, all can be had.
	var m socket.Msg
	if _, err := a.Receive(c, usermem.FromBytes(make([]byte, 1)), linux.MSG_PEEK, &m); err != nil || len(m.Rights) != 1 {
		t.Fatal(err)
	}
	m.DropRights(c)
	select {
	case <-x.done:
		t.Fatal("collected what was alive")
	default:
	}
	da.Release(c)
	newSocket(t, f, linux.SOCK_DGRAM).Close(c) // that of any socket begins a collection
	select {
	case <-x.done:
	case <-time.After(time.Second):
		t.Fatal("not collected")
	}
	if f.flight.busy(0) || len(f.flight.byUser) != 0 {
		t.Fatal("still in flight")
	}
}

func TestTooManyInFlight(t *testing.T) {
	f, c, sys := newFamily(), sockettest.New(1), vfs.New(nil)
	u := sockettest.New(2).As(1000)
	u.Files = 3
	a, b := pair(t, f, linux.SOCK_DGRAM)
	for i := range 5 {
		m := &socket.Msg{}
		m.Rights = []*vfs.FileDescription{sys.NewAnon(c, closed{make(chan struct{})}, "[x]", linux.O_RDWR)}
		_, err := a.Transmit(u, usermem.FromBytes([]byte("x")), 0, m)
		if i <= 3 && err != nil || i == 4 && err != linux.ETOOMANYREFS {
			t.Fatal(i, err)
		}
		m.DropRights(u)
	}
	b.Close(c)
}
