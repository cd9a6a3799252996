package devpts_test

import (
	"testing"
	"time"

	"garrison/fs/dev"
	"garrison/fs/devpts"
	"garrison/fs/tty"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
	"garrison/test/idle"
)

// A pair is both ends of a pseudoterminal.
type pair struct {
	*idle.World
	master, slave *vfs.FileDescription
}

func newWorld(t *testing.T) *idle.World {
	w := idle.New(t)
	dev.Register(w.K.VFS, w.K, nil)
	w.K.VFS.RegisterDevice(linux.S_IFCHR, linux.TTYAUX_MAJOR, 2, devpts.Multiplexer{})
	w.Must(vfs.Mkdir(w.Init, vfs.At{Name: "/dev"}, 0o755))
	w.Mount("/dev/pts", devpts.Type(w.K), "mode=620,ptmxmode=666,gid=5")
	d, err := vfs.Resolve(w.Init, vfs.At{Name: "/dev"})
	w.Must(err)
	w.Must(dev.Populate(w.Init, d, dev.Standard()))
	d.Drop()
	return w
}

func ioctl[T any](w *idle.World, d *vfs.FileDescription, cmd uint32, v *T) error {
	return ioctlAs(w, w.Init, d, cmd, v)
}

func ioctlAs[T any](w *idle.World, c vfs.Ctx, d *vfs.FileDescription, cmd uint32, v *T) error {
	m := usermem.Bytes(usermem.AsBytes(v))
	_, err := d.Ioctl(c, m, cmd, 0)
	return err
}

func newPair(t *testing.T) *pair {
	w := newWorld(t)
	p := &pair{World: w, master: w.Open(w.Init, "/dev/ptmx", linux.O_RDWR|linux.O_NONBLOCK)}
	if _, err := vfs.Open(w.Init, vfs.At{Name: "/dev/pts/0"}, vfs.OpenSpec{Flags: linux.O_RDWR}); err != linux.EIO {
		t.Fatal("a locked slave opens: ", err)
	}
	unlock := int32(0)
	w.Must(ioctl(w, p.master, linux.TIOCSPTLCK, &unlock))
	p.slave = w.Open(w.Init, "/dev/pts/0", linux.O_RDWR|linux.O_NOCTTY|linux.O_NONBLOCK)
	return p
}

func (p *pair) say(d *vfs.FileDescription, s string) {
	p.Helper()
	if n, err := d.Write(p.Init, usermem.FromBytes([]byte(s))); err != nil || n != int64(len(s)) {
		p.Fatalf("write: %d %v", n, err)
	}
}

func (p *pair) hear(d *vfs.FileDescription, want string, wantErr error) {
	p.Helper()
	buf := make([]byte, 100)
	n, err := d.Read(p.Init, usermem.FromBytes(buf))
	if err != wantErr || string(buf[:max(n, 0)]) != want {
		p.Errorf("read %q %v, want %q %v", buf[:max(n, 0)], err, want, wantErr)
	}
}

func TestTalk(t *testing.T) {
	p := newPair(t)
	p.hear(p.master, "", linux.EAGAIN)
	p.say(p.master, "hello")
	p.hear(p.slave, "", linux.EAGAIN)
	p.say(p.master, "\n")
	p.hear(p.slave, "hello\n", nil)
	p.hear(p.master, "hello\r\n", nil)
	p.say(p.slave, "world\n")
	p.hear(p.master, "world\r\n", nil)
	if e := p.slave.Ready(wait.Readable | wait.Writable); e != wait.Writable {
		t.Errorf("ready for %x", e)
	}
	p.say(p.master, "\x04")
	p.hear(p.slave, "", nil)
}

