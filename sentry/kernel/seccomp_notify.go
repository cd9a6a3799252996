package kernel

import (
	"math/rand/v2"
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Notifier is where tasks whose filter says SECCOMP_RET_USER_NOTIF wait for the
// word of a listener, seccomp_unotify(2). As a wait.Object it is readable while a
// call waits to be received, writable while one waits for an answer, and hung up
// when no task is left that could ask.
type Notifier struct {
	wait.Queue

	mu     lock.Mutex[lock.Leaf]
	next   uint64   // the next call's id; protected by mu
	calls  []*asked // that wait, in order; protected by mu
	fresh  int      // calls that have come, less those received; protected by mu
	closed bool     // nobody listens any more; protected by mu
	idle   bool     // no task has the filter; protected by mu
}

// An asked is a call that waits for the listener's word. Its fields are protected
// by Notifier.mu, but for the first.
type asked struct {
	n     *Notifier
	wait  wait.Queue // told of answers and files
	id    uint64
	task  *Task
	call  linux.SeccompData
	state askedState
	resp  linux.SeccompNotifResp // once answered
	files []*addedFile
}

type askedState uint8

const (
	notReceived askedState = iota
	received
	answered
)

// NewNotifier returns a notifier without a filter yet.
func NewNotifier() *Notifier { return &Notifier{next: rand.Uint64()} }

// Close says that nobody listens any more: calls that wait, and later ones, fail
// with ENOSYS.
func (n *Notifier) Close() {
	n.mu.Lock()
	n.closed = true
	calls := slices.Clone(n.calls)
	for _, a := range calls {
		if a.state != answered {
			a.state, a.resp = answered, linux.SeccompNotifResp{Error: -int32(linux.ENOSYS)}
		}
	}
	n.mu.Unlock()
	for _, a := range calls {
		a.wait.Notify(wait.Readable)
	}
}

// Closed reports whether Close has been called.
func (n *Notifier) Closed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closed
}

// unused says that no task has the filter any more.
func (n *Notifier) unused() {
	n.mu.Lock()
	n.idle = true
	n.mu.Unlock()
	n.Notify(wait.Hup)
}

// Ready implements wait.Object.
func (n *Notifier) Ready(e wait.Events) (now wait.Events) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.calls {
		switch a.state {
		case notReceived:
			now |= wait.Readable
		case received:
			now |= wait.Writable
		}
	}
	if n.idle {
		now |= wait.Hup
	}
	return now & (e | wait.Always)
}

// Ready implements wait.Object: there is an answer, or a file to be taken.
func (a *asked) Ready(e wait.Events) wait.Events {
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	if a.state == answered || len(a.files) > 0 {
		return e & wait.Readable
	}
	return 0
}

// Watch implements wait.Object.
func (a *asked) Watch(w *wait.Watch) { a.wait.Watch(w) }

// Unwatch implements wait.Object.
func (a *asked) Unwatch(w *wait.Watch) { a.wait.Unwatch(w) }

// askListener waits for the word of f's listener on the call c, and reports
// whether it is to be carried out; if not, the registers are those after it.
func (t *Task) askListener(f *filters, c *linux.SeccompData) bool {
	n := f.notifier
	if n == nil {
		t.failCall(linux.ENOSYS)
		return false
	}
	a := &asked{n: n, task: t, call: *c}
	if !n.ask(a) {
		t.failCall(linux.ENOSYS)
		return false
	}
	resp, err := t.awaitWord(a, f.killable)
	n.forget(a)
	switch {
	case err != nil:
		t.restart = linux.ERESTARTSYS
	case resp.Flags&linux.SECCOMP_USER_NOTIF_FLAG_CONTINUE != 0:
		return true
	case resp.Error != 0:
		t.regs.SetReturn(uint64(resp.Error))
	default:
		t.regs.SetReturn(uint64(resp.Val))
	}
	return false
}

// ask puts a where the listener finds it, unless there is none.
func (n *Notifier) ask(a *asked) bool {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return false
	}
	a.id = n.next
	n.next++
	n.calls = append(n.calls, a)
	n.fresh++
	n.mu.Unlock()
	n.Notify(wait.Readable)
	return true
}

// awaitWord takes the files that the listener gives, until it answers: a signal
// ends that with an error, once the call has been received only a fatal one if
// the filter is killable.
func (t *Task) awaitWord(a *asked, killable bool) (linux.SeccompNotifResp, error) {
	only := false
	for {
		var err error
		if only {
			err = t.BlockKillable(a, wait.Readable)
		} else {
			err = t.Block(a, wait.Readable)
		}
		a.n.mu.Lock()
		switch {
		case len(a.files) > 0 && (err == nil || !t.Killed()):
			x := a.files[0]
			a.files = a.files[1:]
			a.n.mu.Unlock()
			t.takeFile(a, x)
			continue
		case a.state == answered:
			resp := a.resp
			a.n.mu.Unlock()
			return resp, nil
		case err != nil && killable && !only && a.state == received:
			only = true
			err = nil
		}
		a.n.mu.Unlock()
		if err != nil {
			return a.resp, err
		}
	}
}

// forget takes a, whose task waits no more, off n.
func (n *Notifier) forget(a *asked) {
	n.mu.Lock()
	n.calls = slices.DeleteFunc(n.calls, func(x *asked) bool { return x == a })
	left := a.files
	a.files = nil
	for _, x := range left {
		x.done, x.err = true, linux.ESRCH
	}
	n.mu.Unlock()
	for _, x := range left {
		x.Notify(wait.Readable)
	}
}

// An addedFile is a file that a listener gives to who made a call.
type addedFile struct {
	wait.Queue
	n    *Notifier
	spec linux.SeccompNotifAddfd
	file *vfs.FileDescription

	done bool // protected by Notifier.mu, as the rest
	fd   FD
	err  error
}

// Ready implements wait.Object.
func (x *addedFile) Ready(e wait.Events) wait.Events {
	x.n.mu.Lock()
	defer x.n.mu.Unlock()
	if x.done {
		return e & wait.Readable
	}
	return 0
}

// takeFile makes x a descriptor of t's.
func (t *Task) takeFile(a *asked, x *addedFile) {
	fd, err := FD(x.spec.NewFD), error(nil)
	cloexec := x.spec.NewFDFlags&uint32(linux.O_CLOEXEC) != 0
	if x.spec.Flags&linux.SECCOMP_ADDFD_FLAG_SETFD != 0 {
		err = t.FDs().Replace(t, fd, x.file, cloexec)
	} else {
		fd, err = t.FDs().Install(t, x.file, 0, cloexec)
	}
	a.n.mu.Lock()
	x.done, x.fd, x.err = true, fd, err
	if x.spec.Flags&linux.SECCOMP_ADDFD_FLAG_SEND != 0 {
		switch {
		case err == nil:
			a.resp = linux.SeccompNotifResp{Val: int64(fd)}
		case a.n.closed:
			a.resp = linux.SeccompNotifResp{Error: -int32(linux.ENOSYS)}
		default:
			a.state = received
		}
	}
	a.n.mu.Unlock()
	x.Notify(wait.Readable)
}
