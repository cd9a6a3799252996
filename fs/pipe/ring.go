package pipe

import (
	"math/bits"

	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// frontLocked is the next bytes, n at the most, as far as they lie together, and
// whether they are of a packet.
func (p *pipe) frontLocked(n uint64) (b []byte, pkt bool) {
	end := p.tail
	if len(p.packets) > 0 {
		if first := p.packets[0]; first.start <= p.head {
			end, pkt = first.end, true
		} else {
			end = first.start
		}
	}
	n = min(n, end-p.head)
	if n == 0 {
		return nil, pkt
	}
	mask := uint64(len(p.ring) - 1)
	at := p.head & mask
	return p.ring[at:min(at+n, mask+1)], pkt
}

// takeLocked takes m bytes away. full says that the reader wants no more: what is left
// of a packet is lost then. ends says that a packet was read to its end.
func (p *pipe) takeLocked(m uint64, pkt, full bool) (ends bool) {
	p.head += m
	if pkt && m > 0 {
		if full {
			p.head = p.packets[0].end
		}
		if p.head == p.packets[0].end {
			p.packets = p.packets[1:]
			return true
		}
	}
	return false
}

// backLocked is where the next bytes go, n at the most, as far as that lies together.
// There is room for n in the pipe; the ring grows to have it.
func (p *pipe) backLocked(n uint64) []byte {
	if used := p.tail - p.head; used+n > uint64(len(p.ring)) {
		p.growLocked(used + n)
	}
	mask := uint64(len(p.ring) - 1)
	at := p.tail & mask
	return p.ring[at:min(at+n, mask+1)]
}

// growLocked makes the ring hold n bytes. A reader at work goes on in the old one, whose
// bytes stay as they are.
func (p *pipe) growLocked(n uint64) {
	size := max(uint64(1)<<bits.Len64(n-1), arch.PageSize)
	ring := make([]byte, size)
	for at := p.head; at < p.tail; {
		from := p.ring[at&uint64(len(p.ring)-1):]
		from = from[:min(uint64(len(from)), p.tail-at)]
		at += uint64(copy(ring[at&(size-1):], from))
	}
	p.ring = ring
}

// resize is F_SETPIPE_SZ: EINVAL, EPERM, EBUSY.
func (p *pipe) resize(c vfs.Ctx, arg uint64) (int, error) {
	if arg > 1<<31 {
		return 0, linux.EINVAL
	}
	size := arch.PageSize
	if arg > arch.PageSize {
		size = 1 << bits.Len64(arg-1)
	}
	p.in.Lock()
	defer p.in.Unlock()
	p.mu.Lock()
	if size > p.size && size > maxSize && !c.Creds().Capable(auth.CapSysResource) {
		p.mu.Unlock()
		return 0, linux.EPERM
	}
	if p.size-p.roomLocked() > size {
		p.mu.Unlock()
		return 0, linux.EBUSY
	}
	p.size = size
	p.mu.Unlock()
	p.notify(0, wait.Writable)
	return size, nil
}
