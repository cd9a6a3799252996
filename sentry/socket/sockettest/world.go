package sockettest

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A World has sockets: the host's own, or a socket.Network's. What is done to one and
// to the other must look the same. Calls never wait. Sockets are numbered from 0 in
// the order they were made.
type World interface {
	Socket(family, typ, protocol int) error
	Pair(typ int) error
	Bind(s int, addr []byte) error
	Connect(s int, addr []byte) error
	Listen(s, backlog int) error
	Accept(s int) error
	// Send sends data, with descriptors of a file of no importance.
	Send(s int, data string, flags int, to []byte, files int) (int, error)
	// Recv returns the data, the sender's address, the flags and how many files came.
	Recv(s, size, flags int) (data string, from []byte, out, files int, err error)
	Poll(s int) int
	Shutdown(s, how int) error
	Close(s int)
	SetOption(s, level, name int, val []byte) error
	Option(s, level, name, size int) ([]byte, error)
	Name(s int, peer bool) ([]byte, error)
	Ioctl(s int, cmd uint32) (int, error)
	// Settle waits until what is on its way has arrived.
	Settle()
}

// A Log does things in a World and writes down what came of them.
type Log struct {
	W     World
	Lines []string
	names map[string]string // ephemeral ports and the like, by what they are shown as
}

// Record plays a scenario in a World and returns what happened, a line for each call.
func Record(w World, play func(*Log)) []string {
	l := &Log{W: w, names: map[string]string{}}
	play(l)
	return l.Lines
}

// Compare plays a scenario on the host and in k: each call must have the same outcome.
func Compare(t *testing.T, host *Host, k *Kernel, play func(*Log)) {
	t.Helper()
	defer host.Release()
	want, got := Record(host, play), Record(k, play)
	for i := range want {
		if i >= len(got) {
			t.Errorf("here  nothing\nLinux %s", want[i])
		} else if got[i] != want[i] {
			t.Errorf("here  %s\nLinux %s", got[i], want[i])
		}
	}
}

func (l *Log) add(format string, args ...any) {
	l.Lines = append(l.Lines, fmt.Sprintf("%d: ", len(l.Lines))+fmt.Sprintf(format, args...))
}

// errText is an error by its number, which the host and the kernel have in common.
func errText(err error) string {
	var e syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return unix.ErrnoName(e)
	}
	return err.Error()
}

// Hide shows every occurrence of secret in later lines as name: what the two worlds
// choose differently.
func (l *Log) Hide(secret []byte, name string) { l.names[fmt.Sprintf("%x", secret)] = name }

func (l *Log) show(b []byte) string {
	s := fmt.Sprintf("%x", b)
	for k, v := range l.names {
		s = strings.ReplaceAll(s, k, v)
	}
	return s
}

// What follows does as World does, and logs it.

func (l *Log) Socket(family, typ, protocol int) {
	l.add("socket(%d, %d, %d) = %s", family, typ, protocol, errText(l.W.Socket(family, typ, protocol)))
}
func (l *Log) Pair(typ int) { l.add("socketpair(%d) = %s", typ, errText(l.W.Pair(typ))) }
func (l *Log) Bind(s int, addr []byte) {
	l.add("bind(%d, %s) = %s", s, l.show(addr), errText(l.W.Bind(s, addr)))
}
func (l *Log) Connect(s int, addr []byte) {
	l.add("connect(%d, %s) = %s", s, l.show(addr), errText(l.W.Connect(s, addr)))
}
func (l *Log) Listen(s, n int)   { l.add("listen(%d, %d) = %s", s, n, errText(l.W.Listen(s, n))) }
func (l *Log) Accept(s int)      { l.add("accept(%d) = %s", s, errText(l.W.Accept(s))) }
func (l *Log) Shutdown(s, n int) { l.add("shutdown(%d, %d) = %s", s, n, errText(l.W.Shutdown(s, n))) }
func (l *Log) Close(s int)       { l.W.Close(s); l.add("close(%d)", s) }
func (l *Log) Poll(s int)        { l.add("poll(%d) = %#x", s, l.W.Poll(s)) }
func (l *Log) Settle()           { l.W.Settle() }

func (l *Log) Send(s int, data string, flags int) { l.SendTo(s, data, flags, nil, 0) }

func (l *Log) SendTo(s int, data string, flags int, to []byte, files int) {
	n, err := l.W.Send(s, data, flags, to, files)
	l.add("send(%d, %d bytes, %#x, %s, %d files) = %d %s", s, len(data), flags, l.show(to), files, n, errText(err))
}

func (l *Log) Recv(s, size, flags int) {
	data, from, out, files, err := l.W.Recv(s, size, flags)
	if len(data) > 40 {
		data = fmt.Sprintf("%d bytes", len(data))
	}
	l.add("recv(%d, %d, %#x) = %q from %s flags %#x, %d files, %s", s, size, flags, data, l.show(from), out, files, errText(err))
}

