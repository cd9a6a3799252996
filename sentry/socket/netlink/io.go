package netlink

import (
	"encoding/binary"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// maxDatagram is how many bytes of messages go in one datagram of a dump: what
// programs have room for (Linux: a page, or the reader's buffer up to this).
const maxDatagram = 16 << 10

// Send implements socket.Proto: the kernel answers before it returns.
func (s *Socket) Send(c vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EOPNOTSUPP
	}
	s.mu.Lock()
	to := s.peer
	s.mu.Unlock()
	if m != nil && m.Addr.Len() > 0 {
		a, err := parse(m.Addr.Bytes())
		if err != nil {
			return 0, err
		}
		to = a.PortID
	}
	n := src.Len()
	if n > int64(s.opts.SndBuf())-32 {
		return 0, linux.EMSGSIZE
	}
	if err := s.takePort(c, 0); err != nil {
		return 0, err
	}
	b := make([]byte, n)
	if _, err := src.CopyIn(b); err != nil {
		return 0, err
	}
	if to != 0 {
		return s.sendTo(to, b)
	}
	for len(b) > 0 {
		r, rest, ok := split(b)
		if !ok {
			break
		}
		s.answer(c, &r)
		b = rest
	}
	return n, nil
}

// sendTo gives a datagram to another process's socket.
func (s *Socket) sendTo(port uint32, b []byte) (int64, error) {
	s.fam.mu.Lock()
	o := s.fam.ports[portKey{s.protocol, port}]
	s.fam.mu.Unlock()
	if o == nil {
		return 0, linux.ECONNREFUSED
	}
	if !o.push(b) {
		return 0, linux.EAGAIN
	}
	return int64(len(b)), nil
}

// answer handles one request and queues what it gives.
func (s *Socket) answer(c vfs.Ctx, r *request) {
	h := protocols[s.protocol]
	if h == nil || r.Flags&linux.NLM_F_REQUEST == 0 {
		return
	}
	s.mu.Lock()
	port, capped, words := s.port, s.flags[linux.NETLINK_CAP_ACK], s.flags[linux.NETLINK_EXT_ACK]
	s.mu.Unlock()
	r.PortID = port
	err := error(nil)
	var w reply
	if r.Type >= linux.NLMSG_MIN_TYPE {
		err = h(s.fam, c, r, &w)
	}
	switch {
	case err != nil:
		x, ok := err.(complaint)
		if !ok {
			x.Errno, _ = err.(linux.Errno)
		}
		if !words {
			x.text = ""
		}
		s.push(failure(r, port, x, capped))
	case len(w.buf) > 0 && r.Flags&linux.NLM_F_DUMP == linux.NLM_F_DUMP:
		s.pushAll(w.buf)
		s.push(done(r, port))
	case r.Flags&linux.NLM_F_DUMP == linux.NLM_F_DUMP && r.Type >= linux.NLMSG_MIN_TYPE:
		s.push(done(r, port))
	default:
		s.pushAll(w.buf)
		if r.Flags&linux.NLM_F_ACK != 0 {
			s.push(failure(r, port, complaint{}, capped))
		}
	}
}

func done(r *request, port uint32) []byte {
	var w reply
	zero := int32(0)
	begin(&w, linux.NlMsghdr{Type: linux.NLMSG_DONE, Flags: linux.NLM_F_MULTI, Seq: r.Seq, PortID: port}, &zero)
	w.end()
	return w.buf
}

// pushAll queues messages in datagrams of a size that readers expect.
func (s *Socket) pushAll(b []byte) {
	for len(b) > 0 {
		n := 0
		for n < len(b) {
			k := align(int(binary.LittleEndian.Uint32(b[n:])))
			if n > 0 && n+k > maxDatagram {
				break
			}
			n += k
		}
		s.push(b[:n])
		b = b[n:]
	}
}

// push queues a datagram; false if there is no room.
func (s *Socket) push(b []byte) bool {
	s.mu.Lock()
	ok := s.bytes+len(b) <= s.opts.RcvBuf()
	if ok {
		s.msgs = append(s.msgs, datagram{b: b})
		s.bytes += len(b)
	}
	s.mu.Unlock()
	if ok {
		s.Notify(wait.Readable)
	}
	return ok
}

