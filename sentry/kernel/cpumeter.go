package kernel

import (
	"garrison/platform"
	"garrison/sentry/lock"
)

// A cpuMeter makes processor time of the time for which a process's tasks wanted
// to run. On a busy host that is more than they did, so what they are said to have
// used is bounded by what the host has counted, where the platform can ask it.
// That happens when somebody wants to know, and at a thread's end.
//
// The host's clock of the guest's process bounds user time, that of a task's own
// thread its system time. What one has left over is the other's: hand-overs take
// both, and a stub does part of the kernel's work. Clocks never go back.
//
// Processes that share an address space, as by vfork(2), are each bounded by all
// that its host process has used meanwhile.
type cpuMeter struct {
	mu      lock.Mutex[lock.Leaf]
	tasks   []*Task    // that have not ended; this and all below is protected by mu
	ended   cpuUse     // of those that have
	open    openTime   // ditto, not yet in ended
	balance cpuBalance // of the process
	process int        // whose clock guest is
	guest   int64      // what it was at the last look
}

// cpuUse is processor time, in nanoseconds.
type cpuUse struct{ user, system int64 }

// openTime is what a look at a task has found and the process's clock has still to
// be asked for, in nanoseconds.
type openTime struct {
	user  int64 // wanted in the guest
	lack  int64 // wanted in the kernel, and more than its thread has run
	spare int64 // its thread has run, and more than it wanted in the kernel
}

func (o *openTime) add(p openTime) {
	o.user += p.user
	o.lack += p.lack
	o.spare += p.spare
}

// taskMeter is a task's part of its process's cpuMeter, whose mu protects it.
type taskMeter struct {
	index  int    // in tasks, from 1 on; 0 when it is not there
	wanted cpuUse // what had been wanted at the last look,
	server int64  // and the clock of its thread
	used   cpuUse // the result
	open   openTime
	last   *lastTimes
}

// lastTimes is what the platform said before a task gave up its Context.
type lastTimes struct {
	process       int
	guest, server int64
}

// hostServer and hostGuest are what the host says about t; ok is false if it can't be
// asked.
func (t *Task) hostServer() (ns int64, ok bool) {
	if l := t.cputime.meter.last; l != nil {
		return l.server, true
	}
	c, ok := t.ctx.(platform.CPUTimer)
	if !ok {
		return 0, false
	}
	return c.ServerTime(), true
}

func (t *Task) hostGuest() (process int, ns int64) {
	if l := t.cputime.meter.last; l != nil {
		return l.process, l.guest
	}
	if c, ok := t.ctx.(platform.CPUTimer); ok {
		return c.GuestTime()
	}
	return 0, 0
}

// add makes t's time count.
func (m *cpuMeter) add(t *Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tasks = append(m.tasks, t)
	t.cputime.meter.index = len(m.tasks)
}

func (m *cpuMeter) removeLocked(t *Task) {
	i := t.cputime.meter.index - 1
	if i < 0 {
		return
	}
	n := len(m.tasks) - 1
	m.tasks[i] = m.tasks[n]
	m.tasks[i].cputime.meter.index = i + 1
	m.tasks[n] = nil
	m.tasks = m.tasks[:n]
	t.cputime.meter.index = 0
}

// remove forgets t, which never ran.
func (m *cpuMeter) remove(t *Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removeLocked(t)
}

// share makes what by's host process has used so far not count for m's process,
// which begins in it.
func (m *cpuMeter) share(by *Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process, m.guest = by.hostGuest()
}

// lookLocked brings t's own figures up to date, as far as its thread's clock goes.
// hosted is false if there is none: then what is wanted is used.
func (m *cpuMeter) lookLocked(t *Task) (hosted bool) {
	c := &t.cputime.meter
	user, system := t.wanted()
	wantUser, wantSystem := max(user-c.wanted.user, 0), max(system-c.wanted.system, 0)
	c.wanted.user += wantUser
	c.wanted.system += wantSystem
	if wantUser == 0 && wantSystem == 0 {
		return true // asleep all the time
	}
	server, ok := t.hostServer()
	if !ok {
		c.used.user += wantUser
		c.used.system += wantSystem
		return false
	}
	ran := max(server-c.server, 0)
	c.server += ran
	use := min(wantSystem, ran)
	c.used.system += use
	c.open.add(openTime{user: wantUser, lack: wantSystem - use, spare: ran - use})
	return true
}

