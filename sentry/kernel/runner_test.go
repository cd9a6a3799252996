package kernel

import (
	"testing"
	"time"
)

// stateFunc is a state that is a function.
type stateFunc func()

func (f stateFunc) run(*Task) state { f(); return nil }

// TestRunners: a task has its runner for itself, and leaves it to the next.
func TestRunners(t *testing.T) {
	k := &Kernel{}
	idle := func() int {
		k.runners.mu.Lock()
		defer k.runners.mu.Unlock()
		return len(k.runners.idle)
	}
	become := func(n int) {
		for idle() != n {
			time.Sleep(time.Millisecond)
		}
	}
	for _, n := range []int{1, 1, 3, 2, 5, idleRunners + 5} {
		before := idle()
		began, end := make(chan bool), make(chan bool)
		for range n {
			(&Task{k: k}).start(stateFunc(func() { began <- true; <-end }))
		}
		for range n { // all at once
			<-began
		}
		if got := idle(); got != max(0, before-n) {
			t.Fatal(got, "idle of", before, "while", n, "run")
		}
		close(end)
		become(min(max(before, n), idleRunners))
	}
	become(0) // in time they end
	if n := k.running.Load(); n != 0 {
		t.Fatal(n, "running")
	}
}
