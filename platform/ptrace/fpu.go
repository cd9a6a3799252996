package ptrace

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"garrison/platform"
)

// fpu is what a Context knows of its floating-point and vector state, which
// itself stays in the host thread and is looked at only on demand.
type fpu struct {
	buf   []byte // FPU's result
	put   []byte // state that the host thread gets before the guest next runs, or nil
	reset bool   // put is the initial state

	// The host thread was born with from's state after its at'th Switch.
	from *Context
	at   uint64
}

func (f *fpu) inherit(from *Context) { f.inheritAt(from, from.switches) }

func (f *fpu) inheritAt(from *Context, at uint64) { f.from, f.at = from, at }

// clean is called when the Context gets a host thread with the initial state.
func (f *fpu) clean() {
	f.from = nil
	if f.reset {
		f.put, f.reset = nil, false
	}
}

// putFPU gives the host thread the state that was set, if any was.
func (c *Context) putFPU() error {
	if c.fpu.put == nil {
		return nil
	}
	if err := setXState(c.thread.tid, c.fpu.put); err != nil {
		return fmt.Errorf("ptrace: set floating-point state: %w", err)
	}
	c.fpu.put, c.fpu.reset = nil, false
	return nil
}

// FPU implements platform.Context.
func (c *Context) FPU() []byte {
	if c.fpu.buf == nil {
		c.fpu.buf = make([]byte, len(c.p.initialFPU))
	}
	b := c.fpu.buf
	switch {
	case c.fpu.put != nil:
		copy(b, c.fpu.put)
		return b
	case c.space == nil, !c.attached && c.attach() != nil:
		copy(b, c.p.initialFPU)
		return b
	}
	if _, err := getXState(c.thread.tid, b); err != nil {
		// The stub has died, as the next Switch will say.
		copy(b, c.p.initialFPU)
	}
	return b
}

// SetFPU implements platform.Context.
func (c *Context) SetFPU(b []byte) error {
	if len(b) != len(c.p.initialFPU) {
		return fmt.Errorf("ptrace: floating-point state of %d bytes, want %d", len(b), len(c.p.initialFPU))
	}
	if !c.attached {
		// There is no thread yet that could judge it: Switch will.
		c.fpu.put, c.fpu.reset = slices.Clone(b), false
		return nil
	}
	c.fpu.put, c.fpu.reset = nil, false
	err := setXState(c.thread.tid, b)
	if err == unix.ESRCH {
		return nil // the stub has died, as the next Switch will say
	}
	if err != nil {
		return fmt.Errorf("ptrace: set floating-point state: %w", err)
	}
	return nil
}

// CloneFPU implements platform.Context.
func (c *Context) CloneFPU(from platform.Context) error {
	f, ok := from.(*Context)
	if !ok {
		return errors.New("ptrace: context of another platform")
	}
	if !c.attached && c.fpu.from == f && c.fpu.at == f.switches && f.fpu.put == nil {
		return nil // the host has cloned it with the thread
	}
	return c.SetFPU(f.FPU())
}

// ResetFPU implements platform.Context.
func (c *Context) ResetFPU() {
	c.fpu.put, c.fpu.reset = c.p.initialFPU, true
}
