package host

import (
	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// ioctl answers what says something about the descriptor itself: how much there
// is to read, and what a terminal is like. What would change the host's terminal
// (its modes, its foreground process group) is not passed on: it belongs to
// whoever started the sandbox. Programs that need a terminal of their own get a
// Console.
func (d *Descriptor) ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case linux.TIOCINQ: // FIONREAD
		if d.seekable {
			return 0, linux.ENOTTY // vfs knows the size
		}
		n, err := unix.IoctlGetInt(d.fd, unix.TIOCINQ)
		if err != nil {
			return 0, linux.ENOTTY
		}
		d.mu.Lock()
		n += len(d.in.data)
		d.mu.Unlock()
		v := int32(n)
		return 0, usermem.Ptr[int32](arg).Store(m, &v)
	}
	if !d.tty {
		return 0, linux.ENOTTY
	}
	return d.terminal(m, cmd, arg)
}

func (d *Descriptor) terminal(m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case linux.TCGETS, linux.TCGETS2:
		t, err := unix.IoctlGetTermios(d.fd, unix.TCGETS)
		if err != nil {
			return 0, errno(err)
		}
		out := linux.Termios2{
			Termios: linux.Termios{Iflag: t.Iflag, Oflag: t.Oflag, Cflag: t.Cflag, Lflag: t.Lflag, Line: t.Line},
			Ispeed:  38400, Ospeed: 38400,
		}
		copy(out.Cc[:], t.Cc[:])
		if cmd == linux.TCGETS2 {
			return 0, usermem.Ptr[linux.Termios2](arg).Store(m, &out)
		}
		return 0, usermem.Ptr[linux.Termios](arg).Store(m, &out.Termios)
	case linux.TIOCGWINSZ:
		w, err := unix.IoctlGetWinsize(d.fd, unix.TIOCGWINSZ)
		if err != nil {
			return 0, errno(err)
		}
		return 0, usermem.Ptr[linux.Winsize](arg).Store(m, &linux.Winsize{Row: w.Row, Col: w.Col, Xpixel: w.Xpixel, Ypixel: w.Ypixel})
	case linux.TCSETS, linux.TCSETSW, linux.TCSETSF, linux.TCSETS2, linux.TCSETSW2, linux.TCSETSF2, linux.TIOCSWINSZ:
		return 0, linux.EPERM
	}
	return 0, linux.ENOTTY
}