// Recv implements socket.Proto.
func (s *Socket) Recv(c vfs.Ctx, dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EOPNOTSUPP
	}
	if err := s.TakeError(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	if len(s.msgs) == 0 {
		s.mu.Unlock()
		return 0, linux.EAGAIN
	}
	first := s.msgs[0]
	b := first.b
	if flags&linux.MSG_PEEK == 0 {
		s.msgs[0] = datagram{}
		s.msgs = s.msgs[1:]
		s.bytes -= len(b)
		s.congested = s.congested && len(s.msgs) > 0
	}
	pktinfo := s.flags[linux.NETLINK_PKTINFO]
	s.mu.Unlock()
	n, err := dst.CopyOut(b)
	if err != nil {
		return 0, err
	}
	if m != nil {
		a := m.Addr.Make(linux.AF_NETLINK, linux.SockaddrNetlinkLen) // from the kernel: port 0
		binary.LittleEndian.PutUint32(a[8:], first.group)
		if n < len(b) {
			m.Flags |= linux.MSG_TRUNC
		}
		if pktinfo {
			m.Add(linux.SOL_NETLINK, linux.NETLINK_PKTINFO, make([]byte, 4))
		}
		if s.opts.Has(linux.SO_PASSCRED) {
			m.Cred, m.HasCred = socket.Cred{}, true
		}
	}
	if flags&linux.MSG_TRUNC != 0 {
		return int64(len(b)), nil
	}
	return int64(n), nil
}

// maxGroups is one more than the highest multicast group.
const maxGroups = 64

// SetOption implements socket.Optioner. A value that is too short for an int is 0.
func (s *Socket) SetOption(c vfs.Ctx, level, name int32, val []byte) error {
	if level == linux.SOL_SOCKET && name == linux.SO_PEEK_OFF {
		return linux.EOPNOTSUPP
	}
	if level != linux.SOL_NETLINK {
		return linux.ENOPROTOOPT
	}
	v, _ := socket.Int(val)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case linux.NETLINK_ADD_MEMBERSHIP, linux.NETLINK_DROP_MEMBERSHIP:
		if v < 1 || v >= maxGroups {
			return linux.EINVAL
		}
		if !s.mayJoin(c) {
			return linux.EPERM
		}
		if name == linux.NETLINK_ADD_MEMBERSHIP {
			s.groups[uint32(v)] = struct{}{}
		} else {
			delete(s.groups, uint32(v))
		}
		return nil
	case linux.NETLINK_PKTINFO, linux.NETLINK_BROADCAST_ERROR, linux.NETLINK_NO_ENOBUFS, linux.NETLINK_LISTEN_ALL_NSID,
		linux.NETLINK_CAP_ACK, linux.NETLINK_EXT_ACK, linux.NETLINK_GET_STRICT_CHK:
		if name == linux.NETLINK_LISTEN_ALL_NSID && !s.fam.net.Capable(c, auth.CapNetBroadcast) {
			return linux.EPERM
		}
		s.flags[name] = v != 0
		return nil
	}
	return linux.ENOPROTOOPT
}

// Option implements socket.Optioner.
func (s *Socket) Option(_ vfs.Ctx, level, name int32, size int) ([]byte, error) {
	if level == linux.SOL_SOCKET && name == linux.SO_PEEK_OFF {
		return nil, linux.EOPNOTSUPP
	}
	if level != linux.SOL_NETLINK {
		return nil, linux.ENOPROTOOPT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case linux.NETLINK_PKTINFO, linux.NETLINK_BROADCAST_ERROR, linux.NETLINK_NO_ENOBUFS, linux.NETLINK_LISTEN_ALL_NSID,
		linux.NETLINK_CAP_ACK, linux.NETLINK_EXT_ACK, linux.NETLINK_GET_STRICT_CHK:
		if size < 4 {
			return nil, linux.EINVAL
		}
		v := int32(0)
		if s.flags[name] {
			v = 1
		}
		return socket.IntBytes(v), nil
	case linux.NETLINK_LIST_MEMBERSHIPS:
		if len(s.groups) == 0 {
			return nil, nil
		}
		var set [maxGroups / 8]byte
		for g := range s.groups {
			set[(g-1)/8] |= 1 << ((g - 1) % 8)
		}
		return set[:], nil
	}
	return nil, linux.ENOPROTOOPT
}

// Ioctl implements socket.Ioctler.
func (s *Socket) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if cmd != linux.SIOCINQ {
		return 0, linux.ENOTTY
	}
	s.mu.Lock()
	n := 0
	if len(s.msgs) > 0 {
		n = len(s.msgs[0].b)
	}
	s.mu.Unlock()
	return socket.StoreInt(m, arg, n)
}