func (l *Log) SetInt(s, level, name, v int) {
	l.add("setsockopt(%d, %d, %d, %d) = %s", s, level, name, v, errText(l.W.SetOption(s, level, name, socket.IntBytes(int32(v)))))
}

func (l *Log) Int(s, level, name int) {
	b, err := l.W.Option(s, level, name, 4)
	v, _ := socket.Int(b)
	l.add("getsockopt(%d, %d, %d) = %d %s", s, level, name, v, errText(err))
}

func (l *Log) Name(s int, peer bool) {
	b, err := l.W.Name(s, peer)
	l.add("name(%d, %v) = %s %s", s, peer, l.show(b), errText(err))
}

func (l *Log) Ioctl(s int, cmd uint32) {
	n, err := l.W.Ioctl(s, cmd)
	l.add("ioctl(%d, %#x) = %d %s", s, cmd, n, errText(err))
}

// A Kernel is a World of a Network.
type Kernel struct {
	Net   *socket.Network
	C     *Ctx
	Sys   *vfs.System
	socks []*socket.Socket
	// Pause is how long Settle waits.
	Pause time.Duration
}

func (k *Kernel) keep(err error, s ...*socket.Socket) error {
	if err == nil {
		k.socks = append(k.socks, s...)
	}
	return err
}

func (k *Kernel) Socket(family, typ, protocol int) error {
	s, err := k.Net.Socket(k.C, socket.Kind{Family: uint16(family), Type: linux.SockType(typ), Protocol: int32(protocol)})
	return k.keep(err, s)
}
func (k *Kernel) Pair(typ int) error {
	a, b, err := k.Net.Pair(k.C, socket.Kind{Family: linux.AF_UNIX, Type: linux.SockType(typ)})
	return k.keep(err, a, b)
}
func (k *Kernel) Bind(s int, addr []byte) error    { return k.socks[s].Bind(k.C, addr) }
func (k *Kernel) Connect(s int, addr []byte) error { return k.socks[s].Connect(k.C, addr, true) }
func (k *Kernel) Listen(s, n int) error            { return k.socks[s].Listen(k.C, n) }
func (k *Kernel) Accept(s int) error {
	n, err := k.socks[s].Accept(k.C, true)
	return k.keep(err, n)
}
func (k *Kernel) Shutdown(s, how int) error { return k.socks[s].Shutdown(k.C, how) }
func (k *Kernel) Close(s int)               { k.socks[s].Close(k.C) }
func (k *Kernel) Settle()                   { time.Sleep(k.Pause) }

func (k *Kernel) Send(s int, data string, flags int, to []byte, files int) (int, error) {
	m := &socket.Msg{}
	m.Addr.Set(to)
	for range files {
		m.Rights = append(m.Rights, k.Sys.NewAnon(k.C, nothing{}, "[nothing]", linux.O_RDWR))
	}
	n, err := k.socks[s].Transmit(k.C, usermem.FromBytes([]byte(data)), linux.MsgFlags(flags)|linux.MSG_DONTWAIT, m)
	m.DropRights(k.C)
	return int(n), err
}

func (k *Kernel) Recv(s, size, flags int) (string, []byte, int, int, error) {
	b := make([]byte, size)
	m := &socket.Msg{}
	n, err := k.socks[s].Receive(k.C, usermem.FromBytes(b), linux.MsgFlags(flags)|linux.MSG_DONTWAIT, m)
	files := len(m.Rights)
	m.DropRights(k.C)
	if err != nil {
		return "", nil, 0, 0, err
	}
	text := string(b[:min(int(n), size)])
	if int(n) > size {
		text += fmt.Sprintf(" of %d", n)
	}
	return text, m.Addr.Bytes(), int(m.Flags), files, nil
}

func (k *Kernel) Poll(s int) int { return int(k.socks[s].Ready(wait.Events(pollMask))) }

func (k *Kernel) SetOption(s, level, name int, val []byte) error {
	return k.socks[s].SetOption(k.C, int32(level), int32(name), val)
}

func (k *Kernel) Option(s, level, name, size int) ([]byte, error) {
	b, err := k.socks[s].Option(k.C, int32(level), int32(name), size)
	return b[:min(len(b), size)], err
}

func (k *Kernel) Name(s int, peer bool) ([]byte, error) {
	var a socket.Addr
	err := k.socks[s].Name(&a, peer)
	return a.Bytes(), err
}

func (k *Kernel) Ioctl(s int, cmd uint32) (int, error) {
	b := make([]byte, 8)
	_, err := k.socks[s].Ioctl(k.C, usermem.Bytes(b), cmd, 0)
	v, _ := socket.Int(b)
	return int(v), err
}

// nothing is a file of no importance.
type nothing struct{}

func (nothing) Read(vfs.Ctx, usermem.Seq, int64) (int64, error)  { return 0, nil }
func (nothing) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, nil }
func (nothing) Close(vfs.Ctx)                                    {}
