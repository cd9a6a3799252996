package kernel

import (
	"sync/atomic"

	"garrison/platform/hot"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
)

// taskTimes is where a task's time goes: it wants a processor from when it is woken
// until it sleeps. What of that it had, meter says. Any goroutine may read it; the
// first three are the task's to write.
type taskTimes struct {
	user   int64 // nanoseconds in the guest
	system int64 // nanoseconds in the kernel
	since  int64 // CLOCK_MONOTONIC of the last change; 0 while asleep

	faults    atomic.Int64
	voluntary atomic.Int64 // sleeps

	begun int64 // CLOCK_BOOTTIME of the task's start

	meter taskMeter

	// For /proc/pid/io: bytes and calls of read and write.
	io IOCounters
}

// IOCounters is /proc/pid/io. The calls that read and write count here.
type IOCounters struct {
	ReadBytes, WrittenBytes, Reads, Writes atomic.Uint64
}

// Read counts a call that read n bytes, n negative if it failed; Wrote one that wrote.
func (c *IOCounters) Read(n int64) {
	c.Reads.Add(1)
	c.ReadBytes.Add(uint64(max(n, 0)))
}

// Wrote counts a call that wrote n bytes.
func (c *IOCounters) Wrote(n int64) {
	c.Writes.Add(1)
	c.WrittenBytes.Add(uint64(max(n, 0)))
}

func (c *taskTimes) start() { hot.Store(&c.since, hot.Now()) }

// stop begins a sleep.
func (c *taskTimes) stop() {
	hot.Store(&c.system, c.system+hot.Now()-c.since)
	hot.Store(&c.since, 0)
	c.voluntary.Add(1)
}

// wasInGuest takes account of a visit to the guest.
func (c *taskTimes) wasInGuest(began, ended int64) {
	hot.Store(&c.system, c.system+began-c.since)
	hot.Store(&c.user, c.user+ended-began)
	hot.Store(&c.since, ended)
}

// wanted is the time in the guest and in the kernel, with what has passed since
// the last change.
func (t *Task) wanted() (user, system int64) {
	c := &t.cputime
	user, system = atomic.LoadInt64(&c.user), atomic.LoadInt64(&c.system)
	since := atomic.LoadInt64(&c.since)
	if since == 0 {
		return user, system
	}
	now := max(hot.Now(), since)
	if began := t.ctx.Running(); began > since { // in the guest
		return user + max(now-began, 0), system + began - since
	}
	return user, system + now - since
}

// groupTimes is a process's processor time, and what else its threads that have
// ended have counted.
type groupTimes struct {
	meter             cpuMeter
	faults, voluntary atomic.Int64
	maxRSS            atomic.Int64 // bytes
	filled            filledPages
	io                IOCounters // also of children waited for
}

// Measured takes note of the memory of g that s was, as its Stats or EndRSS has
// measured: peak in bytes, and pages that were filled without a fault.
func (g *ThreadGroup) Measured(s *mm.Space, peak, filled uint64) {
	raise(&g.times.maxRSS, int64(peak))
	g.times.filled.saw(s, int64(filled))
}

func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); n > old && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}

// childTimes is the times of children waited for, and theirs. It is protected by
// Kernel.tasks.
type childTimes struct {
	user, system, faults, voluntary int64
	maxRSS                          int64
}

// CPUTime is the processor time t has used, in nanoseconds. Any goroutine may ask.
func (t *Task) CPUTime() (user, system int64) {
	u := t.tg.times.meter.use(t)
	return u.user, u.system
}

// StartTime is CLOCK_BOOTTIME when t was made, in nanoseconds.
func (t *Task) StartTime() int64 { return t.cputime.begun }

// Started is CLOCK_REALTIME when t was made, as that clock counts now.
func (t *Task) Started() int64 {
	return t.k.Clocks.Realtime.Now() - (t.k.Clocks.Boottime.Now() - t.cputime.begun)
}

// add adds what o has counted.
func (c *IOCounters) add(o *IOCounters) {
	c.ReadBytes.Add(o.ReadBytes.Load())
	c.WrittenBytes.Add(o.WrittenBytes.Load())
	c.Reads.Add(o.Reads.Load())
	c.Writes.Add(o.Writes.Load())
}

