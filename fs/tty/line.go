package tty

import (
	"garrison/sentry/linux"
)

const (
	// outputMax is how much a writer may have ahead of the far side; echoes may
	// be echoMax further.
	outputMax = 11776
	// FarMax is how much of what was written the far side has taken up, out of
	// reach of the program, though nobody has read it yet.
	FarMax  = 4095
	echoMax = 4096
	// lateMax is how much the far side may send beyond a full input.
	lateMax = 7680

	// eofMark stands at a line's end in the place of the end-of-file character.
	eofMark = linux.VDISABLE
)

// A line is Linux's line discipline N_TTY: termios(3) as a machine that turns
// what comes from the far side into input, echo and signals, and what the
// program writes into output. It knows no locks, files or tasks; its owner
// calls it with its lock held and afterwards does what wants and sigs ask for.
type line struct {
	t       linux.Termios2
	special [256]bool // bytes that are more than themselves
	raw     bool      // no byte is

	in     input
	late   fifo // from the far side, waiting for room in in
	out    fifo // to the far side
	echoes fifo // to the far side, waiting for room in out or for START

	col, canonCol    int  // output column; that where the line being typed began
	next             bool // VLNEXT was typed: the next byte is itself
	erasing          bool // in the middle of ECHOPRT's \…/
	stopped, tcoStop bool // by VSTOP or TCOOFF; by TCOOFF
	farStop          bool // the far side sends nothing, by TCOOFF there

	locks linux.Termios // bits and characters that setTermios leaves (TIOCSLCKTRMIOS)

	packet bool  // the far side reads in packet mode
	status uint8 // TIOCPKT_* that it has yet to read

	sigs []linux.Signal // to the foreground process group
	wake side           // who has something new to look at
}

// A side is a set of those who may wait for a line.
type side uint8

const (
	wakeReaders side = 1 << iota // of input
	wakeWriters                  // of output
	wakeFar                      // the reader of the output
	wakeFarOut                   // the far side's writer
)

// defaultTermios is how Linux starts a terminal.
func defaultTermios() linux.Termios2 {
	return linux.Termios2{
		Termios: linux.Termios{
			Iflag: linux.ICRNL | linux.IXON,
			Oflag: linux.OPOST | linux.ONLCR,
			Cflag: linux.B38400 | linux.CS8 | linux.CREAD,
			Lflag: linux.ISIG | linux.ICANON | linux.ECHO | linux.ECHOE | linux.ECHOK | linux.ECHOCTL | linux.ECHOKE | linux.IEXTEN,
			Cc: [linux.NCCS]uint8{
				linux.VINTR: 'C' - 64, linux.VQUIT: '\\' - 64, linux.VERASE: 0x7f, linux.VKILL: 'U' - 64,
				linux.VEOF: 'D' - 64, linux.VMIN: 1, linux.VSTART: 'Q' - 64, linux.VSTOP: 'S' - 64,
				linux.VSUSP: 'Z' - 64, linux.VREPRINT: 'R' - 64, linux.VDISCARD: 'O' - 64,
				linux.VWERASE: 'W' - 64, linux.VLNEXT: 'V' - 64,
			},
		},
		Ispeed: 38400, Ospeed: 38400,
	}
}

func newLine() *line {
	l := &line{t: defaultTermios()}
	l.classify()
	return l
}

func (l *line) iflag(f uint32) bool { return l.t.Iflag&f != 0 }
func (l *line) oflag(f uint32) bool { return l.t.Oflag&f != 0 }
func (l *line) lflag(f uint32) bool { return l.t.Lflag&f != 0 }

// canonical reports whether reads are by lines: an EXTPROC terminal's far side
// has done the editing.
func (l *line) canonical() bool { return l.lflag(linux.ICANON) && !l.lflag(linux.EXTPROC) }

// is reports whether c is control character i, which is not disabled.
func (l *line) is(c byte, i int) bool { return c == l.t.Cc[i] && c != linux.VDISABLE }

// continues reports whether c is inside a UTF-8 character.
func (l *line) continues(c byte) bool { return l.iflag(linux.IUTF8) && c&0xc0 == 0x80 }

// classify works out which bytes receive has to look at.
func (l *line) classify() {
	clear(l.special[:])
	l.raw = !l.iflag(linux.ISTRIP|linux.IUCLC|linux.IGNCR|linux.ICRNL|linux.INLCR|linux.IXON|linux.PARMRK) &&
		!l.lflag(linux.ICANON|linux.ISIG|linux.ECHO)
	mark := func(cc ...int) {
		for _, i := range cc {
			l.special[l.t.Cc[i]] = true
		}
	}
	if l.lflag(linux.ICANON) {
		l.special['\n'] = true
		mark(linux.VERASE, linux.VKILL, linux.VEOF, linux.VEOL)
		if l.lflag(linux.IEXTEN) {
			mark(linux.VWERASE, linux.VLNEXT, linux.VEOL2, linux.VREPRINT)
		}
	}
	if l.iflag(linux.IXON) {
		mark(linux.VSTART, linux.VSTOP)
	}
	if l.lflag(linux.ISIG) {
		mark(linux.VINTR, linux.VQUIT, linux.VSUSP)
	}
	l.special[linux.VDISABLE] = false
	if l.iflag(linux.IGNCR | linux.ICRNL) {
		l.special['\r'] = true
	}
	if l.iflag(linux.INLCR) {
		l.special['\n'] = true
	}
}

