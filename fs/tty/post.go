package tty

import "garrison/sentry/linux"

// post is output processing (OPOST): what c becomes, appended to dst. It keeps
// count of the column.
func (l *line) post(dst []byte, c byte) []byte {
	switch c {
	case '\n':
		if l.oflag(linux.ONLRET) {
			l.col = 0
		}
		if l.oflag(linux.ONLCR) {
			l.col, l.canonCol = 0, 0
			return append(dst, '\r', '\n')
		}
		l.canonCol = l.col
	case '\r':
		if l.oflag(linux.ONOCR) && l.col == 0 {
			return dst
		}
		if l.oflag(linux.OCRNL) {
			if c = '\n'; !l.oflag(linux.ONLRET) {
				break
			}
		}
		l.col, l.canonCol = 0, 0
	case '\t':
		n := 8 - l.col&7
		l.col += n
		if l.t.Oflag&linux.TABDLY == linux.XTABS {
			return append(dst, "        "[:n]...)
		}
	case '\b':
		l.back()
	default:
		if isControl(c) {
			break
		}
		if l.oflag(linux.OLCUC) {
			c = toUpper(c)
		}
		if !l.continues(c) {
			l.col++
		}
	}
	return append(dst, c)
}

// write puts what a program writes out and returns how much of p; less than all
// where there is no room.
func (l *line) write(p []byte) int {
	l.flushEchoes()
	room := l.room()
	if room <= 0 {
		return 0
	}
	l.wake |= wakeFar
	if !l.oflag(linux.OPOST) {
		n := min(len(p), room)
		l.out.put(p[:n]...)
		return n
	}
	var post [8]byte
	for done := 0; done < len(p); {
		if room < 8 {
			return done
		}
		if n := l.plainRun(p[done:min(done+room, len(p))]); n > 0 {
			l.out.put(p[done : done+n]...)
			done, room = done+n, room-n
			continue
		}
		b := l.post(post[:0], p[done])
		l.out.put(b...)
		done, room = done+1, room-len(b)
	}
	return len(p)
}

// plainRun is how much of p's beginning is output as it is; the column moves on.
func (l *line) plainRun(p []byte) int {
	if l.oflag(linux.OLCUC) || l.iflag(linux.IUTF8) {
		return 0
	}
	n := 0
	for n < len(p) && !isControl(p[n]) {
		n++
	}
	l.col += n
	return n
}
