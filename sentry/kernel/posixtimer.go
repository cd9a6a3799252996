package kernel

import (
	"garrison/sentry/ktime"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// posixTimers is a process's timers by id. It is protected by groupSignals.mu.
type posixTimers struct {
	m    map[int32]*PosixTimer
	next int32

	chosen bool // programs choose the ids: prctl(PR_TIMER_CREATE_RESTORE_IDS)
}

// takeAll empties p; signals of the timers that are pending are dropped.
func (p *posixTimers) takeAll() (all []*PosixTimer) {
	for _, x := range p.m {
		x.deleted = true
		x.unqueue()
		all = append(all, x)
	}
	p.m, p.chosen = nil, false
	return all
}

// free is the next id that no timer has.
func (p *posixTimers) free() int32 {
	for p.m[p.next] != nil {
		p.next = (p.next + 1) & maxOverrun
	}
	id := p.next
	p.next = (id + 1) & maxOverrun
	return id
}

// ChooseTimerIDs says whether timer_create(2) takes ids from programs, until the next
// execve(2).
func (g *ThreadGroup) ChooseTimerIDs(on bool) {
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	g.sig.timers.chosen = on
}

// TimerIDsChosen is what ChooseTimerIDs said.
func (g *ThreadGroup) TimerIDsChosen() bool {
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	return g.sig.timers.chosen
}

// A PosixTimer is a timer of timer_create(2).
type PosixTimer struct {
	ID     int32
	g      *ThreadGroup
	target *Task // SIGEV_THREAD_ID
	event  linux.Sigevent
	real   *ktime.Timer // on a clock, or
	cpu    *cpuTimer    // on processor time

	// Protected by g.sig.mu:

	entry   queuedSignal
	overrun int64 // expirations besides the one in entry
	last    int32 // overrun of the last delivery
	deleted bool
}

// maxOverrun is DELAYTIMER_MAX.
const maxOverrun = 1<<31 - 1

// A CPUClock names the processor time of a process or a thread.
type CPUClock struct {
	Group *ThreadGroup
	Task  *Task // nil: the whole process
	User  bool  // user time alone
}

// Now is the time on c, in nanoseconds.
func (c *CPUClock) Now() int64 {
	x := cpuTimer{g: c.Group, t: c.Task, user: c.User}
	return x.now()
}

// NewTimer makes a timer on clock, or if that is nil on cpu: timer_create(2).
// EAGAIN if the user has too many queued signals; the caller has checked the event. Its
// id is id, EBUSY if that is some other timer's; the next free one if id is negative.
func (g *ThreadGroup) NewTimer(clock ktime.Clock, cpu *CPUClock, ev *linux.Sigevent, target *Task, id int32) (*PosixTimer, error) {
	x := &PosixTimer{g: g, target: target}
	u := g.k.users.account(g.Leader().Creds().RUID)
	if n := u.signals(1); uint64(n) > g.limits.Cur(limits.SigPending) {
		u.signals(-1)
		return nil, linux.EAGAIN
	}
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	if g.sig.timers.m == nil {
		g.sig.timers.m = map[int32]*PosixTimer{}
	}
	if id >= 0 && g.sig.timers.m[id] != nil {
		u.signals(-1)
		return nil, linux.EBUSY
	}
	if x.ID = id; id < 0 {
		x.ID = g.sig.timers.free()
	}
	g.sig.timers.m[x.ID] = x
	x.event = linux.Sigevent{Signo: int32(linux.SIGALRM), Value: uint64(x.ID)}
	if ev != nil {
		x.event = *ev
	}
	x.entry.timer = x
	if clock != nil {
		x.real = ktime.NewTimer(clock, x)
	} else {
		x.cpu = &cpuTimer{g: g, t: cpu.Task, user: cpu.User, listen: x}
		x.cpu.g = cpu.Group
	}
	return x, nil
}

// Timer finds a timer by its id; nil if there is none.
func (g *ThreadGroup) Timer(id int32) *PosixTimer {
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	return g.sig.timers.m[id]
}

// Timers lists the timers, by id, for /proc/pid/timers.
func (g *ThreadGroup) Timers() (out []*PosixTimer) {
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	for _, x := range g.sig.timers.m {
		out = append(out, x)
	}
	sortBy(out, func(x *PosixTimer) int32 { return x.ID })
	return out
}

// Now is the time on x's clock.
func (x *PosixTimer) Now() int64 {
	if x.real != nil {
		return x.real.Clock().Now()
	}
	return x.cpu.now()
}

// Clock is the clock that x runs on, CLOCK_PROCESS_CPUTIME_ID for any of processor time.
func (x *PosixTimer) Clock() linux.ClockID {
	if x.real != nil {
		return x.real.Clock().ID()
	}
	return linux.CLOCK_PROCESS_CPUTIME_ID
}

// Set is timer_settime(2): it arms x for s.At on its clock.
func (x *PosixTimer) Set(s ktime.Setting) (old ktime.Setting) {
	x.g.sig.mu.Lock()
	x.unqueue()
	x.overrun, x.last = 0, 0
	x.g.sig.mu.Unlock()
	if x.real != nil {
		return x.real.Set(s)
	}
	return x.cpu.arm(s)
}

// Get is timer_gettime(2).
func (x *PosixTimer) Get() ktime.Setting {
	if x.real != nil {
		return x.real.Get()
	}
	return x.cpu.get()
}

// Overrun is timer_getoverrun(2).
func (x *PosixTimer) Overrun() int32 {
	x.g.sig.mu.Lock()
	defer x.g.sig.mu.Unlock()
	return x.last
}

// Delete is timer_delete(2).
func (x *PosixTimer) Delete() {
	x.g.sig.mu.Lock()
	x.deleted = true
	x.unqueue()
	delete(x.g.sig.timers.m, x.ID)
	x.g.sig.mu.Unlock()
	x.stop()
}

// unqueue takes x's signal back. The caller holds g.sig.mu.
func (x *PosixTimer) unqueue() {
	if !x.entry.place.Linked() {
		return
	}
	if x.target != nil {
		x.target.pending.remove(&x.entry)
	} else {
		x.g.sig.shared.remove(&x.entry)
	}
}

// stop disarms x for good.
func (x *PosixTimer) stop() {
	if x.real != nil {
		x.real.Stop()
	} else {
		x.cpu.arm(ktime.Setting{})
	}
	x.g.k.users.account(x.g.Leader().Creds().RUID).signals(-1)
}

// Expired implements ktime.Listener.
func (x *PosixTimer) Expired(_ *ktime.Timer, n uint64) { x.cpuExpired(n) }

// cpuExpired sends x's signal, or counts if it is still pending.
func (x *PosixTimer) cpuExpired(n uint64) {
	if x.event.Notify == linux.SIGEV_NONE {
		return
	}
	g := x.g
	s := linux.Signal(x.event.Signo)
	g.sig.mu.Lock()
	defer func() {
		g.sig.mu.Unlock()
		g.sig.arrivals.Notify(wait.Readable)
	}()
	if x.deleted || x.target != nil && x.target.Killed() {
		return
	}
	if x.entry.place.Linked() {
		x.overrun += int64(n)
		return
	}
	x.overrun = int64(n) - 1
	if !g.prepare(x.target, s, false) {
		return
	}
	x.entry.info = linux.SigInfo{Signo: int32(s), Code: linux.SI_TIMER}
	x.entry.info.SetTimer(x.ID, 0)
	x.entry.info.SetValue(x.event.Value)
	p := &g.sig.shared
	if x.target != nil {
		p = &x.target.pending
	}
	p.add(&x.entry)
	g.complete(x.target, s)
}

// delivered completes the siginfo when x's signal is taken. The caller holds g.sig.mu.
func (x *PosixTimer) delivered(info *linux.SigInfo) {
	x.last = int32(min(x.overrun, maxOverrun))
	x.overrun = 0
	info.SetTimer(x.ID, x.last)
}

// Event is how x tells of its expirations.
func (x *PosixTimer) Event() (ev linux.Sigevent, target *Task) { return x.event, x.target }

// A CPUAlarm is a wait.Object that becomes ready when a processor time is used up.
type CPUAlarm struct {
	Gate
	x cpuTimer
}

// Alarm returns an alarm at time at on c. Stop it after use.
func (c *CPUClock) Alarm(at int64) *CPUAlarm {
	a := &CPUAlarm{x: cpuTimer{g: c.Group, t: c.Task, user: c.User}}
	a.x.listen = a
	a.x.arm(ktime.Setting{At: max(at, 1)})
	return a
}

func (a *CPUAlarm) cpuExpired(uint64) { a.Open() }

// Ready implements wait.Object.
func (a *CPUAlarm) Ready(e wait.Events) wait.Events {
	if a.Ticket() > 0 {
		return e & wait.Readable
	}
	return 0
}

// Stop ends the alarm.
func (a *CPUAlarm) Stop() { a.x.arm(ktime.Setting{}) }
