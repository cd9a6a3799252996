package tty

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/wait"
)

// A Terminal is a terminal as programs see it. What is beyond it, a
// pseudoterminal's master or a host descriptor, is its far side, which sends
// (Feed) and takes (Drain) bytes.
type Terminal struct {
	k *kernel.Kernel
	// Device is the number that stat(2) and /proc/pid/stat show, as
	// linux.Makedev has it; Name the one of /proc/tty/drivers, as "pts/0".
	Device uint64
	Name   string

	// near and far are told of changes: near whoever reads and writes the
	// terminal, far the far side.
	near, far wait.Queue

	mu        lock.Mutex[lock.Leaf]
	line      *line
	size      linux.Winsize
	opens     int    // open files
	opened    bool   // there has been one
	exclusive bool   // TIOCEXCL
	locked    bool   // TIOCSPTLCK: nobody may open it
	epoch     uint64 // counts hang-ups; a file of an older one is dead
	gone      bool   // the far side has been closed
	released  func() // called once: gone, and no file is open
}

// New returns a terminal of k with the default modes.
func New(k *kernel.Kernel, device uint64, name string) *Terminal {
	return &Terminal{k: k, Device: device, Name: name, line: newLine()}
}

// do runs f on the line and then tells whom it concerns.
func (t *Terminal) do(f func(*line)) {
	t.mu.Lock()
	f(t.line)
	wake, sigs := t.line.wake, t.line.sigs
	t.line.wake, t.line.sigs = 0, nil
	t.mu.Unlock()
	for _, s := range sigs {
		t.k.SignalForeground(t, s)
	}
	t.tell(wake)
}

func (t *Terminal) tell(wake side) {
	var near, far wait.Events
	if wake&wakeReaders != 0 {
		near |= wait.Readable
	}
	if wake&wakeWriters != 0 {
		near |= wait.Writable
	}
	if wake&wakeFar != 0 {
		far |= wait.Readable | wait.Pri
	}
	if wake&wakeFarOut != 0 {
		far |= wait.Writable
	}
	if near != 0 {
		t.near.Notify(near)
	}
	if far != 0 {
		t.far.Notify(far)
	}
}

// Feed is input from the far side: it returns how much of p there was room for.
// The Far object is writable when there is more.
func (t *Terminal) Feed(p []byte) (n int) {
	t.do(func(l *line) { n = l.receive(p) })
	return n
}

// Drain moves output to the far side's p: 0 if there is none now.
func (t *Terminal) Drain(p []byte) (n int) {
	t.do(func(l *line) {
		if n = l.takeOut(p); n > 0 {
			l.wake |= wakeWriters
		}
	})
	return n
}

// Status takes what a far side in packet mode has not yet heard of.
func (t *Terminal) Status() (s uint8) {
	t.do(func(l *line) { s, l.status = l.status, 0 })
	return s
}

// SetPacket turns packet mode on or off.
func (t *Terminal) SetPacket(on bool) {
	t.do(func(l *line) {
		if on && !l.packet {
			l.status = 0
		}
		l.packet = on
	})
}

// Packet reports whether packet mode is on.
func (t *Terminal) Packet() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.packet
}

// Pending is how many bytes Drain would give.
func (t *Terminal) Pending() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.out.len()
}

// Far is the far side as an object to wait for: readable when there is output,
// writable when there is room for input, hung up when every file of a
// terminal that was in use is closed.
func (t *Terminal) Far() wait.Object { return (*farObject)(t) }

type farObject Terminal

// Ready implements wait.Object.
func (o *farObject) Ready(mask wait.Events) wait.Events {
	o.mu.Lock()
	defer o.mu.Unlock()
	var e wait.Events
	if o.line.out.len() > 0 {
		e |= wait.Readable
	}
	if o.line.packet && o.line.status != 0 {
		e |= wait.Readable | wait.Pri
	}
	if o.line.late.len() < lateMax && !o.line.farStop {
		e |= wait.Writable
	}
	if o.opened && o.opens == 0 {
		e |= wait.Hup
	}
	return e & (mask | wait.Always)
}

// Watch and Unwatch implement wait.Object.
func (o *farObject) Watch(w *wait.Watch) { o.far.Watch(w) }

// Unwatch implements wait.Object.
func (o *farObject) Unwatch(w *wait.Watch) { o.far.Unwatch(w) }

// Abandoned reports whether the terminal was in use and every file of it is
// closed: then the far side reads EIO.
func (t *Terminal) Abandoned() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.opened && t.opens == 0
}

// Hangup is the line going dead: vhangup(2), or the far side being closed for
// good (gone). Open files read end of file and write EIO from now on, the leader of
// the session that the terminal controls is sent SIGHUP, and who opens it
// again finds a new terminal's modes.
func (t *Terminal) Hangup(gone bool) {
	t.mu.Lock()
	t.epoch++
	t.gone = t.gone || gone
	t.line.reopen()
	t.line.wake, t.line.sigs = 0, nil
	released := t.releasedLocked()
	t.mu.Unlock()
	if released != nil {
		released()
	}
	t.k.HangupTerminal(t)
	t.near.Notify(wait.Readable | wait.Writable | wait.Hup | wait.Err)
	t.far.Notify(wait.Readable | wait.Hup)
}

// OnRelease has f called once when the far side is gone and no file is open any
// more: its number is free then.
func (t *Terminal) OnRelease(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.released = f
}

// releasedLocked is what is to be called, without the lock, if that is now.
func (t *Terminal) releasedLocked() (f func()) {
	if t.gone && t.opens == 0 {
		f, t.released = t.released, nil
	}
	return f
}

// Size is the size of the window.
func (t *Terminal) Size() linux.Winsize {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.size
}

// SetSize changes it, and if it did change sends SIGWINCH to the foreground.
func (t *Terminal) SetSize(w linux.Winsize) {
	t.mu.Lock()
	same := t.size == w
	t.size = w
	t.mu.Unlock()
	if !same {
		t.k.SignalForeground(t, linux.SIGWINCH)
	}
}

// SetLock is TIOCSPTLCK: a locked terminal can't be opened.
func (t *Terminal) SetLock(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.locked = on
}

// Locked reports what SetLock set.
func (t *Terminal) Locked() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.locked
}

// Raise sends s to the foreground process group: TIOCSIG. Unlike the character for
// it that flushes nothing.
func (t *Terminal) Raise(s linux.Signal) { t.k.SignalForeground(t, s) }
