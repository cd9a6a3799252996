package mqueue

import (
	"fmt"
	"slices"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// textSize is the size that stat(2) shows of a queue (FILENT_SIZE).
const textSize = 80

// A Message is one in a queue.
type Message struct {
	Prio uint32
	Text []byte
}

// A Queue is a message queue, an inode.
type Queue struct {
	events wait.Queue

	mu              lock.Mutex[lock.Leaf]
	attr            vfs.Attr // protected by mu
	maxMsg, msgSize int64
	msgs            []Message // protected by mu: by priority, then age
	bytes           int64     // protected by mu
	receivers       int       // protected by mu: waiting in Receive
	notice          *notice   // protected by mu: mq_notify(2)
}

// notice is who wants to hear of a message in the empty queue.
type notice struct {
	to    *kernel.ThreadGroup
	event linux.Sigevent
	pid   int32 // of to, in its own namespace
}

// Attr implements vfs.Inode.
func (q *Queue) Attr(vfs.Ctx) (vfs.Attr, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.attr, nil
}

// SetAttr implements vfs.Inode. O_TRUNC and truncate(2) change nothing.
func (q *Queue) SetAttr(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.attr.Set(a, mask)
	q.attr.Ctime = c.Now()
	return nil
}

// Open implements vfs.Inode.
func (q *Queue) Open(_ vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	return &File{q: q}, nil
}

func (q *Queue) unlinked(c vfs.Ctx) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.attr.Nlink = 0
	q.attr.Ctime = c.Now()
}

// CheckAttr judges the attributes of a queue to be made: EINVAL, and EMFILE if
// they are beyond RLIMIT_MSGQUEUE.
func CheckAttr(c vfs.Ctx, a *Attr, limit uint64) error {
	maxMsgs, maxSize := int64(defaultMsgs), int64(defaultSize)
	if c.Creds().Capable(auth.CapSysResource) {
		maxMsgs, maxSize = hardMsgs, hardSize
	}
	if a.MaxMsg <= 0 || a.MsgSize <= 0 || a.MaxMsg > maxMsgs || a.MsgSize > maxSize {
		return linux.EINVAL
	}
	const perMessage = 56 // what Linux counts for the message's own structures
	if uint64(a.MaxMsg)*(uint64(a.MsgSize)+perMessage) > limit {
		return linux.EMFILE
	}
	return nil
}

// A File is an open queue.
type File struct {
	q *Queue
}

var (
	_ vfs.File    = (*File)(nil)
	_ vfs.Flusher = (*File)(nil)
	_ wait.Object = (*File)(nil)
)

// Queue is what f has open.
func (f *File) Queue() *Queue { return f.q }

// Read implements vfs.File: the state of the queue as text.
func (f *File) Read(_ vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	q := f.q
	q.mu.Lock()
	notify, signo, pid := int32(0), int32(0), int32(0)
	if n := q.notice; n != nil {
		notify, pid = n.event.Notify, n.pid
		if notify == linux.SIGEV_SIGNAL {
			signo = n.event.Signo
		}
	}
	s := fmt.Sprintf("QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", q.bytes, notify, signo, pid)
	q.mu.Unlock()
	if off >= int64(len(s)) {
		return 0, nil
	}
	n, err := dst.CopyOut([]byte(s[off:]))
	return int64(n), err
}

// Write implements vfs.File.
func (*File) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Close implements vfs.File.
func (*File) Close(vfs.Ctx) {}

// Flush implements vfs.Flusher: a process that closes the queue hears of it no more.
func (f *File) Flush(c vfs.Ctx) error {
	if t, ok := kernel.Caller(c); ok {
		f.q.mu.Lock()
		defer f.q.mu.Unlock()
		if n := f.q.notice; n != nil && n.to == t.ThreadGroup() {
			f.q.notice = nil
		}
	}
	return nil
}

// Ready implements wait.Object.
func (f *File) Ready(mask wait.Events) wait.Events { return f.q.ready(mask) }

// Watch implements wait.Object.
func (f *File) Watch(w *wait.Watch) { f.q.events.Watch(w) }

