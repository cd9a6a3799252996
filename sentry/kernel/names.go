package kernel

import (
	"hash/maphash"
	"time"

	"garrison/platform"
	"garrison/sentry/linux"
)

// Name is the thread's name (comm), at most 15 bytes. Any goroutine may ask.
func (t *Task) Name() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.comm
}

// SetName changes the thread's name; it is cut to 15 bytes. Others than t's own
// goroutine use Rename, unless t has not begun to run.
func (t *Task) SetName(s string) {
	if len(s) > linux.TaskCommLen-1 {
		s = s[:linux.TaskCommLen-1]
	}
	t.mu.Lock()
	t.comm = s
	t.mu.Unlock()
	t.NameChanged()
}

// Rename is SetName for any goroutine.
func (t *Task) Rename(s string) {
	t.SetName(s)
	t.attend(attnName)
}

// NameChanged is to be called by t when it has other Space.Arguments (prctl(PR_SET_MM)).
func (t *Task) NameChanged() { t.attention.Or(attnName) }

// argsShown is how many bytes of a process's arguments the host shows at most.
const argsShown = 24 << 10

var argsSeed = maphash.MakeSeed()

// showNames has the host show what t and its program are called now, as soon as t is in
// the guest again.
func (t *Task) showNames() {
	t.attention.And(^attnName)
	n, ok := t.ctx.(platform.Namer)
	if !ok {
		return
	}
	args := t.space.Load().Arguments(argsShown)
	t.mu.Lock()
	comm := t.comm
	t.shown = maphash.Bytes(argsSeed, args)
	t.mu.Unlock()
	n.Name(comm, args)
}

// showNamesAsleep is showNames at once, for a task that may sleep for long.
func (t *Task) showNamesAsleep() {
	if s := t.space.Load(); s != nil && !t.Killed() {
		t.showNames()
		_ = s.AddressSpace().Barrier(t.ctx) // what is wrong with it, the next Switch will say
	}
}

// ShowNames is for who is about to look at the host: programs write over their
// arguments (setproctitle(3)) and tell nobody. It waits until the host shows them as
// they are; for processes that are stopped or busy in the kernel, no longer than d.
func (c *Container) ShowNames(d time.Duration) {
	var asked []*Task
	for _, g := range c.Groups() {
		if t := g.living(); t != nil && t.misnamed() {
			t.attend(attnName)
			asked = append(asked, t)
		}
	}
	const step = time.Millisecond
	for _, t := range asked {
		for ; d > 0 && t.attention.Load()&attnName != 0; d -= step {
			time.Sleep(step)
		}
	}
}

// misnamed reports whether the arguments of t's program are not those that the host
// was last told to show for t.
func (t *Task) misnamed() bool {
	s := t.SpaceOf()
	if s == nil {
		return false
	}
	now := maphash.Bytes(argsSeed, s.Arguments(argsShown))
	s.DecUsers()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown != now
}

// living is the leader, or if that has ended, another thread; nil if all have.
func (g *ThreadGroup) living() *Task {
	g.sig.mu.Lock()
	defer g.sig.mu.Unlock()
	for _, t := range g.sig.tasks {
		if t.attention.Load()&attnExit == 0 {
			return t
		}
	}
	return nil
}

// HostProcess is the host process that is g's address space, as the sentry's pid
// namespace numbers it; 0 if there is none, or if nobody knows.
func (g *ThreadGroup) HostProcess() int {
	if t := g.living(); t != nil {
		if c, ok := t.ctx.(platform.CPUTimer); ok {
			process, _ := c.GuestTime()
			return process
		}
	}
	return 0
}
