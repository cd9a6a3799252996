package inet

import (
	"encoding/binary"
	"io"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A payload is guest memory as the stack reads it and writes to it. rest is what has
// not moved yet.
type payload struct {
	rest usermem.Seq
	left int64
	sink bool  // what is written is thrown away (MSG_TRUNC of a stream)
	skip int64 // of what is written, before the rest: SO_PEEK_OFF of a stream
	err  error // why the guest's buffer did not take it
}

// Read implements io.Reader.
func (p *payload) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.left)]
	n, err := p.rest.CopyIn(b)
	p.advance(n)
	return n, err
}

// Write implements io.Writer. io.ErrShortWrite says that the guest's buffer is full.
func (p *payload) Write(b []byte) (int, error) {
	skip := int(min(p.skip, int64(len(b))))
	p.skip -= int64(skip)
	b = b[skip:]
	short := int64(len(b)) > p.left
	if short {
		b = b[:p.left]
	}
	n, err := len(b), error(nil)
	if !p.sink {
		n, err = p.rest.CopyOut(b)
		p.err = err
	}
	p.advance(n)
	if err == nil && short {
		err = io.ErrShortWrite
	}
	return skip + n, err
}

func (p *payload) advance(n int) {
	p.left -= int64(n)
	if p.left > 0 && !p.sink {
		p.rest = p.rest.Skip(int64(n))
	}
}

// Len implements tcpip.Payloader.
func (p *payload) Len() int { return int(p.left) }

// payload takes the spare one, or makes one.
func (e *Endpoint) payload(s usermem.Seq) *payload {
	p := e.spare.Swap(nil)
	if p == nil {
		p = &payload{}
	}
	*p = payload{rest: s, left: s.Len()}
	return p
}

func (e *Endpoint) done(p *payload) {
	*p = payload{}
	e.spare.Store(p)
}

// Send implements socket.Proto.
func (e *Endpoint) Send(c vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if l := e.local.Load(); l != nil {
		if m != nil {
			if err := e.control(c, nil, m.Others); err != nil {
				return 0, err
			}
		}
		return l.send(src, flags)
	}
	if flags&linux.MSG_OOB != 0 && !e.isTCP() {
		return 0, linux.EOPNOTSUPP
	}
	// The stack has no urgent pointer: over a link, MSG_OOB sends ordinary bytes.
	o := sending{WriteOptions: tcpip.WriteOptions{More: flags&linux.MSG_MORE != 0, EndOfRecord: flags&linux.MSG_EOR != 0}, tos: -1}
	if m != nil {
		if m.Addr.Len() > 0 && !e.isTCP() {
			to, err := e.destination(m.Addr.Bytes())
			if err != nil {
				return 0, err
			}
			o.To = &to
		}
		if err := e.control(c, &o, m.Others); err != nil {
			return 0, err
		}
	}
	e.sticky(&o)
	size, serr := e.segment(m)
	if serr != nil {
		return 0, serr
	}
	if size > 0 && src.Len() > size {
		return e.sendSegments(src, size, &o)
	}
	n, err := e.write(src, &o)
	if n < src.Len() {
		e.fetchesRoom(c)
	}
	if n > 0 {
		return n, nil // the stack gives no error with progress, but for guest faults
	}
	if _, ok := err.(*tcpip.ErrInvalidEndpointState); ok && e.isTCP() {
		return 0, linux.EPIPE
	}
	if _, ok := err.(*tcpip.ErrNoPortAvailable); ok {
		return 0, linux.EAGAIN
	}
	return 0, errno(err)
}

// write gives the stack what it takes of src.
func (e *Endpoint) write(src usermem.Seq, o *sending) (int64, tcpip.Error) {
	if o.own {
		return e.writeOwn(src, o)
	}
	if e.isTCP() {
		return e.writeStream(src, o)
	}
	return e.writeOnce(src, o)
}

// maxSegments is how many datagrams one call sends by UDP_SEGMENT.
const maxSegments = 128

// segment is how large the datagrams are that a message is cut into, by UDP_SEGMENT as an
// option or a control message; 0 is not at all. EINVAL.
func (e *Endpoint) segment(m *socket.Msg) (int64, error) {
	if !e.isUDP() {
		return 0, nil
	}
	if m != nil {
		for _, c := range m.Others {
			if c.Level != linux.SOL_UDP || c.Type != linux.UDP_SEGMENT {
				continue
			}
			if len(c.Data) != 2 {
				return 0, linux.EINVAL
			}
			return int64(binary.LittleEndian.Uint16(c.Data)), nil
		}
	}
	return int64(e.small[udpSegment].Load()), nil
}

