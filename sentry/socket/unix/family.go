package unix

import (
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// A Family is AF_UNIX in one network namespace. It has the abstract names.
type Family struct {
	net    *socket.Network
	flight *Flight

	mu       sync.Mutex
	abstract map[abstractName]*Endpoint // protected by mu
	all      map[*Endpoint]struct{}     // protected by mu: all but those not yet accepted
	auto     uint32                     // protected by mu: the last name given by autobind
}

// An abstractName is a name that has no file; each type of socket has its own.
type abstractName struct {
	typ  linux.SockType
	name string
}

// New adds AF_UNIX to a network. flight is the kernel's, shared by all its networks.
func New(n *socket.Network, flight *Flight) *Family {
	f := &Family{net: n, flight: flight, abstract: map[abstractName]*Endpoint{}, all: map[*Endpoint]struct{}{}}
	n.Add(linux.AF_UNIX, f)
	return f
}

// Socket implements socket.Family.
func (f *Family) Socket(c vfs.Ctx, typ linux.SockType, protocol int32) (*socket.Socket, error) {
	e, err := f.endpoint(typ, protocol, socket.NewOptions(f.net))
	if err != nil {
		return nil, err
	}
	return e.wrap(), nil
}

// endpoint makes a socket: EPROTONOSUPPORT, ESOCKTNOSUPPORT.
func (f *Family) endpoint(typ linux.SockType, protocol int32, o *socket.Options) (*Endpoint, error) {
	if protocol != 0 && protocol != linux.AF_UNIX {
		return nil, linux.EPROTONOSUPPORT
	}
	e := &Endpoint{fam: f, typ: typ, opts: o}
	switch typ {
	case linux.SOCK_STREAM, linux.SOCK_SEQPACKET:
	case linux.SOCK_DGRAM, linux.SOCK_RAW: // BSD's raw sockets are datagrams here
		e.typ = linux.SOCK_DGRAM
		e.own = f.channel(e, nil)
	default:
		return nil, linux.ESOCKTNOSUPPORT
	}
	return e, nil
}

// wrap makes the open socket of e.
func (e *Endpoint) wrap() *socket.Socket {
	s := socket.New(e.fam.net, socket.Kind{Family: linux.AF_UNIX, Type: e.typ}, e, e.opts)
	e.socket.Store(s)
	e.fam.mu.Lock()
	e.fam.all[e] = struct{}{}
	e.fam.mu.Unlock()
	return s
}

func (f *Family) remove(e *Endpoint) {
	f.mu.Lock()
	delete(f.all, e)
	f.mu.Unlock()
}

// Pair implements socket.Pairer: socketpair(2).
func (f *Family) Pair(c vfs.Ctx, typ linux.SockType, protocol int32) (a, b *socket.Socket, err error) {
	x, err := f.endpoint(typ, protocol, socket.NewOptions(f.net))
	if err != nil {
		return nil, nil, err
	}
	y, err := f.endpoint(typ, protocol, socket.NewOptions(f.net))
	if err != nil {
		return nil, nil, err
	}
	cred := socket.PeerCred(c)
	x.peerCred, y.peerCred, x.peered, y.peered = cred, cred, true, true
	if x.own != nil {
		x.peer.Store(y)
		y.peer.Store(x)
	} else {
		join(x, y)
	}
	return x.wrap(), y.wrap(), nil
}

func (f *Family) channel(reader, writer *Endpoint) *channel {
	return &channel{reader: reader, writer: writer, most: int(f.net.Number("unix/max_dgram_qlen", 0))}
}

// join connects two sockets that nobody else knows of yet, or whose locks are held.
func join(x, y *Endpoint) {
	in := x.fam.channel(x, y)
	out := x.fam.channel(y, x)
	y.conn.Store(&conn{peer: x, in: out, out: in})
	x.conn.Store(&conn{peer: y, in: in, out: out})
}

// Sockets implements socket.Lister.
func (f *Family) Sockets() []socket.Info {
	f.mu.Lock()
	es := make([]*Endpoint, 0, len(f.all))
	for e := range f.all {
		es = append(es, e)
	}
	f.mu.Unlock()
	out := make([]socket.Info, 0, len(es))
	for _, e := range es {
		out = append(out, e.info())
	}
	return out
}

func (e *Endpoint) info() socket.Info {
	s := e.socket.Load()
	i := socket.Info{Kind: s.Kind(), State: linux.TCP_CLOSE, Inode: s.Inode(), Refs: 2}
	if n := e.name.Load(); n != nil {
		i.Name = n.String()
	}
	other := e.peer.Load()
	if conn := e.conn.Load(); conn != nil {
		other = conn.peer
		i.State = linux.TCP_ESTABLISHED
		i.Refs = 3
	}
	if other != nil {
		if o := other.socket.Load(); o != nil {
			i.Peer = o.Inode()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listener != nil {
		i.State, i.Listening = linux.TCP_LISTEN, true
		i.Recv, i.Backlog = uint32(len(e.listener.queue)), uint32(e.listener.backlog)
	}
	return i
}
