package vfs

import (
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// An IOOwner is sent SIGIO when a file with O_ASYNC becomes ready: fcntl(F_SETOWN).
type IOOwner interface {
	// SignalIO sends sig (0: SIGIO, without information) for events e of the file
	// that was descriptor fd when it was asked for. It is called by whoever makes the
	// file ready, and takes the locks that a signal takes.
	SignalIO(sig linux.Signal, fd int32, e wait.Events)
}

// asyncIO is a description's part in signal-driven I/O; protected by hookMu.
type asyncIO struct {
	owner IOOwner
	none  int32 // F_OWNER_*: what kind of owner there is none of
	sig   linux.Signal
	on    bool
	fd    int32 // the descriptor by which it was turned on
	watch *asyncWatch
}

// asyncWatch watches the file of d.
type asyncWatch struct {
	wait.Watch
	d *FileDescription
}

// Sleeps implements wait.Sleeper: signals take locks, which a Waker must not while the
// queue is locked, and are sent before the call returns that made the file ready.
func (w *asyncWatch) Sleeps() {}

// Wake implements wait.Waker.
func (w *asyncWatch) Wake(_ *wait.Watch, e wait.Events) {
	w.d.hookMu.Lock()
	a := w.d.async
	w.d.hookMu.Unlock()
	if a.owner != nil && a.on {
		a.owner.SignalIO(a.sig, a.fd, e)
	}
}

// CanSignal reports whether d's file has signal-driven I/O.
func (d *FileDescription) CanSignal() bool {
	_, ok := d.file.(Asyncer)
	return ok
}

// SetOwner is fcntl(F_SETOWN_EX): nil is nobody, and for that the kind F_OWNER_* counts,
// as Linux shows it all the same.
func (d *FileDescription) SetOwner(o IOOwner, kind int32) {
	d.hookMu.Lock()
	d.async.owner, d.async.none = o, kind
	on := d.async.on
	d.hookMu.Unlock()
	d.setAsync(on)
}

// Owner is fcntl(F_GETOWN_EX): nil is nobody, of a kind F_OWNER_*.
func (d *FileDescription) Owner() (o IOOwner, kind int32) {
	d.hookMu.Lock()
	defer d.hookMu.Unlock()
	return d.async.owner, d.async.none
}

// SetAsync is what F_SETFL and FIOASYNC do to O_ASYNC by descriptor fd, before SetFlags:
// signals name that one.
func (d *FileDescription) SetAsync(fd int32, f linux.OpenFlags) {
	d.hookMu.Lock()
	defer d.hookMu.Unlock()
	if f&linux.O_ASYNC != 0 && !d.async.on {
		d.async.fd = fd
	}
}

// SetSignal is fcntl(F_SETSIG).
func (d *FileDescription) SetSignal(s linux.Signal) {
	d.hookMu.Lock()
	defer d.hookMu.Unlock()
	d.async.sig = s
}

// Signal is fcntl(F_GETSIG).
func (d *FileDescription) Signal() linux.Signal {
	d.hookMu.Lock()
	defer d.hookMu.Unlock()
	return d.async.sig
}

// setAsync turns signal-driven I/O on or off: it is watched for only if somebody is
// to be told.
func (d *FileDescription) setAsync(on bool) {
	if d.object == nil {
		return
	}
	d.hookMu.Lock()
	d.async.on = on
	var start, stop *asyncWatch
	switch w := d.async.watch; {
	case on && d.async.owner != nil && w == nil:
		start = &asyncWatch{d: d}
		start.Mask, start.To = wait.Readable|wait.Writable|wait.Pri|wait.RdHup, start
		d.async.watch = start
	case w != nil && (!on || d.async.owner == nil):
		stop, d.async.watch = w, nil
	}
	d.hookMu.Unlock()
	if stop != nil {
		d.object.Unwatch(&stop.Watch)
	}
	if start == nil {
		return
	}
	d.object.Watch(&start.Watch)
	// Who has turned it off meanwhile has found nothing to take back.
	d.hookMu.Lock()
	stale := d.async.watch != start
	d.hookMu.Unlock()
	if stale {
		d.object.Unwatch(&start.Watch)
	}
}
