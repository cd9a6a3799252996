package gofer

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A bell waits for a descriptor to be readable, and rings once. Go's poller would be
// woken by each event even while nobody waits, and with it a thread: for what the gofer
// itself does to watched directories, at each call. So the descriptor is in an epoll
// instance of its own, in which it is only while somebody waits, and which is what Go's
// poller looks at.
type bell struct {
	fd   int
	file *os.File // the epoll instance
	conn syscall.RawConn
}

// newBell returns a bell for fd, which does not block and stays the caller's.
func newBell(fd int) (*bell, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(epoll, true); err != nil { // it tells os that it can be polled
		unix.Close(epoll)
		return nil, err
	}
	b := &bell{fd: fd, file: os.NewFile(uintptr(epoll), "bell")}
	if b.conn, err = b.file.SyscallConn(); err != nil {
		b.file.Close()
		return nil, err
	}
	return b, nil
}

// read reads from the descriptor as soon as there is something to read. After close it
// is an error.
func (b *bell) read(buf []byte) (n int, err error) {
	if err := b.control(unix.EPOLL_CTL_ADD); err != nil {
		return 0, err
	}
	closed := b.conn.Read(func(uintptr) bool {
		n, err = unix.Read(b.fd, buf)
		return err != unix.EAGAIN && err != unix.EINTR
	})
	if closed != nil {
		return 0, closed
	}
	if off := b.control(unix.EPOLL_CTL_DEL); err == nil {
		err = off
	}
	return n, err
}

// control adds the descriptor to the instance or removes it.
func (b *bell) control(op int) (err error) {
	closed := b.conn.Control(func(epoll uintptr) {
		err = unix.EpollCtl(int(epoll), op, b.fd, &unix.EpollEvent{Events: unix.EPOLLIN})
	})
	if closed != nil {
		return closed
	}
	return err
}

// close ends a read that waits, and all later ones. Then nothing uses the descriptor.
func (b *bell) close() { b.file.Close() }
