// Package place chooses processors for guest threads and the threads that serve
// them: a hand-over costs ten times as much across two processors as on one.
package place

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/hot"
)

// period is how often placement is reconsidered while guests run.
const period = 4 * time.Millisecond

// CPUs decides where guest threads run. A guest thread and the thread that
// serves it hand over to each other in a few µs on one processor and in ten
// times that across two, so each pair is bound to one: the server for good, the
// guest for as long as it keeps returning to the sentry. A guest that computes
// for a whole period without an event is set loose, for the host to place as it
// thinks best, and bound again at its next Switch. A processor whose bound guests
// together want clearly more than all of its time gives one to another that has
// time to spare. And since not all load is ours, a bound guest that stays busy
// asks the host again twice a second. Guests in conversation stay where they are
// (talk.go).
type CPUs struct {
	first unix.CPUSet // processors this process could use when it began

	// settled is called after guests have run for a while.
	settled func()
	whole   atomic.Pointer[Pair] // who is apart, if that takes all processors
	armed   atomic.Bool          // timer is running
	ticks   uint                 // tick's alone
	timer   *time.Timer

	mu      sync.Mutex
	allowed []int       // processors this process may use
	all     unix.CPUSet // the same
	pairs   []*Pair     // all there are
	last    int64       // time of the last tick
	apart   int         // how many pairs are apart
	off     bool        // the host refuses affinity, or the platform is gone
}

// wantNew asks the host for a new processor.
const wantNew = -1

// rehomePeriods is after how many periods of being busy that is done.
const rehomePeriods = 128

// A Pair is a guest thread and the thread that serves it.
type Pair struct {
	// Affinity says where the guest's host thread may run, as
	// sched_setaffinity(2) does; it may be called by any goroutine.
	Affinity func(*unix.CPUSet) error

	index   int  // in CPUs.pairs
	hasHome bool // cpu is where its server is bound, or is to be
	cpu     int

	apart     atomic.Bool  // the guest thread has another processor than its server
	contested atomic.Bool  // another guest wanted one of them
	bound     atomic.Int32 // the processor the guest thread is bound to + 1, 0 when loose
	want      atomic.Int32 // the processor the pair should move to + 1, 0 for none, wantNew
	since     int64        // when the running Switch began (CLOCK_MONOTONIC); 0: none is. By hot.Store, as
	served    int64        // ns spent in finished Switches
	seen      int64        // total at the last tick; the tick's alone
	busy      int          // for how many ticks it has used most of its time; ditto
	naps      int64        // how often its server has slept, as served
	talk      talk         // protected by CPUs.mu
}

// New returns a placement over the processors this process may use. settled is
// called now and then while guests run, and when none has for a while.
func New(settled func()) *CPUs {
	c := &CPUs{last: hot.Now(), settled: settled}
	c.off = true
	if unix.SchedGetaffinity(0, &c.first) == nil {
		c.setAllowedLocked(c.first)
	}
	c.timer = time.AfterFunc(time.Hour, c.tick)
	return c
}

// setAllowedLocked makes set the processors to choose from.
func (c *CPUs) setAllowedLocked(set unix.CPUSet) {
	c.all, c.allowed = set, c.allowed[:0]
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			c.allowed = append(c.allowed, i)
		}
	}
	c.off = len(c.allowed) < 2
}

// readAgainLocked asks the host which processors are left of those this
// process had at first. The calling thread, a bound one, finds out by asking
// for all there are.
func (c *CPUs) readAgainLocked() {
	var every, now unix.CPUSet
	for i := range every {
		every[i] = ^every[i]
	}
	if unix.SchedSetaffinity(0, &every) != nil || unix.SchedGetaffinity(0, &now) != nil {
		c.off = true
		return
	}
	both := now
	for i := range both {
		both[i] &= c.first[i]
	}
	if both.Count() == 0 {
		both = now
	}
	c.setAllowedLocked(both)
}

// Add makes x known.
func (c *CPUs) Add(x *Pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x.index = len(c.pairs)
	c.pairs = append(c.pairs, x)
}

// Remove forgets x.
func (c *CPUs) Remove(x *Pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joinLocked(x)
	i := x.index
	if i >= len(c.pairs) || c.pairs[i] != x {
		return
	}
	last := c.pairs[len(c.pairs)-1]
	c.pairs[i], last.index = last, i
	c.pairs[len(c.pairs)-1] = nil
	c.pairs = c.pairs[:len(c.pairs)-1]
}

// Inherit makes a new thread start where its parent runs: its first pages and
// the parent's answers are in that processor's cache, and no other has to be
// woken. If both go on running, the balance will part them.
func (p *Pair) Inherit(parent *Pair) { p.cpu, p.hasHome = parent.cpu, parent.hasHome }

// Pin binds the calling thread and x's guest thread to one processor, before the
// one first serves the other.
func (c *CPUs) Pin(x *Pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joinLocked(x)
	if c.off {
		return
	}
	if !x.hasHome {
		x.cpu = c.hereLocked()
		x.hasHome = true
	}
	c.bindLocked(x, true)
}

// hereLocked is the processor the calling thread runs on, where the host has
// put it, who knows also the load that isn't ours.
func (c *CPUs) hereLocked() int {
	if cpu := currentCPU(); slices.Contains(c.allowed, cpu) {
		return cpu
	}
	return c.allowed[0]
}

