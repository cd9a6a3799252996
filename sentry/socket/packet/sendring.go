package packet

import (
	"encoding/binary"

	"garrison/sentry/linux"
	"garrison/sentry/memfile"
)

// fields is where a version's header says whose a frame is, how long, and where it begins.
var fields = [...]struct{ status, length, place uint64 }{{0, 8, 16}, {0, 4, 12}, {20, 16, 24}}

// sends is the ring that is sent, nil if there is none, and what is to be called after: until
// then its memory is nobody else's.
func (s *Socket) sends() (r *ring, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r = s.out; r == nil {
		return nil, nil
	}
	r.memory.IncRef(r.at)
	return r, func() { r.memory.DecRef(r.at) }
}

// sendRing sends the frames of r that are to be sent, from the next one on, and each once. It
// returns how many bytes they had: 0 if there is none. The first that is wrong ends that, and
// stays where it is, unless PACKET_LOSS is set.
func (s *Socket) sendRing(r *ring, w way) (sent int64, err error) {
	r.sending.Lock()
	defer r.sending.Unlock()
	for range r.req.FrameNr {
		at := r.frame(r.head)
		status := at + fields[r.version].status
		if r.status(status) != linux.TP_STATUS_SEND_REQUEST {
			break
		}
		n, err := s.sendFrame(r, at, w)
		wrong := err == linux.EMSGSIZE || err == linux.EINVAL
		switch {
		case err == nil, wrong && s.losing():
			r.put(status, linux.TP_STATUS_AVAILABLE)
			r.head = (r.head + 1) % r.req.FrameNr
			sent += n
			continue
		case wrong:
			r.put(status, linux.TP_STATUS_WRONG_FORMAT)
		}
		return 0, err
	}
	return sent, nil
}

// losing is PACKET_LOSS.
func (s *Socket) losing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loses
}

// sendFrame sends the frame at, and returns its length: EMSGSIZE, EINVAL.
func (s *Socket) sendFrame(r *ring, at uint64, w way) (int64, error) {
	var head [64]byte
	if !r.read(at, head[:layouts[r.version].header]) {
		return 0, linux.EINVAL
	}
	f := fields[r.version]
	n := binary.LittleEndian.Uint32(head[f.length:])
	if r.version == linux.TPACKET_V3 && binary.LittleEndian.Uint32(head[:]) != 0 { // a next frame
		return 0, linux.EINVAL
	}
	least := layouts[r.version].header
	if n > r.req.FrameSize-least {
		return 0, linux.EMSGSIZE
	}
	off := least
	s.mu.Lock()
	if s.placed {
		place := f.place
		if s.cooked { // the network header's
			place += 2
		}
		off = uint32(binary.LittleEndian.Uint16(head[place:]))
	}
	s.mu.Unlock()
	if off < least || off > r.req.FrameSize-n {
		return 0, linux.EINVAL
	}
	err := s.transmit(w, int64(n), func(b []byte) error {
		if !r.read(at+uint64(off), b) {
			return linux.EINVAL
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return int64(n), nil
}

// read copies from off in the ring to b, and reports whether all of that could be read.
func (r *ring) read(off uint64, b []byte) bool {
	for len(b) > 0 {
		from := r.memory.Bytes(r.at.Start+off, uint64(len(b)))
		if len(from) == 0 {
			return false
		}
		n, ok := memfile.Copy(b[:len(from)], from)
		if !ok || n == 0 {
			return false
		}
		b, off = b[n:], off+uint64(n)
	}
	return true
}
