package packet

import (
	"encoding/binary"
	"sync"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A ring is memory that a socket shares with who reads its packets, PACKET_RX_RING, or
// writes them, PACKET_TX_RING. The guest may write anything there: of what lies in it to be
// read, only whose turn it is is believed.
type ring struct {
	version int32
	req     linux.TpacketReq3
	reserve uint32
	memory  *memfile.File
	at      memfile.Range

	sending sync.Mutex // of PACKET_TX_RING: who holds it sends

	// The rest is protected by the socket's mu, but for head by sending if there is that.
	head   uint32 // the frame, or block, that comes next
	blocks blocks // of TPACKET_V3
}

// A mapping is what a socket's rings are mapped by: one after the other, that for receiving
// first.
type mapping struct {
	mm.MappingSet
	rings []*ring

	life sync.Mutex
	gone bool // protected by life: the memory is another's
}

var _ mm.Mappable = (*mapping)(nil)

// AddMapping implements mm.Mappable: EINVAL if a ring has been made or given up since Mmap.
func (m *mapping) AddMapping(v mm.Mapping) error {
	m.life.Lock()
	defer m.life.Unlock()
	if m.gone {
		return linux.EINVAL
	}
	return m.MappingSet.AddMapping(v)
}

// end reports whether nobody maps m, and sees to it that nobody will.
func (m *mapping) end() bool {
	m.life.Lock()
	defer m.life.Unlock()
	m.gone = m.gone || !m.Mapped()
	return m.gone
}

// Pages implements mm.Mappable.
func (m *mapping) Pages(off, n uint64, _ arch.Access) (mm.Pages, error) {
	const access = arch.Read | arch.Write
	for _, r := range m.rings {
		if off < r.at.Len() {
			return mm.Pages{Memory: r.memory, Off: r.at.Start + off, Len: min(n, r.at.Len()-off), Access: access}, nil
		}
		off -= r.at.Len()
	}
	return mm.Pages{}, nil
}

// length is how many bytes can be mapped.
func (m *mapping) length() (n uint64) {
	for _, r := range m.rings {
		n += r.at.Len()
	}
	return n
}

// A layout is a version's header: its size, and with the address behind it.
type layout struct{ header, whole uint32 }

// layouts are those of TPACKET_V1, V2 and V3. V1's numbers are those of 64-bit programs.
var layouts = [...]layout{{32, 32 + 20}, {32, 32 + 20}, {48, 48 + 20}}

// alignTo is n rounded up to a multiple of a power of two.
func alignTo(n, to uint32) uint32 { return (n + to - 1) &^ (to - 1) }

// setRing is PACKET_RX_RING and PACKET_TX_RING: EINVAL, EBUSY if there is one, or one is
// mapped; ENOMEM.
func (s *Socket) setRing(c vfs.Ctx, name int32, val []byte) error {
	var q linux.TpacketReq3
	s.mu.Lock()
	defer s.mu.Unlock()
	need := len(usermem.AsBytes(&linux.TpacketReq{}))
	if s.version == linux.TPACKET_V3 {
		need = len(usermem.AsBytes(&q))
	}
	if len(val) < need {
		return linux.EINVAL
	}
	copy(usermem.AsBytes(&q), val[:need])
	if !s.unmapLocked() {
		return linux.EBUSY
	}
	of := &s.ring
	if name == linux.PACKET_TX_RING {
		of = &s.out
	}
	switch {
	case q.BlockNr == 0 && q.FrameNr != 0:
		return linux.EINVAL
	case q.BlockNr == 0:
		drop(of)
		return nil
	case *of != nil:
		return linux.EBUSY
	case !s.fitsLocked(&q), of == &s.out && (q.RetireBlkTov|q.SizeofPriv|q.FeatureReqWord) != 0:
		return linux.EINVAL
	}
	r := &ring{version: s.version, req: q, reserve: s.reserve, memory: s.memory(c)}
	var err error
	if r.at, err = r.memory.NewPool().Alloc(uint64(q.BlockSize) * uint64(q.BlockNr)); err != nil {
		return linux.ENOMEM
	}
	*of = r
	if of == &s.ring {
		s.queue, s.bytes = nil, 0
	}
	return nil
}

// fitsLocked reports whether a ring can be such.
func (s *Socket) fitsLocked(q *linux.TpacketReq3) bool {
	least := layouts[s.version].whole + s.reserve
	if int32(q.BlockSize) <= 0 || q.BlockSize%arch.PageSize != 0 || uint64(q.BlockSize)*uint64(q.BlockNr) > maxRing {
		return false
	}
	if s.version == linux.TPACKET_V3 && uint64(q.BlockSize) < uint64(blockHeader)+uint64(q.SizeofPriv)+7+uint64(least) {
		return false
	}
	if q.FrameSize < least || q.FrameSize%linux.TPACKET_ALIGNMENT != 0 || q.FrameSize > q.BlockSize {
		return false
	}
	return uint64(q.BlockSize/q.FrameSize)*uint64(q.BlockNr) == uint64(q.FrameNr)
}

// maxRing is the most memory that a ring has here, in bytes.
const maxRing = 1 << 30

// unmapLocked reports whether no ring is mapped, and has those who map them next get what
// there is then.
func (s *Socket) unmapLocked() bool {
	if s.mapping != nil && !s.mapping.end() {
		return false
	}
	s.mapping = nil
	return true
}

// drop gives a ring up, if there is one. Nobody maps it.
func drop(of **ring) {
	if r := *of; r != nil {
		r.blocks.stop()
		r.memory.DecRef(r.at)
		*of = nil
	}
}

// Mmap implements socket.Mapper: EINVAL but for the whole of all rings.
func (s *Socket) Mmap(_ vfs.Ctx, m vfs.MapSpec) (mm.Mappable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mapping == nil {
		all := &mapping{}
		for _, r := range []*ring{s.ring, s.out} {
			if r != nil {
				all.rings = append(all.rings, r)
			}
		}
		s.mapping = all
	}
	if len(s.mapping.rings) == 0 || m.Off != 0 || m.Len != s.mapping.length() {
		return nil, linux.EINVAL
	}
	return s.mapping, nil
}

// write copies b to off in the ring. Where there is no memory left, nobody reads.
func (r *ring) write(off uint64, b []byte) {
	for len(b) > 0 {
		to := r.memory.Bytes(r.at.Start+off, uint64(len(b)))
		if len(to) == 0 {
			return
		}
		n, ok := memfile.Copy(to, b)
		if !ok {
			return
		}
		b, off = b[n:], off+uint64(n)
	}
}

// put writes numbers of 32 bits one after another.
func (r *ring) put(off uint64, words ...uint32) {
	b := make([]byte, 0, 64)
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	r.write(off, b)
}

// status is the word at off, which who reads packets writes to.
func (r *ring) status(off uint64) uint32 {
	var b [4]byte
	from := r.memory.Bytes(r.at.Start+off, 4)
	if _, ok := memfile.Copy(b[:], from); !ok {
		return linux.TP_STATUS_USER
	}
	return binary.LittleEndian.Uint32(b[:])
}

// frame is where frame i begins: those of a block do not go beyond its end.
func (r *ring) frame(i uint32) uint64 {
	each := r.req.BlockSize / r.req.FrameSize
	return uint64(i/each)*uint64(r.req.BlockSize) + uint64(i%each)*uint64(r.req.FrameSize)
}

// offsets is where a packet's link header and network header lie in its frame.
func (r *ring) offsets(cooked bool) (mac, net uint32) {
	net = alignTo(layouts[r.version].whole, linux.TPACKET_ALIGNMENT) + linux.TPACKET_ALIGNMENT + r.reserve
	if cooked {
		return net, net
	}
	return net - linux.ETH_HLEN, net
}

// putLocked puts a packet in the ring, if there is room, and reports whether there is
// something to read that was not.
func (s *Socket) putLocked(p *packet) bool {
	r := s.ring
	losing := uint32(0)
	if s.dropped > 0 {
		losing = linux.TP_STATUS_LOSING
	}
	if r.version == linux.TPACKET_V3 {
		return s.putBlockLocked(p, status(p.Frame)|losing)
	}
	at := r.frame(r.head)
	if r.status(at) != linux.TP_STATUS_KERNEL {
		s.dropped++
		return false
	}
	r.head = (r.head + 1) % r.req.FrameNr
	mac, net := r.offsets(s.cooked)
	data := p.data[:min(uint32(len(p.data)), r.req.FrameSize-min(mac, r.req.FrameSize))]
	r.write(at+uint64(mac), data)
	a := address(p.Frame)
	r.write(at+uint64(layouts[r.version].header), bytesOf(&a))
	whole, both := s.wholeLength(p), mac|net<<16
	seconds, ns := uint32(p.at.Unix()), uint32(p.at.Nanosecond())
	if r.version == linux.TPACKET_V1 { // whose status has 64 bits
		r.put(at+8, whole, uint32(len(data)), both, seconds, ns/1000)
	} else {
		r.put(at+4, whole, uint32(len(data)), both, seconds, ns, 0, 0)
	}
	r.put(at, status(p.Frame)|losing|linux.TP_STATUS_TS_SOFTWARE) // last: it is the guest's now
	return true
}

// wholeLength is how long p is, from where the socket gets it on.
func (s *Socket) wholeLength(p *packet) uint32 {
	if s.cooked {
		return uint32(len(p.Data) - linux.ETH_HLEN)
	}
	return uint32(len(p.Data))
}

// readableLocked reports whether the guest has something to read in the ring: the frame, or
// block, before the next one.
func (r *ring) readableLocked() bool {
	if r.version == linux.TPACKET_V3 {
		before := (r.head + r.req.BlockNr - 1) % r.req.BlockNr
		return r.blocks.used && r.status(uint64(before)*uint64(r.req.BlockSize)+blockStatus) != linux.TP_STATUS_KERNEL
	}
	return r.status(r.frame((r.head+r.req.FrameNr-1)%r.req.FrameNr)) != linux.TP_STATUS_KERNEL
}
