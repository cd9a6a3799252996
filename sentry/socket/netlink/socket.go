package netlink

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Family is AF_NETLINK in one network namespace.
type Family struct {
	net     *socket.Network
	claimed atomic.Bool // somebody has brought the loopback up: see newAddress

	mu    sync.Mutex
	ports map[portKey]*Socket  // protected by mu
	all   map[*Socket]struct{} // protected by mu
	last  uint32               // protected by mu: the last port chosen here
}

// A portKey is a socket's address; each protocol has its own.
type portKey struct {
	protocol int32
	port     uint32
}

// New adds AF_NETLINK to a network.
func New(n *socket.Network) *Family {
	f := &Family{net: n, ports: map[portKey]*Socket{}, all: map[*Socket]struct{}{}}
	n.Add(linux.AF_NETLINK, f)
	return f
}

// A handler answers a request with messages; dump is for requests that list. An
// error is told in a message too.
type handler func(f *Family, c vfs.Ctx, r *request, w *reply) error

// protocols is which there are.
var protocols = map[int32]handler{
	linux.NETLINK_ROUTE:          route,
	linux.NETLINK_SOCK_DIAG:      diag,
	linux.NETLINK_KOBJECT_UEVENT: nil, // nothing happens to devices here
	linux.NETLINK_USERSOCK:       nil,
}

// Socket implements socket.Family.
func (f *Family) Socket(c vfs.Ctx, typ linux.SockType, protocol int32) (*socket.Socket, error) {
	if typ != linux.SOCK_RAW && typ != linux.SOCK_DGRAM {
		return nil, linux.ESOCKTNOSUPPORT
	}
	if _, ok := protocols[protocol]; !ok {
		return nil, linux.EPROTONOSUPPORT
	}
	s := &Socket{fam: f, protocol: protocol, opts: socket.NewOptions(f.net), groups: map[uint32]struct{}{}}
	s.socket = socket.New(f.net, socket.Kind{Family: linux.AF_NETLINK, Type: typ, Protocol: protocol}, s, s.opts)
	f.mu.Lock()
	f.all[s] = struct{}{}
	f.mu.Unlock()
	return s.socket, nil
}

// Sockets implements socket.Lister.
func (f *Family) Sockets() (out []socket.Info) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.all {
		s.mu.Lock()
		out = append(out, socket.Info{Kind: s.socket.Kind(), Inode: s.socket.Inode(), Port: s.port, Recv: uint32(s.bytes), Groups: s.mask(), Refs: 2})
		s.mu.Unlock()
	}
	return out
}

// A Socket is one netlink socket: a socket.Proto.
type Socket struct {
	wait.Queue
	fam      *Family
	protocol int32
	opts     *socket.Options
	socket   *socket.Socket

	mu     lock.Mutex[lock.Socket]
	port   uint32              // protected by mu; 0 until bound
	peer   uint32              // protected by mu: connect(2)
	groups map[uint32]struct{} // protected by mu
	msgs   []datagram          // protected by mu: to be read
	bytes  int                 // protected by mu: in msgs
	// overrun says that news was lost, which is told once; congested that it is lost until
	// all has been read. Protected by mu.
	overrun, congested bool
	flags              [16]bool // protected by mu: the boolean options by number
}

// A datagram is messages that are read together; group is the bit of the group that it was
// sent to, 0 for none.
type datagram struct {
	b     []byte
	group uint32
}

var (
	_ socket.Proto     = (*Socket)(nil)
	_ socket.Binder    = (*Socket)(nil)
	_ socket.Connecter = (*Socket)(nil)
	_ socket.Namer     = (*Socket)(nil)
	_ socket.Optioner  = (*Socket)(nil)
	_ socket.Ioctler   = (*Socket)(nil)
	_ socket.Failer    = (*Socket)(nil)
)

// parse reads a struct sockaddr_nl: EINVAL.
func parse(addr []byte) (a linux.SockaddrNL, err error) {
	if len(addr) < linux.SockaddrNetlinkLen || socket.FamilyOf(addr) != linux.AF_NETLINK {
		return a, linux.EINVAL
	}
	copy(usermem.AsBytes(&a), addr)
	return a, nil
}

