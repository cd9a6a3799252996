package packet

import (
	"encoding/binary"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// parse reads a struct sockaddr_ll: EINVAL if it is too short, for its address, too.
func parse(addr []byte) (a linux.SockaddrLL, err error) {
	if len(addr) < linux.SockaddrLLLen {
		return a, linux.EINVAL
	}
	copy(bytesOf(&a), addr)
	return a, nil
}

func bytesOf(a *linux.SockaddrLL) []byte { return usermem.AsBytes(a) }

// vlanHeader is how many bytes more a frame of a VLAN may have.
const vlanHeader = 4

// Send implements socket.Proto: EINVAL, ENXIO, ENETDOWN, EMSGSIZE. With PACKET_TX_RING it
// sends what lies there in the place of src.
func (s *Socket) Send(_ vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	w, err := s.way(m)
	if err != nil {
		return 0, err
	}
	if r, end := s.sends(); r != nil {
		defer end()
		return s.sendRing(r, w)
	}
	n := src.Len()
	err = s.transmit(w, n, func(b []byte) error { _, err := src.CopyIn(b); return err })
	if err != nil {
		return 0, err
	}
	return n, nil
}

// A way is where something is sent.
type way struct {
	link     *socket.Link
	protocol uint16
	to       [6]byte // for what gets its header here
}

// way is where m is sent, which may be nil: EINVAL, ENXIO, ENETDOWN.
func (s *Socket) way(m *socket.Msg) (w way, err error) {
	s.mu.Lock()
	w.protocol = s.protocol
	index := s.link
	s.mu.Unlock()
	if m != nil && m.Addr.Len() > 0 {
		a, err := parse(m.Addr.Bytes())
		if err != nil || m.Addr.Len() < linux.SockaddrLLLen-len(a.Addr)+int(a.Halen) {
			return w, linux.EINVAL
		}
		w.protocol, index = binary.BigEndian.Uint16(a.Protocol[:]), a.Index
		copy(w.to[:], a.Addr[:])
	}
	w.link = s.linkOf(index)
	switch {
	case w.link == nil:
		return w, linux.ENXIO
	case w.link.Flags&linux.IFF_UP == 0:
		return w, linux.ENETDOWN
	}
	return w, nil
}

// transmit sends n bytes, which fill copies: EMSGSIZE, EINVAL, and the errors of fill.
func (s *Socket) transmit(w way, n int64, fill func([]byte) error) error {
	room := int64(w.link.MTU)
	if !s.cooked {
		room += linux.ETH_HLEN + vlanHeader
	}
	if n > room {
		return linux.EMSGSIZE
	}
	frame := make([]byte, linux.ETH_HLEN, linux.ETH_HLEN+n)
	if s.cooked {
		copy(frame, w.to[:])
		copy(frame[len(w.to):], w.link.Hardware[:])
		binary.BigEndian.PutUint16(frame[linux.ETH_HLEN-2:], w.protocol)
		frame = frame[:linux.ETH_HLEN+n]
	} else {
		frame = frame[:n]
	}
	if err := fill(frame[int64(len(frame))-n:]); err != nil {
		return err
	}
	if len(frame) < linux.ETH_HLEN {
		return linux.EINVAL
	}
	const vlan = 0x8100
	if int64(len(frame)) > int64(w.link.MTU)+linux.ETH_HLEN && protocolOf(frame) != vlan {
		return linux.EMSGSIZE
	}
	return s.links.Transmit(w.link.Index, frame, s.tap())
}

// tap is who sees frames for s, but for those that s sends.
func (s *Socket) tap() socket.Tap {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.group != nil {
		return s.group
	}
	return s
}

// Recv implements socket.Proto.
func (s *Socket) Recv(_ vfs.Ctx, dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if flags&^(linux.MSG_PEEK|linux.MSG_DONTWAIT|linux.MSG_TRUNC|linux.MSG_ERRQUEUE|linux.MSG_CMSG_CLOEXEC) != 0 {
		return 0, linux.EINVAL
	}
	if flags&linux.MSG_ERRQUEUE != 0 {
		return 0, linux.EAGAIN
	}
	if err := s.TakeError(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	if len(s.queue) == 0 {
		s.mu.Unlock()
		return 0, linux.EAGAIN
	}
	p, auxdata := s.queue[0], s.auxdata
	if flags&linux.MSG_PEEK == 0 {
		s.queue[0] = packet{}
		s.queue = s.queue[1:]
		s.bytes -= len(p.Data)
	}
	s.mu.Unlock()
	n, err := dst.CopyOut(p.data)
	if err != nil {
		return 0, err
	}
	if m != nil {
		a := address(p.Frame)
		m.Addr.Set(bytesOf(&a))
		if n < len(p.data) {
			m.Flags |= linux.MSG_TRUNC
		}
		if auxdata {
			s.putAuxdata(m, &p)
		}
		s.putTime(m, &p)
	}
	if flags&linux.MSG_TRUNC != 0 {
		return int64(len(p.data)), nil
	}
	return int64(n), nil
}

// putTime adds when p was seen, if who receives wants that.
func (s *Socket) putTime(m *socket.Msg, p *packet) {
	for _, o := range []struct {
		name int32
		unit int64 // of the second number, in nanoseconds
	}{{linux.SO_TIMESTAMP, 1000}, {linux.SO_TIMESTAMP_NEW, 1000}, {linux.SO_TIMESTAMPNS, 1}, {linux.SO_TIMESTAMPNS_NEW, 1}} {
		if s.opts.Has(o.name) {
			b := binary.LittleEndian.AppendUint64(nil, uint64(p.at.Unix()))
			m.Add(linux.SOL_SOCKET, o.name, binary.LittleEndian.AppendUint64(b, uint64(int64(p.at.Nanosecond())/o.unit)))
		}
	}
}

// status is what is said of a frame: TP_STATUS_*.
func status(f *socket.Frame) uint32 {
	st := uint32(linux.TP_STATUS_USER)
	switch {
	case f.Partial:
		st |= linux.TP_STATUS_CSUMNOTREADY
	case f.Valid && f.Type != linux.PACKET_OUTGOING:
		st |= linux.TP_STATUS_CSUM_VALID
	}
	return st
}

// putAuxdata adds PACKET_AUXDATA's struct tpacket_auxdata.
func (s *Socket) putAuxdata(m *socket.Msg, p *packet) {
	aux := linux.TpacketAuxdata{Status: status(p.Frame), Len: uint32(len(p.Data)), Snaplen: uint32(len(p.data))}
	if s.cooked {
		aux.Len -= linux.ETH_HLEN
	} else {
		aux.Net = linux.ETH_HLEN
	}
	m.Add(linux.SOL_PACKET, linux.PACKET_AUXDATA, usermem.AsBytes(&aux))
}

// Ioctl implements socket.Ioctler.
func (s *Socket) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	s.mu.Lock()
	n := 0
	if len(s.queue) > 0 {
		n = len(s.queue[0].data)
	}
	s.mu.Unlock()
	switch cmd {
	case linux.SIOCINQ:
		return socket.StoreInt(m, arg, n)
	case linux.SIOCOUTQ:
		return socket.StoreInt(m, arg, 0)
	}
	return 0, linux.ENOTTY
}
