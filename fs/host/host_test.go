package host

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/fs/fstest"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// descriptor makes an inode of a copy of fd and opens it.
func descriptor(t *testing.T, fd int, flags linux.OpenFlags) (*Descriptor, vfs.File) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	own, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(p, own, 7, 8)
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.Open(nil, flags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(nil); d.Drop() })
	return d, f
}

// soon reads, waiting as vfs does.
func soon(t *testing.T, f vfs.File, n int) (string, error) {
	t.Helper()
	c := fstest.NewCaller(t, nil)
	buf := make([]byte, n)
	for {
		k, err := f.Read(c, usermem.FromBytes(buf), 0)
		if err != linux.EAGAIN {
			return string(buf[:k]), err
		}
		if err := c.BlockFor(f.(wait.Object), wait.Readable, 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

func pipe(t *testing.T) (r, w int) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

func TestPipe(t *testing.T) {
	r, w := pipe(t)
	d, f := descriptor(t, r, linux.O_RDONLY)
	if _, err := f.Read(nil, usermem.FromBytes(make([]byte, 5)), 0); err != linux.EAGAIN {
		t.Fatal(err)
	}
	if e := f.(wait.Object).Ready(wait.Readable); e != 0 {
		t.Fatalf("%x", e)
	}
	time.AfterFunc(20*time.Millisecond, func() { unix.Write(w, []byte("hello, world")) })
	if s, err := soon(t, f, 5); s != "hello" || err != nil {
		t.Fatal(s, err)
	}
	// What is not asked for stays in the pipe, for whoever has it next.
	var n [20]byte
	if k, err := unix.Read(r, n[:]); string(n[:max(k, 0)]) != ", world" {
		t.Fatal(k, err)
	}
	if a, err := d.Attr(nil); err != nil || a.Mode.Type() != linux.S_IFIFO || a.UID != 7 {
		t.Fatal(a, err)
	}
	if _, err := d.Open(nil, linux.O_WRONLY); err != linux.EACCES {
		t.Fatal(err)
	}
	unix.Close(w)
	if s, err := soon(t, f, 5); s != "" || err != nil {
		t.Fatal("at the end: ", s, err)
	}
}

func TestFullPipe(t *testing.T) {
	r, w := pipe(t)
	_, f := descriptor(t, w, linux.O_WRONLY)
	big := make([]byte, 1<<20)
	n, err := f.Write(nil, usermem.FromBytes(big), 0)
	if err != nil || n != 64<<10 {
		t.Fatal(n, err)
	}
	if _, err := f.Write(nil, usermem.FromBytes(big), 0); err != linux.EAGAIN {
		t.Fatal(err)
	}
	woken := make(chan error)
	go func() {
		woken <- fstest.NewCaller(t, nil).BlockFor(f.(wait.Object), wait.Writable, 5*time.Second)
	}()
	time.Sleep(5 * time.Millisecond)
	for left := 64 << 10; left > 0; {
		k, _ := unix.Read(r, big)
		left -= k
	}
	if err := <-woken; err != nil {
		t.Fatal(err)
	}
	unix.Close(r)
	if _, err := f.Write(nil, usermem.FromBytes(big), 0); err != linux.EPIPE {
		t.Fatal(err)
	}
}

func TestSocket(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	_, f := descriptor(t, p[0], linux.O_RDWR)
	unix.Close(p[0])
	if _, err := f.Write(nil, usermem.FromBytes([]byte("ping")), 0); err != nil {
		t.Fatal(err)
	}
	var b [10]byte
	if n, _ := unix.Read(p[1], b[:]); string(b[:n]) != "ping" {
		t.Fatal(n)
	}
	unix.Write(p[1], []byte("pong"))
	if s, err := soon(t, f, 10); s != "pong" || err != nil {
		t.Fatal(s, err)
	}
}

func TestRegular(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.Seek(4, 0)
	d, f := descriptor(t, int(file.Fd()), linux.O_RDWR)
	_, twin := descriptor(t, int(file.Fd()), linux.O_RDWR)
	b := make([]byte, 3)
	if n, err := f.Read(nil, usermem.FromBytes(b), 0); n != 3 || err != nil || string(b) != "456" {
		t.Fatal("does not go on where the host is: ", n, err, string(b))
	}
	// As `prog > log 2>&1` does: one offset for both.
	if n, err := twin.Write(nil, usermem.FromBytes([]byte("X")), 0); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := f.Write(nil, usermem.FromBytes([]byte("Y")), 3); n != 1 || err != nil || d.Offset() != 9 {
		t.Fatal(n, err, d.Offset())
	}
	// Elsewhere is elsewhere, and moves nothing.
	if n, err := f.Write(nil, usermem.FromBytes([]byte("ab")), 0); n != 2 || err != nil || d.Offset() != 9 {
		t.Fatal(n, err, d.Offset())
	}
	if n, err := f.(vfs.Seeker).Seek(nil, 4, -1, linux.SEEK_CUR); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	if n, end, err := f.(vfs.Appender).Append(nil, usermem.FromBytes([]byte("end"))); n != 3 || end != 13 || err != nil {
		t.Fatal(n, end, err)
	}
	if got, _ := os.ReadFile(name); string(got) != "ab23456XY9end" {
		t.Fatal(string(got))
	}
	anew, err := d.Open(nil, linux.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer anew.Close(nil)
	if n, err := anew.Read(nil, usermem.FromBytes(b), 0); n != 3 || err != nil || string(b) != "ab2" {
		t.Fatal("opened anew it begins at the start: ", n, err, string(b))
	}
}

// TestTerminal is a host terminal: poll may promise what another reader takes.
func TestTerminal(t *testing.T) {
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(m)
	unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0)
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(m), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		t.Skip(errno)
	}
	d, f := descriptor(t, int(slave), linux.O_RDWR)
	unix.Close(int(slave))
	unix.Write(m, []byte("line\n"))
	if s, err := soon(t, f, 100); s != "line\n" || err != nil {
		t.Fatalf("%q %v", s, err)
	}
	if n, err := f.Write(nil, usermem.FromBytes([]byte("out")), 0); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	b := make([]byte, 100)
	time.Sleep(5 * time.Millisecond)
	if n, err := unix.Read(m, b); string(b[:max(n, 0)]) != "line\r\nout" {
		t.Fatalf("%q %v", b[:max(n, 0)], err)
	}
	var w linux.Winsize
	if _, err := f.(vfs.Control).Ioctl(nil, usermem.Bytes(usermem.AsBytes(&w)), linux.TIOCGWINSZ, 0); err != nil {
		t.Fatal(err)
	}
	if !d.Flushed() {
		t.Fatal("not flushed")
	}
}

func TestNull(t *testing.T) {
	file, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, f := descriptor(t, int(file.Fd()), linux.O_RDWR)
	if s, err := soon(t, f, 5); s != "" || err != nil {
		t.Fatal(s, err)
	}
	if n, err := f.Write(nil, usermem.FromBytes(make([]byte, 50)), 0); n != 50 || err != nil {
		t.Fatal(n, err)
	}
}