// Bind implements socket.Binder: EADDRINUSE, EPERM, EINVAL for another port than it
// has.
func (s *Socket) Bind(c vfs.Ctx, addr []byte) error {
	a, err := parse(addr)
	if err != nil {
		return err
	}
	if a.Groups != 0 && !s.mayJoin(c) {
		return linux.EPERM
	}
	s.mu.Lock()
	port := s.port
	s.mu.Unlock()
	if port != 0 && a.PortID != port {
		return linux.EINVAL
	}
	if err := s.takePort(c, a.PortID); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.groups)
	for g := range uint32(32) {
		if a.Groups>>g&1 != 0 {
			s.groups[g+1] = struct{}{}
		}
	}
	return nil
}

// mayJoin reports whether c may listen to groups: the route and uevent protocols let
// everybody.
func (s *Socket) mayJoin(c vfs.Ctx) bool {
	return s.protocol == linux.NETLINK_ROUTE || s.protocol == linux.NETLINK_KOBJECT_UEVENT || s.fam.net.Capable(c, auth.CapNetAdmin)
}

// takePort gives s a port unless it has one: the one asked for, else the caller's
// process number, else a high one.
func (s *Socket) takePort(c vfs.Ctx, want uint32) error {
	f := s.fam
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.port != 0 {
		return nil
	}
	if want == 0 {
		if p, ok := c.(socket.Process); ok {
			want = uint32(p.ProcessNumber(p.ProcessID()))
		}
		for want == 0 || f.ports[portKey{s.protocol, want}] != nil {
			f.last--
			want = f.last
		}
	} else if f.ports[portKey{s.protocol, want}] != nil {
		return linux.EADDRINUSE
	}
	f.ports[portKey{s.protocol, want}] = s
	s.port = want
	return nil
}

// Connect implements socket.Connecter.
func (s *Socket) Connect(c vfs.Ctx, addr []byte) error {
	if socket.FamilyOf(addr) == linux.AF_UNSPEC {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.peer = 0
		return nil
	}
	a, err := parse(addr)
	if err != nil {
		return err
	}
	if (a.PortID != 0 || a.Groups != 0) && s.protocol != linux.NETLINK_USERSOCK && !s.fam.net.Capable(c, auth.CapNetAdmin) {
		return linux.EPERM
	}
	if err := s.takePort(c, 0); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peer = a.PortID
	return nil
}

// Connected implements socket.Connecter.
func (s *Socket) Connected() error { return nil }

// Name implements socket.Namer.
func (s *Socket) Name(a *socket.Addr, peer bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := a.Make(linux.AF_NETLINK, linux.SockaddrNetlinkLen)
	if peer {
		binary.LittleEndian.PutUint32(b[4:], s.peer)
		return nil
	}
	binary.LittleEndian.PutUint32(b[4:], s.port)
	binary.LittleEndian.PutUint32(b[8:], s.mask())
	return nil
}

// mask is the first groups as bits. mu is held.
func (s *Socket) mask() (groups uint32) {
	for g := range s.groups {
		if g <= 32 {
			groups |= 1 << (g - 1)
		}
	}
	return groups
}

// TakeError implements socket.Failer: ENOBUFS if news was lost.
func (s *Socket) TakeError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.overrun {
		return nil
	}
	s.overrun = false
	return linux.ENOBUFS
}

// Close implements socket.Proto.
func (s *Socket) Close(vfs.Ctx) {
	f := s.fam
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(f.all, s)
	if k := (portKey{s.protocol, s.port}); f.ports[k] == s {
		delete(f.ports, k)
	}
	s.msgs = nil
}

// Ready implements wait.Object.
func (s *Socket) Ready(want wait.Events) wait.Events {
	r := wait.Writable | wait.WrBand
	s.mu.Lock()
	if len(s.msgs) > 0 {
		r |= wait.Readable
	}
	if s.overrun {
		r |= wait.Err
	}
	s.mu.Unlock()
	return r & (want | wait.Always)
}
