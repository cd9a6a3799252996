package kernel

import (
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// find is the call with id that waits, nil if there is none. The caller holds mu.
func (n *Notifier) find(id uint64) *asked {
	if i := slices.IndexFunc(n.calls, func(a *asked) bool { return a.id == id }); i >= 0 {
		return n.calls[i]
	}
	return nil
}

// comings is what Receive waits for: a call that has come, received or not.
type comings struct{ *Notifier }

// Ready implements wait.Object.
func (c comings) Ready(e wait.Events) wait.Events {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fresh > 0 || c.idle {
		return e & wait.Readable
	}
	return 0
}

// Receive waits for a call that by, the listener, is to judge:
// SECCOMP_IOCTL_NOTIF_RECV. ENOENT if the call is over already, or none can come.
func (n *Notifier) Receive(by *Task) (linux.SeccompNotif, error) {
	for {
		if err := by.Block(comings{n}, wait.Readable|wait.Hup); err != nil {
			return linux.SeccompNotif{}, err
		}
		n.mu.Lock()
		if n.fresh > 0 || n.idle {
			break
		}
		n.mu.Unlock()
	}
	n.fresh = max(0, n.fresh-1)
	i := slices.IndexFunc(n.calls, func(a *asked) bool { return a.state == notReceived })
	if i < 0 {
		n.mu.Unlock()
		return linux.SeccompNotif{}, linux.ENOENT
	}
	a := n.calls[i]
	a.state = received
	n.mu.Unlock()
	n.Notify(wait.Writable)
	return linux.SeccompNotif{ID: a.id, Pid: a.task.PID().In(by.PIDNamespace()), Data: a.call}, nil
}

// Return undoes Receive of the call id, which nobody has come to know of.
func (n *Notifier) Return(id uint64) {
	n.mu.Lock()
	a := n.find(id)
	if a != nil && a.state == received {
		a.state = notReceived
		n.fresh++
	}
	n.mu.Unlock()
	n.Notify(wait.Readable)
}

// Answer is SECCOMP_IOCTL_NOTIF_SEND with flags that make sense: ENOENT if the call
// does not wait any more, EINPROGRESS if it was not received, or answered already.
func (n *Notifier) Answer(r *linux.SeccompNotifResp) error {
	n.mu.Lock()
	a := n.find(r.ID)
	switch {
	case a == nil:
		n.mu.Unlock()
		return linux.ENOENT
	case a.state != received:
		n.mu.Unlock()
		return linux.EINPROGRESS
	}
	a.state, a.resp = answered, *r
	n.mu.Unlock()
	a.wait.Notify(wait.Readable)
	return nil
}

// Waits reports whether the call id has been received and waits for its answer.
func (n *Notifier) Waits(id uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.find(id)
	return a != nil && a.state == received
}

// Give is SECCOMP_IOCTL_NOTIF_ADDFD by the listener by, with flags that make sense:
// file becomes a descriptor of who made the call, which is returned. It waits
// until that is done. Errors are Answer's, EBUSY for an answer while files are on
// their way, and those of dup2(2).
func (n *Notifier) Give(by *Task, spec *linux.SeccompNotifAddfd, file *vfs.FileDescription) (FD, error) {
	x := &addedFile{n: n, spec: *spec, file: file}
	n.mu.Lock()
	a := n.find(spec.ID)
	var err error
	switch {
	case a == nil:
		err = linux.ENOENT
	case a.state != received:
		err = linux.EINPROGRESS
	case spec.Flags&linux.SECCOMP_ADDFD_FLAG_SEND != 0:
		if len(a.files) > 0 {
			err = linux.EBUSY
			break
		}
		a.state = answered // by takeFile's result
	}
	if err != nil {
		n.mu.Unlock()
		return 0, err
	}
	a.files = append(a.files, x)
	n.mu.Unlock()
	a.wait.Notify(wait.Readable)
	if err = by.Block(x, wait.Readable); err != nil && !n.withdraw(a, x) {
		// The other side is at it.
		err = by.BlockKillable(x, wait.Readable)
	}
	if err != nil {
		return 0, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return x.fd, x.err
}

// withdraw takes x back, unless the other side has begun to take it.
func (n *Notifier) withdraw(a *asked, x *addedFile) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(a.files, x)
	if i < 0 {
		return false
	}
	a.files = slices.Delete(a.files, i, i+1)
	if x.spec.Flags&linux.SECCOMP_ADDFD_FLAG_SEND != 0 {
		a.state = received
	}
	return true
}
