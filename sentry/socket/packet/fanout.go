package packet

import (
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/bpf"
	"garrison/sentry/vfs"
)

// A fanout is a group of sockets by PACKET_FANOUT, each frame being for one of them. It hears
// in their place: a socket.Tap.
type fanout struct {
	id       uint16
	typ      uint8
	flags    uint16 // PACKET_FANOUT_FLAG_*
	protocol uint16
	link     int32
	most     int // members
	seed     maphash.Seed
	stop     func()
	program  atomic.Pointer[bpf.Program] // what chooses, of PACKET_FANOUT_CBPF

	// mu is above that of any member, and no lock of the order, as those are not.
	mu      sync.Mutex
	members []*Socket // protected by mu
	turn    uint32    // protected by mu: frames in turn
	roll    int       // protected by mu: who had room when another had not
}

// maxMembers is the most members of a group that does not say how many there may be, and
// mostMembers the most that it can say.
const (
	maxMembers  = 256
	mostMembers = 1 << 16
)

// setFanout is PACKET_FANOUT, an id, a type and flags, and perhaps how many members there may
// be: EINVAL, EALREADY, ENOSPC.
func (s *Socket) setFanout(val []byte) error {
	if len(val) != 4 && len(val) != 8 {
		return linux.EINVAL
	}
	g := &fanout{id: binary.LittleEndian.Uint16(val), typ: val[2], flags: uint16(val[3]) << 8, seed: maphash.MakeSeed()}
	if len(val) == 8 {
		g.most = int(binary.LittleEndian.Uint32(val[4:]))
	}
	const known = linux.PACKET_FANOUT_FLAG_ROLLOVER | linux.PACKET_FANOUT_FLAG_UNIQUEID | linux.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
	switch {
	case g.typ > linux.PACKET_FANOUT_CBPF, g.flags&^known != 0, g.most < 0, g.most > mostMembers,
		g.typ == linux.PACKET_FANOUT_ROLLOVER && g.flags&linux.PACKET_FANOUT_FLAG_ROLLOVER != 0:
		return linux.EINVAL
	}
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	s.mu.Lock()
	running, joined := s.stop != nil && s.protocol != 0, s.group != nil
	g.protocol, g.link = s.protocol, s.link
	s.mu.Unlock()
	switch {
	case joined:
		return linux.EALREADY
	case g.flags&linux.PACKET_FANOUT_FLAG_UNIQUEID == 0:
	case g.id != 0:
		return linux.EINVAL
	default:
		g.id = s.fam.newID()
		g.flags &^= linux.PACKET_FANOUT_FLAG_UNIQUEID
	}
	if !running {
		return linux.EINVAL
	}
	return s.join(g)
}

// newID is an id that no group has. The family's mu is held.
func (f *Family) newID() (id uint16) {
	for ; f.groups[id] != nil && id < 1<<16-1; id++ {
	}
	return id
}

// join has s join the group that is as g, or found it. The family's mu is held.
func (s *Socket) join(g *fanout) error {
	old := s.fam.groups[g.id]
	switch {
	case old == nil:
		if g.most == 0 {
			g.most = maxMembers
		}
	case old.typ != g.typ, old.flags != g.flags, old.protocol != g.protocol, old.link != g.link, g.most != 0 && g.most != old.most:
		return linux.EINVAL
	default:
		g = old
	}
	g.mu.Lock()
	full := len(g.members) >= g.most
	g.mu.Unlock()
	if full {
		return linux.ENOSPC
	}
	s.mu.Lock()
	stop := s.stop
	s.stop, s.group = nil, g
	s.mu.Unlock()
	stop() // it hears by the group from now on
	g.mu.Lock()
	g.members = append(g.members, s)
	g.mu.Unlock()
	if old == nil {
		s.fam.groups[g.id] = g
		g.stop = s.links.Tap(g)
	}
	return nil
}

// leave takes s out of its group, if it is in one, which ends with its last member.
func (s *Socket) leave() {
	s.fam.mu.Lock()
	defer s.fam.mu.Unlock()
	s.mu.Lock()
	g := s.group
	s.group = nil
	s.mu.Unlock()
	if g == nil {
		return
	}
	g.mu.Lock()
	// The last takes the place of one that goes, as on Linux.
	if i := slices.Index(g.members, s); i >= 0 {
		last := len(g.members) - 1
		g.members[i] = g.members[last]
		g.members[last] = nil
		g.members = g.members[:last]
	}
	n := len(g.members)
	g.mu.Unlock()
	if n == 0 {
		g.stop()
		delete(s.fam.groups, g.id)
	}
}

// setFanoutData is PACKET_FANOUT_DATA, the program that chooses: EINVAL, EFAULT, EPERM.
func (s *Socket) setFanoutData(c vfs.Ctx, val []byte) error {
	s.mu.Lock()
	g := s.group
	s.mu.Unlock()
	if g == nil || g.typ != linux.PACKET_FANOUT_CBPF {
		return linux.EINVAL
	}
	p, err := bpf.Load(c, s.opts, val)
	if err == nil {
		g.program.Store(&p)
	}
	return err
}

