package systrap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"garrison/platform"
)

// fpu is what a Context knows of its floating-point and vector state. While the
// stub waits, that is in its signal frame, from where it is loaded on return.
type fpu struct {
	buf []byte // FPU's result
	put []byte // state for a thread there is none of yet, or nil
}

// Where an XSAVE area in a signal frame says what it is: the part of the legacy
// area that is left to software, and the header.
const (
	softwareOff  = 464
	softwareEnd  = 512
	magic1       = 0x46505853
	headerOff    = 512
	headerEnd    = 576
	mxcsrOff     = 24
	mxcsrMaskOff = 28
)

// xstate is the XSAVE area of the signal frame, in the region, of the size that
// the host gave it.
func (t *thread) xstate() ([]byte, error) {
	if err := t.ready(); err != nil {
		return nil, err
	}
	off := t.live().fpstate - t.region.addr()
	if off < contextSize || off > stackEnd-headerEnd || off%64 != 0 {
		return nil, errors.New("systrap: floating-point state is not in the frame")
	}
	b := t.region.bytes[off:]
	if len(b) < t.p.xstate.Size {
		return nil, errors.New("systrap: floating-point state is not in the frame")
	}
	return b[:t.p.xstate.Size:t.p.xstate.Size], nil
}

// fpu returns the thread's floating-point state as FPU does.
func (t *thread) fpu() ([]byte, error) {
	b, err := t.xstate()
	if err != nil {
		return nil, err
	}
	return t.p.standard(slices.Clone(b)), nil
}

// standard replaces what the host wrote to the software's part of the area by
// what ptrace(2) has there: the features in the first word.
func (p *Platform) standard(b []byte) []byte {
	clear(b[softwareOff:softwareEnd])
	binary.LittleEndian.PutUint64(b[softwareOff:], p.xstate.Features)
	return b
}

// checkFPU reports what would make the processor refuse the state b.
func (p *Platform) checkFPU(b []byte) error {
	if len(b) != p.facts.FPUSize {
		return fmt.Errorf("systrap: floating-point state of %d bytes, want %d", len(b), p.facts.FPUSize)
	}
	le := binary.LittleEndian
	allowed := le.Uint32(p.initialFPU[mxcsrMaskOff:])
	if allowed == 0 {
		allowed = 0xffbf
	}
	if mxcsr := le.Uint32(b[mxcsrOff:]); mxcsr&^allowed != 0 {
		return fmt.Errorf("systrap: MXCSR %#x has reserved bits", mxcsr)
	}
	if has := le.Uint64(b[headerOff:]); has&^p.xstate.Features != 0 {
		return fmt.Errorf("systrap: floating-point state with unknown features %#x", has)
	}
	for _, v := range b[headerOff+8 : headerEnd] {
		if v != 0 {
			return errors.New("systrap: floating-point state has reserved bits")
		}
	}
	return nil
}

// put makes b, which has been checked, the state in the signal frame.
func (t *thread) putFPU(b []byte) error {
	to, err := t.xstate()
	if err != nil {
		return err
	}
	copy(to[:softwareOff], b)
	copy(to[softwareEnd:], b[softwareEnd:])
	return nil
}

// setFPU gives a new host thread the state that was set before there was one.
func (c *Context) setFPU() error {
	if c.fpu.put == nil {
		return nil
	}
	b := c.fpu.put
	c.fpu.put = nil
	return c.thread.putFPU(b)
}

// FPU implements platform.Context.
func (c *Context) FPU() []byte {
	if c.fpu.buf == nil {
		c.fpu.buf = make([]byte, len(c.p.initialFPU))
	}
	b := c.fpu.buf
	if c.fpu.put != nil {
		copy(b, c.fpu.put)
		return b
	}
	if c.thread != nil {
		if from, err := c.thread.xstate(); err == nil {
			copy(b, from)
			return c.p.standard(b)
		}
	}
	copy(b, c.p.initialFPU)
	return b
}

// SetFPU implements platform.Context.
func (c *Context) SetFPU(b []byte) error {
	if err := c.p.checkFPU(b); err != nil {
		return err
	}
	if c.thread == nil {
		c.fpu.put = slices.Clone(b)
		return nil
	}
	return c.thread.putFPU(b)
}

// CloneFPU implements platform.Context.
func (c *Context) CloneFPU(from platform.Context) error {
	f, ok := from.(*Context)
	if !ok {
		return errors.New("systrap: context of another platform")
	}
	return c.SetFPU(f.FPU())
}

// ResetFPU implements platform.Context.
func (c *Context) ResetFPU() {
	if c.thread == nil {
		c.fpu.put = c.p.initialFPU
		return
	}
	// It fails for a frame that the guest has spoilt, as the next Switch will.
	_ = c.thread.putFPU(c.p.initialFPU)
}
