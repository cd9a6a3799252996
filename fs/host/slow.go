package host

import (
	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// A transfer is one host call on its way in a goroutine, and for reading what
// it brought.
type transfer struct {
	busy bool
	data []byte // read and not yet taken
	err  error  // told once
	eof  bool
}

// slowMax is how much one such call moves.
const slowMax = 4096

// slowRead reads where the host may make the reader wait though poll says ready:
// somebody else with the same terminal may be faster. What was read for a task
// that has gone stays for the next.
func (d *Descriptor) slowRead(dst usermem.Seq) (int64, error) {
	want := int(min(dst.Len(), slowMax))
	if want == 0 {
		return 0, nil
	}
	d.mu.Lock()
	in := &d.in
	switch {
	case len(in.data) > 0:
		n := min(len(in.data), want)
		piece := in.data[:n]
		in.data = in.data[n:]
		d.mu.Unlock()
		done, err := dst.CopyOut(piece)
		return int64(done), err
	case in.err != nil || in.eof:
		err := in.err
		in.err, in.eof = nil, false
		d.mu.Unlock()
		return 0, err
	case in.busy || ready(d.fd, wait.In)&(wait.In|wait.Always) == 0:
		d.mu.Unlock()
		return 0, linux.EAGAIN
	}
	in.busy = true
	d.mu.Unlock()
	d.Hold()
	go d.fetch(want)
	return 0, linux.EAGAIN
}

func (d *Descriptor) fetch(want int) {
	buf := make([]byte, want)
	n, err := retry(func() (int, error) { return unix.Read(d.fd, buf) })
	d.mu.Lock()
	d.in.busy = false
	switch {
	case err == unix.EAGAIN: // somebody else's descriptor is non-blocking
	case err != nil:
		d.in.err = errno(err)
	case n == 0:
		d.in.eof = true
	default:
		d.in.data = buf[:n]
	}
	d.mu.Unlock()
	d.queue.Notify(wait.Readable)
	d.Drop()
}

// slowWrite hands a piece to a goroutine and counts it as written.
func (d *Descriptor) slowWrite(src usermem.Seq) (int64, error) {
	buf := make([]byte, min(src.Len(), slowMax))
	if _, err := src.CopyIn(buf); err != nil {
		return 0, err
	}
	d.mu.Lock()
	out := &d.out
	if err := out.err; err != nil {
		out.err = nil
		d.mu.Unlock()
		return 0, err
	}
	if out.busy {
		d.mu.Unlock()
		return 0, linux.EAGAIN
	}
	out.busy = true
	d.mu.Unlock()
	d.Hold()
	go d.send(buf)
	return int64(len(buf)), nil
}

func (d *Descriptor) send(buf []byte) {
	var failed error
	for len(buf) > 0 && failed == nil {
		n, err := retry(func() (int, error) { return unix.Write(d.fd, buf) })
		if err == unix.EAGAIN {
			unix.Poll([]unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLOUT}}, -1)
			continue
		}
		if err != nil {
			failed = errno(err)
			break
		}
		buf = buf[n:]
	}
	d.mu.Lock()
	d.out.busy = false
	d.out.err = failed
	d.mu.Unlock()
	d.queue.Notify(wait.Writable)
	d.Drop()
}

// slowReady corrects what poll says, e, by what goroutines have in hand.
func (d *Descriptor) slowReady(e wait.Events) wait.Events {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.in.busy {
		e &^= wait.Readable
	}
	if len(d.in.data) > 0 || d.in.err != nil || d.in.eof {
		e |= wait.Readable
	}
	if d.out.busy {
		e &^= wait.Writable
	} else if d.out.err != nil {
		e |= wait.Writable
	}
	return e
}

// Flushed reports whether everything that was written has reached the host.
func (d *Descriptor) Flushed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.out.busy
}

func retry(f func() (int, error)) (int, error) {
	for {
		if n, err := f(); err != unix.EINTR {
			return n, err
		}
	}
}