// AddIO adds to c what all threads of g have read and written, also those that have
// ended, and the children waited for.
func (g *ThreadGroup) AddIO(c *IOCounters) {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	c.add(&g.times.io)
	for t := range g.tasks.All() {
		if !t.zombie {
			c.add(&t.cputime.io)
		}
	}
}

// AddIO adds to c what t has read and written.
func (t *Task) AddIO(c *IOCounters) { c.add(&t.cputime.io) }

// IO is t's counters of reads and writes.
func (t *Task) IO() *IOCounters { return &t.cputime.io }

// CPUTime is the processor time of all threads, also those that have ended. Any
// goroutine may ask.
func (g *ThreadGroup) CPUTime() (user, system int64) {
	u := g.times.meter.total()
	return u.user, u.system
}

// ChildrenTime is the processor time of the children waited for.
func (g *ThreadGroup) ChildrenTime() (user, system int64) {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.childTime.user, g.childTime.system
}

// fold adds the times of a thread that ends to its process. The caller holds tasks.
func (g *ThreadGroup) fold(t *Task) {
	g.times.meter.end(t)
	g.times.faults.Add(t.cputime.faults.Load())
	g.times.voluntary.Add(t.cputime.voluntary.Load())
	g.times.io.add(&t.cputime.io)
}

// Rusage is getrusage(RUSAGE_SELF), ChildrenRusage RUSAGE_CHILDREN.
func (g *ThreadGroup) Rusage() linux.Rusage {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	return g.rusage()
}

func (g *ThreadGroup) rusage() linux.Rusage {
	user, system := g.CPUTime()
	faults, sleeps := g.times.faults.Load()+g.times.filled.total(), g.times.voluntary.Load()
	rss := g.times.maxRSS.Load()
	for t := range g.tasks.All() {
		if !t.zombie {
			faults += t.cputime.faults.Load()
			sleeps += t.cputime.voluntary.Load()
		}
	}
	return rusageOf(user, system, faults, sleeps, rss)
}

// ChildrenRusage is getrusage(RUSAGE_CHILDREN).
func (g *ThreadGroup) ChildrenRusage() linux.Rusage {
	g.k.tasks.RLock()
	defer g.k.tasks.RUnlock()
	c := &g.childTime
	return rusageOf(c.user, c.system, c.faults, c.voluntary, c.maxRSS)
}

// Rusage is getrusage(RUSAGE_THREAD). Which thread touched a page first nobody knows:
// those faults are the leader's.
func (t *Task) Rusage() linux.Rusage {
	t.k.tasks.RLock()
	defer t.k.tasks.RUnlock()
	return t.rusage()
}

func (t *Task) rusage() linux.Rusage {
	u, s := t.CPUTime()
	faults := t.cputime.faults.Load()
	if t.tg.leader == t {
		faults += t.tg.times.filled.total()
	}
	return rusageOf(u, s, faults, t.cputime.voluntary.Load(), t.tg.times.maxRSS.Load())
}

func rusageOf(user, system, faults, sleeps, rss int64) linux.Rusage {
	return linux.Rusage{
		Utime: linux.NsecToTimespec(user).Timeval(), Stime: linux.NsecToTimespec(system).Timeval(),
		Maxrss: rss >> 10, Minflt: faults, Nvcsw: sleeps,
	}
}

// total is g's own usage and its waited-for children's, as a wait(2) for g
// reports it and adds it to the parent's. The caller holds tasks.
func (g *ThreadGroup) total() childTimes {
	u, s := g.CPUTime()
	c := g.childTime
	c.user += u
	c.system += s
	c.faults += g.times.faults.Load() + g.times.filled.total()
	c.voluntary += g.times.voluntary.Load()
	c.maxRSS = max(c.maxRSS, g.times.maxRSS.Load())
	return c
}

func (c *childTimes) add(o childTimes) {
	c.user += o.user
	c.system += o.system
	c.faults += o.faults
	c.voluntary += o.voluntary
	c.maxRSS = max(c.maxRSS, o.maxRSS)
}
