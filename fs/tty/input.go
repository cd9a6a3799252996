package tty

// inputSize is how many bytes a terminal keeps for its reader, and so the
// longest line: MAX_CANON plus its end.
const inputSize = 4096

// An input is what was typed and not yet read: a ring whose positions only
// grow. Bytes below canon belong to finished lines; ends marks each line's last.
type input struct {
	buf               [inputSize]byte
	ends              [inputSize / 64]uint64
	tail, canon, head uint64
}

func (in *input) at(i uint64) byte    { return in.buf[i%inputSize] }
func (in *input) isEnd(i uint64) bool { return in.ends[i%inputSize/64]>>(i%64)&1 != 0 }
func (in *input) setEnd(i uint64)     { in.ends[i%inputSize/64] |= 1 << (i % 64) }
func (in *input) clearEnd(i uint64)   { in.ends[i%inputSize/64] &^= 1 << (i % 64) }
func (in *input) count() int          { return int(in.head - in.tail) }
func (in *input) lines() int          { return int(in.canon - in.tail) }

func (in *input) put(c byte) {
	in.buf[in.head%inputSize] = c
	in.head++
}

// endLine puts c as the last of a line.
func (in *input) endLine(c byte) {
	in.setEnd(in.head)
	in.put(c)
	in.canon = in.head
}

// reset forgets everything.
func (in *input) reset() {
	in.tail, in.canon, in.head = 0, 0, 0
	clear(in.ends[:])
}

// recast is what a switch of ICANON does to the bytes already here: they become
// one finished line, or plain bytes.
func (in *input) recast(canonical bool) {
	clear(in.ends[:])
	in.canon = in.tail
	if canonical && in.count() > 0 {
		in.setEnd(in.head - 1)
		in.canon = in.head
	}
}

// takeRaw moves up to len(p) bytes out. Finished lines and unfinished ones are
// alike to a reader without ICANON.
func (in *input) takeRaw(p []byte) int {
	n := min(len(p), in.count())
	for i := range n {
		in.clearEnd(in.tail)
		p[i] = in.at(in.tail)
		in.tail++
	}
	in.canon = max(in.canon, in.tail)
	return n
}

// takeLine moves a finished line, or as much of it as fits, out of the ring.
// more is true when the line goes on. A line ended by the end-of-file character
// has that left out; where only that is left, it is taken along.
func (in *input) takeLine(p []byte) (n int, more bool) {
	for in.tail < in.canon {
		c, end := in.at(in.tail), in.isEnd(in.tail)
		if end && c == eofMark {
			in.clearEnd(in.tail)
			in.tail++
			return n, false
		}
		if n == len(p) {
			return n, true
		}
		in.clearEnd(in.tail)
		p[n] = c
		n, in.tail = n+1, in.tail+1
		if end {
			return n, false
		}
	}
	return n, false
}

// canonCount is FIONREAD's answer with ICANON: the bytes of finished lines.
func (in *input) canonCount() int {
	n := in.lines()
	for i := in.tail; i < in.canon; i++ {
		if in.isEnd(i) && in.at(i) == eofMark {
			n--
		}
	}
	return n
}
