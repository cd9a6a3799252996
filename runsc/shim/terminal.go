package shim

import (
	"errors"
	"os"

	runc "github.com/containerd/go-runc"
	"golang.org/x/sys/unix"
)

// receiveTerminal is the master that runsc has sent to a console socket. Reads
// of it end when it is closed.
func receiveTerminal(socket *runc.Socket) (*os.File, error) {
	master, err := socket.ReceiveMaster()
	if err != nil {
		return nil, err
	}
	defer master.Close()
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for Go's poller
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), master.Name()), nil
}

// resize sets the size of a terminal; master is nil if a process has none.
func resize(master *os.File, width, height uint32) error {
	if master == nil {
		return errors.New("the process has no terminal")
	}
	raw, err := master.SyscallConn()
	if err != nil {
		return err
	}
	size := &unix.Winsize{Row: uint16(height), Col: uint16(width)}
	control := raw.Control(func(fd uintptr) { err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
	return errors.Join(err, control)
}