func TestNames(t *testing.T) {
	p := newPair(t)
	var n int32 = -1
	p.Must(ioctl(p.World, p.master, linux.TIOCGPTN, &n))
	a, err := p.slave.Attr(p.Init)
	p.Must(err)
	if n != 0 || a.Mode != linux.S_IFCHR|0o620 || a.GID != 5 || a.Rdev != linux.Makedev(136, 0) {
		t.Errorf("%d %o gid %d rdev %x", n, a.Mode, a.GID, a.Rdev)
	}
	second := p.Open(p.Init, "/dev/pts/ptmx", linux.O_RDWR)
	p.Must(ioctl(p.World, second, linux.TIOCGPTN, &n))
	if n != 1 {
		t.Errorf("second is %d", n)
	}
	second.Release(p.Init)
	third := p.Open(p.Init, "/dev/ptmx", linux.O_RDWR)
	p.Must(ioctl(p.World, third, linux.TIOCGPTN, &n))
	if n != 1 {
		t.Errorf("a number is not used again: %d", n)
	}
	third.Release(p.Init)
	if _, err := vfs.Resolve(p.Init, vfs.At{Name: "/dev/pts/1"}); err != linux.ENOENT {
		t.Error("the name of a closed one: ", err)
	}
	dir := p.Open(p.Init, "/dev/pts", linux.O_RDONLY)
	var names []string
	p.Must(dir.List(p.Init, func(e vfs.Dirent) bool { names = append(names, e.Name); return true }))
	if len(names) != 4 {
		t.Error(names)
	}
	fd, err := p.master.Ioctl(p.Init, usermem.Bytes(nil), linux.TIOCGPTPEER, uint64(linux.O_RDWR|linux.O_NOCTTY))
	p.Must(err)
	peer, err := p.Init.File(kernel.FD(fd))
	p.Must(err)
	defer peer.Release(p.Init)
	if peer.Inode() != p.slave.Inode() {
		t.Error("the peer is another file")
	}
}

func TestHangup(t *testing.T) {
	p := newPair(t)
	p.say(p.slave, "last words\n")
	p.slave.Release(p.Init)
	if e := p.master.Ready(wait.Readable); e&wait.Hup == 0 {
		t.Errorf("ready for %x", e)
	}
	p.hear(p.master, "last words\r\n", nil)
	p.hear(p.master, "", linux.EIO)
	p.slave = p.Open(p.Init, "/dev/pts/0", linux.O_RDWR|linux.O_NOCTTY)
	p.hear(p.master, "", linux.EAGAIN)
	p.master.Release(p.Init)
	p.hear(p.slave, "", nil)
	if _, err := p.slave.Write(p.Init, usermem.FromBytes([]byte("x"))); err != linux.EIO {
		t.Error(err)
	}
	if e := p.slave.Ready(wait.Readable | wait.Writable); e&(wait.Hup|wait.Err|wait.In|wait.Out) != wait.Hup|wait.Err|wait.In|wait.Out {
		t.Errorf("ready for %x", e)
	}
	p.slave.Release(p.Init)
}

func TestWindow(t *testing.T) {
	p := newPair(t)
	want := linux.Winsize{Row: 24, Col: 80}
	p.Must(ioctl(p.World, p.master, linux.TIOCSWINSZ, &want))
	var got linux.Winsize
	p.Must(ioctl(p.World, p.slave, linux.TIOCGWINSZ, &got))
	if got != want {
		t.Error(got)
	}
}

func TestPacket(t *testing.T) {
	p := newPair(t)
	on := int32(1)
	p.Must(ioctl(p.World, p.master, linux.TIOCPKT, &on))
	p.say(p.slave, "x")
	p.hear(p.master, "\x00x", nil)
	flush := p.slave
	if _, err := flush.Ioctl(p.Init, nil, linux.TCFLSH, linux.TCOFLUSH); err != nil {
		t.Fatal(err)
	}
	if e := p.master.Ready(wait.Pri); e&wait.Pri == 0 {
		t.Errorf("ready for %x", e)
	}
	p.hear(p.master, string([]byte{linux.TIOCPKT_FLUSHWRITE}), nil)
	p.hear(p.master, "", linux.EAGAIN)
}

