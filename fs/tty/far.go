package tty

import "garrison/sentry/linux"

// The far side of a pseudoterminal is a terminal too, in raw mode, with queues and
// flow control of its own.

// farQueues is TCFLSH and TCXONC from the far side: its input is what the program
// wrote, its output what is on the way to the program's input.
func (t *Terminal) farQueues(cmd uint32, arg uint64) error {
	if cmd == linux.TCXONC {
		return t.farSuspend(arg)
	}
	if arg > linux.TCIOFLUSH {
		return linux.EINVAL
	}
	t.do(func(l *line) {
		if arg != linux.TCOFLUSH {
			l.out.clear()
			l.flushEchoes()
			l.wake |= wakeWriters
		}
		if arg != linux.TCIFLUSH {
			l.late.clear()
			l.wake |= wakeFarOut
		}
	})
	return nil
}

// farSuspend is TCXONC from the far side.
func (t *Terminal) farSuspend(action uint64) error {
	switch action {
	case linux.TCOOFF, linux.TCOON:
		t.do(func(l *line) {
			l.farStop = action == linux.TCOOFF
			l.wake |= wakeFarOut
		})
	case linux.TCIOFF, linux.TCION: // its own characters, which nobody can change
		std := defaultTermios()
		c := std.Cc[linux.VSTOP]
		if action == linux.TCION {
			c = std.Cc[linux.VSTART]
		}
		t.Feed([]byte{c})
	default:
		return linux.EINVAL
	}
	return nil
}
