package unix

import (
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A listener is connections that wait to be accepted, protected by its Endpoint's mu.
type listener struct {
	backlog int
	queue   []*Endpoint // this end of each, oldest first
}

func (l *listener) full() bool { return len(l.queue) > l.backlog }

// Listen implements socket.Accepter.
func (e *Endpoint) Listen(c vfs.Ctx, backlog int) error {
	if e.typ == linux.SOCK_DGRAM {
		return linux.EOPNOTSUPP
	}
	if e.name.Load() == nil || e.conn.Load() != nil {
		return linux.EINVAL
	}
	e.mu.Lock()
	if e.listener == nil {
		e.listener = &listener{}
	}
	grown := backlog > e.listener.backlog
	e.listener.backlog = backlog
	e.cred = socket.PeerCred(c)
	e.mu.Unlock()
	if grown {
		e.room.Notify(wait.Writable)
	}
	return nil
}

// Accept implements socket.Accepter.
func (e *Endpoint) Accept(c vfs.Ctx) (*socket.Socket, error) {
	if e.typ == linux.SOCK_DGRAM {
		return nil, linux.EOPNOTSUPP
	}
	e.mu.Lock()
	l := e.listener
	if l == nil || len(l.queue) == 0 {
		e.mu.Unlock()
		if l == nil || e.shut.Load()&noRead != 0 {
			return nil, linux.EINVAL
		}
		return nil, linux.EAGAIN
	}
	n := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	e.mu.Unlock()
	e.room.Notify(wait.Writable)
	n.embryo.Store(false)
	return n.wrap(), nil
}

// Connect implements socket.Connecter.
func (e *Endpoint) Connect(c vfs.Ctx, addr []byte) error {
	if e.typ == linux.SOCK_DGRAM {
		return e.connectDatagram(c, addr)
	}
	if _, err := parse(addr); err != nil {
		return err
	}
	if e.wantsCreds() && e.name.Load() == nil {
		if err := e.autobind(); err != nil {
			return err
		}
	}
	o, err := e.find(c, addr)
	if err != nil {
		return err
	}
	n, err := e.fam.endpoint(e.typ, 0, o.opts.Inherit())
	if err != nil {
		return err
	}
	n.fam = o.fam
	n.embryo.Store(true)
	n.name.Store(o.name.Load().plain())
	unlock := lock.Two(&e.mu, &o.mu)
	err = e.enter(c, o, n)
	unlock()
	if err != nil {
		return err
	}
	o.Notify(wait.Readable)
	e.Notify(wait.Writable)
	return nil
}

// plain is n for a connection, which is called like the listener but does not hold
// its place.
func (n *name) plain() *name {
	if n == nil {
		return nil
	}
	return &name{addr: n.addr}
}

// enter puts n, the other end of e's connection, in o's queue. Both ends' mu are held.
func (e *Endpoint) enter(c vfs.Ctx, o, n *Endpoint) error {
	l := o.listener
	switch {
	case l == nil || o.dead.Load() || o.shut.Load()&noRead != 0:
		return linux.ECONNREFUSED
	case l.full():
		return linux.EAGAIN
	case e.conn.Load() != nil:
		return linux.EISCONN
	case e.listener != nil:
		return linux.EINVAL
	}
	n.peerCred, n.peered = socket.PeerCred(c), true
	e.peerCred, e.peered = o.cred, true
	join(e, n)
	l.queue = append(l.queue, n)
	return nil
}

// Connected implements socket.Connecter: a connection is never in progress.
func (e *Endpoint) Connected() error { return nil }

// connectDatagram sets whom e sends to; AF_UNSPEC undoes it.
func (e *Endpoint) connectDatagram(c vfs.Ctx, addr []byte) error {
	var o *Endpoint
	if len(addr) < 2 {
		return linux.EINVAL
	}
	if socket.FamilyOf(addr) != linux.AF_UNSPEC {
		if _, err := parse(addr); err != nil {
			return err
		}
		if e.wantsCreds() && e.name.Load() == nil {
			if err := e.autobind(); err != nil {
				return err
			}
		}
		var err error
		if o, err = e.find(c, addr); err != nil {
			return err
		}
		if !e.maySend(o) {
			return linux.EPERM
		}
	}
	old := e.peer.Swap(o)
	if old != nil && old != o {
		// What came from elsewhere in the old connection goes, and the old peer
		// learns of it if it is connected to e.
		e.fam.flight.drop(c, e.own.purge())
		if old.peer.Load() == e && !old.dead.Load() {
			old.fail(linux.ECONNRESET)
		}
	}
	e.Notify(wait.Writable)
	return nil
}

// maySend reports whether o takes datagrams from e: it does unless it is connected
// to another.
func (e *Endpoint) maySend(o *Endpoint) bool {
	p := o.peer.Load()
	return p == nil || p == e
}

// sendDatagram is Send of a datagram socket.
func (e *Endpoint) sendDatagram(c vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EOPNOTSUPP
	}
	if err := e.TakeError(); err != nil {
		return 0, err
	}
	o := e.peer.Load()
	named := m != nil && m.Addr.Len() > 0
	if named {
		var err error
		if o, err = e.find(c, m.Addr.Bytes()); err != nil {
			return 0, err
		}
	} else if o == nil {
		return 0, linux.ENOTCONN
	}
	if e.wantsCreds() && e.name.Load() == nil {
		if err := e.autobind(); err != nil {
			return 0, err
		}
	}
	if o.dead.Load() {
		if !named && e.peer.CompareAndSwap(o, nil) {
			e.fam.flight.drop(c, e.own.purge()) // as when it disconnects itself
		}
		return 0, linux.ECONNREFUSED
	}
	if !e.maySend(o) {
		return 0, linux.EPERM
	}
	return e.post(c, parcel{src: src, flags: flags, m: m, to: o, ch: o.own, dgram: o != e})
}

// Elsewhere implements socket.Elsewhere: a datagram waits for its receiver's queue,
// a connection for the listener's.
func (e *Endpoint) Elsewhere(c vfs.Ctx, addr []byte) wait.Object {
	o, err := e.find(c, addr)
	if err != nil {
		return readyNow{}
	}
	return &roomOf{o: o, from: e}
}

// roomOf is an Object that is writable when o takes one more.
type roomOf struct{ o, from *Endpoint }

// Ready implements wait.Object.
func (r *roomOf) Ready(e wait.Events) wait.Events {
	if r.o.dead.Load() {
		return e | wait.Hup
	}
	if r.o.own != nil {
		r.o.own.mu.Lock()
		full := r.o.own.recvqFull()
		r.o.own.mu.Unlock()
		if full {
			return 0
		}
		// The sender's own buffer may have been the reason.
		return r.from.dgramReady(e) & e & wait.Writable
	}
	r.o.mu.Lock()
	defer r.o.mu.Unlock()
	if l := r.o.listener; l != nil && l.full() {
		return 0
	}
	return e & wait.Writable
}

// Watch implements wait.Object.
func (r *roomOf) Watch(w *wait.Watch) { r.o.room.Watch(w) }

// Unwatch implements wait.Object.
func (r *roomOf) Unwatch(w *wait.Watch) { r.o.room.Unwatch(w) }

// readyNow is an Object that is ready: another try will tell what is wrong.
type readyNow struct{}

func (readyNow) Ready(e wait.Events) wait.Events { return e }
func (readyNow) Watch(*wait.Watch)               {}
func (readyNow) Unwatch(*wait.Watch)             {}
