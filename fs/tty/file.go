package tty

import (
	"sync/atomic"
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// chunk is how much one step of a read or write moves.
const chunk = 4096

// A File is an open terminal, seen from its program's side.
type File struct {
	t     *Terminal
	epoch uint64

	readable bool // opened for reading
	nonblock atomic.Bool
	waiting  atomic.Bool // the last read found nothing and its caller waits
}

var (
	_ vfs.File       = (*File)(nil)
	_ vfs.Streamer   = (*File)(nil)
	_ vfs.Control    = (*File)(nil)
	_ vfs.FlagSetter = (*File)(nil)
	_ vfs.Statter    = (*Anonymous)(nil)
	_ wait.Object    = (*File)(nil)
)

// Open opens t: open(2) of its device. It becomes the controlling terminal of a
// session leader that has none, without O_NOCTTY. EIO if it is locked or its far
// side has gone, EBUSY if it is exclusive.
func (t *Terminal) Open(c vfs.Ctx, flags linux.OpenFlags) (*File, error) {
	f, err := t.open(c, flags)
	if err != nil {
		return nil, err
	}
	if flags&linux.O_NOCTTY == 0 && flags.Readable() {
		if task, ok := kernel.Caller(c); ok && t.k.TerminalSession(t) == nil {
			t.k.SetTerminal(task, t, kernel.Acquire{}) // who leads no session gets none
		}
	}
	return f, nil
}

func (t *Terminal) open(c vfs.Ctx, flags linux.OpenFlags) (*File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.gone || t.locked:
		return nil, linux.EIO
	case t.exclusive && !c.Creds().Capable(auth.CapSysAdmin):
		return nil, linux.EBUSY
	}
	t.opens++
	t.opened = true
	f := &File{t: t, epoch: t.epoch, readable: flags.Readable()}
	f.nonblock.Store(flags&linux.O_NONBLOCK != 0)
	return f, nil
}

// Terminal is what f has open.
func (f *File) Terminal() *Terminal { return f.t }

// Stream implements vfs.Streamer.
func (*File) Stream() {}

// Async implements vfs.Asyncer.
func (*File) Async() {}

// SetFlags implements vfs.FlagSetter.
func (f *File) SetFlags(_ vfs.Ctx, flags linux.OpenFlags) error {
	f.nonblock.Store(flags&linux.O_NONBLOCK != 0)
	return nil
}

// Close implements vfs.File.
func (f *File) Close(vfs.Ctx) {
	t := f.t
	t.mu.Lock()
	t.opens--
	last := t.opens == 0
	released := t.releasedLocked()
	t.mu.Unlock()
	if released != nil {
		released()
	}
	if last {
		t.far.Notify(wait.Readable | wait.Hup)
	}
}

// hung reports whether the line went dead after f was opened.
func (f *File) hung() bool {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return f.epoch != f.t.epoch
}

// check asks for job control's consent: nil if c is no task or may go on.
func (f *File) check(c vfs.Ctx, sig linux.Signal) error { return f.t.check(c, sig) }

func (t *Terminal) check(c vfs.Ctx, sig linux.Signal) error {
	task, ok := kernel.Caller(c)
	if !ok {
		return nil
	}
	return t.k.CheckForeground(task, t, sig)
}

// Ready implements wait.Object.
func (f *File) Ready(mask wait.Events) wait.Events {
	t := f.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.epoch != t.epoch {
		return (wait.Readable | wait.Writable | wait.Err | wait.Hup) & (mask | wait.Always)
	}
	var e wait.Events
	if t.line.readable() >= t.line.enough() {
		e |= wait.Readable
	}
	if t.line.room() > 0 {
		e |= wait.Writable
	}
	if t.gone {
		e |= wait.Hup
	}
	return e & (mask | wait.Always)
}

// Watch implements wait.Object.
func (f *File) Watch(w *wait.Watch) { f.t.near.Watch(w) }

// Unwatch implements wait.Object.
func (f *File) Unwatch(w *wait.Watch) { f.t.near.Unwatch(w) }

// enough is how much input makes the terminal readable for poll(2).
func (l *line) enough() int {
	if n := int(l.t.Cc[linux.VMIN]); !l.canonical() && n > 0 && l.t.Cc[linux.VTIME] == 0 {
		return n
	}
	return 1
}

// Read implements vfs.File. The waits that VMIN and VTIME ask for happen here:
// vfs knows only "readable".
func (f *File) Read(c vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	if f.hung() {
		return 0, f.ended(f.waiting.Swap(false))
	}
	if err := f.check(c, linux.SIGTTIN); err != nil {
		return 0, err
	}
	want := min(dst.Len(), f.t.atMost())
	if want == 0 {
		return 0, nil
	}
	if err := f.await(c, int(want)); err != nil {
		f.waiting.Store(err == linux.EAGAIN && !f.nonblock.Load())
		return 0, err
	}
	f.waiting.Store(false)
	if f.hung() {
		return 0, f.ended(true)
	}
	buf := make([]byte, want)
	n, ok := 0, false
	f.t.do(func(l *line) { n, ok = l.read(buf) })
	if !ok && f.polls() {
		return 0, nil
	}
	if !ok {
		return 0, linux.EAGAIN
	}
	done, err := dst.CopyOut(buf[:n])
	return int64(done), err
}