// sendSegments sends src as datagrams of size bytes, of which the last may be smaller.
func (e *Endpoint) sendSegments(src usermem.Seq, size int64, o *sending) (int64, error) {
	total := src.Len()
	if total > size*maxSegments {
		return 0, linux.EINVAL
	}
	for done := int64(0); done < total; done += size {
		if _, err := e.write(src.Skip(done).Take(min(size, total-done)), o); err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, errno(err)
		}
	}
	return total, nil
}

// destination reads the address of a datagram.
func (e *Endpoint) destination(b []byte) (tcpip.FullAddress, error) {
	a, err := parse(e.kind.Family, b, false)
	if err != nil {
		return a, err
	}
	if a.Port == 0 && e.isUDP() {
		return a, linux.EINVAL
	}
	return toLoopback(e.kind.Family, a), nil
}

// Recv implements socket.Proto.
func (e *Endpoint) Recv(c vfs.Ctx, dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if flags&linux.MSG_ERRQUEUE != 0 {
		return e.recvError(dst, m)
	}
	if e.isTCP() {
		if e.local.Load() == nil {
			e.fetches(c)
		}
		return e.recvStream(dst, flags, m)
	}
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EOPNOTSUPP
	}
	peek := flags&linux.MSG_PEEK != 0
	if e.drained.count.Load() > 0 || peek && e.opts.PeekOff() >= 0 {
		if n, ok, err := e.recvDrained(dst, flags, m); ok {
			return n, err
		}
	}
	p := e.payload(dst)
	r, err := e.ep().Read(p, tcpip.ReadOptions{Peek: peek, NeedRemoteAddr: m != nil})
	room := p.left
	e.done(p)
	// A datagram that meets a buffer of no bytes is a fault to the stack.
	if _, ok := err.(*tcpip.ErrBadBuffer); ok && room == 0 && r.Total > 0 {
		err = nil
	}
	if _, ok := err.(*tcpip.ErrClosedForReceive); ok {
		return 0, nil
	}
	if err != nil {
		return 0, errno(err)
	}
	e.fetches(c)
	if m != nil {
		encode(e.kind.Family, r.RemoteAddr, &m.Addr)
		if r.Count < r.Total {
			m.Flags |= linux.MSG_TRUNC
		}
		e.recvControl(m, &r.ControlMessages)
	}
	n := int64(r.Count)
	if flags&linux.MSG_TRUNC != 0 {
		n = int64(r.Total)
	}
	e.opts.MovePeekOff(n, peek)
	return n, nil
}

// recvStream is Recv of a TCP socket. The address is left alone, as on Linux.
func (e *Endpoint) recvStream(dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if l := e.local.Load(); l != nil {
		n, err := l.recv(dst, flags)
		if m != nil && err == nil && flags&linux.MSG_OOB != 0 {
			if m.Flags |= linux.MSG_OOB; n == 0 {
				m.Flags |= linux.MSG_TRUNC
			}
		}
		return n, err
	}
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EINVAL
	}
	if e.state() == linux.TCP_LISTEN {
		return 0, linux.ENOTCONN
	}
	if dst.Len() == 0 {
		return 0, nil
	}
	p := e.payload(dst)
	p.sink = flags&linux.MSG_TRUNC != 0
	peek := flags&linux.MSG_PEEK != 0
	if peek {
		p.skip = int64(max(0, e.opts.PeekOff()))
	}
	r, err := e.ep().Read(p, tcpip.ReadOptions{Peek: peek})
	n, fault := dst.Len()-p.left, p.err
	e.done(p)
	switch err.(type) {
	case nil:
	case *tcpip.ErrClosedForReceive:
		return 0, nil
	default:
		e.failed.Store(true)
		return 0, errno(err)
	}
	switch {
	case n == 0 && fault != nil:
		return 0, fault
	case n == 0 && peek && e.Ready(wait.RdHup)&wait.RdHup == 0: // nothing is behind SO_PEEK_OFF
		return 0, linux.EAGAIN
	case !peek:
		e.ep().ModerateRecvBuf(r.Count)
	}
	e.opts.MovePeekOff(n, peek)
	return n, nil
}
