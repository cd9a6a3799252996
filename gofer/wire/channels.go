package wire

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// take finds a connection that is not in use.
func (c *Client) take(done <-chan struct{}, slow bool) (*channel, error) {
	if closed(c.dead) {
		return nil, c.err()
	}
	if !slow {
		if ch, err := c.near(done); ch != nil || err != nil {
			return ch, err
		}
	}
	select {
	case ch := <-c.pool:
		return ch, nil
	default:
	}
	if ch, err := c.grow(done); ch != nil || err != nil {
		return ch, err
	}
	select {
	case ch := <-c.pool:
		return ch, nil
	case <-done:
		return nil, syscall.EINTR
	case <-c.dead:
		return nil, c.err()
	}
}

// near is the connection of the CPU the caller is on, or nil if that is in use.
func (c *Client) near(done <-chan struct{}) (*channel, error) {
	i := 0
	if cpu := currentCPU(); cpu < len(c.slotOf) {
		i = int(c.slotOf[cpu])
	}
	s := &c.slots[i]
	ch := s.ch.Load()
	if ch == nil {
		if !s.making.CompareAndSwap(false, true) {
			return nil, nil
		}
		defer s.making.Store(false)
		if ch = s.ch.Load(); ch == nil {
			ch, err := c.make(done, &ChannelReq{CPUs: s.cpus}, nil)
			if err != nil {
				return nil, err
			}
			ch.busy.Store(true)
			s.ch.Store(ch)
			return ch, nil
		}
	}
	if !ch.busy.CompareAndSwap(false, true) {
		return nil, nil
	}
	return ch, nil
}

// grow makes a connection for the pool, or returns nil if it has all it may have.
func (c *Client) grow(done <-chan struct{}) (*channel, error) {
	c.mu.Lock()
	full := c.pooled == maxPool
	if !full {
		c.pooled++
	}
	c.mu.Unlock()
	if full {
		return nil, nil
	}
	ch, err := c.make(done, &ChannelReq{}, c.pool)
	if err != nil {
		c.mu.Lock()
		c.pooled--
		c.mu.Unlock()
	}
	return ch, err
}

// make asks the gofer for another connection.
func (c *Client) make(done <-chan struct{}, q *ChannelReq, home chan *channel) (*channel, error) {
	var ctl *channel
	select {
	case ctl = <-c.control:
	case <-done:
		return nil, syscall.EINTR
	case <-c.dead:
		return nil, c.err()
	}
	var fds FDs
	if err := c.exchange(ctl, done, q, &Empty{}, &fds); err != nil {
		return nil, err
	}
	conn, err := transport(&fds, q.Plain)
	if err != nil {
		err = &LinkError{"new connection", err}
		c.fail(err)
		return nil, err
	}
	return c.adopt(conn, home)
}

// transport makes a connection of the descriptors that came, and closes all if they do
// not make one.
func transport(fds *FDs, plain bool) (Transport, error) {
	defer fds.Close()
	want := 3
	if plain {
		want = 1
	}
	if fds.Len() != want {
		return nil, ErrMessage
	}
	e := Ends{Sock: fds.Take(), R: -1, W: -1}
	if plain {
		conn, err := NewConn(e.Sock)
		if err != nil {
			unix.Close(e.Sock)
			return nil, err
		}
		return conn, nil
	}
	e.R, e.W = fds.Take(), fds.Take()
	l, err := NewLink(e)
	if err != nil {
		e.Close()
		return nil, err
	}
	return l, nil
}
