package packet

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/socket"
	"garrison/sentry/socket/bpf"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Family is AF_PACKET in one network namespace.
type Family struct {
	net    *socket.Network
	memory func(vfs.Ctx) *memfile.File

	mu     sync.Mutex
	all    []*Socket          // protected by mu: in the order they were made in
	groups map[uint16]*fanout // protected by mu, which is held while they change
}

// New adds AF_PACKET to a network whose Interfaces are a socket.Framer. memory is where the
// rings of who calls lie; nil if there are none.
func New(n *socket.Network, memory func(vfs.Ctx) *memfile.File) *Family {
	f := &Family{net: n, memory: memory, groups: map[uint16]*fanout{}}
	n.Add(linux.AF_PACKET, f)
	return f
}

// Socket implements socket.Family. The protocol is in network order, as it lies in an int.
func (f *Family) Socket(c vfs.Ctx, typ linux.SockType, protocol int32) (*socket.Socket, error) {
	if !f.net.Capable(c, auth.CapNetRaw) {
		return nil, linux.EPERM
	}
	if typ != linux.SOCK_RAW && typ != linux.SOCK_DGRAM {
		return nil, linux.ESOCKTNOSUPPORT
	}
	links, ok := f.net.Interfaces().(socket.Framer)
	if !ok {
		return nil, linux.EAFNOSUPPORT
	}
	s := &Socket{fam: f, net: f.net, memory: f.memory, links: links, cooked: typ == linux.SOCK_DGRAM, opts: socket.NewOptions(f.net), uid: c.Creds().EUID}
	s.protocol = bits.ReverseBytes16(uint16(protocol))
	s.hear()
	s.socket = socket.New(f.net, socket.Kind{Family: linux.AF_PACKET, Type: typ}, s, s.opts)
	f.mu.Lock()
	f.all = append(f.all, s)
	f.mu.Unlock()
	return s.socket, nil
}

// A Socket is one packet socket: a socket.Proto and a socket.Tap.
type Socket struct {
	wait.Queue
	fam    *Family
	net    *socket.Network
	memory func(vfs.Ctx) *memfile.File
	links  socket.Framer
	cooked bool // SOCK_DGRAM: without Ethernet's header
	opts   *socket.Options
	filter bpf.Slot
	socket *socket.Socket
	uid    uint32 // who made it

	// mu is no lock of the order: who sends may hold any of that.
	mu       sync.Mutex
	protocol uint16             // protected by mu: 0 for none at all
	link     int32              // protected by mu: 0 for all links
	stop     func()             // protected by mu: ends hearing; nil if it has not begun
	queue    []packet           // protected by mu: to be read
	bytes    int                // protected by mu: in queue
	seen     uint32             // protected by mu: since PACKET_STATISTICS was asked for, dropped ones, too
	dropped  uint32             // protected by mu
	joined   []linux.PacketMreq // protected by mu
	auxdata  bool               // protected by mu
	incoming bool               // protected by mu: PACKET_IGNORE_OUTGOING
	origdev  bool               // protected by mu
	err      linux.Errno        // protected by mu: SO_ERROR
	version  int32              // protected by mu: PACKET_VERSION
	reserve  uint32             // protected by mu: PACKET_RESERVE
	group    *fanout            // protected by mu: who hears in its place
	ring     *ring              // protected by mu: in the place of queue; nil if there is none
	out      *ring              // protected by mu: what is sent; nil if that comes by Send
	mapping  *mapping           // protected by mu: what has been asked for since the rings changed
	loses    bool               // protected by mu: PACKET_LOSS
	placed   bool               // protected by mu: PACKET_TX_HAS_OFF
	bypass   bool               // protected by mu: PACKET_QDISC_BYPASS
}

// A packet is one that can be read.
type packet struct {
	*socket.Frame
	data []byte // as much of the frame as the socket gets
	at   time.Time
}

var (
	_ socket.Proto    = (*Socket)(nil)
	_ socket.Binder   = (*Socket)(nil)
	_ socket.Namer    = (*Socket)(nil)
	_ socket.Optioner = (*Socket)(nil)
	_ socket.Failer   = (*Socket)(nil)
	_ socket.Ioctler  = (*Socket)(nil)
	_ socket.Mapper   = (*Socket)(nil)
	_ socket.Tap      = (*Socket)(nil)
)

// hear begins to see frames, if s is for any.
func (s *Socket) hear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.protocol != 0 && s.stop == nil {
		s.stop = s.links.Tap(s)
	}
}

// See implements socket.Tap.
func (s *Socket) See(f *socket.Frame) {
	s.mu.Lock()
	wanted := s.group == nil && wants(f, s.protocol, s.link, s.incoming)
	s.mu.Unlock()
	if wanted {
		s.give(f)
	}
}

// give has s take a frame that it is for.
func (s *Socket) give(f *socket.Frame) {
	now := time.Now()
	s.mu.Lock()
	took := s.takeLocked(f, now)
	s.mu.Unlock()
	if took {
		s.Notify(wait.Readable)
	}
}

