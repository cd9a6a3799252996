package kernel

import (
	"sync/atomic"

	"garrison/sentry/ktime"
	"garrison/sentry/lock"
)

// cpuTimers is a process's timers on its processor time. The host is not asked
// to watch it: the process looks again when the time could have been used up
// at the earliest, and not while it sleeps.
type cpuTimers struct {
	// parked says that nothing ran when the timers were looked at last: a task
	// that wakes up starts them again.
	parked atomic.Bool

	mu    lock.Mutex[lock.Leaf]
	all   map[*cpuTimer]struct{} // armed; protected by mu
	check *ktime.Timer           // protected by mu
	// wanted is how long the process had wanted to run when looked at last: while
	// that stands still, it sleeps. protected by mu
	wanted int64
}

// A cpuListener is told when a cpuTimer expires, with no lock held.
type cpuListener interface{ cpuExpired(n uint64) }

// A cpuTimer expires when a process or a thread has used a given processor time.
type cpuTimer struct {
	g      *ThreadGroup
	t      *Task // nil: the whole process
	user   bool  // user time alone
	listen cpuListener
	set    ktime.Setting // protected by g.cpu.mu
}

// minCheck is the least time between two looks, in nanoseconds.
const minCheck = 500_000

// now is the processor time that x runs on.
func (x *cpuTimer) now() int64 {
	var u, s int64
	if x.t != nil {
		u, s = x.t.CPUTime()
	} else {
		u, s = x.g.CPUTime()
	}
	if x.user {
		return u
	}
	return u + s
}

// arm sets x to expire at s.At, 0 for not at all, and returns what it was set to.
func (x *cpuTimer) arm(s ktime.Setting) (old ktime.Setting) {
	c := &x.g.cpu
	c.mu.Lock()
	old, x.set = x.set, s
	if s.At == 0 {
		delete(c.all, x)
	} else {
		if c.all == nil {
			c.all = map[*cpuTimer]struct{}{}
			c.check = ktime.NewTimer(&x.g.k.Clocks.Monotonic, &cpuCheck{x.g})
		}
		c.all[x] = struct{}{}
	}
	c.mu.Unlock()
	if s.At != 0 {
		c.resume()
	}
	return old
}

// get is what x is set to, At 0 when it is not armed.
func (x *cpuTimer) get() ktime.Setting {
	x.g.cpu.mu.Lock()
	defer x.g.cpu.mu.Unlock()
	return x.set
}

// resume makes the timers be looked at soon.
func (c *cpuTimers) resume() {
	c.parked.Store(false)
	c.mu.Lock()
	check := c.check
	c.mu.Unlock()
	if check != nil {
		check.Set(ktime.Setting{At: check.Clock().Now() + minCheck})
	}
}

// stop disarms all, at the process's end.
func (c *cpuTimers) stop() {
	c.mu.Lock()
	clear(c.all)
	check := c.check
	c.mu.Unlock()
	if check != nil {
		check.Stop()
	}
}

// cpuCheck looks at a process's timers.
type cpuCheck struct{ g *ThreadGroup }

// Expired implements ktime.Listener.
func (k *cpuCheck) Expired(t *ktime.Timer, _ uint64) {
	c := &k.g.cpu
	wanted := k.g.times.meter.wanted()
	threads := int64(max(k.g.Threads(), 1))
	c.mu.Lock()
	timers := make([]*cpuTimer, 0, len(c.all))
	for x := range c.all {
		timers = append(timers, x)
	}
	idle := wanted == c.wanted
	c.wanted = wanted
	c.mu.Unlock()
	if len(timers) == 0 {
		return
	}
	soon := int64(1 << 62)
	for _, x := range timers {
		if left := x.expire(); left > 0 {
			soon = min(soon, left)
		}
	}
	if idle {
		// A task that woke between wanted and here finds parked false: look
		// once more after setting it.
		c.parked.Store(true)
		if k.g.times.meter.wanted() == wanted {
			return
		}
		c.parked.Store(false)
	}
	if soon < 1<<62 {
		t.Set(ktime.Setting{At: t.Clock().Now() + max(soon/threads, minCheck)})
	}
}

// expire tells x's listener if it is due, and returns the time left until it is
// next, 0 for never.
func (x *cpuTimer) expire() (left int64) {
	now := x.now()
	c := &x.g.cpu
	c.mu.Lock()
	if x.set.At == 0 {
		c.mu.Unlock()
		return 0
	}
	if now < x.set.At {
		left = x.set.At - now
		c.mu.Unlock()
		return left
	}
	n := uint64(1)
	if i := x.set.Interval; i > 0 {
		n = uint64((now-x.set.At)/i) + 1
		x.set.At += int64(n) * i
		left = x.set.At - now
	} else {
		x.set.At = 0
		delete(c.all, x)
	}
	c.mu.Unlock()
	x.listen.cpuExpired(n)
	return left
}
