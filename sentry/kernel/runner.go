package kernel

import (
	"slices"
	"time"

	"garrison/platform/park"
	"garrison/sentry/lock"
)

// A runner is a goroutine that runs tasks, one after the other. Between two it
// sleeps as tasks do, in the host: to begin a task on a new goroutine takes
// Go's scheduler one or two wake-ups of other threads, and 50 to 150 µs.
type runner struct {
	spot park.Spot
	task *Task
}

const (
	idleRunners = 16
	runnerIdles = time.Second // then it ends
)

// runners are those that have nothing to do, the last one first.
type runners struct {
	mu   lock.Mutex[lock.Leaf]
	idle []*runner // protected by mu
}

// run runs t on a goroutine that runs nothing else meanwhile.
func (p *runners) run(t *Task) {
	p.mu.Lock()
	n := len(p.idle)
	if n == 0 {
		p.mu.Unlock()
		go p.begin(&runner{task: t})
		return
	}
	r := p.idle[n-1]
	p.idle = p.idle[:n-1]
	r.task = t
	p.mu.Unlock()
	r.spot.Wake()
}

func (p *runners) begin(r *runner) {
	for more := true; more; more = p.next(r) {
		r.task.loop()
	}
}

// next waits for r's next task; it is false if none has come.
func (p *runners) next(r *runner) bool {
	p.mu.Lock()
	r.task = nil
	if len(p.idle) >= idleRunners {
		p.mu.Unlock()
		return false
	}
	p.idle = append(p.idle, r)
	p.mu.Unlock()
	if r.spot.Sleep(runnerIdles) {
		return true
	}
	p.mu.Lock()
	i := slices.Index(p.idle, r)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	p.mu.Unlock()
	return i < 0 && r.spot.Sleep(-1) // it has been given one at the last moment
}
