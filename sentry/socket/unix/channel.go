package unix

import (
	"garrison/sentry/list"
	"garrison/sentry/lock"
	"garrison/sentry/socket"
)

// A channel is the receive queue of one Endpoint: a stream of bytes, or messages.
type channel struct {
	// reader owns the channel; writer is the other end, nil for the queue of a
	// datagram socket, which has many.
	reader, writer *Endpoint
	// most is net.unix.max_dgram_qlen when it was made; never changes.
	most int

	// rd and wr let one reader and one writer at a time into the ring. They are
	// held while guest memory is copied, which mu never is; hence their rank.
	rd, wr lock.Mutex[lock.File]

	mu      lock.Mutex[lock.Socket]
	shut    bool        // nothing more is sent or will come
	ring    socket.Ring // a stream's bytes
	segs    []segment   // what the bytes belong to, in order
	filling bool        // a writer copies into the ring
	msgs    list.List[*message]
	count   int         // of msgs
	blocked []*Endpoint // datagram senders that wait for room
}

// A segment is bytes of a stream, up to position end, that one recvmsg(2) may
// return together: they have one sender. A segment with files ends a call.
type segment struct {
	end    uint64
	cred   socket.Cred
	rights *rights
}

// A message is a datagram or packet in a queue.
type message struct {
	list.Elem[*message]
	data   []byte
	from   *name
	cred   socket.Cred
	rights *rights
	sender *Endpoint
	charge int64 // what it counts on its sender
}

// close says that nothing more comes, and reports whether something was there.
func (ch *channel) close() (unread bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.shut = true
	return ch.ring.Used() > 0 || ch.count > 0
}

func (ch *channel) isShut() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.shut
}

// purge empties the channel and returns the files that were in it, to be dropped
// under no lock.
func (ch *channel) purge() (out []*rights) {
	ch.mu.Lock()
	for _, s := range ch.segs {
		if s.rights != nil {
			out = append(out, s.rights)
		}
	}
	ch.segs = nil
	ch.ring.Reset()
	for m := range ch.msgs.All() {
		m.Remove()
		m.sender.wmem.Add(-m.charge)
		if m.rights != nil {
			out = append(out, m.rights)
		}
	}
	ch.count = 0
	blocked := ch.blocked
	ch.blocked = nil
	ch.mu.Unlock()
	wakeWriters(blocked)
	return out
}

// takeRights takes all files out of the channel, which nobody can read any more.
func (ch *channel) takeRights() (out []*rights) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for i := range ch.segs {
		if s := &ch.segs[i]; s.rights != nil {
			out, s.rights = append(out, s.rights), nil
		}
	}
	for m := range ch.msgs.All() {
		if m.rights != nil {
			out, m.rights = append(out, m.rights), nil
		}
	}
	return out
}

// inside calls f for each set of files in the channel.
func (ch *channel) inside(f func(*rights)) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, s := range ch.segs {
		if s.rights != nil {
			f(s.rights)
		}
	}
	for m := range ch.msgs.All() {
		if m.rights != nil {
			f(m.rights)
		}
	}
}
