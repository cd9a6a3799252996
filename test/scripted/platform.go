// Package scripted runs guests that are Go functions: a platform whose contexts are
// goroutines that make system calls, take signals, fork and execute as machine code
// would, so that the kernel's own logic can be tested with the race detector and
// the lock checker, and without a host process.
package scripted

import (
	"runtime"
	"sync"
	"sync/atomic"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/hot"
	"garrison/sentry/mm/mmtest"
)

// A Platform runs functions.
type Platform struct {
	*mmtest.Platform

	Slept atomic.Int64 // how often contexts were told of a sleep

	mu    sync.Mutex
	funcs []func(*Guest) // by the number in R15 of a new thread; protected by mu
}

// NewPlatform returns a platform whose first guest, and every program it
// executes, is main.
func NewPlatform(main func(*Guest)) *Platform {
	p := &Platform{Platform: mmtest.New(), funcs: []func(*Guest){main}}
	p.F.FPUSize = 4096
	return p
}

// add makes f known and returns its number.
func (p *Platform) add(f func(*Guest)) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.funcs = append(p.funcs, f)
	return uint64(len(p.funcs) - 1)
}

func (p *Platform) function(n uint64) func(*Guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.funcs[n]
}

// NewContext implements platform.Platform.
func (p *Platform) NewContext() platform.Context {
	return &context{p: p, event: make(chan platform.Event), resume: make(chan struct{}), kicks: make(chan struct{}, 1),
		fpu: make([]byte, p.F.FPUSize)}
}

// spinning is the kind of event of a guest that computes until something
// interrupts it.
const spinning platform.Kind = 255

// A context is a guest thread: a goroutine that stands still but during Switch.
type context struct {
	p       *Platform
	as      platform.AddressSpace
	regs    *arch.Regs
	started bool
	event   chan platform.Event
	resume  chan struct{}
	kicked  atomic.Bool
	running atomic.Int64
	kicks   chan struct{}
	fpu     []byte
}

// Switch implements platform.Context.
func (c *context) Switch(as platform.AddressSpace, regs *arch.Regs) (ev platform.Event, err error) {
	c.as, c.regs = as, regs
	began := hot.Now()
	c.running.Store(began)
	defer func() {
		c.running.Store(0)
		ev.Began, ev.Ended = began, hot.Now()
	}()
	if c.kicked.Swap(false) {
		return platform.Event{Kind: platform.Interrupted}, nil
	}
	if c.started {
		c.resume <- struct{}{}
	} else {
		c.started = true
		go c.begin()
	}
	ev = <-c.event
	if ev.Kind == spinning {
		for !c.kicked.Swap(false) {
			<-c.kicks
		}
		ev.Kind = platform.Interrupted
	}
	return ev, nil
}

// begin runs the function that the registers name.
func (c *context) begin() {
	g := &Guest{c: c}
	c.p.function(c.regs.R15)(g)
	g.Call(sysExitGroup, 0)
}

// stop ends the Switch in progress with ev, and waits for the next.
func (c *context) stop(ev platform.Event) {
	c.event <- ev
	if _, ok := <-c.resume; !ok {
		runtime.Goexit()
	}
}

// Running implements platform.Context.
func (c *context) Running() int64 { return c.running.Load() }

// Interrupt implements platform.Context.
func (c *context) Interrupt() {
	c.kicked.Store(true)
	select {
	case c.kicks <- struct{}{}:
	default:
	}
}

// Slept implements platform.Sleeper.
func (c *context) Slept() { c.p.Slept.Add(1) }

// Waited implements platform.Sleeper.
func (*context) Waited() {}

var _ platform.Sleeper = (*context)(nil)

// Spawn implements platform.Context.
func (c *context) Spawn(platform.AddressSpace) (platform.Context, error) {
	return c.p.NewContext(), nil
}

// Release implements platform.Context.
func (c *context) Release() { close(c.resume) }

// FPU implements platform.Context.
func (c *context) FPU() []byte { return c.fpu }

// SetFPU implements platform.Context.
func (c *context) SetFPU(b []byte) error {
	copy(c.fpu, b)
	return nil
}

// CloneFPU implements platform.Context.
func (c *context) CloneFPU(from platform.Context) error {
	copy(c.fpu, from.(*context).fpu)
	return nil
}

// ResetFPU implements platform.Context.
func (c *context) ResetFPU() { clear(c.fpu) }

// Step implements platform.Context.
func (c *context) Step(bool) {}
