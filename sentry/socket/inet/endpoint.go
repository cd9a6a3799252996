package inet

import (
	"math/rand/v2"
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
	cur    atomic.Pointer[inner] `save:"-"`
	opts   *socket.Options
	socket *socket.Socket
	uid    uint32 // who made it

	// spare is a payload in no use, to spare allocations.
	spare   atomic.Pointer[payload]
	filling filling
	drained drained
	gate    *gate
	raw     *rawGate // of a raw socket that receives
	// failed says that an error was told already: a socket that has ended with
	// one no longer reports it. refused says that it was told by connect(2), after
	// which the socket is as good as new.
	failed, refused atomic.Bool
	bound           atomic.Bool // bind(2) has given it an address
	sized           atomic.Bool // SO_SNDBUF or SO_RCVBUF has been set
	local           atomic.Pointer[local]
	listener        atomic.Pointer[listener]
	from            tcpip.FullAddress // of one that was accepted: where it came from
	shut            atomic.Uint32     // shutdown(2): bit 0 reading, bit 1 writing
	small           smallOptions
	options         atomic.Pointer[[]byte] // IP_OPTIONS
	fastopenKey     atomic.Pointer[[]byte]
}

// An inner is the stack's part of a socket. A TCP socket gets another when it connects
// anew after a refusal, which the stack does not allow.
type inner struct {
	ep      tcpip.Endpoint
	queue   *waiter.Queue
	entry   waiter.Entry
	steered atomic.Bool // see Endpoint.steer
}

func (e *Endpoint) ep() tcpip.Endpoint { return e.cur.Load().ep }

// attach makes ep e's endpoint.
func (e *Endpoint) attach(ep tcpip.Endpoint, q *waiter.Queue) {
	in := &inner{ep: ep, queue: q}
	in.entry.Init(e, waiter.AllEvents)
	q.EventRegister(&in.entry)
	if old := e.cur.Swap(in); old != nil && e.fam.gates.of(old.ep) != nil {
		e.fam.gates.drop(old.ep)
		e.guard()
	}
}

// detach gives up an endpoint.
func (in *inner) detach() {
	in.queue.EventUnregister(&in.entry)
	in.ep.Close()
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
	_ socket.Filterer  = (*Endpoint)(nil)
	_ socket.Asked     = (*Endpoint)(nil)
)