// option is what getsockopt(2) of PACKET_FANOUT gives; 0 is no group.
func (g *fanout) option() int32 {
	if g == nil {
		return 0
	}
	return int32(uint32(g.id) | uint32(g.typ)<<16 | uint32(g.flags>>8)<<24)
}

// See implements socket.Tap.
func (g *fanout) See(f *socket.Frame) {
	if !wants(f, g.protocol, g.link, g.flags&linux.PACKET_FANOUT_FLAG_IGNORE_OUTGOING != 0) {
		return
	}
	g.mu.Lock()
	s := g.chooseLocked(f)
	g.mu.Unlock()
	if s != nil {
		s.give(f)
	}
}

// chooseLocked is whose f is. A sandbox has no processors and queues of devices to choose
// by: those of its links are all the first.
func (g *fanout) chooseLocked(f *socket.Frame) *Socket {
	n := uint32(len(g.members))
	if n == 0 {
		return nil
	}
	i := uint32(0)
	switch g.typ {
	case linux.PACKET_FANOUT_HASH:
		i = uint32(g.hash(f.Data) % uint64(n))
	case linux.PACKET_FANOUT_LB:
		g.turn++
		i = g.turn % n
	case linux.PACKET_FANOUT_RND:
		i = rand.Uint32N(n)
	case linux.PACKET_FANOUT_CBPF:
		i = g.run(f) % n
	case linux.PACKET_FANOUT_ROLLOVER:
		return g.members[g.rollLocked(f, 0, -1)]
	}
	if g.flags&linux.PACKET_FANOUT_FLAG_ROLLOVER != 0 && g.members[i].room(f) == noRoom {
		return g.members[g.rollLocked(f, int(i), int(i))]
	}
	return g.members[i]
}

// run is what g's program says of f, 0 without one. What came begins with its header of the
// network there, and what goes with that of the link.
func (g *fanout) run(f *socket.Frame) uint32 {
	p := g.program.Load()
	if p == nil {
		return 0
	}
	b := bpfPacket(f)
	if f.Type != linux.PACKET_OUTGOING {
		b.At = linux.ETH_HLEN
	}
	return p.Run(b)
}

// rollLocked is a member that has much room, but not without; or i if none has. It is the
// last that had for as long as it has.
func (g *fanout) rollLocked(f *socket.Frame, i, without int) int {
	first := min(g.roll, len(g.members)-1)
	for k := range g.members {
		at := (first + k) % len(g.members)
		if at != without && g.members[at].room(f) == muchRoom {
			g.roll = at
			return at
		}
	}
	return i
}

// hash is the same for all packets of a flow, both ways.
func (g *fanout) hash(frame []byte) uint64 {
	ip := frame[linux.ETH_HLEN:]
	var a, b, ports []byte
	var transport byte
	switch protocolOf(frame) {
	case linux.ETH_P_IP:
		const least, fragment = 20, 0x3fff
		if len(ip) < least {
			break
		}
		a, b, transport = ip[12:16], ip[16:20], ip[9]
		if at := int(ip[0]&0xf) * 4; binary.BigEndian.Uint16(ip[6:])&fragment == 0 && len(ip) >= at+4 {
			ports = ip[at : at+4]
		}
	case linux.ETH_P_IPV6:
		const least = 40
		if len(ip) < least {
			break
		}
		a, b, transport = ip[8:24], ip[24:40], ip[6]
		if len(ip) >= least+4 {
			ports = ip[least : least+4]
		}
	}
	if transport != linux.IPPROTO_TCP && transport != linux.IPPROTO_UDP {
		ports = nil
	}
	if ports == nil {
		ports = make([]byte, 4)
	}
	one := maphash.Bytes(g.seed, slices.Concat(a, ports[:2]))
	other := maphash.Bytes(g.seed, slices.Concat(b, ports[2:]))
	return one + other + uint64(transport)
}

// How much room a socket has.
const (
	noRoom = iota
	littleRoom
	muchRoom // more than a quarter is free
)

// room is how much room s has for f.
func (s *Socket) room(f *socket.Frame) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring != nil {
		return s.ring.roomLocked()
	}
	size := s.opts.RcvBuf()
	switch left := size - s.bytes - len(f.Data); {
	case left > size/4:
		return muchRoom
	case left >= 0:
		return littleRoom
	}
	return noRoom
}

// roomLocked is how much room there is in the ring.
func (r *ring) roomLocked() int {
	free := func(i uint32) bool {
		if r.version == linux.TPACKET_V3 {
			return r.status(uint64(i%r.req.BlockNr)*uint64(r.req.BlockSize)+blockStatus) == linux.TP_STATUS_KERNEL
		}
		return r.status(r.frame(i%r.req.FrameNr)) == linux.TP_STATUS_KERNEL
	}
	all := r.req.FrameNr
	if r.version == linux.TPACKET_V3 {
		all = r.req.BlockNr
	}
	switch {
	case free(r.head + all/4):
		return muchRoom
	case free(r.head):
		return littleRoom
	}
	return noRoom
}
