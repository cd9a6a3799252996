package kernel

import "sync/atomic"

// A pauseGate holds a container's tasks while it stands still.
type pauseGate struct {
	paused atomic.Bool
}

// Pause keeps every task of the container from running guest code until Resume; it returns at
// once. A task that sleeps in a system call goes on sleeping, and waits when it
// is about to go back to the guest.
func (c *Container) Pause() {
	if !c.gate.paused.Swap(true) {
		c.everyTask(func(t *Task) { t.attend(attnPause) })
	}
}

// Resume undoes Pause.
func (c *Container) Resume() {
	if c.gate.paused.Swap(false) {
		c.everyTask(func(t *Task) { t.spot.Wake() })
	}
}

// Paused reports whether Pause holds.
func (c *Container) Paused() bool { return c.gate.paused.Load() }

func (c *Container) everyTask(f func(*Task)) {
	c.k.tasks.RLock()
	defer c.k.tasks.RUnlock()
	for _, p := range c.k.rootPIDNS.pids {
		if p.task != nil && !p.task.zombie && p.task.tg.container == c {
			f(p.task)
		}
	}
}

// wait holds t while its container stands still; a kill still ends it.
func (g *pauseGate) wait(t *Task) {
	t.park(Sleeping, attnKill, func() bool { return !g.paused.Load() })
	t.attention.And(^attnPause)
	if g.paused.Load() { // paused anew, maybe before the line above
		t.attention.Or(attnPause)
	}
}
