package packet

import (
	"encoding/binary"
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// SetOption implements socket.Optioner.
func (s *Socket) SetOption(c vfs.Ctx, level, name int32, val []byte) error {
	switch level {
	case linux.SOL_SOCKET:
		return s.filter.SetOption(c, s.opts, name, val)
	case linux.SOL_PACKET:
	default:
		return linux.ENOPROTOOPT
	}
	switch name {
	case linux.PACKET_ADD_MEMBERSHIP, linux.PACKET_DROP_MEMBERSHIP:
		return s.setMembership(val, name == linux.PACKET_ADD_MEMBERSHIP)
	case linux.PACKET_AUXDATA, linux.PACKET_ORIGDEV, linux.PACKET_IGNORE_OUTGOING:
		v, err := socket.Int(val)
		if err != nil {
			return err
		}
		if name == linux.PACKET_IGNORE_OUTGOING && (v < 0 || v > 1) {
			return linux.EINVAL
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		*s.flagLocked(name) = v != 0
		return nil
	case linux.PACKET_FANOUT:
		return s.setFanout(val)
	case linux.PACKET_FANOUT_DATA:
		return s.setFanoutData(c, val)
	case linux.PACKET_RX_RING, linux.PACKET_TX_RING:
		if s.memory != nil {
			return s.setRing(c, name, val)
		}
	case linux.PACKET_LOSS, linux.PACKET_TX_HAS_OFF, linux.PACKET_QDISC_BYPASS, linux.PACKET_COPY_THRESH:
		return s.setSending(name, val)
	case linux.PACKET_VERSION, linux.PACKET_RESERVE:
		return s.setLayout(name, val)
	}
	return linux.ENOPROTOOPT
}

// setLayout is PACKET_VERSION and PACKET_RESERVE: EINVAL, EBUSY once there is a ring.
func (s *Socket) setLayout(name int32, val []byte) error {
	v, err := socket.Int(val)
	if err != nil || len(val) != 4 || v < 0 || name == linux.PACKET_VERSION && v > linux.TPACKET_V3 {
		return linux.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ring != nil || s.out != nil:
		return linux.EBUSY
	case name == linux.PACKET_VERSION:
		s.version = v
	default:
		s.reserve = uint32(v)
	}
	return nil
}

// setSending is options of how a ring is sent, and of what has no effect here: no queue of a
// link is passed by, and no packet is copied to be read twice. EINVAL, EBUSY.
func (s *Socket) setSending(name int32, val []byte) error {
	v, err := socket.Int(val)
	if err != nil || len(val) != 4 {
		return linux.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rings := s.ring != nil || s.out != nil
	switch {
	case name == linux.PACKET_COPY_THRESH:
	case name == linux.PACKET_LOSS && rings:
		return linux.EBUSY
	case name == linux.PACKET_TX_HAS_OFF && rings: // Linux ignores it
	default:
		*s.flagLocked(name) = v != 0
	}
	return nil
}

// Question implements socket.Asked: PACKET_HDRLEN is of a version.
func (s *Socket) Question(level, name int32) int {
	if level == linux.SOL_PACKET && name == linux.PACKET_HDRLEN {
		return 4
	}
	return 0
}

// Answer implements socket.Asked: the size of a version's header. EINVAL.
func (s *Socket) Answer(_ vfs.Ctx, _, _ int32, question []byte) ([]byte, error) {
	version, err := socket.Int(question)
	if err != nil || version < 0 || int(version) >= len(layouts) {
		return nil, linux.EINVAL
	}
	return socket.IntBytes(int32(layouts[version].header)), nil
}

// flagLocked is where one of the options that are on or off is kept.
func (s *Socket) flagLocked(name int32) *bool {
	switch name {
	case linux.PACKET_AUXDATA:
		return &s.auxdata
	case linux.PACKET_ORIGDEV:
		return &s.origdev
	case linux.PACKET_LOSS:
		return &s.loses
	case linux.PACKET_TX_HAS_OFF:
		return &s.placed
	case linux.PACKET_QDISC_BYPASS:
		return &s.bypass
	}
	return &s.incoming
}

// Filter implements socket.Filterer.
func (s *Socket) Filter() []linux.SockFilter {
	p, _ := s.filter.Program()
	return p
}

// setMembership is PACKET_ADD_MEMBERSHIP and PACKET_DROP_MEMBERSHIP: EINVAL, ENODEV. It
// changes nothing but who may be dropped: what comes by a link is seen anyhow.
func (s *Socket) setMembership(val []byte, add bool) error {
	var r linux.PacketMreq
	whole := usermem.AsBytes(&r)
	const least = 8 // without an address
	if len(val) < least {
		return linux.EINVAL
	}
	copy(whole, val)
	if len(val) < least+int(r.Alen) {
		return linux.EINVAL
	}
	if add {
		switch l := s.linkOf(r.Index); {
		case l == nil:
			return linux.ENODEV
		case int(r.Alen) > len(l.Hardware):
			return linux.EINVAL
		}
	}
	clear(r.Address[min(int(r.Alen), len(r.Address)):])
	s.mu.Lock()
	defer s.mu.Unlock()
	if add {
		s.joined = append(s.joined, r)
		return nil
	}
	if i := slices.Index(s.joined, r); i >= 0 {
		s.joined = slices.Delete(s.joined, i, i+1)
	}
	return nil
}

// extensions is SO_BPF_EXTENSIONS: the offsets of SKF_AD_* there are in Linux.
const extensions = 64

// Option implements socket.Optioner.
func (s *Socket) Option(_ vfs.Ctx, level, name int32, size int) ([]byte, error) {
	switch level {
	case linux.SOL_SOCKET:
		if name == linux.SO_BPF_EXTENSIONS {
			return socket.IntBytes(extensions), nil
		}
		return nil, linux.ENOPROTOOPT
	case linux.SOL_PACKET:
	default:
		return nil, linux.ENOPROTOOPT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case linux.PACKET_STATISTICS:
		b := binary.LittleEndian.AppendUint32(nil, s.seen)
		b = binary.LittleEndian.AppendUint32(b, s.dropped)
		s.seen, s.dropped = 0, 0
		if s.version == linux.TPACKET_V3 {
			n := uint32(0)
			if s.ring != nil {
				n, s.ring.blocks.freezes = s.ring.blocks.freezes, 0
			}
			b = binary.LittleEndian.AppendUint32(b, n)
		}
		return b, nil
	case linux.PACKET_VERSION:
		return socket.IntBytes(s.version), nil
	case linux.PACKET_FANOUT:
		return socket.IntBytes(s.group.option()), nil
	case linux.PACKET_RESERVE:
		return socket.IntBytes(int32(s.reserve)), nil
	case linux.PACKET_AUXDATA, linux.PACKET_ORIGDEV, linux.PACKET_IGNORE_OUTGOING,
		linux.PACKET_LOSS, linux.PACKET_TX_HAS_OFF, linux.PACKET_QDISC_BYPASS:
		v := int32(0)
		if *s.flagLocked(name) {
			v = 1
		}
		return socket.IntBytes(v), nil
	}
	return nil, linux.ENOPROTOOPT
}