// bindLocked binds x's guest thread, and with server the calling thread, to x's cpu.
// A thread that served another there before is bound already.
func (c *CPUs) bindLocked(x *Pair, server bool) {
	for range 2 {
		var set unix.CPUSet
		set.Set(x.cpu)
		var err error
		if now := (unix.CPUSet{}); server && (unix.SchedGetaffinity(0, &now) != nil || now != set) {
			err = unix.SchedSetaffinity(0, &set)
		}
		if err == nil {
			err = x.Affinity(&set)
		}
		if err != unix.EINVAL {
			x.bound.Store(int32(x.cpu) + 1)
			return
		}
		// The cpuset has changed, and this processor is no longer in it.
		c.readAgainLocked()
		if c.off {
			_ = x.Affinity(&c.all)
			return
		}
		x.cpu, server = c.hereLocked(), true
	}
}

// Resume is called on x's server thread before the guest runs. It returns the
// time (CLOCK_MONOTONIC).
func (c *CPUs) Resume(x *Pair) (now int64) {
	if x.want.Load() != 0 || x.bound.Load() == 0 {
		if want := x.want.Swap(0); want == wantNew {
			c.rehome(x)
		} else {
			c.rebind(x, want)
		}
	}
	c.contest(x)
	now = hot.Now()
	hot.Store(&x.since, now)
	if !c.armed.Load() && c.armed.CompareAndSwap(false, true) {
		c.timer.Reset(period)
	}
	return now
}

func (c *CPUs) rebind(x *Pair, want int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return
	}
	c.joinLocked(x)
	move := want != 0 && int(want-1) != x.cpu
	if move {
		x.cpu = int(want - 1)
	}
	c.bindLocked(x, move)
}

// rehome asks the host where x should run: it lets the calling thread go and
// sleeps for a moment. Where it wakes up is where it was, unless others want
// that processor too and another is idle.
func (c *CPUs) rehome(x *Pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joinLocked(x)
	if c.off || unix.SchedSetaffinity(0, &c.all) != nil {
		return
	}
	c.mu.Unlock()
	nap := unix.Timespec{Nsec: 1000}
	_ = unix.Nanosleep(&nap, nil)
	c.mu.Lock()
	if !c.off {
		x.cpu = c.hereLocked()
		c.bindLocked(x, true)
	}
}

// Pause is called when the guest has stopped. It returns the time, as Resume.
func (c *CPUs) Pause(x *Pair) (now int64) {
	now = hot.Now()
	hot.Store(&x.served, x.served+now-x.since)
	hot.Store(&x.since, 0)
	return now
}

// Running is when the present Switch began, as Resume returned it; 0 if there is none.
func (p *Pair) Running() int64 { return atomic.LoadInt64(&p.since) }

// tick reconsiders all placements, and comes again if any guest has run.
func (c *CPUs) tick() {
	if c.reconsider() {
		if c.ticks++; c.ticks%64 == 0 {
			c.settled()
		}
		c.timer.Reset(period)
		return
	}
	c.settled()
	c.armed.Store(false)
	// A guest that began to run while armed was still set relied on this tick.
	if c.boundGuests() && c.armed.CompareAndSwap(false, true) {
		c.timer.Reset(period)
	}
}

// boundGuests reports whether a bound guest is running.
func (c *CPUs) boundGuests() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return false
	}
	for _, x := range c.pairs {
		if x.Running() != 0 && x.bound.Load() != 0 {
			return true
		}
	}
	return false
}

// reconsider sets computing guests loose and balances the others.
func (c *CPUs) reconsider() (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return false
	}
	now := hot.Now()
	span := min(time.Duration(now-c.last), 4*period)
	c.last = now
	demand := make(map[int]time.Duration, len(c.allowed))
	used := make([]time.Duration, len(c.pairs))
	for i, x := range c.pairs {
		p := x
		since, total := x.Running(), atomic.LoadInt64(&p.served)
		running := since != 0
		if running {
			total += now - since
		}
		used[i] = min(time.Duration(total-p.seen), span)
		p.seen = total
		p.talk.tick(atomic.LoadInt64(&p.naps), used[i])
		if used[i] < span/2 {
			p.busy = 0
		} else if p.busy++; p.busy%rehomePeriods == 0 && !p.talk.often() {
			p.want.Store(wantNew)
		}
		if p.bound.Load() == 0 {
			continue
		}
		if running && time.Duration(now-since) > period {
			c.joinLocked(x)
			p.bound.Store(0)
			_ = x.Affinity(&c.all)
			continue
		}
		if used[i] > 0 {
			again = true
			demand[p.cpu] += used[i]
		}
	}
	c.balanceLocked(demand, used, span)
	return again
}

// balanceLocked moves one bound context from the busiest processor to the
// idlest, if the one has clearly too much to do and the other too little. What is
// in conversation stays.
func (c *CPUs) balanceLocked(demand map[int]time.Duration, used []time.Duration, span time.Duration) {
	busiest, idlest := c.allowed[0], c.allowed[0]
	for _, cpu := range c.allowed {
		if demand[cpu] > demand[busiest] {
			busiest = cpu
		}
		if demand[cpu] < demand[idlest] {
			idlest = cpu
		}
	}
	if demand[busiest] < span*5/4 || demand[idlest] > span/2 {
		return
	}
	// The least busy of those that matter: it is moved most cheaply.
	var mover *Pair
	least := span + 1
	for i, x := range c.pairs {
		if x.bound.Load() != 0 && x.cpu == busiest && !x.talk.often() && used[i] > span/8 && used[i] < least {
			mover, least = x, used[i]
		}
	}
	if mover != nil {
		mover.want.Store(int32(idlest) + 1)
	}
}

// Stop ends all placing.
func (c *CPUs) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	c.timer.Stop()
}
