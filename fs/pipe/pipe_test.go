package pipe

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"garrison/fs/fstest"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

type env struct {
	*testing.T
	s *vfs.System
	c *fstest.Caller
}

func newEnv(t *testing.T) *env {
	s := vfs.New(nil)
	s.RegisterFIFOs(FIFOs{})
	return &env{t, s, fstest.NewCaller(t, nil)}
}

func (e *env) pipe(flags linux.OpenFlags) (r, w *vfs.FileDescription) { return New(e.c, e.s, flags) }

func (e *env) write(w *vfs.FileDescription, n int, want int64, errno error) {
	e.Helper()
	got, err := w.Write(e.c, usermem.FromBytes(make([]byte, n)))
	if got != want || err != errno {
		e.Fatalf("write %d: %d %v, want %d %v", n, got, err, want, errno)
	}
}

func (e *env) read(r *vfs.FileDescription, n int, want int64, errno error) string {
	e.Helper()
	b := make([]byte, n)
	got, err := r.Read(e.c, usermem.FromBytes(b))
	if got != want || err != errno {
		e.Fatalf("read %d: %d %v, want %d %v", n, got, err, want, errno)
	}
	return string(b[:got])
}

func TestNonBlocking(t *testing.T) {
	e := newEnv(t)
	r, w := e.pipe(linux.O_NONBLOCK)
	e.read(r, 10, 0, linux.EAGAIN)
	e.write(w, defaultSize-100, defaultSize-100, nil)
	e.write(w, 200, 0, linux.EAGAIN) // atomic
	if w.Ready(wait.Out) != 0 {
		t.Fatal("writable")
	}
	e.write(w, 5000, 100, nil)
	e.write(w, 1, 0, linux.EAGAIN)
	e.read(r, 1<<20, defaultSize, nil)
	w.Release(e.c)
	e.read(r, 10, 0, nil)
	if r.Ready(wait.In) != wait.Hup {
		t.Fatal(r.Ready(wait.In))
	}
	r.Release(e.c)
}

func TestBroken(t *testing.T) {
	e := newEnv(t)
	r, w := e.pipe(0)
	r.Release(e.c)
	e.write(w, 1, 0, linux.EPIPE)
	if !e.c.Raised(linux.SIGPIPE) || w.Ready(0) != wait.Err {
		t.Fatal("no SIGPIPE, or no POLLERR")
	}
	w.Release(e.c)
}

func TestSize(t *testing.T) {
	e := newEnv(t)
	r, w := e.pipe(linux.O_NONBLOCK)
	end := Of(w)
	if n, err := end.Fcntl(e.c, linux.F_SETPIPE_SZ, 5000); n != 8192 || err != nil {
		t.Fatal(n, err)
	}
	e.write(w, 10000, 8192, nil)
	if _, err := end.Fcntl(e.c, linux.F_SETPIPE_SZ, 4096); err != linux.EBUSY {
		t.Fatal(err)
	}
	if _, err := end.Fcntl(e.c.As(1, 1), linux.F_SETPIPE_SZ, 2<<20); err != linux.EPERM {
		t.Fatal(err)
	}
	if n, err := end.Fcntl(e.c, linux.F_SETPIPE_SZ, 2<<20); n != 2<<20 || err != nil {
		t.Fatal(n, err)
	}
	e.write(w, 3<<20, 2<<20-8192, nil)
	var n [4]byte
	if _, err := r.Ioctl(e.c, usermem.Bytes(n[:]), linux.FIONREAD, 0); err != nil || n != [4]byte{0, 0, 32, 0} {
		t.Fatal(n, err)
	}
	r.Release(e.c)
	w.Release(e.c)
}

