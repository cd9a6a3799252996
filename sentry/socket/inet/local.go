package inet

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// A local is one end of a TCP connection that does not leave the sandbox: two flows in
// the place of segments, timers and the goroutines that handle them. To its user it is
// a connection like any other. The stack's endpoint behind it keeps the port and the
// options.
type local struct {
	e, peer      *Endpoint
	in, out      *flow
	name, remote tcpip.FullAddress

	up    atomic.Bool   // connected, not only waiting for the listener to have room
	told  atomic.Bool   // connect(2) has returned success
	ended atomic.Bool   // by a reset
	err   atomic.Uint32 // SO_ERROR
}

// joinLocal makes the two ends of a connection from a to b.
func joinLocal(a, b *Endpoint, from, to tcpip.FullAddress) {
	x, y := &flow{limit: flowLimit}, &flow{limit: flowLimit}
	a.local.Store(&local{e: a, peer: b, in: x, out: y, name: from, remote: to})
	b.local.Store(&local{e: b, peer: a, in: y, out: x, name: to, remote: from})
	b.local.Load().up.Store(true)
	a.local.Load().resize()
	b.local.Load().resize()
}

func (l *local) takeError() error {
	if l.err.Load() == 0 {
		return nil
	}
	if n := l.err.Swap(0); n != 0 {
		return linux.Errno(n)
	}
	return nil
}

// fail ends l as a reset does.
func (l *local) fail(err linux.Errno) {
	l.err.Store(uint32(err))
	l.ended.Store(true)
	l.e.Notify(wait.Err | wait.Hup | wait.RdHup | wait.Readable | wait.Writable)
}

// state is the connection's state as TCP has it. Whoever closed first would wait for
// stray segments (TIME_WAIT); there are none.
func (l *local) state() linux.TCPState {
	if !l.up.Load() {
		if l.ended.Load() {
			return linux.TCP_CLOSE
		}
		return linux.TCP_SYN_SENT
	}
	in, out := l.in.state(false).fin, l.out.state(false).fin
	switch {
	case l.ended.Load() || in && out:
		return linux.TCP_CLOSE
	case in:
		return linux.TCP_CLOSE_WAIT
	case out:
		return linux.TCP_FIN_WAIT2
	}
	return linux.TCP_ESTABLISHED
}

// connectAgain is connect(2) of a socket that has been connected, or is about to be: it
// tells once how that went.
func (l *local) connectAgain() error {
	if err := l.takeError(); err != nil && !l.up.Load() {
		l.e.refused.Store(true)
		return err
	}
	switch {
	case !l.up.Load():
		return linux.EALREADY
	case l.told.Swap(true):
		return linux.EISCONN
	}
	return nil
}

// send is Send of a local connection.
func (l *local) send(src usermem.Seq, flags linux.MsgFlags) (int64, error) {
	if err := l.takeError(); err != nil {
		return 0, err
	}
	switch {
	case l.ended.Load() || l.e.shut.Load()&2 != 0:
		return 0, linux.EPIPE
	case !l.up.Load():
		return 0, linux.EAGAIN
	case src.Len() == 0:
		return 0, nil
	}
	n, err := l.out.write(src, flags&linux.MSG_OOB != 0)
	if err == linux.EPIPE {
		if s := l.out.state(false); s.gone && !s.fin {
			// As with TCP, some bytes are on their way before the answer comes
			// that nobody is there.
			l.fail(linux.EPIPE)
			return min(src.Len(), flowChunk), nil
		}
	}
	if n > 0 {
		e := wait.Readable
		if flags&linux.MSG_OOB != 0 {
			e |= wait.Pri
		}
		l.peer.Notify(e)
	}
	return n, err
}

func (l *local) inline() bool { return l.e.opts.Has(linux.SO_OOBINLINE) }

