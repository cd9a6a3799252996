package socket

import (
	"sync/atomic"
	"time"

	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Socket is an open socket: the File of its description, and what the socket
// calls work on. It is made by a Family.
type Socket struct {
	family   uint16
	typ      linux.SockType
	protocol int32
	proto    Proto
	net      *Network
	opts     *Options
	stream   bool

	ino atomic.Uint64
}

// New makes the Socket around a Proto; o are the options that they share. net is
// the network namespace it belongs to.
func New(net *Network, k Kind, p Proto, o *Options) *Socket {
	stream := k.Type == linux.SOCK_STREAM
	return &Socket{family: k.Family, typ: k.Type, protocol: k.Protocol, proto: p, net: net, opts: o, stream: stream}
}

// A Kind is the three arguments of socket(2), settled: the protocol is the one in
// use even if the caller left the choice.
type Kind struct {
	Family   uint16
	Type     linux.SockType
	Protocol int32
}

// Kind is what s was made as: SO_DOMAIN, SO_TYPE and SO_PROTOCOL.
func (s *Socket) Kind() Kind { return Kind{s.family, s.typ, s.protocol} }

// Proto is the family's part of s.
func (s *Socket) Proto() Proto { return s.proto }

// Options is the options of level SOL_SOCKET that s keeps itself.
func (s *Socket) Options() *Options { return s.opts }

// Network is the network namespace that s was made in.
func (s *Socket) Network() *Network { return s.net }

// Inode is the number of s's inode, 0 until it has one; /proc/net shows it.
func (s *Socket) Inode() uint64 { return s.ino.Load() }

// SetInode tells s its number, when it gets a description.
func (s *Socket) SetInode(ino uint64) { s.ino.Store(ino) }

// Open gives s a description of its own: the last step of socket(2) and accept(2).
func (s *Socket) Open(c vfs.Ctx, sys *vfs.System, flags linux.OpenFlags) *vfs.FileDescription {
	d := sys.NewSocket(c, s, linux.O_RDWR|flags)
	if a, err := d.Attr(c); err == nil {
		s.SetInode(a.Ino)
	}
	return d
}

// Of is the Socket of an open file: ENOTSOCK.
func Of(d *vfs.FileDescription) (*Socket, error) {
	if s, ok := d.File().(*Socket); ok {
		return s, nil
	}
	return nil, linux.ENOTSOCK
}

var (
	_ vfs.File      = (*Socket)(nil)
	_ vfs.Streamer  = (*Socket)(nil)
	_ vfs.Control   = (*Socket)(nil)
	_ vfs.Timeouter = (*Socket)(nil)
	_ vfs.Piper     = (*Socket)(nil)
	_ wait.Object   = (*Socket)(nil)
)

// Stream implements vfs.Streamer: no socket has offsets.
func (s *Socket) Stream() {}

// Async implements vfs.Asyncer.
func (*Socket) Async() {}

// SignalsPipe implements vfs.Piper: streams do.
func (s *Socket) SignalsPipe() bool { return s.stream }

// Mmap implements vfs.Mapper.
func (s *Socket) Mmap(c vfs.Ctx, m vfs.MapSpec) (mm.Mappable, error) {
	if x, ok := s.proto.(Mapper); ok {
		return x.Mmap(c, m)
	}
	return nil, linux.ENODEV
}

// Ready implements wait.Object.
func (s *Socket) Ready(e wait.Events) wait.Events { return s.proto.Ready(e) }

// Watch implements wait.Object.
func (s *Socket) Watch(w *wait.Watch) { s.proto.Watch(w) }

// Unwatch implements wait.Object.
func (s *Socket) Unwatch(w *wait.Watch) { s.proto.Unwatch(w) }

// Read implements vfs.File: recv(2) without flags.
func (s *Socket) Read(c vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	if dst.Len() == 0 && s.stream {
		return 0, nil
	}
	return s.proto.Recv(c, dst, 0, nil)
}

// Write implements vfs.File: send(2) without flags.
func (s *Socket) Write(c vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	return s.proto.Send(c, src, 0, nil)
}

// Close implements vfs.File.
func (s *Socket) Close(c vfs.Ctx) { s.proto.Close(c) }

// Timeout implements vfs.Timeouter: SO_RCVTIMEO and SO_SNDTIMEO.
func (s *Socket) Timeout(write bool) time.Duration {
	d := s.opts.RcvTimeout()
	if write {
		d = s.opts.SndTimeout()
	}
	if d < 0 {
		return 1
	}
	return d
}

// Bind is bind(2).
func (s *Socket) Bind(c vfs.Ctx, addr []byte) error {
	if b, ok := s.proto.(Binder); ok {
		return b.Bind(c, addr)
	}
	return linux.EOPNOTSUPP
}

// Listen is listen(2). backlog is cut to net.core.somaxconn; negative is that too.
func (s *Socket) Listen(c vfs.Ctx, backlog int) error {
	if most := int(s.net.Number("core/somaxconn", 0)); backlog < 0 || backlog > most {
		backlog = most
	}
	if a, ok := s.proto.(Accepter); ok {
		return a.Listen(c, backlog)
	}
	return linux.EOPNOTSUPP
}

// Shutdown is shutdown(2).
func (s *Socket) Shutdown(c vfs.Ctx, how int) error {
	if how < linux.SHUT_RD || how > linux.SHUT_RDWR {
		return linux.EINVAL
	}
	if x, ok := s.proto.(Shutter); ok {
		return x.Shutdown(c, how)
	}
	return linux.EOPNOTSUPP
}

// Name is getsockname(2), or getpeername(2).
func (s *Socket) Name(a *Addr, peer bool) error {
	if n, ok := s.proto.(Namer); ok {
		return n.Name(a, peer)
	}
	return linux.EOPNOTSUPP
}

// AcceptedFrom fills in the peer's address of a socket that Accept returned. ENOTCONN.
func (s *Socket) AcceptedFrom(a *Addr) error {
	if x, ok := s.proto.(Accepted); ok {
		x.AcceptedFrom(a)
		return nil
	}
	return s.Name(a, true)
}