func TestPackets(t *testing.T) {
	e := newEnv(t)
	r, w := e.pipe(linux.O_NONBLOCK | linux.O_DIRECT)
	e.write(w, 10, 10, nil)
	e.write(w, 5000, 5000, nil) // 4096 and 904
	if err := w.SetFlags(e.c, linux.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	e.write(w, 7, 7, nil)
	e.write(w, 8, 8, nil)
	e.read(r, 4, 4, nil) // the rest of the packet is lost
	e.read(r, 9000, 4096, nil)
	e.read(r, 9000, 904, nil)
	e.read(r, 9000, 15, nil)
	w.Release(e.c)
	e.read(r, 1, 0, nil)
	r.Release(e.c)
}

// TestStream moves random pieces through a blocking pipe.
func TestStream(t *testing.T) {
	e := newEnv(t)
	r, w := e.pipe(0)
	text := make([]byte, 1<<20)
	for i := range text {
		text[i] = byte(i * 7 >> 3)
	}
	go func() {
		rnd := rand.New(rand.NewPCG(1, 2))
		for left := text; len(left) > 0; {
			n := min(len(left), 1+rnd.IntN(100000))
			m, err := w.Write(e.c, usermem.FromBytes(left[:n]))
			if int(m) != n || err != nil {
				t.Error(m, err)
			}
			left = left[n:]
		}
		w.Release(e.c)
	}()
	var got []byte
	rnd := rand.New(rand.NewPCG(3, 4))
	for {
		b := make([]byte, 1+rnd.IntN(30000))
		n, err := r.Read(e.c, usermem.FromBytes(b))
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		got = append(got, b[:n]...)
	}
	if !bytes.Equal(got, text) {
		t.Fatal("content differs", len(got))
	}
	r.Release(e.c)
}

func TestFIFO(t *testing.T) {
	e := newEnv(t)
	var slot vfs.Slot
	open := func(f linux.OpenFlags) (*End, error) {
		x, err := FIFOs{}.OpenFIFO(e.c, &slot, f)
		if err != nil {
			return nil, err
		}
		return x.(*End), nil
	}
	if _, err := open(linux.O_WRONLY | linux.O_NONBLOCK); err != linux.ENXIO {
		t.Fatal(err)
	}
	r, err := open(linux.O_RDONLY | linux.O_NONBLOCK)
	if err != nil || r.Ready(wait.In) != 0 {
		t.Fatal(err, r.Ready(wait.In))
	}
	w, err := open(linux.O_WRONLY | linux.O_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	w.Close(e.c)
	if r.Ready(wait.In) != wait.Hup {
		t.Fatal("no hang-up after a writer")
	}
	r.Close(e.c)
	got := make(chan *End)
	go func() {
		w, err := open(linux.O_WRONLY)
		if err != nil {
			t.Error(err)
		}
		got <- w
	}()
	time.Sleep(10 * time.Millisecond)
	r, err = open(linux.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	w = <-got
	if n, err := w.Write(e.c, usermem.FromBytes([]byte("hi")), 0); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	r.Close(e.c)
	w.Close(e.c)
	close(e.c.Kill)
	if _, err := open(linux.O_RDONLY); err != linux.ERESTARTSYS {
		t.Fatal(err)
	}
	if slot.Acquire(func() any { return nil }) != nil {
		t.Fatal("the pipe outlives its ends")
	}
}

func TestSpliceTee(t *testing.T) {
	e := newEnv(t)
	r1, w1 := e.pipe(linux.O_NONBLOCK)
	r2, w2 := e.pipe(linux.O_NONBLOCK)
	if _, err := w1.Write(e.c, usermem.FromBytes([]byte("hello, world"))); err != nil {
		t.Fatal(err)
	}
	if n, err := Tee(e.c, Move{In: r1, Out: w2, N: 5}); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if s := e.read(r2, 100, 5, nil); s != "hello" {
		t.Fatal(s)
	}
	if n, err := Splice(e.c, Move{In: r1, Out: w2, N: 7}); n != 7 || err != nil {
		t.Fatal(n, err)
	}
	if s := e.read(r1, 100, 5, nil) + e.read(r2, 100, 7, nil); s != "worldhello, " {
		t.Fatal(s)
	}
	if _, err := Splice(e.c, Move{In: r1, Out: w2, N: 7}); err != linux.EAGAIN {
		t.Fatal(err)
	}
	if _, err := Splice(e.c, Move{In: r1, Out: w1, N: 7}); err != linux.EINVAL {
		t.Fatal(err)
	}
	for range 16 {
		e.write(w1, arch.PageSize, arch.PageSize, nil)
	}
	if n, err := Splice(e.c, Move{In: r1, Out: w2, N: 1 << 20}); n != defaultSize || err != nil {
		t.Fatal(n, err)
	}
}

func BenchmarkWriteRead(b *testing.B) {
	s := vfs.New(nil)
	c := fstest.NewCaller(b, nil)
	r, w := New(c, s, 0)
	buf := make([]byte, 512)
	mem := usermem.Bytes(buf)
	b.ReportAllocs()
	for b.Loop() {
		w.Write(c, usermem.One(mem, 0, 512))
		r.Read(c, usermem.One(mem, 0, 512))
	}
}
