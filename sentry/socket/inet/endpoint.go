package inet

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// An Endpoint is one socket of AF_INET or AF_INET6: a socket.Proto. Watchers of the
// socket are on its Queue, which is told whatever the stack's own queue is.
type Endpoint struct {
	wait.Queue
	fam    *Family
	kind   socket.Kind
	ep     tcpip.Endpoint `save:"-"`
	queue  *waiter.Queue  `save:"-"`
	entry  waiter.Entry   `save:"-"`
	opts   *socket.Options
	socket *socket.Socket
	uid    uint32 // who made it

	// spare is a payload in no use, to spare allocations.
	spare atomic.Pointer[payload]
	// failed says that an error was told already: a socket that has ended with
	// one no longer reports it.
	failed atomic.Bool
	small  smallOptions
}

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
)

func (f *Family) newEndpoint(k socket.Kind, ep tcpip.Endpoint, q *waiter.Queue, o *socket.Options) *Endpoint {
	e := &Endpoint{fam: f, kind: k, ep: ep, queue: q, opts: o}
	e.entry.Init(e, waiter.AllEvents)
	q.EventRegister(&e.entry)
	return e
}

func (e *Endpoint) wrap() *socket.Socket {
	e.socket = socket.New(e.fam.net, e.kind, e, e.opts)
	e.fam.mu.Lock()
	e.fam.all[e] = struct{}{}
	e.fam.mu.Unlock()
	return e.socket
}

// NotifyEvent implements waiter.EventListener. The stack calls it with locks of its
// own held; a Waker takes none of them.
func (e *Endpoint) NotifyEvent(m waiter.EventMask) { e.Notify(wait.Events(m)) }

func (e *Endpoint) isTCP() bool {
	return e.kind.Protocol == linux.IPPROTO_TCP && e.kind.Type == linux.SOCK_STREAM
}

// state is a TCP socket's state as Linux has it; what the stack calls by names of its
// own is closed, or about to connect.
func (e *Endpoint) state() linux.TCPState {
	switch s := tcp.EndpointState(e.ep.State()); s {
	case tcp.StateEstablished:
		return linux.TCP_ESTABLISHED
	case tcp.StateSynSent, tcp.StateConnecting:
		return linux.TCP_SYN_SENT
	case tcp.StateSynRecv:
		return linux.TCP_SYN_RECV
	case tcp.StateFinWait1:
		return linux.TCP_FIN_WAIT1
	case tcp.StateFinWait2:
		return linux.TCP_FIN_WAIT2
	case tcp.StateTimeWait:
		return linux.TCP_TIME_WAIT
	case tcp.StateCloseWait:
		return linux.TCP_CLOSE_WAIT
	case tcp.StateLastAck:
		return linux.TCP_LAST_ACK
	case tcp.StateListen:
		return linux.TCP_LISTEN
	case tcp.StateClosing:
		return linux.TCP_CLOSING
	}
	return linux.TCP_CLOSE
}

// Ready implements wait.Object: tcp_poll(), and udp_poll(), as seen by poll(2).
func (e *Endpoint) Ready(want wait.Events) wait.Events {
	want |= wait.Err | wait.Hup
	r := wait.Events(e.ep.Readiness(waiter.EventMask(want) & waiter.AllEvents &^ waiter.EventPri))
	if !e.isTCP() {
		return r & want
	}
	const (
		ended = wait.RdHup | wait.Hup | wait.Readable | wait.Writable
		bad   = wait.Err
	)
	switch tcp.EndpointState(e.ep.State()) {
	case tcp.StateInitial, tcp.StateBound:
		r |= wait.Writable | wait.Hup
	case tcp.StateTimeWait, tcp.StateLastAck, tcp.StateClosing, tcp.StateClose:
		r = r&^bad | ended
	case tcp.StateError:
		r |= ended
		if e.failed.Load() {
			r &^= bad
		}
	case tcp.StateCloseWait:
		r |= wait.RdHup | wait.Readable
	}
	return r & want
}

