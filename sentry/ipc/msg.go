package ipc

import (
	"slices"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// A Message is one on a Queue.
type Message struct {
	Type int64 // positive
	Text []byte
}

// A Queue is a message queue, msgget(2).
type Queue struct {
	Object
	ns *Namespace

	// Protected by Object.mu:

	msgs                []Message
	bytes, limit        uint64
	stime, rtime, ctime int64
	lspid, lrpid        int32
}

// NewQueue is msgget(2).
func (n *Namespace) NewQueue(c *Caller, key int32, flags uint32) (int32, error) {
	return n.Queues.Get(c, key, flags, func(*Queue) error { return nil }, func() (*Queue, error) {
		return &Queue{ns: n, limit: linux.MSGMNB, ctime: c.Now}, nil
	})
}

// Send is msgsnd(2): EAGAIN if there is no room, EACCES, EIDRM. The queue keeps m.
func (q *Queue) Send(c *Caller, m Message) error {
	if err := q.lock(); err != nil {
		return err
	}
	defer q.mu.Unlock()
	if err := q.may(c, 0o222); err != nil {
		return err
	}
	// Empty messages are limited in number as others are in bytes.
	if q.bytes+uint64(len(m.Text)) > q.limit || uint64(len(q.msgs))+1 > q.limit {
		return linux.EAGAIN
	}
	q.msgs = append(q.msgs, m)
	q.bytes += uint64(len(m.Text))
	q.stime, q.lspid = c.Now, c.PID
	q.changed.tell()
	return nil
}

// Receive is msgrcv(2): the first message of a type, or of any (0), or of the lowest
// type up to -typ; with MSG_EXCEPT of any other; with MSG_COPY the one at index typ,
// which stays. ENOMSG if there is none, E2BIG if it is longer than size and
// MSG_NOERROR is not given, EACCES, EIDRM.
func (q *Queue) Receive(c *Caller, typ int64, size uint64, flags uint32) (Message, error) {
	if err := q.lock(); err != nil {
		return Message{}, err
	}
	defer q.mu.Unlock()
	if err := q.may(c, 0o444); err != nil {
		return Message{}, err
	}
	i := q.pick(typ, flags)
	if i < 0 {
		return Message{}, linux.ENOMSG
	}
	m := q.msgs[i]
	if uint64(len(m.Text)) > size && flags&linux.MSG_NOERROR == 0 {
		return Message{}, linux.E2BIG
	}
	if flags&linux.MSG_COPY == 0 {
		q.msgs = slices.Delete(q.msgs, i, i+1)
		q.bytes -= uint64(len(m.Text))
		q.rtime, q.lrpid = c.Now, c.PID
		q.changed.tell()
	}
	m.Text = m.Text[:min(uint64(len(m.Text)), size)]
	return m, nil
}

// pick is the index of the message that Receive wants, -1 if there is none.
func (q *Queue) pick(typ int64, flags uint32) int {
	if flags&linux.MSG_COPY != 0 {
		if typ < 0 || typ >= int64(len(q.msgs)) {
			return -1
		}
		return int(typ)
	}
	best := -1
	for i := range q.msgs {
		t := q.msgs[i].Type
		switch {
		case typ == 0, typ > 0 && (t == typ) != (flags&linux.MSG_EXCEPT != 0):
			return i
		case typ < 0 && t <= -typ && (best < 0 || t < q.msgs[best].Type):
			best = i
		}
	}
	return best
}

// Remove is IPC_RMID.
func (q *Queue) Remove(c *Caller) error {
	if err := q.lock(); err != nil {
		return err
	}
	if err := q.owns(c); err != nil {
		q.mu.Unlock()
		return err
	}
	q.removed, q.msgs = true, nil
	q.changed.tell()
	q.mu.Unlock()
	q.ns.Queues.drop(q)
	return nil
}

// Set is IPC_SET: to raise the limit beyond MSGMNB takes CAP_SYS_RESOURCE.
func (q *Queue) Set(c *Caller, d *linux.MsqidDS) error {
	if err := q.lock(); err != nil {
		return err
	}
	defer q.mu.Unlock()
	if err := q.owns(c); err != nil {
		return err
	}
	if d.Qbytes > linux.MSGMNB && !c.Creds.Capable(auth.CapSysResource) {
		return linux.EPERM
	}
	if err := q.set(c, &d.Perm); err != nil {
		return err
	}
	q.limit, q.ctime = d.Qbytes, c.Now
	q.changed.tell()
	return nil
}

// Stat is IPC_STAT; anybody may if force (MSG_STAT_ANY).
func (q *Queue) Stat(c *Caller, force bool) (out linux.MsqidDS, err error) {
	if err := q.lock(); err != nil {
		return out, err
	}
	defer q.mu.Unlock()
	if !force {
		if err := q.may(c, 0o444); err != nil {
			return out, err
		}
	}
	return linux.MsqidDS{
		Perm: q.shown(c), Stime: q.stime, Rtime: q.rtime, Ctime: q.ctime, Cbytes: q.bytes, Qnum: uint64(len(q.msgs)),
		Qbytes: q.limit, Lspid: q.lspid, Lrpid: q.lrpid,
	}, nil
}
