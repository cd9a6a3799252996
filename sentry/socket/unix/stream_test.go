package unix

import (
	"bytes"
	"math/rand"
	"testing"
	"time"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

func newFamily() *Family { return New(socket.NewNetwork(), &Flight{}) }

func pair(t testing.TB, f *Family, typ linux.SockType) (a, b *socket.Socket) {
	t.Helper()
	a, b, err := f.Pair(sockettest.New(1), typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func send(t *testing.T, c *sockettest.Ctx, s *socket.Socket, text string) {
	t.Helper()
	if n, err := s.Transmit(c, usermem.FromBytes([]byte(text)), 0, nil); err != nil || n != int64(len(text)) {
		t.Fatalf("send %q: %d %v", text, n, err)
	}
}

func recv(t *testing.T, c *sockettest.Ctx, s *socket.Socket, size int, want string) {
	t.Helper()
	b := make([]byte, size)
	n, err := s.Receive(c, usermem.FromBytes(b), linux.MSG_DONTWAIT, nil)
	if err != nil || string(b[:n]) != want {
		t.Fatalf("recv: %q %v, want %q", b[:n], err, want)
	}
}

func recvErr(t *testing.T, c *sockettest.Ctx, s *socket.Socket, want error) {
	t.Helper()
	if n, err := s.Receive(c, usermem.FromBytes(make([]byte, 10)), linux.MSG_DONTWAIT, nil); err != want || n != 0 {
		t.Fatalf("recv: %d %v, want %v", n, err, want)
	}
}

func TestStream(t *testing.T) {
	f, c := newFamily(), sockettest.New(1)
	a, b := pair(t, f, linux.SOCK_STREAM)
	recvErr(t, c, b, linux.EAGAIN)
	send(t, c, a, "hello ")
	send(t, c, a, "world")
	recv(t, c, b, 4, "hell")
	recv(t, c, b, 100, "o world")
	if r := b.Ready(wait.Readable | wait.Writable); r != wait.Writable {
		t.Fatalf("%#x", r)
	}
	if err := a.Shutdown(c, linux.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	recv(t, c, b, 10, "")
	if r := b.Ready(wait.Readable | wait.RdHup); r != wait.Readable|wait.RdHup {
		t.Fatalf("%#x", r)
	}
	if _, err := a.Transmit(c, usermem.FromBytes([]byte("x")), 0, nil); err != linux.EPIPE {
		t.Fatal(err)
	}
	send(t, c, b, "back")
	b.Close(c)
	recv(t, c, a, 10, "back")
	recv(t, c, a, 10, "")
	if r := a.Ready(0); r != wait.Hup {
		t.Fatalf("%#x", r)
	}
}

func TestResetByUnreadData(t *testing.T) {
	f, c := newFamily(), sockettest.New(1)
	a, b := pair(t, f, linux.SOCK_STREAM)
	send(t, c, a, "lost")
	b.Close(c)
	if r := a.Ready(0); r != wait.Hup|wait.Err {
		t.Fatalf("%#x", r)
	}
	recvErr(t, c, a, linux.ECONNRESET)
	recv(t, c, a, 10, "")
}

func TestStreamBlocks(t *testing.T) {
	f := newFamily()
	a, b := pair(t, f, linux.SOCK_STREAM)
	const size = 5 << 20
	want := make([]byte, size)
	rand.New(rand.NewSource(2)).Read(want)
	done := make(chan error, 1)
	go func() {
		_, err := a.Transmit(sockettest.New(1), usermem.FromBytes(want), 0, nil)
		done <- err
	}()
	got := make([]byte, size)
	n, err := b.Receive(sockettest.New(2), usermem.FromBytes(got), linux.MSG_WAITALL, nil)
	if err != nil || n != size || !bytes.Equal(got, want) {
		t.Fatal(n, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestStreamTimeouts(t *testing.T) {
	f, c := newFamily(), sockettest.New(1)
	a, b := pair(t, f, linux.SOCK_STREAM)
	tv := make([]byte, 16)
	tv[8], tv[9] = 0x10, 0x27 // 10 ms
	if err := b.SetOption(c, linux.SOL_SOCKET, linux.SO_RCVTIMEO, tv); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := b.Receive(c, usermem.FromBytes(make([]byte, 1)), 0, nil); err != linux.EAGAIN || time.Since(start) < 10*time.Millisecond {
		t.Fatal(err, time.Since(start))
	}
	c.Interrupt()
	if _, err := b.Receive(c, usermem.FromBytes(make([]byte, 1)), 0, nil); err != linux.EINTR {
		t.Fatal(err)
	}
	c.Interrupt()
	if _, err := a.Receive(c, usermem.FromBytes(make([]byte, 1)), 0, nil); err != linux.ERESTARTSYS {
		t.Fatal(err)
	}
}

func TestPeek(t *testing.T) {
	f, c := newFamily(), sockettest.New(1)
	a, b := pair(t, f, linux.SOCK_STREAM)
	send(t, c, a, "abcdef")
	peek := func(n int, want string) {
		t.Helper()
		buf := make([]byte, n)
		k, err := b.Receive(c, usermem.FromBytes(buf), linux.MSG_PEEK|linux.MSG_DONTWAIT, nil)
		if err != nil || string(buf[:k]) != want {
			t.Fatal(string(buf[:k]), err)
		}
	}
	peek(3, "abc")
	peek(3, "abc")
	if err := b.SetOption(c, linux.SOL_SOCKET, linux.SO_PEEK_OFF, socket.IntBytes(1)); err != nil {
		t.Fatal(err)
	}
	peek(2, "bc")
	peek(2, "de")
	recv(t, c, b, 4, "abcd")
	peek(9, "f")
}

func TestCredentials(t *testing.T) {
	f := newFamily()
	a, b := pair(t, f, linux.SOCK_STREAM)
	one, two := sockettest.New(7), sockettest.New(8).As(1000)
	b.Options().Put(linux.SO_PASSCRED, true)
	send(t, one, a, "one")
	send(t, one, a, "one")
	send(t, two, a, "two")
	buf := make([]byte, 100)
	var m socket.Msg
	n, err := b.Receive(one, usermem.FromBytes(buf), 0, &m)
	if err != nil || string(buf[:n]) != "oneone" || m.Cred != (socket.Cred{PID: int32(7)}) {
		t.Fatal(string(buf[:n]), m.Cred, err)
	}
	n, err = b.Receive(one, usermem.FromBytes(buf), 0, &m)
	if err != nil || string(buf[:n]) != "two" || m.Cred != (socket.Cred{PID: int32(8), UID: 1000, GID: 1000}) {
		t.Fatal(string(buf[:n]), m.Cred, err)
	}
	v, err := b.Option(one, linux.SOL_SOCKET, linux.SO_PEERCRED, 12)
	if err != nil || !bytes.Equal(v, append([]byte{1}, make([]byte, 11)...)) {
		t.Fatal(v, err)
	}
}

func BenchmarkStreamPingPong(b *testing.B) {
	f, c := newFamily(), sockettest.New(1)
	x, y := pair(b, f, linux.SOCK_STREAM)
	buf := make([]byte, 64)
	var mem usermem.Memory = usermem.Bytes(buf)
	seq := usermem.One(mem, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		x.Write(c, seq, 0)
		y.Read(c, seq, 0)
		y.Write(c, seq, 0)
		x.Read(c, seq, 0)
	}
}
