package kernel

import (
	"sync/atomic"
	"testing"
	"time"

	"garrison/platform"
	"garrison/platform/hot"
)

// A busyContext is in the guest since began, if that is not 0.
type busyContext struct {
	platform.Context
	began       atomic.Int64
	interrupted atomic.Int32
}

func (c *busyContext) Running() int64 { return c.began.Load() }
func (c *busyContext) Interrupt()     { c.interrupted.Add(1) }

func onCPUs(may ...int) (*Task, *busyContext) {
	ctx := &busyContext{}
	t := &Task{taskSleep: newTaskSleep(), tg: &ThreadGroup{container: &Container{}}}
	t.ctx = ctx
	for _, n := range may {
		t.affinity[n/64] |= 1 << (n % 64)
	}
	return t, ctx
}

// takes takes a processor for t as its goroutine would.
func takes(c *cpus, t *Task) chan int {
	got := make(chan int, 1)
	go func() { got <- c.take(t) }()
	return got
}

// waits returns when n wait for a processor of c.
func waits(t *testing.T, c *cpus, n int32) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); c.waiting.Load() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d wait, want %d", c.waiting.Load(), n)
		}
	}
}

func TestProcessorsAreTakenByOneEach(t *testing.T) {
	c := newCPUs(2)
	a, _ := onCPUs(0, 1)
	b, _ := onCPUs(0, 1)
	if n, m := c.take(a), c.take(b); n != 0 || m != 1 {
		t.Fatalf("took %d and %d of 0 and 1", n, m)
	}
	// Who has waited longest for processor 1 gets it, not who may not have it.
	x, _ := onCPUs(0)
	gotX := takes(c, x)
	waits(t, c, 1)
	y, _ := onCPUs(0, 1)
	gotY := takes(c, y)
	waits(t, c, 2)
	z, _ := onCPUs(1)
	gotZ := takes(c, z)
	waits(t, c, 3)
	c.handOn(1)
	if n := <-gotY; n != 1 {
		t.Errorf("got %d, want 1", n)
	}
	c.handOn(1)
	if n := <-gotZ; n != 1 {
		t.Errorf("got %d, want 1", n)
	}
	c.handOn(1) // nobody's
	if c.of[1].taken.Load() || len(gotX) != 0 {
		t.Errorf("processor 1 went to who may not have it")
	}
	c.of[0].taken.Store(false) // and nobody says so
	if n := <-gotX; n != 0 || c.waiting.Load() != 0 {
		t.Errorf("got %d, want 0; %d wait", n, c.waiting.Load())
	}
}

func TestWaitForProcessorEndsForAttention(t *testing.T) {
	c := newCPUs(1)
	a, _ := onCPUs(0)
	c.take(a)
	x, _ := onCPUs(0)
	got := takes(c, x)
	waits(t, c, 1)
	x.attend(attnPause)
	if n := <-got; n != none || c.waiting.Load() != 0 || len(c.waiters) != 0 {
		t.Errorf("got %d; %d wait", n, c.waiting.Load())
	}
}

func TestTurnEndsOfLongestOnProcessor(t *testing.T) {
	c := newCPUs(3)
	var ctx [3]*busyContext
	for i := range ctx {
		var x *Task
		x, ctx[i] = onCPUs(0, 1, 2)
		c.of[c.take(x)].last.Store(x)
		ctx[i].began.Store(hot.Now())
	}
	x, _ := onCPUs(1, 2)
	got := takes(c, x)
	waits(t, c, 1)
	c.of[0].since.Store(hot.Now() - int64(time.Hour)) // where x may not be
	c.of[1].since.Store(hot.Now() - int64(time.Second))
	c.of[2].since.Store(hot.Now() - int64(time.Minute))
	for end := time.Now().Add(10 * time.Second); ctx[2].interrupted.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody's turn ends")
		}
	}
	if ctx[0].interrupted.Load() != 0 || ctx[1].interrupted.Load() != 0 || !c.of[2].turnOver.Load() {
		t.Error("another's turn has ended")
	}
	c.handOn(2)
	if n := <-got; n != 2 || c.of[2].turnOver.Load() {
		t.Errorf("got %d, want 2", n)
	}
}

// A thread that makes one system call after the other hands its processor on when it
// has had its turn, though it is never in the guest for long.
func TestTurnEndsBetweenCalls(t *testing.T) {
	c := newCPUs(1)
	a, _ := onCPUs(0)
	a.cpus = c
	c.of[c.take(a)].last.Store(a)
	c.of[0].since.Store(hot.Now())
	x, _ := onCPUs(0)
	w := &cpuWaiter{x, x.affinity, none}
	c.waiters = append(c.waiters, w)
	c.waiting.Add(1)
	if a.giveCPU(); w.got != none || c.of[0].taken.Load() {
		t.Fatal("a turn has ended that has only begun")
	}
	c.of[0].taken.Store(true)
	c.of[0].since.Store(hot.Now() - int64(cpuTurn))
	if a.giveCPU(); w.got != 0 || c.waiting.Load() != 0 {
		t.Fatal("who has waited for a turn's length still waits")
	}
}
