package gofer

import (
	"errors"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// A conn is one connection, served by one goroutine.
type conn struct {
	s    *server
	wire wire.Transport
	hdr  wire.RequestHeader
	out  []byte
	dir  []byte // for getdents64(2)
}

// A call is one request being answered: what a handler may need beside the request.
type call struct {
	conn *conn
	fds  []int // to go with the reply, and then to be closed
	room [wire.MaxFDs]int
}

// give lets fd go with the reply.
func (c *call) give(fd int) { c.fds = append(c.fds, fd) }

// serve answers requests until the peer hangs up or makes no sense, preferably on
// one of cpus. Its thread blocks in the host, see wire.Conn.
func (c *conn) serve(cpus []uint32) error {
	if len(cpus) > 0 {
		// Never unlocked, so that the thread, and its affinity, ends with the goroutine.
		runtime.LockOSThread()
		pin(cpus)
	}
	defer c.close()
	for {
		b, err := c.wire.Recv(nil)
		if err != nil {
			return err
		}
		if err := c.answer(b); err != nil {
			return err
		}
	}
}

// pin ties the calling thread to cpus. If that can't be, it stays free, and is slower.
func pin(cpus []uint32) {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(int(cpu))
	}
	_ = unix.SchedSetaffinity(0, &set)
}

func (c *conn) close() {
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
	c.wire.Close()
}

// answer handles one request. Its errors end the connection.
func (c *conn) answer(b []byte) error {
	body, err := wire.ParseRequest(b, &c.hdr)
	if err != nil {
		return err
	}
	for _, f := range c.hdr.Forgets {
		c.s.forget(f.ID, f.N)
	}
	call := call{conn: c}
	call.fds = call.room[:0]
	defer func() {
		for _, fd := range call.fds {
			unix.Close(fd)
		}
	}()
	resp, err := c.s.dispatch(c.hdr.Op, &call, body)
	switch {
	case errors.Is(err, wire.ErrMessage):
		return err
	case err != nil:
		c.out = wire.AppendError(c.out[:0], errno(err))
		return c.wire.Send(c.out)
	}
	c.out = wire.AppendReply(c.out[:0], resp)
	if len(c.out) > wire.MaxMessage {
		c.out = wire.AppendError(c.out[:0], unix.E2BIG)
		return c.wire.Send(c.out)
	}
	return c.wire.Send(c.out, call.fds...)
}

// errno reduces an error of a handler to what crosses the wire.
func errno(err error) syscall.Errno {
	var e syscall.Errno
	if errors.As(err, &e) && e != 0 {
		return e
	}
	return unix.EIO
}

// doChannel makes another connection.
func (s *server) doChannel(c *call, q *wire.ChannelReq) (wire.Message, error) {
	t, err := newTransport(c, q.Plain)
	if err != nil {
		return nil, err
	}
	nc := &conn{s: s, wire: t}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.conns) >= maxConns {
		t.Close()
		return nil, unix.EMFILE
	}
	s.conns[nc] = true
	s.wg.Go(func() { _ = nc.serve(q.CPUs) })
	return &wire.Empty{}, nil
}

// newTransport makes a connection, one end of which is given away with the reply.
func newTransport(c *call, plain bool) (wire.Transport, error) {
	if plain {
		ours, theirs, err := wire.Pair()
		if err != nil {
			return nil, err
		}
		c.give(theirs)
		t, err := wire.NewConn(ours)
		if err != nil {
			unix.Close(ours)
			return nil, err
		}
		return t, nil
	}
	ours, theirs, err := wire.LinkPair()
	if err != nil {
		return nil, err
	}
	c.give(theirs.Sock)
	c.give(theirs.R)
	c.give(theirs.W)
	t, err := wire.NewLink(ours)
	if err != nil {
		ours.Close()
		return nil, err
	}
	return t, nil
}
