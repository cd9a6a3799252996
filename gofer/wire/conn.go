package wire

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// FDs are the descriptors that came with a message. Whoever receives them owns
// them: each is taken, or closed by Close.
type FDs struct {
	n  int
	fd [MaxFDs]int
}

// Len is the number of descriptors.
func (f *FDs) Len() int { return f.n }

// Take gives away the first descriptor, or returns -1 if there is none.
func (f *FDs) Take() int {
	if f.n == 0 {
		return -1
	}
	fd := f.fd[0]
	copy(f.fd[:], f.fd[1:f.n])
	f.n--
	return fd
}

// Close closes what was not taken. A nil f has nothing.
func (f *FDs) Close() {
	if f == nil {
		return
	}
	for f.n > 0 {
		unix.Close(f.Take())
	}
}

// add takes over fd, or closes it if there is no room.
func (f *FDs) add(fd int) bool {
	if f.n == MaxFDs {
		unix.Close(fd)
		return false
	}
	f.fd[f.n] = fd
	f.n++
	return true
}

// A Conn is one end of a connection that is a socket alone: the first one, which makes
// the others. Its calls, like a Link's, block the calling thread in the host: a round
// trip is then two host calls a side, and the host's scheduler hands the CPU from the
// one to the other, where Go's poller would add a thread in between. A Conn is used by
// one goroutine at a time.
type Conn struct {
	sock socket
	in   []byte // of MaxMessage+1 bytes, so that a longer message shows

	closed atomic.Bool
}

// NewConn takes over a connected SOCK_SEQPACKET socket. A socket of another type,
// which would not keep messages apart, is refused and stays the caller's.
func NewConn(fd int) (*Conn, error) {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, fmt.Errorf("gofer connection: %w", err)
	}
	if typ != unix.SOCK_SEQPACKET {
		return nil, fmt.Errorf("gofer connection: descriptor %d is not a SOCK_SEQPACKET socket", fd)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		return nil, fmt.Errorf("gofer connection: %w", err)
	}
	unix.CloseOnExec(fd)
	// Best effort: the default, 208 KiB, suffices, but it is the administrator's to lower.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 2*MaxMessage)
	c := &Conn{in: make([]byte, MaxMessage+1)}
	c.sock.init(fd)
	return c, nil
}

// Pair makes a connection and returns its two ends as descriptors.
func Pair() (a, b int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("gofer connection: socketpair: %w", err)
	}
	return p[0], p[1], nil
}

// SetTimeout makes Recv return EAGAIN after d without a message.
func (c *Conn) SetTimeout(d time.Duration) error {
	tv := unix.NsecToTimeval(d.Nanoseconds())
	return unix.SetsockoptTimeval(c.sock.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
}

// Send sends one message, with up to MaxFDs descriptors, which stay the caller's.
func (c *Conn) Send(b []byte, fds ...int) error {
	if len(b) > MaxMessage || len(fds) > MaxFDs {
		return &LinkError{"send", ErrMessage}
	}
	for {
		var e syscall.Errno
		if len(fds) == 0 {
			e = c.sock.send(b)
		} else {
			e = c.sock.sendFDs(b, fds)
		}
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		case unix.EPIPE, unix.ECONNRESET:
			return &LinkError{"send", ErrClosed}
		default:
			return &LinkError{"send", e}
		}
	}
}

// Recv receives one message, which is valid until the next Recv. Descriptors that
// came along go to fds; if fds is nil they are closed. With a timeout set, EAGAIN
// is returned as such; every other error is a *LinkError and ends the connection.
func (c *Conn) Recv(fds *FDs) ([]byte, error) {
	for {
		n, whole, e := c.sock.recv(c.in, fds)
		switch {
		case e == unix.EINTR:
			continue
		case e == unix.EAGAIN:
			return nil, e
		case e == unix.ECONNRESET:
			return nil, &LinkError{"receive", ErrClosed}
		case e != 0:
			return nil, &LinkError{"receive", e}
		case n == 0:
			fds.Close()
			return nil, &LinkError{"receive", ErrClosed}
		case n > MaxMessage || !whole:
			fds.Close()
			return nil, &LinkError{"receive", ErrMessage}
		}
		return c.in[:n], nil
	}
}

// Shutdown ends the connection for both sides; a blocked Recv returns. Unlike
// Close it may be called by any goroutine at any time before Close.
func (c *Conn) Shutdown() { _ = unix.Shutdown(c.sock.fd, unix.SHUT_RDWR) }

// Close ends the connection and frees its descriptor. To close it again does nothing:
// the number may be another's by then.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return unix.Close(c.sock.fd)
}