// TestControl makes the terminal that of a session and sends its signals.
func TestControl(t *testing.T) {
	p := newPair(t)
	leader := p.Process(&kernel.ProcessSpec{})
	for _, sig := range []linux.Signal{linux.SIGINT, linux.SIGHUP} {
		leader.SetAction(sig, linux.SigAction{Handler: 0x400000}) // else they kill, and nothing more is pending
	}
	if _, err := vfs.Open(leader, vfs.At{Name: "/dev/tty"}, vfs.OpenSpec{Flags: linux.O_RDWR}); err != linux.ENXIO {
		t.Fatal(err)
	}
	var pgrp int32
	if err := ioctlAs(p.World, leader, p.slave, linux.TIOCGPGRP, &pgrp); err != linux.ENOTTY {
		t.Fatal(err)
	}
	p.Open(leader, "/dev/pts/0", linux.O_RDWR)
	p.Must(ioctlAs(p.World, leader, p.slave, linux.TIOCGPGRP, &pgrp))
	if pgrp != leader.TGID() {
		t.Error(pgrp)
	}
	mine := p.Open(leader, "/dev/tty", linux.O_RDWR)
	if mine.File().(*tty.File).Terminal() != p.slave.File().(*tty.File).Terminal() {
		t.Error("/dev/tty is another terminal")
	}
	p.say(p.master, "\x03")
	size := linux.Winsize{Row: 1, Col: 2}
	p.Must(ioctl(p.World, p.master, linux.TIOCSWINSZ, &size))
	if got := leader.SignalState().Shared; !got.Has(linux.SIGINT) {
		t.Errorf("pending %x", got)
	}
	// Another session can't take it but by force.
	other := p.Process(&kernel.ProcessSpec{})
	if _, err := p.slave.Ioctl(other, nil, linux.TIOCSCTTY, 0); err != linux.EPERM {
		t.Error(err)
	}
	if err := ioctlAs(p.World, leader, p.slave, linux.TIOCSPGRP, ptr(other.TGID())); err != linux.EPERM {
		t.Error(err)
	}
	if err := ioctlAs(p.World, leader, p.slave, linux.TIOCSPGRP, ptr(int32(12345))); err != linux.ESRCH {
		t.Error(err)
	}
	p.master.Release(p.Init)
	if got := leader.SignalState().Shared; !got.Has(linux.SIGHUP) {
		t.Errorf("pending %x", got)
	}
	if leader.ThreadGroup().Terminal() != nil {
		t.Error("still controlled")
	}
}

func ptr[T any](v T) *T { return &v }

// TestTimes is VMIN and VTIME.
func TestTimes(t *testing.T) {
	p := newPair(t)
	set := func(vmin, vtime uint8) {
		var m linux.Termios
		p.Must(ioctl(p.World, p.slave, linux.TCGETS, &m))
		m.Lflag &^= linux.ICANON | linux.ECHO
		m.Cc[linux.VMIN], m.Cc[linux.VTIME] = vmin, vtime
		p.Must(ioctl(p.World, p.slave, linux.TCSETS, &m))
	}
	set(0, 0)
	p.hear(p.slave, "", nil)
	set(0, 1)
	p.hear(p.slave, "", linux.EAGAIN) // O_NONBLOCK
	p.Must(p.slave.SetNonBlocking(p.Init, false))
	begin := time.Now()
	p.hear(p.slave, "", nil)
	if d := time.Since(begin); d < 90*time.Millisecond {
		t.Error(d)
	}
	set(3, 0)
	p.say(p.master, "ab")
	if e := p.slave.Ready(wait.Readable); e != 0 {
		t.Errorf("ready for %x", e)
	}
	p.say(p.master, "c")
	p.hear(p.slave, "abc", nil)
	set(3, 1)
	p.say(p.master, "ab")
	p.hear(p.slave, "ab", nil) // the time between bytes is up
	set(5, 0)
	p.say(p.master, "xy")
	one := make([]byte, 1)
	if n, err := p.slave.Read(p.Init, usermem.FromBytes(one)); n != 1 || err != nil {
		t.Error("a read of less than VMIN: ", n, err)
	}
}

func TestDevices(t *testing.T) {
	w := newWorld(t)
	buf := make([]byte, 100)
	buf[7] = 1
	for name, want := range map[string]struct {
		read  int64
		write error
	}{"null": {0, nil}, "zero": {100, nil}, "full": {100, linux.ENOSPC}, "random": {100, nil}, "urandom": {100, nil}} {
		d := w.Open(w.Init, "/dev/"+name, linux.O_RDWR)
		if n, err := d.Read(w.Init, usermem.FromBytes(buf)); n != want.read || err != nil {
			t.Errorf("%s: read %d %v", name, n, err)
		}
		if n, err := d.Write(w.Init, usermem.FromBytes(buf)); err != want.write || err == nil && n != 100 {
			t.Errorf("%s: write %d %v", name, n, err)
		}
		d.Release(w.Init)
	}
}
