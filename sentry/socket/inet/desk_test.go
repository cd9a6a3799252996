package inet

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
)

// endpointOf is the stack's part of a socket.
func endpointOf(f *Family, s *socket.Socket) *Endpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	for e := range f.all {
		if e.socket == s {
			return e
		}
	}
	return nil
}

// await returns when something has been left.
func (d *desk) await(t *testing.T) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		n := len(d.left)
		d.mu.Unlock()
		if n > 0 {
			return
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("nothing was left at the desk")
		}
	}
}

// during does something while a guest is at its connection, as in Write, and returns when
// something has been left for that. The link must be done with how the connection was made:
// or it waits for the lock itself, and receives nothing.
func (l *packetLink) during(t *testing.T, at *tcp.Endpoint, do func()) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		l.late.mu.Lock()
		busy := l.late.at != nil
		l.late.mu.Unlock()
		if !busy {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("the link is still at a connection")
		}
	}
	at.LockUser()
	defer at.UnlockUser()
	do()
	l.desk.await(t)
}

// recvAll is recv of what may come in parts.
func (h host) recvAll(s *socket.Socket, want string) {
	h.Helper()
	b := make([]byte, len(want))
	for at := 0; at < len(b); {
		n, err := s.Receive(h.c, usermem.FromBytes(b[at:]), 0, nil)
		if err != nil || n == 0 {
			h.Fatalf("%q, %v", b[:at], err)
		}
		at += int(n)
	}
	if string(b) != want {
		h.Fatalf("%q, want %q", b, want)
	}
}

// TestDesk: what comes while a guest is at its connection to send is dealt with when it has sent.
func TestDesk(t *testing.T) {
	h, f := outsideLink(t)
	c, s, _ := h.called()
	other, so, _ := h.called()
	e := endpointOf(f, s)
	if e == nil {
		t.Fatal("the socket has no endpoint")
	}
	l := f.only.Load()
	if !l.desk.sit(e.ep()) || l.desk.sit(e.ep()) || l.desk.sit(endpointOf(f, so).ep()) {
		t.Fatal("one, and no other, sits at the desk")
	}
	at := e.ep().(*tcp.Endpoint)
	l.during(t, at, func() {
		for _, fd := range []int{c, other} {
			_, err := unix.Write(fd, []byte("while it sends"))
			h.must(err)
		}
		h.recv(so, "while it sends") // which nobody keeps from
	})
	b := make([]byte, 50)
	if n, err := s.Receive(h.c, usermem.FromBytes(b), linux.MSG_DONTWAIT, nil); err != linux.EAGAIN {
		t.Fatal("received", n, err)
	}
	l.rise()
	h.recv(s, "while it sends")

	// What comes when nobody has the lock goes by nobody, and behind what was left.
	if !l.desk.sit(at) {
		t.Fatal("nobody can sit")
	}
	l.during(t, at, func() {
		_, err := unix.Write(c, []byte("this"))
		h.must(err)
	})
	_, err := unix.Write(c, []byte(" and that"))
	h.must(err)
	h.recvAll(s, "this and that")
	l.rise()
	_, err = unix.Write(c, []byte("and after"))
	h.must(err)
	h.recv(s, "and after")
}

// TestDeskFull: who sends for long is no reason to keep more than some packets.
func TestDeskFull(t *testing.T) {
	var d desk
	var e, other tcp.Endpoint
	if !d.sit(&e) {
		t.Fatal("nobody can sit")
	}
	one := func() []*stack.PacketBuffer {
		return []*stack.PacketBuffer{segment(7, 1, header.TCPFlagAck, nil, "")}
	}
	if d.leave(&other, one()) || d.leave(nil, one()) {
		t.Error("what is for others was left")
	}
	for range maxLeft {
		if !d.leave(&e, one()) {
			t.Fatal("not left")
		}
	}
	if d.leave(&e, one()) {
		t.Error("too many were left")
	}
	d.close()
	if len(d.left) != 0 {
		t.Error("packets have outlived the link")
	}
	d = desk{}
	d.close()
	if d.sit(&e) {
		t.Error("somebody sits at the desk of a link that has gone")
	}
	if d.begin(); !d.sit(&e) {
		t.Error("nobody sits at the desk of a link that came again")
	}
}

// TestDeskGoes: the link goes while a guest sends, which then deals with nothing.
func TestDeskGoes(t *testing.T) {
	h, f := outsideLink(t)
	c, s, _ := h.called()
	l := f.only.Load()
	if !l.desk.sit(endpointOf(f, s).ep()) {
		t.Fatal("nobody can sit")
	}
	at := endpointOf(f, s).ep().(*tcp.Endpoint)
	l.during(t, at, func() {
		_, err := unix.Write(c, []byte("too late"))
		h.must(err)
	})
	h.must(f.Configure(&Outside{}))
	l.rise()
	b := make([]byte, 50)
	if n, err := s.Receive(h.c, usermem.FromBytes(b), linux.MSG_DONTWAIT, nil); n > 0 {
		t.Fatal("received", n, err)
	}
}
