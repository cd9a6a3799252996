package tty

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// modes is the ioctls that get and set a Termios.
func (t *Terminal) modes(c vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case linux.TCGETS:
		return 0, usermem.Ptr[linux.Termios](arg).Store(m, ref(t.Modes().Termios))
	case linux.TCGETS2:
		return 0, usermem.Ptr[linux.Termios2](arg).Store(m, ref(t.Modes()))
	case linux.TCGETA:
		return 0, usermem.Ptr[linux.Termio](arg).Store(m, ref(toTermio(t.Modes())))
	case linux.TIOCGSOFTCAR:
		return 0, storeInt(m, arg, flag(t.Modes().Cflag&linux.CLOCAL != 0))
	case linux.TIOCGLCKTRMIOS:
		t.mu.Lock()
		locks := t.line.locks
		t.mu.Unlock()
		return 0, usermem.Ptr[linux.Termios](arg).Store(m, &locks)
	case linux.TIOCSLCKTRMIOS:
		return 0, t.lockModes(c, m, usermem.Ptr[linux.Termios](arg))
	}
	if !sets(cmd) {
		return 0, linux.ENOTTY
	}
	if cmd != linux.TIOCSSOFTCAR {
		if err := t.check(c, linux.SIGTTOU); err != nil {
			return 0, err
		}
	}
	next, err := t.wanted(m, cmd, arg)
	if err != nil {
		return 0, err
	}
	flush := cmd == linux.TCSETSF || cmd == linux.TCSETSF2 || cmd == linux.TCSETAF
	t.do(func(l *line) {
		if flush {
			l.forgetInput()
		}
		l.setTermios(next)
	})
	return 0, nil
}

// sets reports whether cmd is one that changes modes.
func sets(cmd uint32) bool {
	switch cmd {
	case linux.TCSETS, linux.TCSETSW, linux.TCSETSF, linux.TCSETS2, linux.TCSETSW2, linux.TCSETSF2,
		linux.TCSETA, linux.TCSETAW, linux.TCSETAF, linux.TIOCSSOFTCAR:
		return true
	}
	return false
}

// lockModes is TIOCSLCKTRMIOS.
func (t *Terminal) lockModes(c vfs.Ctx, m usermem.Memory, p usermem.Ptr[linux.Termios]) error {
	if !c.Creds().Capable(auth.CapSysAdmin) {
		return linux.EPERM
	}
	locks, err := p.Load(m)
	if err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.line.locks = locks
	}
	return err
}

// unlocked is t where it may differ from the modes now.
func (l *line) unlocked(t linux.Termios2) linux.Termios2 {
	keep := func(v *uint32, old, locks uint32) { *v = *v&^locks | old&locks }
	keep(&t.Iflag, l.t.Iflag, l.locks.Iflag)
	keep(&t.Oflag, l.t.Oflag, l.locks.Oflag)
	keep(&t.Cflag, l.t.Cflag, l.locks.Cflag)
	keep(&t.Lflag, l.t.Lflag, l.locks.Lflag)
	if l.locks.Line != 0 {
		t.Line = l.t.Line
	}
	for i, locked := range l.locks.Cc {
		if locked != 0 {
			t.Cc[i] = l.t.Cc[i]
		}
	}
	return t
}

// wanted is the modes that a setting ioctl asks for: ENOTTY if cmd is none.
func (t *Terminal) wanted(m usermem.Memory, cmd uint32, arg uint64) (linux.Termios2, error) {
	next := t.Modes()
	var err error
	switch cmd {
	case linux.TCSETS, linux.TCSETSW, linux.TCSETSF:
		next.Termios, err = usermem.Ptr[linux.Termios](arg).Load(m)
	case linux.TCSETS2, linux.TCSETSW2, linux.TCSETSF2:
		next, err = usermem.Ptr[linux.Termios2](arg).Load(m)
	case linux.TCSETA, linux.TCSETAW, linux.TCSETAF:
		var old linux.Termio
		if old, err = usermem.Ptr[linux.Termio](arg).Load(m); err == nil {
			fromTermio(&next, &old)
		}
	case linux.TIOCSSOFTCAR:
		var on int32
		if on, err = usermem.Ptr[int32](arg).Load(m); err == nil {
			next.Cflag &^= linux.CLOCAL
			next.Cflag |= uint32(flag(on != 0)) * linux.CLOCAL
		}
	default:
		return next, linux.ENOTTY
	}
	// A pseudoterminal has 8 bits and a receiver, whatever is asked for.
	next.Cflag = next.Cflag&^(linux.CSIZE|linux.PARENB) | linux.CS8 | linux.CREAD
	next.Ospeed = speed(next.Cflag, next.Ospeed)
	next.Ispeed = speed(next.Cflag>>linux.IBSHIFT, next.Ispeed)
	if next.Cflag>>linux.IBSHIFT&linux.CBAUD == linux.B0 {
		next.Ispeed = next.Ospeed
	}
	return next, err
}

// Modes is the terminal's modes now.
func (t *Terminal) Modes() linux.Termios2 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.t
}

// SetModes changes them, as tcsetattr(3) does.
func (t *Terminal) SetModes(m linux.Termios2) { t.do(func(l *line) { l.setTermios(m) }) }

// speeds is the bit rates of B0, B50… and, from 17 on, BOTHER|1….
var speeds = [...]uint32{
	0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
	0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000,
	2000000, 2500000, 3000000, 3500000, 4000000,
}

// speed is the rate that code (CBAUD) stands for; BOTHER leaves it as it is.
func speed(code, own uint32) uint32 {
	switch code &= linux.CBAUD; {
	case code == linux.BOTHER:
		return own
	case code&linux.BOTHER != 0:
		return speeds[16+code&0xf]
	}
	return speeds[code]
}

func toTermio(m linux.Termios2) linux.Termio {
	o := linux.Termio{
		Iflag: uint16(m.Iflag), Oflag: uint16(m.Oflag), Cflag: uint16(m.Cflag), Lflag: uint16(m.Lflag), Line: m.Line,
	}
	copy(o.Cc[:], m.Cc[:])
	return o
}

// fromTermio puts the low halves of the flags and the first characters into m.
func fromTermio(m *linux.Termios2, o *linux.Termio) {
	low := func(dst *uint32, src uint16) { *dst = *dst&^0xffff | uint32(src) }
	low(&m.Iflag, o.Iflag)
	low(&m.Oflag, o.Oflag)
	low(&m.Cflag, o.Cflag)
	low(&m.Lflag, o.Lflag)
	m.Line = o.Line
	copy(m.Cc[:], o.Cc[:])
}