func (f *Family) newEndpoint(k socket.Kind, ep tcpip.Endpoint, q *waiter.Queue, o *socket.Options) *Endpoint {
	e := &Endpoint{fam: f, kind: k, opts: o, gate: new(gate)}
	e.attach(ep, q)
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
func (e *Endpoint) NotifyEvent(m waiter.EventMask) {
	if events := wait.Events(m); !e.fam.late.put(e, events) {
		e.Notify(events)
	}
}

func (e *Endpoint) isTCP() bool {
	return e.kind.Protocol == linux.IPPROTO_TCP && e.kind.Type == linux.SOCK_STREAM
}

// TCPState is a TCP socket's state.
func (e *Endpoint) TCPState() linux.TCPState { return e.state() }

func (e *Endpoint) isUDP() bool {
	return e.kind.Type == linux.SOCK_DGRAM && (e.kind.Protocol == linux.IPPROTO_UDP || e.kind.Protocol == linux.IPPROTO_UDPLITE)
}

// state is a TCP socket's state as Linux has it; what the stack calls by names of its
// own is closed, or about to connect.
func (e *Endpoint) state() linux.TCPState {
	if l := e.local.Load(); l != nil {
		return l.state()
	}
	switch s := tcp.EndpointState(e.ep().State()); s {
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

// Ready implements wait.Object: what poll(2) sees.
func (e *Endpoint) Ready(want wait.Events) wait.Events {
	want |= wait.Err | wait.Hup
	if l := e.local.Load(); l != nil {
		return l.ready() & want
	}
	r := wait.Events(e.ep().Readiness(waiter.EventMask(want) & waiter.AllEvents &^ waiter.EventPri))
	if e.isTCP() {
		r = e.streamReady(r)
	} else if e.drained.count.Load() > 0 {
		r |= wait.Readable
	}
	shut := e.shut.Load()
	if shut&1 != 0 {
		r |= wait.RdHup | wait.Readable
	}
	if shut == 3 {
		r |= wait.Hup
	}
	return r & want
}

// streamReady makes what the stack says of a TCP socket what Linux says.
func (e *Endpoint) streamReady(r wait.Events) wait.Events {
	const ended = wait.RdHup | wait.Hup | wait.Readable | wait.Writable
	switch tcp.EndpointState(e.ep().State()) {
	case tcp.StateInitial, tcp.StateBound:
		return r | wait.Writable | wait.Hup
	case tcp.StateListen:
		if e.pendingLocal() > 0 {
			r |= wait.Readable
		}
	case tcp.StateTimeWait, tcp.StateLastAck, tcp.StateClosing:
		return r&^wait.Err | ended
	case tcp.StateClose, tcp.StateError:
		if e.refused.Load() {
			return wait.Writable | wait.Hup
		}
		r = r&^wait.Err | ended
		if tcp.EndpointState(e.ep().State()) == tcp.StateError && !e.failed.Load() {
			r |= wait.Err
		}
	case tcp.StateEstablished:
		r = e.streamWritable(r)
	case tcp.StateCloseWait:
		r = e.streamWritable(r) | wait.RdHup | wait.Readable
	}
	return r
}

// streamWritable takes Writable out of r unless a third of the room to send is free, as Linux has
// it: to the stack there is room if a byte fits. Who waits it wakes when half is free.
func (e *Endpoint) streamWritable(r wait.Events) wait.Events {
	if r&wait.Writable != 0 && e.shut.Load()&2 == 0 && e.unsent()*3 > int(e.ep().SocketOptions().GetSendBufferSize())*2 {
		r &^= wait.Writable
	}
	return r
}

// unsent is how many bytes that were written to e have not arrived: SIOCOUTQ.
func (e *Endpoint) unsent() int {
	if t, ok := e.ep().(*tcp.Endpoint); ok {
		return queued(t)
	}
	n, err := e.ep().GetSockOptInt(tcpip.SendQueueSizeOption)
	if err != nil {
		return 0
	}
	return n
}

// Bind implements socket.Binder.
func (e *Endpoint) Bind(c vfs.Ctx, addr []byte) error {
	if e.kind.Family == linux.AF_INET6 && len(addr) < linux.SockaddrInet6Short {
		return linux.EINVAL
	}
	a, err := parse(e.kind.Family, addr, e.kind.Family == linux.AF_INET6)
	if err != nil {
		return err
	}
	if a.Port != 0 && int64(a.Port) < e.fam.heeded.Load().firstPort && e.kind.Type != linux.SOCK_RAW && !e.fam.net.Capable(c, auth.CapNetBindService) {
		return linux.EACCES
	}
	if err := e.bindTo(a); err != nil {
		return errno(err)
	}
	e.bound.Store(true)
	return nil
}

// bindTo gives e an address, with a port of IP_LOCAL_PORT_RANGE if it is to have any.
func (e *Endpoint) bindTo(a tcpip.FullAddress) tcpip.Error {
	lo, hi := e.ports()
	if a.Port != 0 || lo == 0 {
		return e.ep().Bind(a)
	}
	n := uint32(hi) - uint32(lo) + 1
	first := rand.Uint32N(n)
	for i := range n {
		a.Port = lo + uint16((first+i)%n)
		if err := e.ep().Bind(a); err == nil || !isPortInUse(err) {
			return err
		}
	}
	return &tcpip.ErrPortInUse{}
}

// ports is the range that e's port is to be from, of IP_LOCAL_PORT_RANGE; lo is 0 if the
// stack chooses.
func (e *Endpoint) ports() (lo, hi uint16) {
	v := uint32(e.small[portRange].Load())
	if v == 0 || e.isRaw() {
		return 0, 0
	}
	lo, hi = uint16(v), uint16(v>>16)
	first, last := e.fam.net.Number("ipv4/ip_local_port_range", 0), e.fam.net.Number("ipv4/ip_local_port_range", 1)
	if int64(lo) < first || lo == 0 {
		lo = uint16(first)
	}
	if int64(hi) > last || hi == 0 {
		hi = uint16(last)
	}
	if lo > hi {
		return 0, 0
	}
	return lo, hi
}

func isPortInUse(err tcpip.Error) bool {
	_, ok := err.(*tcpip.ErrPortInUse)
	return ok
}

// Listen implements socket.Accepter.
func (e *Endpoint) Listen(_ vfs.Ctx, backlog int) error {
	if !e.isTCP() {
		return linux.EOPNOTSUPP
	}
	if e.local.Load() != nil {
		return linux.EINVAL
	}
	if err := e.ep().Listen(max(backlog, 1)); err != nil {
		return errno(err)
	}
	e.shut.Store(0)
	e.fam.listenLocal(e, backlog)
	return nil
}

// Accept implements socket.Accepter.
func (e *Endpoint) Accept(c vfs.Ctx) (*socket.Socket, error) {
	if !e.isTCP() {
		return nil, linux.EOPNOTSUPP
	}
	if s := e.acceptLocal(); s != nil {
		return s, nil
	}
	var from tcpip.FullAddress
	ep, q, err := e.ep().Accept(&from)
	if err != nil {
		return nil, errno(err)
	}
	e.fetches(c)
	copyKeepalive(ep, e.ep())
	n := e.fam.newEndpoint(e.kind, ep, q, e.heritage())
	n.uid, n.from = e.uid, from
	n.small.inherit(&e.small)
	n.inheritFilter(e)
	return n.wrap(), nil
}

// heritage is what a connection has of the options of e, which listens.
func (e *Endpoint) heritage() *socket.Options {
	o := e.opts.Inherit()
	o.SetPeekOff(e.opts.PeekOff())
	return o
}

// Shutdown implements socket.Shutter.
func (e *Endpoint) Shutdown(_ vfs.Ctx, how int) error {
	flags := [...]tcpip.ShutdownFlags{tcpip.ShutdownRead, tcpip.ShutdownWrite, tcpip.ShutdownRead | tcpip.ShutdownWrite}[how]
	if !e.isTCP() || e.state() != linux.TCP_LISTEN {
		// Even of a socket that is not connected, for which the call fails.
		e.shut.Or([...]uint32{1, 2, 3}[how])
		defer e.Notify(wait.Readable | wait.Writable | wait.RdHup | wait.Hup)
	} else if how != linux.SHUT_WR {
		e.fam.unlisten(e)
	}
	if l := e.local.Load(); l != nil {
		return l.shutdown(how)
	}
	return errno(e.ep().Shutdown(flags))
}

// Close implements socket.Proto.
func (e *Endpoint) Close(vfs.Ctx) {
	e.fam.mu.Lock()
	delete(e.fam.all, e)
	e.fam.mu.Unlock()
	e.fam.unlisten(e)
	if l := e.local.Load(); l != nil {
		o := e.ep().SocketOptions().GetLinger()
		l.close(o.Enabled && o.Timeout == 0)
	}
	e.discard()
	e.Notify(wait.Hup | wait.Err | wait.Readable | wait.Writable)
}
