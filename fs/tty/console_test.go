package tty_test

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/fs/tty"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
	"garrison/test/idle"
)

// TestConsole has a pipe pair as wire: what a terminal emulator would see.
func TestConsole(t *testing.T) {
	w := idle.New(t)
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	w.Must(err)
	user := os.NewFile(uintptr(p[1]), "user")
	defer user.Close()
	con := tty.NewConsole(w.K, os.NewFile(uintptr(p[0]), "wire"), linux.Makedev(136, 0), "pts/0")
	leader := w.Process(&kernel.ProcessSpec{Terminal: con.Terminal})
	leader.SetAction(linux.SIGINT, linux.SigAction{Handler: 1 << 22})
	leader.SetAction(linux.SIGHUP, linux.SigAction{Handler: 1 << 22})
	f, err := con.Open(leader, linux.O_RDWR)
	w.Must(err)
	user.Write([]byte("typed\n"))
	read := func() string {
		for range 100 {
			buf := make([]byte, 100)
			n, err := f.Read(w.Init, usermem.FromBytes(buf), 0)
			if err == nil {
				return string(buf[:n])
			}
			time.Sleep(5 * time.Millisecond)
		}
		return "nothing"
	}
	if s := read(); s != "typed\n" {
		t.Fatal(s)
	}
	if n, err := f.Write(w.Init, usermem.FromBytes([]byte("written\n")), 0); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	con.Flush(time.Second)
	buf := make([]byte, 100)
	if n, err := user.Read(buf); string(buf[:n]) != "typed\r\nwritten\r\n" {
		t.Fatalf("%q %v", buf[:n], err)
	}
	user.Write([]byte{3})
	for range 100 {
		if leader.SignalState().Shared.Has(linux.SIGINT) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	user.Close()
	hungUp := func() bool { // the file first, then whom the terminal controls
		return f.Ready(wait.Readable)&wait.Hup != 0 && leader.SignalState().Shared.Has(linux.SIGHUP)
	}
	for end := time.Now().Add(5 * time.Second); !hungUp() && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	if s := leader.SignalState().Shared; !s.Has(linux.SIGINT) || !s.Has(linux.SIGHUP) {
		t.Errorf("pending %x", s)
	}
	var _ vfs.File = f
}
