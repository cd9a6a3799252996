package wire

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Link is one end of the connection on which most requests travel: a pipe each way,
// and a socket for descriptors. On one CPU a round trip over pipes takes 5 µs where one
// over a socket takes 7.7, for a pipe makes no buffers and still tells the host's
// scheduler that the reader is to run where the writer did.
//
// A message is preceded by its length and the number of descriptors that wait for it
// on the socket, 32 bits each. Like a Conn, a Link is used by one goroutine at a time.
type Link struct {
	sock    *Conn
	r, w    int
	timeout time.Duration // of Recv; 0: none
	in, out []byte
	got     int // bytes of the next message that are in already
}

// linkHeader is the length of what precedes a message.
const linkHeader = 8

// Ends are the descriptors of one end of a link.
type Ends struct{ Sock, R, W int }

// Close closes them.
func (e Ends) Close() {
	unix.Close(e.Sock)
	unix.Close(e.R)
	unix.Close(e.W)
}

// LinkPair makes a link and returns its two ends.
func LinkPair() (a, b Ends, err error) {
	a.Sock, b.Sock, err = Pair()
	if err != nil {
		return a, b, err
	}
	var p, q [2]int
	if err = unix.Pipe2(p[:], unix.O_CLOEXEC); err == nil {
		if err = unix.Pipe2(q[:], unix.O_CLOEXEC); err == nil {
			a.R, b.W, b.R, a.W = p[0], p[1], q[0], q[1]
			return a, b, nil
		}
		unix.Close(p[0])
		unix.Close(p[1])
	}
	unix.Close(a.Sock)
	unix.Close(b.Sock)
	return a, b, fmt.Errorf("gofer connection: pipe: %w", err)
}

// NewLink takes over the descriptors of one end. What is not a pipe, for which a read
// could mean something else, is refused; then all stay the caller's.
func NewLink(e Ends) (*Link, error) {
	for _, fd := range []int{e.R, e.W} {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return nil, fmt.Errorf("gofer connection: %w", err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFIFO {
			return nil, fmt.Errorf("gofer connection: descriptor %d is not a pipe", fd)
		}
		if err := unix.SetNonblock(fd, false); err != nil {
			return nil, fmt.Errorf("gofer connection: %w", err)
		}
	}
	sock, err := NewConn(e.Sock)
	if err != nil {
		return nil, err
	}
	// What the socket carries has always been sent already.
	if err := sock.SetTimeout(time.Second); err != nil {
		return nil, err
	}
	return &Link{sock: sock, r: e.R, w: e.W, in: make([]byte, linkHeader+MaxMessage)}, nil
}

// SetTimeout makes Recv return EAGAIN after d without the rest of a message.
func (l *Link) SetTimeout(d time.Duration) error {
	l.timeout = d
	return nil
}

// Send sends one message, with up to MaxFDs descriptors, which stay the caller's.
func (l *Link) Send(b []byte, fds ...int) error {
	if len(b) > MaxMessage || len(fds) > MaxFDs {
		return &LinkError{"send", ErrMessage}
	}
	if len(fds) > 0 {
		if err := l.sock.Send([]byte{0}, fds...); err != nil {
			return err
		}
	}
	l.out = binary.LittleEndian.AppendUint32(l.out[:0], uint32(len(b)))
	l.out = binary.LittleEndian.AppendUint32(l.out, uint32(len(fds)))
	l.out = append(l.out, b...)
	for out := l.out; len(out) > 0; {
		n, err := unix.Write(l.w, out)
		switch err {
		case nil:
			out = out[n:]
		case unix.EINTR:
		case unix.EPIPE:
			return &LinkError{"send", ErrClosed}
		default:
			return &LinkError{"send", err}
		}
	}
	return nil
}

// Recv receives one message, which is valid until the next Recv. Descriptors that came
// along go to fds, or are closed if fds is nil. EAGAIN, with a timeout set, means that
// it may be called again; every other error is a *LinkError and ends the connection.
func (l *Link) Recv(fds *FDs) ([]byte, error) {
	want := linkHeader
	for {
		if l.got >= linkHeader { // perhaps since a Recv that ended with EAGAIN
			size := binary.LittleEndian.Uint32(l.in)
			if size > MaxMessage {
				return nil, &LinkError{"receive", ErrMessage}
			}
			want = linkHeader + int(size)
		}
		if l.got >= want {
			break
		}
		if err := l.wait(); err != nil {
			return nil, err
		}
		n, err := unix.Read(l.r, l.in[l.got:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, &LinkError{"receive", err}
		case n == 0:
			return nil, &LinkError{"receive", ErrClosed}
		}
		l.got += n
	}
	count := binary.LittleEndian.Uint32(l.in[4:])
	if l.got > want || count > MaxFDs { // one message at a time
		return nil, &LinkError{"receive", ErrMessage}
	}
	l.got = 0
	if count > 0 {
		if _, err := l.sock.Recv(fds); err != nil {
			return nil, &LinkError{"receive descriptors", err}
		}
	}
	return l.in[linkHeader:want], nil
}

// wait waits until there is something to read, or the peer is gone, or for too long.
func (l *Link) wait() error {
	if l.timeout == 0 {
		return nil // read(2) waits
	}
	p := [1]unix.PollFd{{Fd: int32(l.r), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p[:], int(l.timeout.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return &LinkError{"receive", err}
		case n == 0:
			return syscall.EAGAIN
		default:
			return nil
		}
	}
}

// Shutdown ends the socket. Who waits on a pipe learns nothing of it: a peer's Recv
// ends when the link is closed, and one's own by its timeout.
func (l *Link) Shutdown() { l.sock.Shutdown() }

// Close ends the link and frees its descriptors.
func (l *Link) Close() error {
	if l.sock.closed.Load() {
		return nil
	}
	unix.Close(l.r)
	unix.Close(l.w)
	return l.sock.Close()
}

// A Transport is a Conn or a Link.
type Transport interface {
	Send(b []byte, fds ...int) error
	Recv(fds *FDs) ([]byte, error)
	SetTimeout(time.Duration) error
	Shutdown()
	Close() error
}