// setTermios changes the modes: tcsetattr(3).
func (l *line) setTermios(t linux.Termios2) {
	old := l.t
	l.t = l.unlocked(t)
	if (old.Lflag^t.Lflag)&(linux.ICANON|linux.EXTPROC) != 0 {
		l.in.recast(l.lflag(linux.ICANON))
		l.erasing, l.next = false, false
	}
	l.classify()
	if old.Iflag&linux.IXON != 0 && !l.iflag(linux.IXON) && !l.tcoStop {
		l.restart()
	}
	if l.packet {
		l.tellModes(old)
	}
	l.wake |= wakeReaders | wakeWriters
	l.settle()
}

// tellModes tells a reader in packet mode whether ^S and ^Q work, and of
// changes under EXTPROC: TIOCPKT in ioctl_tty(2).
func (l *line) tellModes(old linux.Termios2) {
	flow := func(t *linux.Termios2) bool {
		return t.Iflag&linux.IXON != 0 && t.Cc[linux.VSTOP] == 'S'-64 && t.Cc[linux.VSTART] == 'Q'-64
	}
	was, is := flow(&old), flow(&l.t)
	ext := (old.Lflag | l.t.Lflag) & linux.EXTPROC
	if was == is && ext == 0 {
		return
	}
	if was != is {
		l.status &^= linux.TIOCPKT_DOSTOP | linux.TIOCPKT_NOSTOP
		if is {
			l.status |= linux.TIOCPKT_DOSTOP
		} else {
			l.status |= linux.TIOCPKT_NOSTOP
		}
	}
	if ext != 0 {
		l.status |= linux.TIOCPKT_IOCTL
	}
	l.wake |= wakeFar
}

// tell notes a TIOCPKT_* event for a reader in packet mode.
func (l *line) tell(set, clear uint8) {
	if l.packet {
		l.status = l.status&^clear | set
		l.wake |= wakeFar
	}
}

// stop holds output back; start lets it go on.
func (l *line) stop() {
	if !l.stopped {
		l.stopped = true
		l.tell(linux.TIOCPKT_STOP, linux.TIOCPKT_START)
	}
}

func (l *line) start() {
	if l.stopped && !l.tcoStop {
		l.stopped = false
		l.tell(linux.TIOCPKT_START, linux.TIOCPKT_STOP)
		l.wake |= wakeWriters
	}
}

// restart is start, and what was echoed meanwhile is sent. After tcflow(3) that
// goes with what comes next.
func (l *line) restart() {
	if l.stopped {
		l.start()
		l.flushEchoes()
	}
}

// forgetInput forgets what was typed and not read, flushInput also what waits
// beyond a full input: tcflush(3).
func (l *line) forgetInput() {
	l.in.reset()
	l.erasing = false
	l.tell(linux.TIOCPKT_FLUSHREAD, 0)
	l.wake |= wakeFarOut
	l.settle()
}

func (l *line) flushInput() {
	l.late.clear()
	l.forgetInput()
}

// flushOutput forgets what was written and not taken up by the far side.
func (l *line) flushOutput() {
	l.out.cut(FarMax)
	l.tell(linux.TIOCPKT_FLUSHWRITE, 0)
	l.wake |= wakeWriters
}

// reopen is what a hang-up leaves: the modes of a new terminal and no input. What
// the far side has to read is still there, and output that was stopped stays so.
func (l *line) reopen() {
	l.flushInput()
	l.t, l.next = defaultTermios(), false
	l.classify()
	l.col, l.canonCol = 0, 0
	l.echoes.clear()
	l.status = 0
}

// readable is how many bytes, or lines' bytes, wait for a reader.
func (l *line) readable() int {
	if l.canonical() {
		return l.in.lines()
	}
	return l.in.count()
}

// queued is FIONREAD's answer.
func (l *line) queued() int {
	if l.canonical() {
		return l.in.canonCount()
	}
	return l.in.count()
}

// room is how much a writer may put out now.
func (l *line) room() int {
	if l.stopped {
		return 0
	}
	return max(outputMax-l.out.len(), 0)
}

// read takes what a read(2) of p returns; ok is false if it has to wait. The
// caller has dealt with VMIN and VTIME.
func (l *line) read(p []byte) (n int, ok bool) {
	if l.readable() == 0 {
		return 0, false
	}
	switch {
	case l.canonical():
		n, _ = l.in.takeLine(p)
	case l.lflag(linux.ICANON) && l.in.count() == 1 && l.is(l.in.at(l.in.tail), linux.VEOF):
		l.in.reset() // EXTPROC: the far side sends end of file as a byte on its own
	default:
		n = l.in.takeRaw(p)
	}
	l.settle()
	return n, true
}

// takeOut moves output to the far side.
func (l *line) takeOut(p []byte) int {
	n := copy(p, l.out.bytes())
	l.tookOut(n)
	return n
}

// tookOut notes that the far side has taken n bytes of l.out.
func (l *line) tookOut(n int) {
	l.out.drop(n)
	l.flushEchoes()
	l.wake |= wakeWriters
}
