package control

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of one message.
const (
	maxFrame = 16 << 20 // bytes
	maxFiles = 250      // descriptors; SCM_MAX_FD is 253
)

// A Conn is one end of a stream unix socket that carries messages.
type Conn struct {
	sock *net.UnixConn
}

// NewConn makes a Conn of a connected stream unix socket, which it takes over.
func NewConn(f *os.File) (*Conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("control connection: %w", err)
	}
	sock, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("control connection: not a unix socket")
	}
	return &Conn{sock}, nil
}

// Accepted makes a Conn of a connection that a listener has accepted.
func Accepted(sock *net.UnixConn) *Conn { return &Conn{sock} }

// Dial connects to the control socket name in directory dir. Its path may be
// longer than a socket address can hold.
func Dial(dir, name string) (*Conn, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("control connection: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: viaDescriptor(d, name)}); err != nil {
		f.Close()
		return nil, fmt.Errorf("control connection: %w", err)
	}
	return NewConn(f)
}

// Listen makes the control socket name in directory dir and returns it
// listening.
func Listen(dir, name string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: viaDescriptor(d, name)})
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return f, nil
}

func viaDescriptor(dir *os.File, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
}

// Pair returns two connected ends, one of them as a file to give away.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("control connection: %w", err)
	}
	other := os.NewFile(uintptr(fds[1]), "control")
	c, err := NewConn(os.NewFile(uintptr(fds[0]), "control"))
	if err != nil {
		other.Close()
		return nil, nil, err
	}
	return c, other, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.sock.Close() }

// SetDeadline makes Send and Receive fail with os.ErrDeadlineExceeded after t;
// the zero time means never.
func (c *Conn) SetDeadline(t time.Time) error { return c.sock.SetDeadline(t) }

// Send writes v as one message, with copies of files' descriptors.
func (c *Conn) Send(v any, files ...*os.File) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("control: encode: %w", err)
	}
	if len(body) > maxFrame || len(files) > maxFiles {
		return fmt.Errorf("control: a message of %d bytes and %d descriptors is too large", len(body), len(files))
	}
	frame := append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	n, _, err := c.sock.WriteMsgUnix(frame, rights, nil)
	if err == nil && n < len(frame) {
		_, err = c.sock.Write(frame[n:])
	}
	if err != nil {
		return fmt.Errorf("control: send: %w", err)
	}
	return nil
}

// Receive reads one message into v and returns the descriptors that came along,
// close-on-exec; they are the caller's also if it returns none of them to use.
// A peer that has gone is io.EOF.
func (c *Conn) Receive(v any) (files []*os.File, err error) {
	defer func() {
		if err != nil {
			CloseFiles(files)
			files = nil
		}
	}()
	var head [4]byte
	files, err = c.readHead(head[:])
	if err != nil {
		return files, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size > maxFrame {
		return files, fmt.Errorf("control: a message of %d bytes is too large", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c.sock, body); err != nil {
		return files, fmt.Errorf("control: receive: %w", err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return files, fmt.Errorf("control: decode: %w", err)
	}
	return files, nil
}

// readHead reads a message's length; the descriptors come with its first byte.
func (c *Conn) readHead(head []byte) ([]*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(maxFiles*4))
	n, oobn, flags, _, err := c.sock.ReadMsgUnix(head, oob)
	files, rightsErr := parseRights(oob[:oobn])
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return files, fmt.Errorf("control: receive: %w", err)
	case n == 0:
		return files, io.EOF
	case rightsErr != nil:
		return files, fmt.Errorf("control: receive: %w", rightsErr)
	case flags&unix.MSG_CTRUNC != 0:
		return files, errors.New("control: receive: descriptors were lost")
	}
	if _, err := io.ReadFull(c.sock, head[n:]); err != nil {
		return files, fmt.Errorf("control: receive: %w", err)
	}
	return files, nil
}

func parseRights(oob []byte) ([]*os.File, error) {
	var files []*os.File
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// CloseFiles closes files, of which any may be nil.
func CloseFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
