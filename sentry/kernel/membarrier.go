package kernel

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Barriers is the commands of membarrier(2) that the process has registered for,
// in the bits of MEMBARRIER_CMD_REGISTER_*.
func (g *ThreadGroup) Barriers() uint32 { return g.barriers.Load() }

// RegisterBarriers adds to what Barriers returns.
func (g *ThreadGroup) RegisterBarriers(cmds uint32) { g.barriers.Or(cmds) }

// SyncThreads returns when every thread of g but by that ran in the guest has left
// it at least once since: a full memory barrier on each.
func (g *ThreadGroup) SyncThreads(by *Task) {
	type visit struct {
		t    *Task
		seen int64
	}
	var in []visit
	for _, t := range g.k.Tasks(g) {
		if t == by {
			continue
		}
		if n := atomic.LoadInt64(&t.visits); visiting(n) {
			in = append(in, visit{t, n})
			t.interruptGuest()
		}
	}
	for _, v := range in {
		for i := 0; atomic.LoadInt64(&v.t.visits) == v.seen && !by.Killed(); i++ {
			if i < 100 {
				runtime.Gosched()
			} else {
				time.Sleep(20 * time.Microsecond)
			}
		}
	}
}

// RestartSections makes every thread of g but by that is in a section of rseq(2) begin
// it anew before it does anything else.
func (g *ThreadGroup) RestartSections(by *Task) {
	for _, t := range g.k.Tasks(g) {
		if t != by {
			t.attend(attnMove)
		}
	}
	g.SyncThreads(by)
}

// interruptGuest makes t's present Switch return.
func (t *Task) interruptGuest() { t.ctx.Interrupt() }
