package tty

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// A Console is a terminal whose far side is a host descriptor: one end of a
// pseudoterminal of the host's, in raw mode, so that all of the line discipline
// happens here. Two goroutines carry the bytes.
type Console struct {
	*Terminal

	wire  *os.File      `save:"-"`
	stir  chan struct{} `save:"-"` // the far object changed
	watch wait.Watch
	idle  chan struct{} `save:"-"` // an answer for each Flush that waits
	done  chan struct{} `save:"-"` // the wire is dead
	end   sync.Once     `save:"-"`
}

// NewConsole makes a console of wire, which it owns from now on, and begins to
// carry. The size of the window is the wire's. If wire is not a host terminal it
// has no size, and all else works.
//
// The host may hold wire's description open elsewhere: it is put in non-blocking
// mode only if it already is (os.NewFile looks); otherwise a thread waits in it.
func NewConsole(k *kernel.Kernel, wire *os.File, device uint64, name string) *Console {
	c := &Console{
		Terminal: New(k, device, name), wire: wire,
		stir: make(chan struct{}, 1), idle: make(chan struct{}), done: make(chan struct{}),
	}
	c.Refresh()
	c.watch = wait.Watch{Mask: wait.Readable | wait.Writable, To: (*consoleWaker)(c)}
	c.Far().Watch(&c.watch)
	room := make(chan struct{}, 1)
	go c.carryIn(room)
	go c.carryOut(room)
	return c
}

// consoleWaker is told when there is output, or room for input.
type consoleWaker Console

// Wake implements wait.Waker.
func (c *consoleWaker) Wake(*wait.Watch, wait.Events) { poke(c.stir) }

func poke(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// carryIn takes what is typed. The end of the wire is a hang-up.
func (c *Console) carryIn(room <-chan struct{}) {
	buf := make([]byte, chunk)
	for {
		n, err := c.wire.Read(buf)
		for p := buf[:n]; len(p) > 0; {
			k := c.Feed(p)
			if p = p[k:]; k == 0 {
				select {
				case <-room:
				case <-c.done:
					return
				}
			}
		}
		if err != nil {
			c.Close()
			return
		}
	}
}

// Close cuts the line: whoever holds the other end of the wire reads its end, and
// what is open here is hung up. It happens by itself when the wire ends.
func (c *Console) Close() {
	c.end.Do(func() {
		close(c.done)
		c.Far().Unwatch(&c.watch)
		c.Hangup(true)
		c.wire.Close()
	})
}

// carryOut brings output away. What a dead wire does not take is lost.
func (c *Console) carryOut(room chan<- struct{}) {
	buf := make([]byte, chunk)
	for {
		poke(room)
		n := c.Drain(buf)
		if n > 0 {
			c.wire.Write(buf[:n]) // an error shows at the reader's end too
			continue
		}
		select {
		case <-c.stir:
		case c.idle <- struct{}{}:
		case <-c.done:
			return
		}
	}
}

// Flush waits until what was written has reached the host, or until limit.
func (c *Console) Flush(limit time.Duration) {
	late := time.After(limit)
	for range 2 { // the first answer may be from before the last write
		select {
		case <-c.idle:
		case <-c.done:
			return
		case <-late:
			return
		}
	}
}

// Refresh takes over the size of the host's window: after a SIGWINCH outside.
func (c *Console) Refresh() {
	conn, err := c.wire.SyscallConn()
	if err != nil {
		return
	}
	conn.Control(func(fd uintptr) {
		if w, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ); err == nil {
			c.SetSize(linux.Winsize{Row: w.Row, Col: w.Col, Xpixel: w.Xpixel, Ypixel: w.Ypixel})
		}
	})
}
