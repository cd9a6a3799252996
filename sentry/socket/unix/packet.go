package unix

import (
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// headroom is what Linux keeps of SO_SNDBUF for itself.
const headroom = 32

// charge is what a message of n bytes counts on its sender's buffer: the size of
// Linux's structures around it, which is what makes many small messages few.
func charge(n int) int64 { return int64((n+320+511)&^511) + 256 }

// recvqFull reports whether a sender that is not the peer has to wait. mu is held.
func (ch *channel) recvqFull() bool { return ch.count > ch.most }

// sendPacket is Send of a sequenced-packet socket.
func (e *Endpoint) sendPacket(c vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if err := e.TakeError(); err != nil {
		return 0, err
	}
	conn := e.conn.Load()
	if conn == nil {
		return 0, linux.ENOTCONN
	}
	return e.post(c, parcel{src: src, flags: flags, m: m, to: conn.peer, ch: conn.out})
}

// A parcel is a message that is about to be sent.
type parcel struct {
	src   usermem.Seq
	flags linux.MsgFlags
	m     *socket.Msg
	to    *Endpoint
	ch    *channel
	dgram bool // the queue's length counts
}

// post puts a message in to's queue ch.
func (e *Endpoint) post(c vfs.Ctx, p parcel) (int64, error) {
	n := p.src.Len()
	limit := int64(e.opts.SndBuf())
	switch {
	case p.flags&linux.MSG_OOB != 0:
		return 0, linux.EOPNOTSUPP
	case n > limit-headroom:
		return 0, linux.EMSGSIZE
	case e.writeShut():
		return 0, linux.EPIPE
	case e.wmem.Load() >= limit:
		return 0, linux.EAGAIN
	}
	msg := &message{data: make([]byte, n), from: e.name.Load(), cred: e.credFor(c, p.to, p.m), sender: e, charge: charge(int(n))}
	msg.Value = msg
	if _, err := p.src.CopyIn(msg.data); err != nil {
		return 0, err
	}
	if p.m != nil && len(p.m.Rights) > 0 {
		r, err := e.launch(c, p.to, p.m.Rights)
		if err != nil {
			return 0, err
		}
		msg.rights = r
	}
	err := p.ch.put(msg, p.dgram && p.to.peer.Load() != e)
	if err != nil {
		if msg.rights != nil {
			e.fam.flight.land(msg.rights)
		}
		return 0, err
	}
	if msg.rights != nil {
		p.m.Rights = nil
	}
	p.to.Notify(wait.Readable)
	return n, nil
}

// put appends a message: EPIPE; EAGAIN if limited and the queue is full, in which
// case the sender is told when it no longer is.
func (ch *channel) put(m *message, limited bool) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.shut {
		return linux.EPIPE
	}
	if limited && ch.recvqFull() {
		ch.block(m.sender)
		return linux.EAGAIN
	}
	m.sender.wmem.Add(m.charge)
	ch.msgs.PushBack(&m.Elem)
	ch.count++
	return nil
}

// block notes that e waits for room. mu is held.
func (ch *channel) block(e *Endpoint) {
	for _, b := range ch.blocked {
		if b == e {
			return
		}
	}
	ch.blocked = append(ch.blocked, e)
}

func wakeWriters(es []*Endpoint) {
	for _, e := range es {
		e.Notify(wait.Writable | wait.WrBand)
	}
}

// recvMessage is Recv of a datagram or packet socket from its queue.
func (e *Endpoint) recvMessage(c vfs.Ctx, dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	ch := e.inbox()
	if ch == nil {
		return 0, linux.ENOTCONN
	}
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EOPNOTSUPP
	}
	if err := e.TakeError(); err != nil {
		return 0, err
	}
	peek := flags&linux.MSG_PEEK != 0
	skip := 0
	if peek {
		skip = max(0, e.opts.PeekOff())
	}
	msg, skip, err := ch.take(skip, peek)
	if msg == nil {
		if err == nil && flags&linux.MSG_DONTWAIT != 0 && e.typ == linux.SOCK_DGRAM {
			err = linux.EAGAIN // Linux looks at the shutdown only when it waits
		}
		return 0, err
	}
	full := int64(len(msg.data))
	n, err := dst.CopyOut(msg.data[skip:])
	if err == nil {
		e.opts.MovePeekOff(int64(n), peek)
	}
	found := segment{cred: msg.cred, rights: msg.rights}
	if m != nil {
		if msg.from != nil {
			m.Addr.Set(msg.from.addr)
		}
		if int64(n) < full-int64(skip) {
			m.Flags |= linux.MSG_TRUNC
		}
	}
	e.deliver(c, m, found, peek)
	if err != nil {
		return 0, err
	}
	if flags&linux.MSG_TRUNC != 0 {
		return full - int64(skip), nil
	}
	return int64(n), nil
}

// take removes the first message, or only looks at it; skip bytes of what is there
// have been peeked before. nil with no error is the end; EAGAIN.
func (ch *channel) take(skip int, peek bool) (m *message, off int, err error) {
	ch.mu.Lock()
	for x := range ch.msgs.All() {
		if skip >= len(x.data) && skip > 0 {
			skip -= len(x.data)
			continue
		}
		m = x
		break
	}
	if m == nil {
		shut := ch.shut
		ch.mu.Unlock()
		if shut {
			return nil, 0, nil
		}
		return nil, 0, linux.EAGAIN
	}
	if peek {
		seen := *m
		seen.rights = m.rights.copy()
		ch.mu.Unlock()
		return &seen, skip, nil
	}
	m.Remove()
	ch.count--
	var blocked []*Endpoint
	if !ch.recvqFull() {
		blocked, ch.blocked = ch.blocked, nil
	}
	ch.mu.Unlock()
	limit := int64(m.sender.opts.SndBuf())
	if left := m.sender.wmem.Add(-m.charge); left*4 <= limit && (left+m.charge)*4 > limit {
		m.sender.Notify(wait.Writable | wait.WrBand)
	}
	wakeWriters(blocked)
	ch.reader.room.Notify(wait.Writable)
	return m, 0, nil
}