// recv is Recv of a local connection.
func (l *local) recv(dst usermem.Seq, flags linux.MsgFlags) (int64, error) {
	peek := flags&linux.MSG_PEEK != 0
	if flags&linux.MSG_OOB != 0 {
		return l.in.readUrgent(dst, l.inline(), peek)
	}
	if dst.Len() == 0 {
		return 0, nil
	}
	how := readSpec{peek: peek, sink: flags&linux.MSG_TRUNC != 0, inline: l.inline()}
	if peek {
		how.at = max(0, l.e.opts.PeekOff())
	}
	n, roomy, err := l.in.read(dst, how)
	if err == linux.EAGAIN {
		if err := l.takeError(); err != nil {
			return 0, err
		}
		// The end may have come after the look into the ring.
		s := l.in.state(l.inline())
		if !s.gone && l.in.holds(how.at, how.inline) {
			return l.recv(dst, flags)
		} else if s.fin || s.gone || l.ended.Load() || l.e.shut.Load()&1 != 0 {
			return 0, nil
		}
		return 0, linux.EAGAIN
	}
	if roomy {
		l.peer.Notify(wait.Writable)
	}
	l.e.opts.MovePeekOff(n, peek)
	return n, err
}

// ready is Ready of a local connection: tcp_poll().
func (l *local) ready() (r wait.Events) {
	if l.err.Load() != 0 {
		r |= wait.Err
	}
	if !l.up.Load() && !l.ended.Load() {
		return r
	}
	in, out := l.in.state(l.inline()), l.out.state(false)
	shut := l.e.shut.Load()
	over := l.ended.Load() || in.fin && out.fin
	noRead, noWrite := in.fin || over || shut&1 != 0, over || shut&2 != 0
	if noRead {
		r |= wait.RdHup | wait.Readable
	}
	if noRead && noWrite {
		r |= wait.Hup
	}
	if in.used > 0 {
		r |= wait.Readable
	}
	if in.urgent {
		r |= wait.Pri
	}
	if noWrite || out.roomy || out.gone {
		r |= wait.Writable
	}
	return r
}

// shutdown is shutdown(2); e.shut is set.
func (l *local) shutdown(how int) error {
	if l.ended.Load() || !l.up.Load() {
		return linux.ENOTCONN
	}
	if how != linux.SHUT_RD {
		l.out.finish()
		l.peer.Notify(wait.RdHup | wait.Hup | wait.Readable | wait.Writable)
	}
	return nil
}

// close ends l. The other end sees the end of the stream; or a reset, if l has not read
// all or if it is asked for.
func (l *local) close(reset bool) {
	unread := l.in.abandon()
	l.out.finish()
	other := l.peer.local.Load()
	if (unread || reset) && !other.ended.Load() {
		other.fail(linux.ECONNRESET)
		return
	}
	l.peer.Notify(wait.RdHup | wait.Hup | wait.Readable | wait.Writable)
}

// resize makes the flows as large as the ends' buffers, once SO_SNDBUF or SO_RCVBUF has
// been set.
func (l *local) resize() {
	send, receive := l.e.ep().SocketOptions().GetSendBufferSize(), l.e.ep().SocketOptions().GetReceiveBufferSize()
	other := l.peer.ep().SocketOptions()
	if l.e.sized.Load() {
		l.out.setLimit(int(send + other.GetReceiveBufferSize()))
		l.in.setLimit(int(receive + other.GetSendBufferSize()))
	}
}

func (f *flow) setLimit(n int) {
	f.mu.Lock()
	f.limit = n
	f.mu.Unlock()
}

// address fills in one of l's addresses: ENOTCONN for the peer's after the end.
func (l *local) address(family uint16, a *socket.Addr, peer bool) error {
	if !peer {
		encode(family, l.name, a)
		return nil
	}
	switch l.state() {
	case linux.TCP_CLOSE, linux.TCP_SYN_SENT:
		return linux.ENOTCONN
	}
	encode(family, l.remote, a)
	return nil
}

// queued is the bytes that can be read; or those sent that TCP would not have
// acknowledged, since the receiver's buffer is full.
func (l *local) queued(in bool) int {
	if in {
		return l.in.before(l.inline())
	}
	return max(0, l.out.state(false).used-int(l.peer.ep().SocketOptions().GetReceiveBufferSize()))
}
