package kernel

import (
	"sync/atomic"
	"time"

	"garrison/platform"
	"garrison/platform/park"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// Reasons for a task's attention: what must be seen to before it goes back to
// the guest, and what ends its sleep.
const (
	attnSignal uint32 = 1 << iota // a signal that is not blocked may be pending
	attnStop                      // its process is stopping, or stopped
	attnKill                      // it is to end: SIGKILL, exit_group, another thread's execve
	attnPause                     // the sandbox is to stand still
	attnExit                      // it called exit
	attnNotify                    // the parent is to be told of a stop or continuation
	attnTrap                      // it is to stop for its tracer
	attnFilter                    // another thread has changed its seccomp(2) filters
	attnMove                      // it may have to leave its processor, or its section of rseq(2)
	attnName                      // the host is to show it by other names

	// attnInterrupts end an interruptible sleep; a pause does not.
	attnInterrupts = attnSignal | attnStop | attnKill | attnNotify | attnTrap
)

// taskSleep is what Block needs, kept to spare allocations.
type taskSleep struct {
	spot  park.Spot     `save:"-"` // where it sleeps: events and attention wake it
	kill  chan struct{} `save:"-"` // closed by attnKill
	watch wait.Watch

	source  wait.Source `save:"-"` // what it fetches from, for the next
	fetches int         `save:"-"` // that many sleeps
}

func newTaskSleep() taskSleep { return taskSleep{kill: make(chan struct{})} }

// Block implements vfs.Ctx: it waits until o may be ready for one of mask. It
// (with its siblings below) is the only place where a task sleeps; a signal, a
// stop and a checkpoint all end it with ERESTARTSYS.
func (t *Task) Block(o wait.Object, mask wait.Events) error {
	return t.BlockUntil(o, mask, ktime.Deadline{})
}

// BlockFor implements vfs.Ctx: Block that gives up after d with ETIMEDOUT.
func (t *Task) BlockFor(o wait.Object, mask wait.Events, d time.Duration) error {
	return t.BlockUntil(o, mask, ktime.After(&t.k.Clocks.Monotonic, int64(d)))
}

// BlockUntil is Block that gives up with ETIMEDOUT when d has come. o nil waits
// for nothing else.
func (t *Task) BlockUntil(o wait.Object, mask wait.Events, d ktime.Deadline) error {
	if o == nil {
		for {
			if err := t.sleep(nil, 0, d, attnInterrupts); err != nil {
				return err
			}
		}
	}
	w := &t.watch
	if w.Linked() { // a wait within a wait: a File that blocks for another
		w = new(wait.Watch)
	}
	w.Mask, w.To = mask, t
	o.Watch(w)
	defer o.Unwatch(w)
	return t.sleep(o, mask, d, attnInterrupts)
}

// BlockKillable is Block that only the task's end interrupts: what Linux does
// in TASK_KILLABLE.
func (t *Task) BlockKillable(o wait.Object, mask wait.Events) error {
	w := wait.Watch{Mask: mask, To: t}
	o.Watch(&w)
	defer o.Unwatch(&w)
	t.status.Store(uint32(DiskWait))
	return t.sleep(o, mask, ktime.Deadline{}, attnKill)
}

// blockHard is Block that nothing interrupts: for what must happen in a task's end.
func (t *Task) blockHard(o wait.Object) {
	w := wait.Watch{Mask: wait.Readable, To: t}
	o.Watch(&w)
	defer o.Unwatch(&w)
	t.status.Store(uint32(DiskWait))
	t.sleep(o, wait.Readable, ktime.Deadline{}, 0)
}

// BlockWatched sleeps until somebody calls Wake on t, for a caller that has put
// its own watches with To t (poll(2)) and looked again since. It may return nil
// for no reason.
func (t *Task) BlockWatched(d ktime.Deadline) error {
	return t.sleep(nil, 0, d, attnInterrupts)
}

// Sleep waits for d alone: nil when it has come.
func (t *Task) Sleep(d ktime.Deadline) error {
	if err := t.BlockUntil(nil, 0, d); err != linux.ETIMEDOUT {
		return err
	}
	return nil
}

// sleep waits for a Wake, for d, or for attention in ends. The caller has put
// its watch; sleep looks again, so that no wake-up is lost. With o nil the first
// Wake ends it.
func (t *Task) sleep(o wait.Object, mask wait.Events, d ktime.Deadline, ends uint32) error {
	mask |= wait.Always
	// A call that finds again and again that o was not ready after all can be
	// killed all the same.
	killed := t.attention.Load()&ends&attnKill != 0
	if !killed && o != nil && o.Ready(mask) != 0 {
		t.status.Store(uint32(Running))
		return nil
	}
	if killed || t.attention.Load()&ends != 0 {
		t.status.Store(uint32(Running))
		return linux.ERESTARTSYS
	}
	t.beginSleep()
	defer t.endSleep()
	for {
		left := time.Duration(-1)
		if !d.Never() {
			if left = time.Duration(d.Left()); left == 0 {
				return linux.ETIMEDOUT
			}
			if d.Clock.ID() == linux.CLOCK_REALTIME {
				left = min(left, maxSleep)
			}
		}
		woken := t.rest(left)
		if t.attention.Load()&attnName != 0 {
			t.showNamesAsleep()
		}
		switch {
		case o != nil && o.Ready(mask) != 0, o == nil && woken && t.attention.Load()&ends == 0:
			return nil
		case t.attention.Load()&ends != 0:
			return linux.ERESTARTSYS
		}
	}
}

// fetchSleeps is for how many sleeps a task fetches what may come, once something has.
const fetchSleeps = 8

// Fetches implements wait.Fetcher.
func (t *Task) Fetches(s wait.Source) { t.source, t.fetches = s, fetchSleeps }

// rest sleeps until somebody calls Wake, at most for d if that is not negative, and
// reports whether somebody has. What would wake it comes from a source, most likely, if
// something has lately.
func (s *taskSleep) rest(d time.Duration) (woken bool) {
	if s.fetches == 0 {
		return s.spot.Sleep(d)
	}
	if s.fetches--; s.fetches > 0 {
		return s.source.Sleep(&s.spot, d)
	}
	s.source = nil
	return s.spot.Sleep(d)
}

// maxSleep is how long a sleep on a clock that can jump trusts it.
const maxSleep = time.Second

func (t *Task) beginSleep() {
	t.status.CompareAndSwap(uint32(Running), uint32(Sleeping))
	t.cputime.stop()
	t.k.running.Add(-1)
	if t.cpus != nil {
		t.sleepsOnCPU()
	}
}

func (t *Task) endSleep() {
	if s, ok := t.ctx.(platform.Sleeper); ok {
		s.Slept()
	}
	t.k.running.Add(1)
	t.cputime.start()
	t.status.Store(uint32(Running))
	if c := &t.tg.cpu; c.parked.Load() {
		c.resume()
	}
}

// Sleeps implements wait.Sleeper.
func (t *Task) Sleeps() {}

// Wake implements wait.Waker.
func (t *Task) Wake(*wait.Watch, wait.Events) { t.spot.Wake() }

// Waited implements vfs.Ctx.
func (t *Task) Waited() {
	if s, ok := t.ctx.(platform.Sleeper); ok {
		s.Waited()
	}
}

// Done implements vfs.Ctx: it is closed when t is being killed.
func (t *Task) Done() <-chan struct{} { return t.kill }

// Killed reports whether t is about to end. Any goroutine may ask.
func (t *Task) Killed() bool { return t.attention.Load()&(attnKill|attnExit) != 0 }

// Interrupted reports whether Block would return ERESTARTSYS at once.
func (t *Task) Interrupted() bool { return t.attention.Load()&attnInterrupts != 0 }

// attend says that t has to look at why: it ends a sleep and takes the guest
// out of its Switch. Any goroutine may call it, with any lock held.
func (t *Task) attend(why uint32) {
	old := t.attention.Or(why)
	if why&^old&attnKill != 0 {
		close(t.kill)
	}
	t.spot.Wake()
	// The task changes visits before it looks at attention for the last time:
	// one of the two sees the other.
	if visiting(atomic.LoadInt64(&t.visits)) {
		t.ctx.Interrupt()
	}
}
