package kernel

import (
	"sync"
)

// A pauseGate holds tasks while the sandbox stands still.
type pauseGate struct {
	mu     sync.Mutex
	paused bool          // protected by mu
	open   chan struct{} // closed by Resume; protected by mu
}

// Pause keeps every task from running guest code until Resume; it returns at
// once. A task that sleeps in a system call goes on sleeping, and waits when it
// is about to go back to the guest.
func (k *Kernel) Pause() {
	k.gate.mu.Lock()
	if k.gate.paused {
		k.gate.mu.Unlock()
		return
	}
	k.gate.paused, k.gate.open = true, make(chan struct{})
	k.gate.mu.Unlock()
	k.everyTask(func(t *Task) { t.attend(attnPause) })
}

// Resume undoes Pause.
func (k *Kernel) Resume() {
	k.gate.mu.Lock()
	if !k.gate.paused {
		k.gate.mu.Unlock()
		return
	}
	k.gate.paused = false
	close(k.gate.open)
	k.gate.mu.Unlock()
	k.everyTask(func(t *Task) { t.attention.And(^attnPause) })
}

// Paused reports whether Pause holds.
func (k *Kernel) Paused() bool {
	k.gate.mu.Lock()
	defer k.gate.mu.Unlock()
	return k.gate.paused
}

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
	g.mu.Lock()
	paused, open := g.paused, g.open
	if !paused {
		t.attention.And(^attnPause)
	}
	g.mu.Unlock()
	if !paused {
		return
	}
	t.beginSleep()
	defer t.endSleep()
	select {
	case <-open:
	case <-t.kill:
	}
}
