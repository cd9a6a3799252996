package tty

import "garrison/sentry/linux"

// receive takes bytes from the far side and returns how many: the rest has no
// room until more is read.
func (l *line) receive(p []byte) int {
	n := 0
	if l.late.len() == 0 {
		n = l.accept(p)
	}
	if more := min(len(p)-n, lateMax-l.late.len()); more > 0 {
		l.late.put(p[n : n+more]...)
		n += more
	}
	return n
}

// settle accepts what came late, now that there may be room.
func (l *line) settle() {
	for l.late.len() > 0 {
		n := l.accept(l.late.bytes())
		if n == 0 {
			return
		}
		l.late.drop(n)
		l.wake |= wakeFarOut
	}
}

// accept takes bytes while the input has room. In a full input that is all one
// unfinished line, each further byte replaces the last, so that the line can
// still be ended or killed.
func (l *line) accept(p []byte) int {
	defer l.flushEchoes()
	for i, c := range p {
		room := inputSize - l.in.count()
		if l.iflag(linux.PARMRK) {
			room = (room + 2) / 3
		}
		if room--; room <= 0 {
			if !l.lflag(linux.ICANON) || l.in.canon != l.in.tail {
				return i
			}
			if room < 0 {
				l.in.head--
			}
		}
		l.char(c)
	}
	return len(p)
}

// char is one byte from the far side.
func (l *line) char(c byte) {
	if l.raw {
		l.plain(c)
		return
	}
	literal := l.next
	l.next = false
	if l.iflag(linux.ISTRIP) {
		c &= 0x7f
	}
	if l.iflag(linux.IUCLC) && l.lflag(linux.IEXTEN) {
		c = toLower(c)
	}
	switch {
	case literal:
		l.ordinary(c)
	case l.lflag(linux.EXTPROC):
		l.plain(c)
	case !l.special[c]:
		l.ordinary(c)
	default:
		l.meaningful(c)
	}
}

// plain is a byte that is input and nothing else.
func (l *line) plain(c byte) {
	l.in.put(c)
	if !l.canonical() {
		l.wake |= wakeReaders
	}
}

// doubled is plain, with PARMRK's doubling of \377.
func (l *line) doubled(c byte) {
	if c == 0xff && l.iflag(linux.PARMRK) {
		l.plain(c)
	}
	l.plain(c)
}

// ordinary is a byte that is echoed and kept. Any restarts output with IXANY.
func (l *line) ordinary(c byte) {
	l.startOnAny()
	l.echoTyped(c)
	l.doubled(c)
}

func (l *line) startOnAny() {
	if l.iflag(linux.IXON) && l.iflag(linux.IXANY) {
		l.restart()
	}
}

// meaningful is a byte that some mode gives a meaning: in order, flow control,
// signals, newline mapping and line editing.
func (l *line) meaningful(c byte) {
	if l.iflag(linux.IXON) && l.flow(c) || l.lflag(linux.ISIG) && l.signal(c) {
		return
	}
	l.startOnAny()
	switch {
	case c == '\r' && l.iflag(linux.IGNCR):
		return
	case c == '\r' && l.iflag(linux.ICRNL):
		c = '\n'
	case c == '\n' && l.iflag(linux.INLCR):
		c = '\r'
	}
	if l.lflag(linux.ICANON) && l.edit(c) {
		return
	}
	if l.lflag(linux.ECHO) && c == '\n' {
		l.finishErasing()
		l.echoByte(c)
	} else {
		l.echoTyped(c)
	}
	l.doubled(c)
}

// flow is VSTART and VSTOP.
func (l *line) flow(c byte) bool {
	switch {
	case l.is(c, linux.VSTART):
		l.restart()
	case l.is(c, linux.VSTOP):
		l.stop()
	default:
		return false
	}
	return true
}

// signal is VINTR, VQUIT and VSUSP.
func (l *line) signal(c byte) bool {
	switch {
	case l.is(c, linux.VINTR):
		l.raise(linux.SIGINT)
	case l.is(c, linux.VQUIT):
		l.raise(linux.SIGQUIT)
	case l.is(c, linux.VSUSP):
		l.raise(linux.SIGTSTP)
	default:
		return false
	}
	if l.iflag(linux.IXON) {
		l.restart()
	}
	if l.lflag(linux.ECHO) {
		l.echoChar(c)
	}
	return true
}

// raise sends s to the foreground and, without NOFLSH, flushes both queues.
func (l *line) raise(s linux.Signal) {
	l.sigs = append(l.sigs, s)
	if l.lflag(linux.NOFLSH) {
		return
	}
	l.echoes.clear()
	l.flushOutput()
	// What came in the same write stays: it was typed after.
	l.in.reset()
	l.erasing = false
	l.tell(linux.TIOCPKT_FLUSHREAD, 0)
}

// edit is what ICANON does; false if c is none of its characters.
func (l *line) edit(c byte) bool {
	ext := l.lflag(linux.IEXTEN)
	switch {
	case l.is(c, linux.VERASE), l.is(c, linux.VKILL), ext && l.is(c, linux.VWERASE):
		l.erase(c)
	case ext && l.is(c, linux.VLNEXT):
		l.next = true
		if l.lflag(linux.ECHO) {
			l.finishErasing()
			if l.lflag(linux.ECHOCTL) {
				l.echoByte('^')
				l.echoByte('\b')
			}
		}
	case ext && l.lflag(linux.ECHO) && l.is(c, linux.VREPRINT):
		l.reprint(c)
	case c == '\n':
		if l.lflag(linux.ECHO | linux.ECHONL) {
			l.echoByte(c)
		}
		l.end(c)
	case l.is(c, linux.VEOF):
		l.end(eofMark)
	case l.is(c, linux.VEOL), ext && l.is(c, linux.VEOL2):
		if l.lflag(linux.ECHO) {
			l.noteStart()
			l.echoChar(c)
		}
		if c == 0xff && l.iflag(linux.PARMRK) {
			l.plain(c)
		}
		l.end(c)
	default:
		return false
	}
	return true
}

// end finishes the line being typed with c.
func (l *line) end(c byte) {
	l.in.endLine(c)
	l.wake |= wakeReaders
}

// reprint is VREPRINT: the unfinished line again, on a new one.
func (l *line) reprint(c byte) {
	l.finishErasing()
	l.echoChar(c)
	l.echoByte('\n')
	for i := l.in.canon; i < l.in.head; i++ {
		l.echoChar(l.in.at(i))
	}
}
