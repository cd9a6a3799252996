package kernel

import (
	"testing"

	"garrison/platform"
)

// A meteredContext says what a test wants the host to have counted.
type meteredContext struct {
	platform.Context
	process       int
	guest, server int64
}

func (c *meteredContext) GuestTime() (int, int64) { return c.process, c.guest }
func (c *meteredContext) ServerTime() int64       { return c.server }

const ms = 1_000_000

// metered is a process with a sleeping task for each context.
func metered(ctx ...platform.Context) (*ThreadGroup, []*Task) {
	g := &ThreadGroup{}
	var tasks []*Task
	for _, c := range ctx {
		t := &Task{tg: g, taskRun: taskRun{ctx: c}}
		g.times.meter.add(t)
		tasks = append(tasks, t)
	}
	return g, tasks
}

// want makes t have wanted to run for so many milliseconds more.
func (t *Task) want(user, system int64) {
	t.cputime.user += user * ms
	t.cputime.system += system * ms
}

type asker interface{ CPUTime() (user, system int64) }

func hasUsed(t *testing.T, what string, x asker, user, system int64) {
	t.Helper()
	if u, s := x.CPUTime(); u != user*ms || s != system*ms {
		t.Errorf("%s: %v + %v ms, want %d + %d", what, float64(u)/ms, float64(s)/ms, user, system)
	}
}

func TestMeterBoundsByTheHost(t *testing.T) {
	c := &meteredContext{process: 7}
	g, x := metered(c)
	x[0].want(100, 50)
	c.guest, c.server = 40*ms, 20*ms
	hasUsed(t, "starved", g, 40, 20)
	hasUsed(t, "again", g, 40, 20)
	hasUsed(t, "its thread", x[0], 40, 20)

	// A stub that watches runs longer than its guest: no reason to pay for the past.
	c.guest += 100 * ms
	x[0].want(10, 0)
	if u, _ := g.CPUTime(); u < 50*ms || u > 50*ms+carry {
		t.Errorf("after watching: %d, want 50 ms and at most %d more", u, carry)
	}
}

// TestMeterLeftovers: a thread's surplus goes to user time, the stub's to system time.
func TestMeterLeftovers(t *testing.T) {
	c := &meteredContext{process: 7}
	g, x := metered(c)
	x[0].want(100, 10)
	c.guest, c.server = 60*ms, 40*ms
	hasUsed(t, "hand-overs", g, 90, 10)
	x[0].want(10, 30)
	c.guest, c.server = c.guest+30*ms, c.server+5*ms
	if u, s := g.CPUTime(); u < 100*ms || u > 100*ms+carry || u+s != 135*ms {
		t.Errorf("work of the stub: %d + %d", u, s)
	}
}

func TestMeterThreads(t *testing.T) {
	a, b := &meteredContext{process: 7}, &meteredContext{process: 7}
	g, x := metered(a, b)
	x[0].want(100, 0)
	x[1].want(300, 20)
	a.guest, b.guest, b.server = 200*ms, 200*ms, 10*ms
	hasUsed(t, "process", g, 200, 10)
	hasUsed(t, "first", x[0], 50, 0)
	hasUsed(t, "second", x[1], 150, 10)

	// What a thread has used stays its process's. Its clock is gone with its Context.
	x[0].want(100, 0)
	g.times.meter.leaveContext(x[0])
	a.process, a.guest = 0, 0
	g.times.meter.end(x[0])
	x[1].want(100, 0)
	b.guest += 100 * ms
	hasUsed(t, "with the ended", g, 300, 10)
	hasUsed(t, "second", x[1], 200, 10)

	x[1].want(50, 0)
	b.guest += 20 * ms
	g.times.meter.leaveContext(x[1])
	b.process, b.guest, b.server = 0, 0, 0
	g.times.meter.end(x[1])
	hasUsed(t, "all ended", g, 320, 10)
	if n := len(g.times.meter.tasks); n != 0 {
		t.Error(n, "tasks are left")
	}
}

// TestMeterProcesses: another host process has another clock; one that is shared
// counts from the beginning of the second who is in it.
func TestMeterProcesses(t *testing.T) {
	c := &meteredContext{process: 7, guest: 500 * ms}
	parent, x := metered(c)
	x[0].want(500, 0)
	hasUsed(t, "parent", parent, 500, 0)
	d := &meteredContext{process: 7, guest: 510 * ms}
	child, y := metered(d)
	child.times.meter.share(x[0])
	y[0].want(30, 0)
	hasUsed(t, "child", child, 10, 0)
	child.times.meter.leaveProcess(y[0])
	d.process, d.guest = 8, 20*ms
	y[0].want(20, 0)
	hasUsed(t, "in its own", child, 30, 0)
	d.guest = 0 // can't be
	y[0].want(20, 0)
	if u, _ := child.CPUTime(); u < 30*ms {
		t.Error("time went back")
	}
}

// TestMeterWithoutClocks: what is wanted is used where the platform can't be asked.
func TestMeterWithoutClocks(t *testing.T) {
	g, x := metered(struct{ platform.Context }{})
	x[0].want(100, 50)
	hasUsed(t, "process", g, 100, 50)
	g.times.meter.leaveContext(x[0])
	x[0].want(1, 1)
	g.times.meter.end(x[0])
	hasUsed(t, "ended", g, 101, 51)
}
