package unix

import (
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// An Endpoint is one unix socket: a socket.Proto. Watchers of the socket are on
// its Queue.
type Endpoint struct {
	wait.Queue
	fam  *Family
	typ  linux.SockType
	opts *socket.Options

	// room wakes those who wait for the receive queue of a datagram socket, or
	// for the backlog of a listening one, to take more.
	room wait.Queue

	own  *channel                 // a datagram socket's receive queue
	conn atomic.Pointer[conn]     // a connection, once there is one
	peer atomic.Pointer[Endpoint] // a datagram socket's
	name atomic.Pointer[name]
	wmem atomic.Int64  // sent and not yet received: messages' charges
	err  atomic.Uint32 // SO_ERROR
	shut atomic.Uint32 // without a connection: 1 reading, 2 writing
	dead atomic.Bool   // closed
	// embryo holds until accept(2): nobody can have asked for credentials yet.
	embryo atomic.Bool
	socket atomic.Pointer[socket.Socket]

	mu       lock.Mutex[lock.Socket]
	listener *listener   // protected by mu; nil unless it listens
	cred     socket.Cred // protected by mu: who SO_PEERCRED of the other end tells of
	peerCred socket.Cred // protected by mu: SO_PEERCRED
	peered   bool        // protected by mu: peerCred is set
}

// A conn is a connection as one end sees it.
type conn struct {
	peer    *Endpoint
	in, out *channel
}

// Bits of Endpoint.shut.
const (
	noRead  = 1
	noWrite = 2
)

var (
	_ socket.Proto     = (*Endpoint)(nil)
	_ socket.Binder    = (*Endpoint)(nil)
	_ socket.Connecter = (*Endpoint)(nil)
	_ socket.Accepter  = (*Endpoint)(nil)
	_ socket.Shutter   = (*Endpoint)(nil)
	_ socket.Namer     = (*Endpoint)(nil)
	_ socket.Optioner  = (*Endpoint)(nil)
	_ socket.Failer    = (*Endpoint)(nil)
	_ socket.Ioctler   = (*Endpoint)(nil)
	_ socket.Elsewhere = (*Endpoint)(nil)
)

// Send implements socket.Proto.
func (e *Endpoint) Send(c vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	switch e.typ {
	case linux.SOCK_STREAM:
		return e.sendStream(c, src, flags, m)
	case linux.SOCK_SEQPACKET:
		return e.sendPacket(c, src, flags, m)
	}
	return e.sendDatagram(c, src, flags, m)
}

// Recv implements socket.Proto.
func (e *Endpoint) Recv(c vfs.Ctx, dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if e.typ == linux.SOCK_STREAM {
		return e.recvStream(c, dst, flags, m)
	}
	return e.recvMessage(c, dst, flags, m)
}

// inbox is where e receives from; nil if it is not connected.
func (e *Endpoint) inbox() *channel {
	if e.own != nil {
		return e.own
	}
	if conn := e.conn.Load(); conn != nil {
		return conn.in
	}
	return nil
}

// inboxes is e's receive queue, and those of the connections that wait to be
// accepted: what only who has e can reach.
func (e *Endpoint) inboxes() (out []*channel) {
	if ch := e.inbox(); ch != nil {
		out = append(out, ch)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listener != nil {
		for _, n := range e.listener.queue {
			out = append(out, n.inbox())
		}
	}
	return out
}

// credFor is the sender that a message from e to peer carries: what m claims, or
// e's process if either end wants to know, else nobody.
func (e *Endpoint) credFor(c vfs.Ctx, peer *Endpoint, m *socket.Msg) socket.Cred {
	switch {
	case m != nil && m.HasCred:
		return m.Cred
	case e.wantsCreds(), peer.wantsCreds(), peer.embryo.Load():
		return socket.SenderCred(c)
	}
	return socket.NoCred
}

// launch sends files to peer: EPERM if that wants none, SO_PASSRIGHTS.
func (e *Endpoint) launch(c vfs.Ctx, peer *Endpoint, files []*vfs.FileDescription) (*rights, error) {
	if !peer.opts.Has(linux.SO_PASSRIGHTS) {
		return nil, linux.EPERM
	}
	return e.fam.flight.launch(c, files)
}

// wantsCreds reports whether e receives its senders' credentials.
func (e *Endpoint) wantsCreds() bool {
	return e.opts.Has(linux.SO_PASSCRED) || e.opts.Has(linux.SO_PASSPIDFD)
}

// PeerProcess implements socket.PeerProcess.
func (e *Endpoint) PeerProcess() any {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.peerCred.PID
}

// TakeError implements socket.Failer.
func (e *Endpoint) TakeError() error {
	if e.err.Load() == 0 {
		return nil
	}
	if n := e.err.Swap(0); n != 0 {
		return linux.Errno(n)
	}
	return nil
}

// fail sets SO_ERROR and tells the watchers.
func (e *Endpoint) fail(err linux.Errno) {
	e.err.Store(uint32(err))
	e.Notify(wait.Err | wait.Readable | wait.Writable)
}

// writeShut reports whether e may no longer send.
func (e *Endpoint) writeShut() bool {
	if conn := e.conn.Load(); conn != nil {
		return conn.out.isShut()
	}
	return e.shut.Load()&noWrite != 0
}

// Shutdown implements socket.Shutter. Of a connection, the other end sees it too.
func (e *Endpoint) Shutdown(_ vfs.Ctx, how int) error {
	bits := [3]uint32{noRead, noWrite, noRead | noWrite}[how]
	e.shut.Or(bits)
	conn := e.conn.Load()
	if conn == nil {
		if e.own != nil && bits&noRead != 0 {
			e.own.close()
		}
		e.Notify(wait.Readable | wait.Writable | wait.RdHup | wait.Hup)
		return nil
	}
	if bits&noRead != 0 {
		conn.in.close()
	}
	if bits&noWrite != 0 {
		conn.out.close()
	}
	conn.notify(e)
	return nil
}

// notify tells both ends that a direction has been shut.
func (k *conn) notify(e *Endpoint) {
	const all = wait.Readable | wait.Writable | wait.RdHup | wait.Hup | wait.Err
	e.Notify(all)
	k.peer.Notify(all)
}

// Close implements socket.Proto.
func (e *Endpoint) Close(c vfs.Ctx) {
	e.dead.Store(true)
	e.unbind()
	e.fam.remove(e)
	e.mu.Lock()
	l := e.listener
	e.listener = nil
	e.mu.Unlock()
	if l != nil {
		for _, n := range l.queue {
			n.end(c, true)
		}
		e.room.Notify(wait.Writable | wait.Hup)
	}
	e.end(c, false)
	if e.fam.flight.busy(0) {
		e.fam.flight.collect(c)
	}
}

// end ends e's connection. reset says that the other end is to see ECONNRESET, as
// it does if e has not read all.
func (e *Endpoint) end(c vfs.Ctx, reset bool) {
	e.dead.Store(true)
	if conn := e.conn.Load(); conn != nil {
		unread := conn.in.close()
		conn.out.close()
		if unread || reset {
			conn.peer.err.Store(uint32(linux.ECONNRESET))
		}
		conn.notify(e)
		e.fam.flight.drop(c, conn.in.purge())
		return
	}
	if e.own != nil {
		e.own.close()
		e.fam.flight.drop(c, e.own.purge())
		e.room.Notify(wait.Writable | wait.Hup)
	}
}

// Ready implements wait.Object.
func (e *Endpoint) Ready(want wait.Events) wait.Events {
	var r wait.Events
	if e.err.Load() != 0 {
		r |= wait.Err
	}
	switch {
	case e.typ == linux.SOCK_DGRAM:
		r |= e.dgramReady(want)
	case e.conn.Load() != nil:
		r |= e.connReady()
	default:
		r |= e.idleReady()
	}
	return r & (want | wait.Always)
}

// idleReady is what a stream or packet socket without a connection reports.
func (e *Endpoint) idleReady() (r wait.Events) {
	e.mu.Lock()
	l := e.listener
	pending := l != nil && len(l.queue) > 0
	e.mu.Unlock()
	shut := e.shut.Load()
	if shut&noRead != 0 {
		r |= wait.RdHup | wait.Readable
	}
	if shut == noRead|noWrite {
		r |= wait.Hup
	}
	if l == nil {
		return r | wait.Hup | wait.Writable | wait.WrBand
	}
	if pending {
		r |= wait.Readable
	}
	return r
}

func (e *Endpoint) connReady() (r wait.Events) {
	conn := e.conn.Load()
	conn.in.mu.Lock()
	noMore := conn.in.shut
	if conn.in.ring.Used() > 0 || conn.in.count > 0 {
		r |= wait.Readable
	}
	conn.in.mu.Unlock()
	conn.out.mu.Lock()
	noOut := conn.out.shut
	used := int64(conn.out.ring.Used())
	conn.out.mu.Unlock()
	if e.typ != linux.SOCK_STREAM {
		used = e.wmem.Load()
	}
	if noMore {
		r |= wait.RdHup | wait.Readable
		if noOut {
			r |= wait.Hup
		}
	}
	if used*4 <= int64(e.opts.SndBuf()) {
		r |= wait.Writable | wait.WrBand
	}
	return r
}

func (e *Endpoint) dgramReady(want wait.Events) (r wait.Events) {
	e.own.mu.Lock()
	if e.own.count > 0 {
		r |= wait.Readable
	}
	e.own.mu.Unlock()
	shut := e.shut.Load()
	if shut&noRead != 0 {
		r |= wait.RdHup | wait.Readable
	}
	if shut == noRead|noWrite {
		r |= wait.Hup
	}
	if want&(wait.Writable|wait.WrBand) == 0 || e.wmem.Load()*4 > int64(e.opts.SndBuf()) {
		return r
	}
	if p := e.peer.Load(); p != nil && p != e && p.peer.Load() != e {
		p.own.mu.Lock()
		full := p.own.recvqFull()
		if full {
			p.own.block(e)
		}
		p.own.mu.Unlock()
		if full {
			return r
		}
	}
	return r | wait.Writable | wait.WrBand
}
