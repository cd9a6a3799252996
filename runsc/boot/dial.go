package boot

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"garrison/sentry/socket/inet"
)

// A dialer passes connections on to an address outside the sandbox, by sockets that were
// made there: each serves one connection at a time, and then the next.
type dialer struct {
	to   netip.AddrPort
	free chan *os.File
}

// A streamDiverter is what a network's stack does to have a server of TCP outside.
type streamDiverter interface {
	DivertStreams(to netip.AddrPort, take func(*inet.Stream))
}

// startDialer has stack's connections to an address go by sockets, until those are closed.
func startDialer(stack streamDiverter, to netip.AddrPort, sockets []*os.File) {
	d := &dialer{to, make(chan *os.File, len(sockets))}
	for _, f := range sockets {
		d.free <- f
	}
	stack.DivertStreams(to, d.serve)
}

// dialTimeout is how long a connection waits for a socket, and then for who is there.
const dialTimeout = 2 * time.Second

// serve is what happens to one connection. It ends at once if nobody serves it.
func (d *dialer) serve(s *inet.Stream) {
	defer s.Close()
	timer := time.NewTimer(dialTimeout)
	defer timer.Stop()
	select {
	case f := <-d.free:
		if err := d.connect(f); err == nil {
			exchange(s, f)
		}
		if err := onFD(f, disconnect); err == nil {
			d.free <- f
		}
	case <-timer.C:
	}
}

// connect connects f, which doesn't block.
func (d *dialer) connect(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if err := f.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	var failed error
	err = c.Write(func(fd uintptr) bool { // again whenever something has come of it
		failed = unix.Connect(int(fd), &unix.SockaddrInet4{Addr: d.to.Addr().As4(), Port: int(d.to.Port())})
		if failed == unix.EISCONN {
			failed = nil
		}
		return failed != unix.EINPROGRESS && failed != unix.EALREADY
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return f.SetDeadline(time.Time{})
}

// exchange passes on what each of the two says, until both have said all, or one has gone.
func exchange(s *inet.Stream, f *os.File) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(f, s)
		_ = onFD(f, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
	}()
	_, _ = io.Copy(s, f)
	s.End()
	<-done
}

// onFD calls do with f's descriptor.
func onFD(f *os.File, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := c.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}