// Unwatch implements wait.Object.
func (f *File) Unwatch(w *wait.Watch) { f.q.events.Unwatch(w) }

func (q *Queue) ready(mask wait.Events) wait.Events {
	q.mu.Lock()
	defer q.mu.Unlock()
	var e wait.Events
	if len(q.msgs) > 0 {
		e |= wait.Readable
	}
	if int64(len(q.msgs)) < q.maxMsg {
		e |= wait.Writable
	}
	return e & mask
}

// Limits are the queue's attributes now, without flags.
func (q *Queue) Limits() Attr {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Attr{MaxMsg: q.maxMsg, MsgSize: q.msgSize, CurMsgs: int64(len(q.msgs))}
}

// Send is mq_send(3): EMSGSIZE, EAGAIN if the queue is full. The queue keeps m.
func (q *Queue) Send(t *kernel.Task, m Message) error {
	q.mu.Lock()
	if int64(len(m.Text)) > q.msgSize {
		q.mu.Unlock()
		return linux.EMSGSIZE
	}
	if int64(len(q.msgs)) >= q.maxMsg {
		q.mu.Unlock()
		return linux.EAGAIN
	}
	i, _ := slices.BinarySearchFunc(q.msgs, m.Prio, func(x Message, p uint32) int {
		if x.Prio < p {
			return 1 // what comes first is what matters more
		}
		return -1
	})
	q.msgs = slices.Insert(q.msgs, i, m)
	q.bytes += int64(len(m.Text))
	var tell *notice
	if len(q.msgs) == 1 && q.receivers == 0 {
		tell, q.notice = q.notice, nil
	}
	q.attr.Mtime = t.Now()
	q.mu.Unlock()
	q.events.Notify(wait.Readable)
	tell.send(t)
	return nil
}

// send tells of a message that t sent.
func (n *notice) send(t *kernel.Task) {
	if n == nil || n.event.Notify != linux.SIGEV_SIGNAL {
		return
	}
	i := &linux.SigInfo{Signo: n.event.Signo, Code: linux.SI_MESGQ}
	i.SetSender(t.ThreadGroup().PID().In(n.to.PID().Namespace()), n.to.Leader().Creds().UserNS.ShowUID(t.Creds().RUID))
	i.SetValue(n.event.Value)
	n.to.Signal(i)
}

// Receive is mq_receive(3) of a buffer of n bytes: EMSGSIZE if that is less than a
// message may have, EAGAIN if there is none.
func (q *Queue) Receive(t *kernel.Task, n uint64) (Message, error) {
	q.mu.Lock()
	if n < uint64(q.msgSize) {
		q.mu.Unlock()
		return Message{}, linux.EMSGSIZE
	}
	if len(q.msgs) == 0 {
		q.mu.Unlock()
		return Message{}, linux.EAGAIN
	}
	m := q.msgs[0]
	q.msgs = slices.Delete(q.msgs, 0, 1)
	q.bytes -= int64(len(m.Text))
	q.attr.Atime = t.Now()
	q.mu.Unlock()
	q.events.Notify(wait.Writable)
	return m, nil
}

// Receiving counts (n 1) or no longer counts (n -1) a caller that waits for a
// message: then nobody is notified of one.
func (q *Queue) Receiving(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.receivers += n
}

// Notify is mq_notify(2); e nil takes the registration back. EBUSY.
func (q *Queue) Notify(t *kernel.Task, e *linux.Sigevent) error {
	var n *notice
	if e != nil {
		n = &notice{t.ThreadGroup(), *e, t.TGID()}
	}
	for {
		q.mu.Lock()
		old := q.notice
		q.mu.Unlock()
		// Whether a process has ended is asked without q.mu: that takes an earlier lock.
		switch {
		case e == nil && (old == nil || old.to != t.ThreadGroup()):
			return nil
		case e != nil && old != nil && !old.to.Exited():
			return linux.EBUSY
		}
		if q.replace(old, n) {
			return nil
		}
	}
}

// replace makes n who is told, unless that has changed from old meanwhile.
func (q *Queue) replace(old, n *notice) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.notice != old {
		return false
	}
	q.notice = n
	return true
}
