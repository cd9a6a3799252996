package wire

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxPinned is the number of connections whose server is tied to a CPU.
	maxPinned = 8
	// maxPool is the number of connections that serve what is slow, and what finds
	// its CPU's connection busy.
	maxPool = 16
	// impatience is how often a waiting caller looks whether it still has to wait.
	impatience = 10 * time.Millisecond
	// forgetEagerly is the number of pending forgets that is worth a request of its own.
	forgetEagerly = 4 * MaxForgets
)

// A Client is the sandbox's side of a gofer: a set of connections, made on first
// use. A caller takes the connection of the CPU it runs on, whose server is tied to
// the same CPU, so that a round trip wakes no other; if that is in use, or the
// operation slow by nature, it takes one of a pool. All methods may be called
// concurrently.
type Client struct {
	// WatchDelay is the age at which the first subscriber begins to watch.
	WatchDelay time.Duration

	control chan *channel // the first connection, which makes the others: one element
	pool    chan *channel // those at rest
	slotOf  []uint8       // CPU number → index of slots
	slots   [maxPinned]slot
	dead    chan struct{} // closed when the gofer is lost

	mu      sync.Mutex
	pooled  int // how many connections the pool has, at rest or not
	all     []*channel
	failure error // why dead was closed

	subscribers []func(*ChangesResp)

	counts [NumOps]atomic.Uint64 // requests sent

	forgetMu   sync.Mutex
	forgets    []Forget
	forgetting bool         // a goroutine is sending them
	pending    atomic.Int32 // len(forgets), to look without the lock
}

// A slot is the connection of a CPU, or of several if there are many.
type slot struct {
	cpus   []uint32
	ch     atomic.Pointer[channel]
	making atomic.Bool
}

// A channel is a connection and the memory for one exchange.
type channel struct {
	conn  Transport
	busy  atomic.Bool // for those in slots
	home  chan *channel
	coder Coder
	out   []byte
	fs    []Forget
}

// NewClient takes over fd, the first connection to a gofer.
func NewClient(fd int) (*Client, error) {
	conn, err := NewConn(fd)
	if err != nil {
		return nil, err
	}
	c := &Client{
		WatchDelay: watchDelay,
		control:    make(chan *channel, 1),
		pool:       make(chan *channel, maxPool),
		dead:       make(chan struct{}),
	}
	ch, err := c.adopt(conn, c.control)
	if err != nil {
		return nil, err
	}
	c.control <- ch
	c.place()
	return c, nil
}

// place deals the allowed CPUs out to the slots.
func (c *Client) place() {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		set.Set(0)
	}
	n := 0
	for cpu := 0; n < set.Count(); cpu++ {
		c.slotOf = append(c.slotOf, 0)
		if set.IsSet(cpu) {
			i := n % maxPinned
			c.slotOf[cpu] = uint8(i)
			c.slots[i].cpus = append(c.slots[i].cpus, uint32(cpu))
			n++
		}
	}
}

// adopt makes a channel of conn, to which it returns when it is at rest.
func (c *Client) adopt(conn Transport, home chan *channel) (*channel, error) {
	if err := conn.SetTimeout(impatience); err != nil {
		return nil, &LinkError{"set up connection", err}
	}
	ch := &channel{conn: conn, home: home}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		conn.Close()
		return nil, c.failure
	}
	c.all = append(c.all, ch)
	return ch, nil
}

// Close ends all connections. Calls under way fail.
func (c *Client) Close() { c.fail(&LinkError{"call", ErrClosed}) }

// Dead is closed when the gofer is lost.
func (c *Client) Dead() <-chan struct{} { return c.dead }

// fail gives the gofer up, for err.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return
	}
	c.failure = err
	close(c.dead)
	for _, ch := range c.all {
		ch.conn.Shutdown()
	}
	c.reapLocked()
}

// reapLocked closes the connections at rest, which nobody can take any more. One in
// use is not closed under its user, but comes here when it is released.
func (c *Client) reapLocked() {
	for _, home := range []chan *channel{c.control, c.pool} {
		for more := true; more; {
			select {
			case ch := <-home:
				ch.conn.Close()
			default:
				more = false
			}
		}
	}
	for i := range c.slots {
		if ch := c.slots[i].ch.Load(); ch != nil && ch.busy.CompareAndSwap(false, true) {
			ch.conn.Close()
		}
	}
}

// release makes ch available to others.
func (c *Client) release(ch *channel) {
	if ch.home != nil {
		ch.home <- ch
	} else {
		ch.busy.Store(false)
	}
	if closed(c.dead) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reapLocked()
	}
}

// err is why the gofer was given up.
func (c *Client) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// Call sends q and waits for the reply, which is decoded into r; descriptors that
// come with it go to fds, or are closed if fds is nil. The error is a syscall.Errno
// if that is the answer; EINTR if done was closed first, in which case the operation
// may yet happen, what it returned is given back, and r and fds are lost to the
// caller, unless it is a Latecomer, of which the request is always sent, and the caller's
// no more either; or a *LinkError if the gofer is dead or makes no sense.
func (c *Client) Call(done <-chan struct{}, q Request, r Message, fds *FDs) error {
	ch, err := c.take(done, q.Op().Slow())
	if err == nil {
		return c.exchange(ch, done, q, r, fds)
	}
	if _, ok := r.(Latecomer); ok && err == syscall.EINTR {
		go func() { c.unwanted(r, c.Call(nil, q, r, nil)) }()
	}
	return err
}

// Count is how many requests for op were sent.
func (c *Client) Count(op Op) uint64 { return c.counts[op].Load() }

// exchange does one round trip on ch and releases it.
func (c *Client) exchange(ch *channel, done <-chan struct{}, q Request, r Message, fds *FDs) error {
	c.takeForgets(ch)
	c.counts[q.Op()].Add(1)
	ch.out = ch.coder.request(ch.out[:0], q, ch.fs)
	err := ch.conn.Send(ch.out)
	if err == nil {
		err = c.reply(ch, done, r, fds)
		if err == syscall.EINTR && closed(done) {
			go c.drain(ch, r)
			return err
		}
	}
	if err != nil {
		fds.Close()
	}
	c.release(ch)
	if link := (*LinkError)(nil); errors.As(err, &link) {
		c.fail(err)
		return c.err()
	}
	return err
}

// reply waits for the reply on ch.
func (c *Client) reply(ch *channel, done <-chan struct{}, r Message, fds *FDs) error {
	for {
		b, err := ch.conn.Recv(fds)
		switch {
		case err == nil:
			if err = ch.coder.reply(b, r); err == ErrMessage {
				err = &LinkError{"reply", err}
			}
			return err
		case err != syscall.EAGAIN:
			return err
		case closed(done):
			return syscall.EINTR
		case closed(c.dead):
			return &LinkError{"receive", ErrClosed}
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// drain waits for a reply that nobody wants any more, and gives back what it holds.
func (c *Client) drain(ch *channel, r Message) {
	var fds FDs
	err := c.reply(ch, nil, r, &fds)
	fds.Close()
	c.unwanted(r, err)
	if link := (*LinkError)(nil); errors.As(err, &link) {
		c.fail(err)
	}
	c.release(ch)
}

// unwanted gives back what a reply holds that came, or did not, when nobody waited any more.
func (c *Client) unwanted(r Message, err error) {
	if h, ok := r.(Holder); ok && err == nil {
		h.IDs(func(id ID) { c.Forget(id, 1) })
	}
	if l, ok := r.(Latecomer); ok {
		l.Late(err)
	}
}
