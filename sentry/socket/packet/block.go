package packet

import (
	"time"

	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// blocks is what TPACKET_V3 is at: a block is filled with packets of whatever length, and is
// the guest's when it is full, or has waited for long enough.
type blocks struct {
	used     bool // a block has been given to the guest
	open     bool // the block at head is being filled
	sequence uint64
	packets  uint32
	next     uint32 // where the next packet begins in the block
	last     uint32 // where the last one does
	lastAt   time.Time
	frozen   bool // there was no block to fill
	freezes  uint32
	timer    *time.Timer
}

// Offsets in a block, struct tpacket_block_desc.
const (
	blockHeader = 48
	blockStatus = 8
	blockLast   = 40
)

// defaultTimeout is how long a packet waits in a block if who asks does not say.
const defaultTimeout = 8 * time.Millisecond

func (b *blocks) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

// putBlockLocked is putLocked for TPACKET_V3.
func (s *Socket) putBlockLocked(p *packet, status uint32) (told bool) {
	r := s.ring
	b := &r.blocks
	mac, net := r.offsets(s.cooked)
	first := blockHeader + alignTo(r.req.SizeofPriv, 8)
	data := p.data
	if most := r.req.BlockSize - first; uint32(len(data))+mac > most {
		data = data[:most-min(mac, most)]
	}
	length := alignTo(mac+uint32(len(data)), 8)
	if b.open && b.next+length > r.req.BlockSize {
		s.closeBlockLocked(0)
		told = true
	}
	if !b.open && !s.openBlockLocked(p.at, first) {
		s.dropped++
		return told
	}
	at := uint64(r.head)*uint64(r.req.BlockSize) + uint64(b.next)
	r.write(at+uint64(mac), data)
	a := address(p.Frame)
	r.write(at+uint64(layouts[r.version].header), bytesOf(&a))
	r.put(at, length, uint32(p.at.Unix()), uint32(p.at.Nanosecond()), uint32(len(data)), s.wholeLength(p),
		status|linux.TP_STATUS_TS_SOFTWARE, mac|net<<16, 0, 0, 0, 0)
	b.packets++
	b.last, b.lastAt = b.next, p.at
	b.next += length
	return told
}

// openBlockLocked begins to fill the block at head; false if it is the guest's still.
func (s *Socket) openBlockLocked(now time.Time, first uint32) bool {
	r := s.ring
	b := &r.blocks
	at := uint64(r.head) * uint64(r.req.BlockSize)
	if r.status(at+blockStatus) != linux.TP_STATUS_KERNEL {
		if !b.frozen {
			b.frozen = true
			b.freezes++
		}
		return false
	}
	b.open, b.frozen, b.packets, b.next = true, false, 0, first
	b.sequence++
	const version = uint32(linux.TPACKET_V3)
	r.put(at, version, blockHeader, linux.TP_STATUS_KERNEL, 0, first, first,
		uint32(b.sequence), uint32(b.sequence>>32), uint32(now.Unix()), uint32(now.Nanosecond()))
	timeout := time.Duration(r.req.RetireBlkTov) * time.Millisecond
	if timeout == 0 {
		timeout = defaultTimeout
	}
	sequence := b.sequence
	b.stop()
	b.timer = time.AfterFunc(timeout, func() { s.retire(r, sequence) })
	return true
}

// closeBlockLocked gives the block at head to the guest.
func (s *Socket) closeBlockLocked(why uint32) {
	r := s.ring
	b := &r.blocks
	at := uint64(r.head) * uint64(r.req.BlockSize)
	r.put(at+uint64(b.last), 0) // there is no next one
	r.put(at+blockStatus+4, b.packets)
	r.put(at+blockStatus+12, b.next)
	r.put(at+blockLast, uint32(b.lastAt.Unix()), uint32(b.lastAt.Nanosecond()))
	r.put(at+blockStatus, linux.TP_STATUS_USER|why)
	b.open, b.used = false, true
	r.head = (r.head + 1) % r.req.BlockNr
}

// retire gives a block to the guest that has waited for long enough.
func (s *Socket) retire(r *ring, sequence uint64) {
	s.mu.Lock()
	due := s.ring == r && r.blocks.open && r.blocks.sequence == sequence
	if due {
		s.closeBlockLocked(linux.TP_STATUS_BLK_TMO)
	}
	s.mu.Unlock()
	if due {
		s.Notify(wait.Readable)
	}
}