// settleLocked brings all figures up to date.
func (m *cpuMeter) settleLocked() {
	open := m.open
	for _, t := range m.tasks {
		if !m.lookLocked(t) {
			continue
		}
		open.add(t.cputime.meter.open)
	}
	if open == (openTime{}) {
		return
	}
	user, system := m.balance.settle(open, m.guestLocked())
	u, s := portion(user, open.user), portion(system, open.lack)
	m.ended.user += u(m.open.user)
	m.ended.system += s(m.open.lack)
	m.open = openTime{}
	for _, t := range m.tasks {
		c := &t.cputime.meter
		c.used.user += u(c.open.user)
		c.used.system += s(c.open.lack)
		c.open = openTime{}
	}
}

// portion divides n among those who want total.
func portion(n, total int64) func(want int64) int64 {
	if n == total || total == 0 {
		return func(want int64) int64 { return want }
	}
	r := float64(n) / float64(total)
	return func(want int64) int64 { return int64(float64(want) * r) }
}

// guestLocked is how long the guest's host process has run since the last look.
func (m *cpuMeter) guestLocked() int64 {
	var process int
	var now int64
	for _, t := range m.tasks {
		if process, now = t.hostGuest(); process != 0 && t.cputime.meter.last == nil {
			break
		}
	}
	if process == 0 {
		return 0
	}
	if process != m.process {
		m.process, m.guest = process, 0
	}
	ran := max(now-m.guest, 0)
	m.guest += ran
	return ran
}

// A cpuBalance is what the clocks of one process have left over.
type cpuBalance struct{ user, host int64 }

// carry is how much of that is kept: the clocks are not read all at one time, so
// a little of what one shows now, another shows the next time.
const carry = 2_000_000

// settle divides what the host process has run, guest, and o.spare: it returns what
// of o.user and o.lack has been used.
func (b *cpuBalance) settle(o openTime, guest int64) (user, lack int64) {
	want, ran := b.user+o.user, b.host+o.spare+guest
	if o.user > 0 {
		user = min(want, ran)
	}
	lack = min(o.lack, ran-user)
	b.user = min(want-user, carry)
	b.host = min(ran-user-lack, carry)
	return user, lack
}

// use is t's processor time.
func (m *cpuMeter) use(t *Task) cpuUse {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settleLocked()
	return t.cputime.meter.used
}

// total is the processor time of all tasks, also those that have ended.
func (m *cpuMeter) total() cpuUse {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settleLocked()
	n := m.ended
	for _, t := range m.tasks {
		n.user += t.cputime.meter.used.user
		n.system += t.cputime.meter.used.system
	}
	return n
}

// wanted is for how long the tasks that have not ended wanted to run so far. It
// stays the same while all sleep.
func (m *cpuMeter) wanted() (ns int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tasks {
		user, system := t.wanted()
		ns += user + system
	}
	return ns
}

// leaveProcess is called when t is about to exchange its address space, perhaps
// for one with another clock.
func (m *cpuMeter) leaveProcess(t *Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	user, system := t.wanted()
	c := &t.cputime.meter
	// Little is not worth asking for: the next one allows for it.
	if m.open != (openTime{}) || user+system-c.wanted.user-c.wanted.system >= carry {
		m.settleLocked()
	}
	m.process = 0 // whichever is next, its clock begins at 0
}

// leaveContext is called when t is about to release its Context.
func (m *cpuMeter) leaveContext(t *Task) {
	timer, ok := t.ctx.(platform.CPUTimer)
	if !ok {
		return
	}
	l := &lastTimes{server: timer.ServerTime()}
	l.process, l.guest = timer.GuestTime()
	m.mu.Lock()
	defer m.mu.Unlock()
	t.cputime.meter.last = l
}

// end takes t, which ends, off. The host is asked for the last one alone: what
// others have wanted can wait for who wants to know.
func (m *cpuMeter) end(t *Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &t.cputime.meter
	if len(m.tasks) == 1 {
		m.settleLocked()
	} else {
		m.lookLocked(t)
		m.open.add(c.open)
		c.open = openTime{}
	}
	m.ended.user += c.used.user
	m.ended.system += c.used.system
	m.removeLocked(t)
}
