package tty

import "garrison/sentry/linux"

// echoBatch is how much echo gathers while one piece of input is worked off
// before it is sent: what the piece itself stops or flushes is not seen.
const echoBatch = 256

// emit adds bytes to the echo; what is beyond echoMax is lost.
func (l *line) emit(p ...byte) {
	if l.echoes.len() >= echoBatch {
		l.flushEchoes()
	}
	if l.echoes.len()+len(p) <= echoMax {
		l.echoes.put(p...)
	}
}

// flushEchoes sends the echo that waits, as far as output may go.
func (l *line) flushEchoes() {
	if l.stopped || l.echoes.len() == 0 {
		return
	}
	if n := min(l.echoes.len(), outputMax+echoMax-l.out.len()); n > 0 {
		l.out.put(l.echoes.bytes()[:n]...)
		l.echoes.drop(n)
		l.wake |= wakeFar
	}
}

// echoByte echoes c, through output processing if there is any.
func (l *line) echoByte(c byte) {
	var post [8]byte
	if l.oflag(linux.OPOST) {
		l.emit(l.post(post[:0], c)...)
	} else {
		l.emit(c)
	}
}

// echoChar echoes c as typed: a control character as ^X, with ECHOCTL.
func (l *line) echoChar(c byte) {
	if l.lflag(linux.ECHOCTL) && isControl(c) && c != '\t' {
		l.emit('^', c^0100)
		l.col += 2
		return
	}
	l.echoByte(c)
}

// echoTyped echoes a byte of the line being typed.
func (l *line) echoTyped(c byte) {
	if l.lflag(linux.ECHO) {
		l.finishErasing()
		l.noteStart()
		l.echoChar(c)
	}
}

// noteStart notes the column where the line being typed begins.
func (l *line) noteStart() {
	if l.in.canon == l.in.head {
		l.canonCol = l.col
	}
}

// finishErasing ends ECHOPRT's \…/.
func (l *line) finishErasing() {
	if l.erasing {
		l.echoByte('/')
		l.erasing = false
	}
}

// erase is VERASE, VWERASE or VKILL: c says which.
func (l *line) erase(c byte) {
	if l.in.head == l.in.canon {
		return
	}
	word, all := false, false
	switch {
	case l.is(c, linux.VERASE):
	case l.is(c, linux.VWERASE):
		word = true
	default:
		if all = true; l.killAtOnce() {
			return
		}
	}
	inWord := false
	for l.in.head != l.in.canon {
		head, ok := l.lastChar()
		if !ok {
			break // half a character is not erased
		}
		first := l.in.at(head)
		if word && isWord(first) {
			inWord = true
		} else if word && inWord {
			break
		}
		size := int(l.in.head - head)
		l.in.head = head
		if l.lflag(linux.ECHO) {
			l.echoErased(head, size, !word && !all)
		}
		if !word && !all {
			break
		}
	}
	if l.in.head == l.in.canon && l.lflag(linux.ECHO) {
		l.finishErasing()
	}
}

// killAtOnce is VKILL where the line need not be rubbed out on the screen.
func (l *line) killAtOnce() bool {
	if !l.lflag(linux.ECHO) {
		l.in.head = l.in.canon
		return true
	}
	if l.lflag(linux.ECHOK) && l.lflag(linux.ECHOKE) && l.lflag(linux.ECHOE) {
		return false
	}
	l.in.head = l.in.canon
	l.finishErasing()
	l.echoChar(l.t.Cc[linux.VKILL])
	if l.lflag(linux.ECHOK) {
		l.echoByte('\n')
	}
	return true
}

// lastChar is where the last character begins.
func (l *line) lastChar() (uint64, bool) {
	for i := l.in.head - 1; ; i-- {
		if !l.continues(l.in.at(i)) {
			return i, true
		}
		if i == l.in.canon {
			return 0, false
		}
	}
}

// echoErased shows that the character of size bytes at head has gone.
func (l *line) echoErased(head uint64, size int, single bool) {
	c := l.in.at(head)
	switch {
	case l.lflag(linux.ECHOPRT):
		if !l.erasing {
			l.echoByte('\\')
			l.erasing = true
		}
		l.echoChar(c)
		for i := 1; i < size; i++ {
			l.echoByte(l.in.at(head + uint64(i)))
			l.back()
		}
	case single && !l.lflag(linux.ECHOE):
		l.echoChar(l.t.Cc[linux.VERASE])
	case c == '\t':
		l.eraseTab()
	default:
		if isControl(c) && l.lflag(linux.ECHOCTL) {
			l.rubOut()
		}
		if !isControl(c) || l.lflag(linux.ECHOCTL) {
			l.rubOut()
		}
	}
}

func (l *line) rubOut() {
	l.echoByte('\b')
	l.echoByte(' ')
	l.echoByte('\b')
}

// back is a step of the column alone.
func (l *line) back() {
	if l.col > 0 {
		l.col--
	}
}

// eraseTab steps back over a tab: as far as the typed text before it, since the
// tab before that or the start of the line, leaves it from a tab stop.
func (l *line) eraseTab() {
	width, base := 0, l.canonCol
	for i := l.in.head; i > l.in.canon; i-- {
		c := l.in.at(i - 1)
		if c == '\t' {
			base = 0
			break
		}
		switch {
		case isControl(c) && l.lflag(linux.ECHOCTL):
			width += 2
		case !isControl(c) && !l.continues(c):
			width++
		}
	}
	for range 8 - (base+width)&7 {
		l.emit('\b')
		l.back()
	}
}
