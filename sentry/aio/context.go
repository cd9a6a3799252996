package aio

import (
	"encoding/binary"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

const (
	headerSize = 32 // struct aio_ring
	eventSize  = 32 // struct io_event
)

// A Context is what io_setup(2) makes (struct kioctx). It is a wait.Object that is
// readable while there are completions to collect, or once it has ended.
type Context struct {
	wait.Queue
	sys  *System
	ring *vfs.FileDescription // held
	who  vfs.Internal         // who reads and writes the ring
	max  uint64               // what it counts for in sys
	nr   uint32               // events that the ring has room for
	id   uint32
	addr arch.Addr
	size uint64

	mu     lock.Mutex[lock.File]
	tail   uint32             // all here are protected by mu
	flying uint32             // requests begun that are not complete
	dead   bool               // no more requests
	polls  map[*Poll]struct{} // those of flying that wait
}

var _ wait.Object = (*Context)(nil)

// A Spec is what a Context is made of.
type Spec struct {
	System   *System
	Files    vfs.MemFiles // makes the ring
	Space    *mm.Space    // whose it is
	Requests uint32       // how many may be under way
	CPUs     int
}

// New makes a context and maps its ring: EINVAL, EAGAIN beyond fs.aio-max-nr, ENOMEM.
func New(t vfs.Ctx, x Spec) (*Context, error) {
	// Linux has room for what each processor takes in advance.
	n := 2 * uint64(max(x.Requests, uint32(4*x.CPUs)))
	most := uint64(x.Requests)
	switch {
	case n > 0x10000000/eventSize:
		return nil, linux.EINVAL
	case most > x.System.Max():
		return nil, linux.EAGAIN
	}
	size, _ := arch.Addr(headerSize + (n+2)*eventSize).Up()
	if err := x.System.reserve(most); err != nil {
		return nil, err
	}
	c := &Context{sys: x.System, who: vfs.Internal{Who: t.Creds()}, max: most, size: uint64(size), polls: map[*Poll]struct{}{}}
	c.nr = uint32((c.size - headerSize) / eventSize)
	var err error
	if c.ring, err = x.Files.Shared(t, "/[aio] (deleted)", int64(size)); err != nil {
		x.System.release(c.max)
		return nil, linux.ENOMEM
	}
	if err := c.mapRing(t, x.Space); err != nil {
		c.end()
		return nil, err
	}
	x.Space.Companion(newTable).(*table).add(c) // which tells its number
	h := linux.AIORing{ID: c.id, Nr: c.nr, Magic: linux.AIORingMagic, Compat: linux.AIORingCompat, HeaderLength: headerSize}
	c.put(0, usermem.AsBytes(&h))
	return c, nil
}

func (c *Context) mapRing(t vfs.Ctx, s *mm.Space) error {
	f, err := c.ring.Mmap(t, vfs.MapSpec{Len: c.size, Access: arch.Read | arch.Write, Shared: true})
	if err != nil {
		return linux.ENOMEM
	}
	c.ring.IncRef() // MMap's
	addr, err := s.MMap(mm.MMapOpts{
		Length: c.size, Flags: linux.MAP_SHARED, Prot: linux.PROT_READ | linux.PROT_WRITE,
		MaxProt: linux.PROT_READ | linux.PROT_WRITE, File: f, Identity: c.ring,
	})
	c.addr = addr
	return err
}

// Addr is the guest's name of c: where the ring is.
func (c *Context) Addr() arch.Addr { return c.addr }

// Room is how many events the ring has room for.
func (c *Context) Room() uint32 { return c.nr }

// Destroy is io_destroy(2), in s: EINVAL if another call is at it.
func (c *Context) Destroy(s *mm.Space) error {
	x, _ := s.Companion(nil).(*table)
	if x == nil || !x.take(c) {
		return linux.EINVAL
	}
	c.end()
	s.Unmap(c.addr, c.size)
	return nil
}

// end cancels what waits. Requests that another thread is at go on.
func (c *Context) end() {
	c.mu.Lock()
	c.dead = true
	var waiting []*Poll
	for p := range c.polls {
		waiting = append(waiting, p)
	}
	c.mu.Unlock()
	for _, p := range waiting {
		p.finish(0)
	}
	c.sys.release(c.max)
	c.Notify(wait.Readable)
	c.mu.Lock()
	ring := c.ring
	c.ring = nil
	c.mu.Unlock()
	ring.DecRef()
}

// Ready implements wait.Object.
func (c *Context) Ready(e wait.Events) wait.Events {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.queued() > 0 {
		return e & wait.Readable
	}
	return 0
}

func (c *Context) put(off int64, b []byte) { c.ring.File().Write(&c.who, usermem.FromBytes(b), off) }

func (c *Context) get(off int64, b []byte) { c.ring.File().Read(&c.who, usermem.FromBytes(b), off) }

func (c *Context) putWord(off int64, v uint32) {
	c.put(off, binary.LittleEndian.AppendUint32(nil, v))
}

// head is where the guest has read to: it may be anything.
func (c *Context) head() uint32 {
	var b [4]byte
	c.get(linux.AIORingHeadOffset, b[:])
	return binary.LittleEndian.Uint32(b[:]) % c.nr
}

// queued is how many events are in the ring. c.mu is held, and c is not dead.
func (c *Context) queued() uint32 { return (c.tail + c.nr - c.head()) % c.nr }

// Begin takes the room for one more completion: EAGAIN if there is none, EINVAL if
// the context has ended. Complete or Abandon follows.
func (c *Context) Begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead:
		return linux.EINVAL
	case c.flying+c.queued() >= c.nr-1:
		return linux.EAGAIN
	}
	c.flying++
	return nil
}

// Abandon undoes Begin: the request was refused.
func (c *Context) Abandon() {
	c.mu.Lock()
	c.flying--
	c.mu.Unlock()
}

// Complete puts the event of a request into the ring and tells who waits; signal,
// unless nil, is an eventfd to be told, and is released.
func (c *Context) Complete(ev linux.IOEvent, signal *vfs.FileDescription) {
	c.mu.Lock()
	c.flying--
	if c.ring != nil {
		c.put(headerSize+int64(c.tail)*eventSize, usermem.AsBytes(&ev))
		c.tail = (c.tail + 1) % c.nr
		c.putWord(linux.AIORingTailOffset, c.tail) // after the event: the guest looks without a call
	}
	c.mu.Unlock()
	if signal != nil {
		signal.File().(Counter).Add(1)
		signal.DecRef()
	}
	c.Notify(wait.Readable)
}

// A Counter is an eventfd.
type Counter interface{ Add(uint64) bool }

// Collect moves up to n events to the guest's array at to and returns how many:
// EFAULT, EINVAL once the context has ended.
func (c *Context) Collect(m usermem.Memory, to usermem.Ptr[linux.IOEvent], n uint32) (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return 0, linux.EINVAL
	}
	head := c.head()
	n = min(n, (c.tail+c.nr-head)%c.nr)
	for i := range n {
		var ev linux.IOEvent
		c.get(headerSize+int64((head+i)%c.nr)*eventSize, usermem.AsBytes(&ev))
		if err := to.At(int(i)).Store(m, &ev); err != nil {
			return 0, err
		}
	}
	if n > 0 {
		c.putWord(linux.AIORingHeadOffset, (head+n)%c.nr)
	}
	return n, nil
}
