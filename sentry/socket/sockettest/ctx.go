// Package sockettest is callers for tests of sockets and of other files that are
// waited for: a Ctx that really sleeps, without a kernel.
package sockettest

import (
	"sync/atomic"
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Ctx is a caller with a process number. It is a vfs.Ctx and a socket.Process.
type Ctx struct {
	*vfs.Internal
	PID   int32
	Files uint64 // RLIMIT_NOFILE; 0 is 1024

	woken     chan struct{}
	interrupt chan struct{}
	raised    atomic.Uint64
}

// New is a caller with all rights.
func New(pid int32) *Ctx {
	return &Ctx{
		Internal:  &vfs.Internal{Who: auth.Root(nil)},
		PID:       pid,
		woken:     make(chan struct{}, 1),
		interrupt: make(chan struct{}, 1),
	}
}

// As makes the caller user uid without capabilities.
func (c *Ctx) As(uid uint32) *Ctx {
	c.Who = &auth.Creds{RUID: uid, EUID: uid, SUID: uid, FSUID: uid, RGID: uid, EGID: uid, SGID: uid, FSGID: uid}
	return c
}

// Limit implements vfs.Ctx.
func (c *Ctx) Limit(k limits.Kind) uint64 {
	if k == limits.NOFile {
		if c.Files == 0 {
			return 1024
		}
		return c.Files
	}
	return limits.Infinity
}

// Wake implements wait.Waker.
func (c *Ctx) Wake(*wait.Watch, wait.Events) {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// Interrupt ends a Block, now or the next, with ERESTARTSYS.
func (c *Ctx) Interrupt() { c.interrupt <- struct{}{} }

// Block implements vfs.Ctx.
func (c *Ctx) Block(o wait.Object, e wait.Events) error { return c.block(o, e, nil) }

// BlockFor implements vfs.Ctx.
func (c *Ctx) BlockFor(o wait.Object, e wait.Events, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	return c.block(o, e, t.C)
}

func (c *Ctx) block(o wait.Object, e wait.Events, end <-chan time.Time) error {
	w := wait.Watch{Mask: e, To: c}
	o.Watch(&w)
	defer o.Unwatch(&w)
	for o.Ready(e|wait.Always) == 0 {
		select {
		case <-c.woken:
		case <-c.interrupt:
			return linux.ERESTARTSYS
		case <-end:
			return linux.ETIMEDOUT
		}
	}
	return nil
}

// Raise implements vfs.Ctx.
func (c *Ctx) Raise(s linux.Signal) { c.raised.Or(1 << uint(s)) }

// Waited implements vfs.Ctx.
func (*Ctx) Waited() {}

// Raised reports whether s was raised, and forgets it.
func (c *Ctx) Raised(s linux.Signal) bool { return c.raised.And(^(uint64(1)<<uint(s)))>>uint(s)&1 != 0 }

// ProcessID implements socket.Process.
func (c *Ctx) ProcessID() any { return c.PID }

// ProcessNumber implements socket.Process.
func (c *Ctx) ProcessNumber(id any) int32 {
	n, _ := id.(int32)
	return n
}
