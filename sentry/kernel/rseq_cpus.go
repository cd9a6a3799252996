package kernel

import (
	"sync/atomic"
	"time"

	"garrison/platform"
	"garrison/platform/hot"
	"garrison/sentry/lock"
)

// cpus are the processors of the machine as one address space sees them. Of its
// threads that are registered for rseq(2), at most one at a time is in the guest
// on each: what a section does there to a processor's data, no other thread does
// meanwhile, though the host may stop either between any two instructions. A
// thread that finds another to have been there is told that it was preempted.
//
// A thread takes one before each Switch and gives it up after that; as a rule the
// one it had before. There are as many as the host has, so none that could run
// is kept from it for long: a thread that finds none waits until the
// thread that has one sleeps, or has had its turn.
type cpus struct {
	of      []cpu
	waiting atomic.Int32 // how many are on waiters

	mu      lock.Mutex[lock.Leaf]
	waiters []*cpuWaiter // longest first
}

// A cpu is one processor. Each is on a cache line of its own.
type cpu struct {
	taken    atomic.Bool
	turnOver atomic.Bool          // who has taken it is to hand it on
	last     atomic.Pointer[Task] // who took it last,
	since    atomic.Int64         // and from when on, as of hot.Now(); 0: it has slept
	_        [40]byte
}

// A cpuWaiter is a thread that waits for a processor.
type cpuWaiter struct {
	t   *Task
	may CPUSet
	got int // which it has been given; none if there is none yet
}

const (
	none = -1

	// cpuTurn is how long a thread keeps its processor in the guest if another waits.
	cpuTurn = 3 * time.Millisecond
	// cpuLook is how often one of those who wait looks whether one is free: its thread
	// may have left the guest for something long without sleeping.
	cpuLook = 500 * time.Microsecond
	// cpuYields is how often a thread gives up the host's processor before it
	// sleeps: who has taken the others may need no more.
	cpuYields = 2
)

func newCPUs(n int) *cpus { return &cpus{of: make([]cpu, n)} }

// takeCPU takes a processor for t, which is about to go to the guest. It is false
// if t has to look at its attention first.
func (t *Task) takeCPU() bool {
	c := &t.cpus.of[t.cpu]
	if t.evicted || !c.taken.CompareAndSwap(false, true) {
		n := t.cpus.take(t)
		if n == none {
			return false
		}
		t.cpu, t.evicted = uint32(n), false
		c = &t.cpus.of[n]
	} else if c.last.Load() == t {
		if c.since.Load() == 0 {
			c.since.Store(hot.Now())
		}
		return true
	}
	c.last.Store(t)
	c.since.Store(hot.Now())
	t.preempted()
	return true
}

// giveCPU gives it up.
func (t *Task) giveCPU() {
	c := &t.cpus.of[t.cpu]
	// Who waits may never see it free, if t takes it again at once.
	if c.turnOver.Load() || t.cpus.waiting.Load() > 0 && hot.Now()-c.since.Load() >= int64(cpuTurn) {
		t.cpus.handOn(int(t.cpu))
		return
	}
	c.taken.Store(false)
}

// sleepsOnCPU hands on what t took last, if somebody waits for it: t is going to sleep.
func (t *Task) sleepsOnCPU() {
	c := &t.cpus.of[t.cpu]
	if c.last.Load() == t {
		c.since.Store(0)
	}
	if t.cpus.waiting.Load() > 0 && c.taken.CompareAndSwap(false, true) {
		t.cpus.handOn(int(t.cpu))
	}
}

// handOn gives processor n, which is taken, to who has waited longest for it; if
// there is nobody, it is free.
func (c *cpus) handOn(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[n].turnOver.Store(false)
	for _, w := range c.waiters {
		if w.may.Has(n) {
			c.given(w, n)
			w.t.spot.Wake()
			return
		}
	}
	c.of[n].taken.Store(false)
}

// given makes n w's, and takes w off the list if it is there. The caller holds mu.
func (c *cpus) given(w *cpuWaiter, n int) {
	w.got = n
	for i, x := range c.waiters {
		if x == w {
			c.waiters = append(c.waiters[:i], c.waiters[i+1:]...)
			c.waiting.Add(-1)
			return
		}
	}
}

// take takes a processor for t and returns its number; none if something wants
// t's attention before there is one.
func (c *cpus) take(t *Task) int {
	may := t.Affinity()
	for range cpuYields {
		if n := c.free(&may); n != none {
			return n
		}
		t.Yield()
	}
	w := &cpuWaiter{t, may, none}
	c.mu.Lock()
	c.waiters = append(c.waiters, w)
	c.waiting.Add(1)
	c.mu.Unlock()
	for {
		t.spot.Sleep(cpuLook * time.Duration(max(1, c.waiting.Load())))
		if s, ok := t.ctx.(platform.Sleeper); ok {
			s.Slept()
		}
		if n, over := c.look(w); over {
			return n
		}
		c.endTurn(w)
	}
}

// look returns what w has been given, or finds itself; none if it need not wait any
// more all the same. over is false if it must.
func (c *cpus) look(w *cpuWaiter) (n int, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.got == none {
		n := c.free(&w.may)
		if n == none && w.t.attention.Load() == 0 {
			return none, false
		}
		c.given(w, n)
	}
	return w.got, true
}

// free takes one that nobody has; none if there is none.
func (c *cpus) free(may *CPUSet) int {
	for n := range c.of {
		if may.Has(n) && c.of[n].taken.CompareAndSwap(false, true) {
			return n
		}
	}
	return none
}

// endTurn makes the thread leave the guest that has been there longest where w may be, if
// that is long enough, and w has been given none meanwhile: that one's turn is its own.
func (c *cpus) endTurn(w *cpuWaiter) {
	longest, since := none, hot.Now()-int64(cpuTurn)
	var who *Task
	for n := range c.of {
		t := c.of[n].last.Load()
		if t == nil || !w.may.Has(n) || !c.of[n].taken.Load() || t.ctx.Running() == 0 {
			continue
		}
		if began := c.of[n].since.Load(); began != 0 && began < since {
			longest, since, who = n, began, t
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if longest != none && w.got == none {
		c.of[longest].turnOver.Store(true)
		who.interruptGuest()
	}
}
