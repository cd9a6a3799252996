package socket

import (
	"time"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A patience is how long a call may still wait.
type patience struct {
	limit time.Duration // 0: for ever; negative: not at all
	end   time.Time     // when limit is over, once the first wait began
}

// wait blocks c until o may be ready. What it returns is what the call returns:
// EAGAIN at the end of patience; EINTR instead of ERESTARTSYS for a call with a
// time-out, which would begin anew (signal(7)).
func (p *patience) wait(c vfs.Ctx, o wait.Object, e wait.Events) error {
	if p.limit == 0 {
		return c.Block(o, e)
	}
	if p.limit < 0 {
		return linux.EAGAIN
	}
	left := p.limit
	if p.end.IsZero() {
		p.end = time.Now().Add(p.limit)
	} else if left = time.Until(p.end); left <= 0 {
		return linux.EAGAIN
	}
	switch err := c.BlockFor(o, e, left); err {
	case linux.ETIMEDOUT:
		return linux.EAGAIN
	case linux.ERESTARTSYS:
		return linux.EINTR
	default:
		return err
	}
}

// room is what a call to addr that got EAGAIN has to wait for.
func (s *Socket) room(c vfs.Ctx, addr []byte) wait.Object {
	if e, ok := s.proto.(Elsewhere); ok && len(addr) > 0 {
		if o := e.Elsewhere(c, addr); o != nil {
			return o
		}
	}
	return s.proto
}

// patienceFor is a call's patience: none if it does not want to wait.
func patienceFor(nonblock bool, timeout time.Duration) patience {
	if nonblock {
		return patience{limit: -1}
	}
	return patience{limit: timeout}
}

// Receive is recv(2) and recvmsg(2): it waits unless flags have MSG_DONTWAIT.
func (s *Socket) Receive(c vfs.Ctx, dst usermem.Seq, flags linux.MsgFlags, m *Msg) (int64, error) {
	p := patienceFor(flags&linux.MSG_DONTWAIT != 0, s.opts.RcvTimeout())
	want := dst.Len()
	all := flags&(linux.MSG_WAITALL|linux.MSG_PEEK) == linux.MSG_WAITALL && s.stream
	total := int64(0)
	for {
		n, err := s.proto.Recv(c, dst, flags, m)
		if err == nil {
			total += n
			if !all || n == 0 || total >= want || m != nil && len(m.Rights) > 0 {
				return total, nil
			}
			dst = dst.Skip(n)
			continue
		}
		if err == linux.EAGAIN {
			if o := s.later(flags); o != nil {
				err = p.wait(c, o, wait.Readable)
			}
			if err == nil {
				continue
			}
		}
		if total > 0 {
			return total, nil
		}
		return 0, err
	}
}

// later is what a receiving call that got EAGAIN has to wait for; nil if it does
// not wait.
func (s *Socket) later(flags linux.MsgFlags) wait.Object {
	if l, ok := s.proto.(Later); ok {
		return l.Later(flags)
	}
	return s.proto
}

// Transmit is send(2) and sendmsg(2): it waits unless flags have MSG_DONTWAIT.
// EPIPE is the caller's to turn into a signal.
func (s *Socket) Transmit(c vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *Msg) (int64, error) {
	p := patienceFor(flags&linux.MSG_DONTWAIT != 0, s.opts.SndTimeout())
	want := src.Len()
	total := int64(0)
	for {
		n, err := s.proto.Send(c, src, flags, m)
		if err == nil {
			total += n
			if !s.stream || total >= want {
				return total, nil
			}
			src = src.Skip(n)
			if m != nil {
				m.Control = Control{} // it went with the first bytes
			}
			err = linux.EAGAIN
		}
		if err == linux.EAGAIN {
			if err = p.wait(c, s.room(c, m.address()), wait.Writable); err == nil {
				continue
			}
		}
		if total > 0 {
			return total, nil
		}
		return 0, err
	}
}

// Connect is connect(2).
func (s *Socket) Connect(c vfs.Ctx, addr []byte, nonblock bool) error {
	x, ok := s.proto.(Connecter)
	if !ok {
		return linux.EOPNOTSUPP
	}
	p := patienceFor(nonblock, s.opts.SndTimeout())
	for {
		err := x.Connect(c, addr)
		switch {
		case err == linux.EAGAIN:
			if err = p.wait(c, s.room(c, addr), wait.Writable); err != nil {
				return err
			}
			continue
		case err != linux.EINPROGRESS && err != linux.EALREADY || nonblock:
			return err
		}
		for s.proto.Ready(wait.Out|wait.Always) == 0 {
			if werr := p.wait(c, s.proto, wait.Out); werr == linux.EAGAIN {
				return err // EINPROGRESS, at the end of SO_SNDTIMEO
			} else if werr != nil {
				return werr
			}
		}
		return x.Connected()
	}
}

// Accept is accept(2).
func (s *Socket) Accept(c vfs.Ctx, nonblock bool) (*Socket, error) {
	x, ok := s.proto.(Accepter)
	if !ok {
		return nil, linux.EOPNOTSUPP
	}
	p := patienceFor(nonblock, s.opts.RcvTimeout())
	for {
		n, err := x.Accept(c)
		if err != linux.EAGAIN {
			return n, err
		}
		if err := p.wait(c, s.proto, wait.Readable); err != nil {
			return nil, err
		}
	}
}