// wants reports whether who is for a protocol and a link, 0 for all, gets frames such as f:
// those that go only who wants all sees, unless incoming says that those that come are enough.
func wants(f *socket.Frame, protocol uint16, link int32, incoming bool) bool {
	switch {
	case link != 0 && link != f.Link, f.Type == linux.PACKET_OUTGOING && incoming:
		return false
	case protocol == linux.ETH_P_ALL:
		return true
	}
	return f.Type != linux.PACKET_OUTGOING && protocol == protocolOf(f.Data)
}

// takeLocked has f read, or drops it, and reports whether there is something to read that
// was not.
func (s *Socket) takeLocked(f *socket.Frame, now time.Time) bool {
	at := 0
	if s.cooked {
		at = linux.ETH_HLEN
	}
	data := f.Data[at:]
	if p, ok := s.filter.Program(); ok {
		b := bpfPacket(f)
		b.At = at
		n := p.Run(b)
		if n == 0 {
			return false
		}
		data = data[:min(uint64(n), uint64(len(data)))]
	}
	s.seen++
	if s.ring != nil {
		return s.putLocked(&packet{f, data, now})
	}
	if s.bytes+len(f.Data) > s.opts.RcvBuf() {
		s.dropped++
		return false
	}
	s.queue = append(s.queue, packet{f, data, now})
	s.bytes += len(f.Data)
	return true
}

// bpfPacket is f as programs see it.
func bpfPacket(f *socket.Frame) *bpf.Packet {
	return &bpf.Packet{Data: f.Data, Network: linux.ETH_HLEN, Protocol: protocolOf(f.Data), Hardware: f.Hardware, Type: f.Type, Index: f.Link}
}

// address is f's sockaddr_ll: who sent it.
func address(f *socket.Frame) linux.SockaddrLL {
	a := linux.SockaddrLL{Family: linux.AF_PACKET, Index: f.Link, Hatype: f.Hardware, Pkttype: f.Type, Halen: 6}
	binary.BigEndian.PutUint16(a.Protocol[:], protocolOf(f.Data))
	copy(a.Addr[:], f.Data[6:12])
	return a
}

// linkOf is the link with that index, or nil.
func (s *Socket) linkOf(index int32) *socket.Link {
	all := s.net.Interfaces().Links()
	i := slices.IndexFunc(all, func(l socket.Link) bool { return l.Index == index })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// Bind implements socket.Binder: EINVAL, ENODEV. To a link that is down it binds, and says
// so as an error of the socket.
func (s *Socket) Bind(_ vfs.Ctx, addr []byte) error {
	a, err := parse(addr)
	if err != nil || a.Family != linux.AF_PACKET {
		return linux.EINVAL
	}
	l := s.linkOf(a.Index)
	if a.Index != 0 && l == nil {
		return linux.ENODEV
	}
	s.mu.Lock()
	if s.group != nil {
		s.mu.Unlock()
		return linux.EINVAL
	}
	if p := binary.BigEndian.Uint16(a.Protocol[:]); p != 0 {
		s.protocol = p
	}
	s.link = a.Index
	down := l != nil && l.Flags&linux.IFF_UP == 0
	if down && s.protocol != 0 {
		s.err = linux.ENETDOWN
	}
	s.mu.Unlock()
	s.hear()
	if down {
		s.Notify(wait.Err)
	}
	return nil
}

// Name implements socket.Namer.
func (s *Socket) Name(a *socket.Addr, peer bool) error {
	if peer {
		return linux.EOPNOTSUPP
	}
	s.mu.Lock()
	protocol, index := s.protocol, s.link
	s.mu.Unlock()
	name := linux.SockaddrLL{Family: linux.AF_PACKET, Index: index}
	binary.BigEndian.PutUint16(name.Protocol[:], protocol)
	n := linux.SockaddrLLLen - len(name.Addr)
	if l := s.linkOf(index); l != nil {
		name.Hatype, name.Halen = l.Type, uint8(len(l.Hardware))
		n += copy(name.Addr[:], l.Hardware[:])
	}
	a.Set(bytesOf(&name)[:n])
	return nil
}

// TakeError implements socket.Failer.
func (s *Socket) TakeError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.err
	s.err = 0
	if err == 0 {
		return nil
	}
	return err
}

// Ready implements wait.Object.
func (s *Socket) Ready(want wait.Events) wait.Events {
	r := wait.Writable | wait.WrBand
	s.mu.Lock()
	if len(s.queue) > 0 || s.ring != nil && s.ring.readableLocked() {
		r |= wait.Readable
	}
	if s.err != 0 {
		r |= wait.Err
	}
	s.mu.Unlock()
	return r & (want | wait.Always)
}

// Close implements socket.Proto.
func (s *Socket) Close(vfs.Ctx) {
	s.fam.mu.Lock()
	s.fam.all = slices.DeleteFunc(s.fam.all, func(x *Socket) bool { return x == s })
	s.fam.mu.Unlock()
	s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
	}
	s.protocol, s.queue, s.bytes = 0, nil, 0
	drop(&s.ring) // who maps it has a reference to the open file
	drop(&s.out)
}

// protocolOf is a frame's protocol, as Linux has it.
func protocolOf(frame []byte) uint16 {
	p := binary.BigEndian.Uint16(frame[linux.ETH_HLEN-2:])
	if p < linux.ETH_P_802_3 {
		return linux.ETH_P_802_2
	}
	return p
}
