package kernel

import "sync/atomic"

// A pauseGate holds tasks while the sandbox stands still.
type pauseGate struct {
	paused atomic.Bool
}

// Pause keeps every task from running guest code until Resume; it returns at
// once. A task that sleeps in a system call goes on sleeping, and waits when it
// is about to go back to the guest.
func (k *Kernel) Pause() {
	if !k.gate.paused.Swap(true) {
		k.everyTask(func(t *Task) { t.attend(attnPause) })
	}
}

// Resume undoes Pause.
func (k *Kernel) Resume() {
	if k.gate.paused.Swap(false) {
		k.everyTask(func(t *Task) { t.spot.Wake() })
	}
}

// Paused reports whether Pause holds.
func (k *Kernel) Paused() bool { return k.gate.paused.Load() }

func (k *Kernel) everyTask(f func(*Task)) {
	k.tasks.RLock()
	defer k.tasks.RUnlock()
	for _, p := range k.rootPIDNS.pids {
		if p.task != nil && !p.task.zombie {
			f(p.task)
		}
	}
}

// wait holds t while the sandbox stands still; a kill still ends it.
func (g *pauseGate) wait(t *Task) {
	t.park(Sleeping, attnKill, func() bool { return !g.paused.Load() })
	t.attention.And(^attnPause)
	if g.paused.Load() { // paused anew, maybe before the line above
		t.attention.Or(attnPause)
	}
}