// Bind implements socket.Binder.
func (e *Endpoint) Bind(c vfs.Ctx, addr []byte) error {
	a, err := parse(e.kind.Family, addr, false)
	if err != nil {
		return err
	}
	if int(a.Port) < e.fam.conf.FirstPort && a.Port != 0 && e.kind.Type != linux.SOCK_RAW && !c.Creds().HasCap(auth.CapNetBindService) {
		return linux.EACCES
	}
	return errno(e.ep.Bind(a))
}

// Connect implements socket.Connecter.
func (e *Endpoint) Connect(c vfs.Ctx, addr []byte) error {
	if len(addr) < 2 {
		return linux.EINVAL
	}
	if socket.FamilyOf(addr) == linux.AF_UNSPEC {
		if err := e.ep.Disconnect(); err != nil && !e.isTCP() {
			return errno(err)
		}
		return nil
	}
	a, err := parse(e.kind.Family, addr, true)
	if err != nil {
		return err
	}
	if e.isTCP() {
		switch tcp.EndpointState(e.ep.State()) {
		case tcp.StateTimeWait, tcp.StateLastAck, tcp.StateClosing, tcp.StateClose:
			return linux.EISCONN // it was: a connection is not forgotten with its end
		}
	}
	e.failed.Store(false)
	terr := e.ep.Connect(toLoopback(e.kind.Family, a))
	switch terr.(type) {
	case *tcpip.ErrNoPortAvailable:
		return linux.EADDRNOTAVAIL
	case *tcpip.ErrInvalidEndpointState:
		if e.isTCP() && e.state() == linux.TCP_LISTEN {
			return linux.EISCONN
		}
	}
	return errno(terr)
}

// Connected implements socket.Connecter.
func (e *Endpoint) Connected() error {
	if err := e.TakeError(); err != nil {
		return err
	}
	if e.isTCP() && tcp.EndpointState(e.ep.State()) == tcp.StateError {
		return linux.ECONNABORTED // another thread took the error
	}
	return nil
}

// Listen implements socket.Accepter.
func (e *Endpoint) Listen(_ vfs.Ctx, backlog int) error {
	if !e.isTCP() {
		return linux.EOPNOTSUPP
	}
	return errno(e.ep.Listen(max(backlog, 1)))
}

// Accept implements socket.Accepter.
func (e *Endpoint) Accept(vfs.Ctx) (*socket.Socket, error) {
	if !e.isTCP() {
		return nil, linux.EOPNOTSUPP
	}
	ep, q, err := e.ep.Accept(nil)
	if err != nil {
		return nil, errno(err)
	}
	n := e.fam.newEndpoint(e.kind, ep, q, e.opts.Inherit())
	n.uid = e.uid
	n.small.inherit(&e.small)
	return n.wrap(), nil
}

// Shutdown implements socket.Shutter.
func (e *Endpoint) Shutdown(_ vfs.Ctx, how int) error {
	flags := [...]tcpip.ShutdownFlags{tcpip.ShutdownRead, tcpip.ShutdownWrite, tcpip.ShutdownRead | tcpip.ShutdownWrite}[how]
	return errno(e.ep.Shutdown(flags))
}

// Close implements socket.Proto.
func (e *Endpoint) Close(vfs.Ctx) {
	e.fam.mu.Lock()
	delete(e.fam.all, e)
	e.fam.mu.Unlock()
	e.queue.EventUnregister(&e.entry)
	e.ep.Close()
	e.Notify(wait.Hup | wait.Err | wait.Readable | wait.Writable)
}

// Name implements socket.Namer.
func (e *Endpoint) Name(a *socket.Addr, peer bool) error {
	get := e.ep.GetLocalAddress
	if peer {
		get = e.ep.GetRemoteAddress
		if e.isTCP() {
			switch e.state() {
			case linux.TCP_CLOSE, linux.TCP_SYN_SENT, linux.TCP_LISTEN:
				return linux.ENOTCONN
			}
		}
	}
	full, err := get()
	if err != nil {
		return errno(err)
	}
	encode(e.kind.Family, full, a)
	return nil
}

// TakeError implements socket.Failer.
func (e *Endpoint) TakeError() error {
	err := e.ep.SocketOptions().GetLastError()
	if err == nil {
		return nil
	}
	e.failed.Store(true)
	return errno(err)
}