// ended is what a read of a dead line returns: end of file, but EIO if it had
// waited when the far side was closed.
func (f *File) ended(waited bool) error {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	if waited && f.t.gone {
		return linux.EIO
	}
	return nil
}

// readStep is how much Linux reads of a terminal in one go. It goes on while there is
// more, except where VMIN asks for more than that.
const readStep = 64

// atMost is the most that one read can return.
func (t *Terminal) atMost() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.line.canonical() && t.line.t.Cc[linux.VMIN] > readStep {
		return readStep
	}
	return inputSize
}

// polls reports whether a read that finds nothing returns 0: VMIN 0.
func (f *File) polls() bool {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return !f.t.line.canonical() && f.t.line.t.Cc[linux.VMIN] == 0
}

// await waits, where vfs can't, until a read of want bytes may return: nil means
// take what there is, EAGAIN that vfs is to wait for the first byte.
func (f *File) await(c vfs.Ctx, want int) error {
	f.t.mu.Lock()
	l := f.t.line
	have, canonical := l.readable(), l.canonical()
	vmin, vtime := int(l.t.Cc[linux.VMIN]), time.Duration(l.t.Cc[linux.VTIME])*100*time.Millisecond
	f.t.mu.Unlock()
	need := min(vmin, want)
	switch {
	case canonical || f.nonblock.Load():
		if have == 0 && (canonical || vmin > 0 || vtime > 0) {
			return linux.EAGAIN
		}
		return nil
	case vmin == 0:
		if have == 0 && vtime > 0 {
			return f.sleep(c, 1, vtime)
		}
		return nil
	case have >= need:
		return nil
	case vmin == 1:
		return linux.EAGAIN // poll's rule is read's
	}
	return f.awaitMore(c, need, vtime)
}

// awaitMore waits for need bytes, and between two of them no longer than vtime.
func (f *File) awaitMore(c vfs.Ctx, need int, vtime time.Duration) error {
	for have := f.t.readable(); have < need; {
		limit := vtime
		if have == 0 {
			limit = 0
		}
		if err := f.sleep(c, have+1, limit); err != nil {
			if f.t.readable() > 0 {
				return nil // what was read before a signal counts
			}
			return err
		}
		if have == f.t.readable() || f.hung() {
			return nil
		}
		have = f.t.readable()
	}
	return nil
}

func (t *Terminal) readable() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.readable()
}

// sleep waits for n bytes of input, for limit if that is not 0; nil also when
// the time is up.
func (f *File) sleep(c vfs.Ctx, n int, limit time.Duration) error {
	o := &threshold{f, n}
	if limit == 0 {
		return c.Block(o, wait.Readable)
	}
	if err := c.BlockFor(o, wait.Readable, limit); err != linux.ETIMEDOUT {
		return err
	}
	return nil
}

// A threshold is a terminal that is readable from n bytes on.
type threshold struct {
	*File
	n int
}

// Ready implements wait.Object.
func (h *threshold) Ready(mask wait.Events) wait.Events {
	h.t.mu.Lock()
	defer h.t.mu.Unlock()
	if h.epoch != h.t.epoch {
		return wait.Hup
	}
	if h.t.line.readable() >= h.n {
		return mask & wait.Readable
	}
	return 0
}

// Write implements vfs.File.
func (f *File) Write(c vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	if f.hung() {
		return 0, linux.EIO
	}
	if f.t.stopsWriters() {
		if err := f.check(c, linux.SIGTTOU); err != nil {
			return 0, err
		}
	}
	total, buf := int64(0), []byte(nil)
	for left := src.Len(); left > 0; left = src.Len() - total {
		room := f.t.room()
		if room == 0 {
			break
		}
		if n := min(left, chunk); int64(len(buf)) != n {
			buf = make([]byte, n)
		}
		if _, err := src.Skip(total).CopyIn(buf); err != nil {
			return total, errUnless(total, err)
		}
		n := 0
		f.t.do(func(l *line) { n = l.write(buf) })
		if total += int64(n); n < len(buf) {
			break
		}
	}
	if total == 0 && src.Len() > 0 {
		return 0, linux.EAGAIN
	}
	return total, nil
}

// errUnless is err if nothing was moved: progress wins over an error.
func errUnless(n int64, err error) error {
	if n > 0 {
		return nil
	}
	return err
}

func (t *Terminal) stopsWriters() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line.lflag(linux.TOSTOP)
}

func (t *Terminal) room() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line.flushEchoes()
	return t.line.room()
}

// An Anonymous is an open terminal that has no name in any filesystem.
type Anonymous struct{ *File }

// Stat implements vfs.Statter.
func (a *Anonymous) Stat(c vfs.Ctx) (vfs.Attr, error) {
	return vfs.Attr{
		Ino: a.t.Device, Mode: linux.S_IFCHR | 0o620, Nlink: 1, Rdev: a.t.Device, Blksize: 1024,
	}, nil
}
