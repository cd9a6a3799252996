package sandbox

import (
	"fmt"
	"net"
	"os"

	"github.com/containerd/console"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A terminal is a host pseudo-terminal: the sentry holds the slave and runs the
// guest's line discipline on it; the other side is whoever shows it to somebody.
type terminal struct {
	master console.Console
	slave  *os.File
}

// newTerminal makes a pseudo-terminal of the given size; nil is that of the terminal
// that runsc itself is on, if it is on one: the guest may look before a Relay
// begins. Its slave is raw from the start: echo, editing and signals are the sentry's.
func newTerminal(size *specs.Box) (*terminal, error) {
	master, path, err := console.NewPty()
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	slave, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		master.Close()
		return nil, fmt.Errorf("terminal: %w", err)
	}
	t := &terminal{master, slave}
	if size != nil && size.Height != 0 && size.Width != 0 {
		err = master.Resize(console.WinSize{Height: uint16(size.Height), Width: uint16(size.Width)})
	} else if own, notOn := unix.IoctlGetWinsize(int(os.Stdin.Fd()), unix.TIOCGWINSZ); notOn == nil {
		err = master.Resize(console.WinSize{Height: own.Row, Width: own.Col})
	}
	if err == nil {
		err = makeRaw(slave)
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return t, nil
}

// makeRaw makes a terminal pass bytes on as they are (cfmakeraw(3)).
func makeRaw(f *os.File) error {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}

func (t *terminal) close() {
	if t != nil {
		t.master.Close()
		t.slave.Close()
	}
}

// send gives the master to whoever listens on the unix socket at path: its name
// as the message, with the descriptor (runc's --console-socket).
func (t *terminal) send(path string) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return fmt.Errorf("console socket: %w", err)
	}
	defer c.Close()
	_, _, err = c.(*net.UnixConn).WriteMsgUnix([]byte(t.master.Name()), unix.UnixRights(int(t.master.Fd())), nil)
	if err != nil {
		return fmt.Errorf("console socket %s: %w", path, err)
	}
	return nil
}
