package fstest

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/sentry/auth"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Caller is a vfs.Ctx for tests: a task with credentials, a place, limits and a
// clock, that really waits, and that remembers the signals it is sent.
type Caller struct {
	T       testing.TB
	Who     *auth.Creds
	Place   *vfs.FSContext
	Limits  *limits.Set
	Signals atomic.Uint64 // bit n: signal n was raised
	Tick    atomic.Int64  // nanoseconds, added to the clock: time passes as a test wants
	Kill    chan struct{} // closed: every wait ends with ERESTARTSYS
}

// NewCaller is root, in the given namespace. It leaves when the test ends.
func NewCaller(t testing.TB, ns *vfs.MountNamespace) *Caller {
	c := &Caller{T: t, Who: auth.Root(nil), Limits: limits.NewSet(), Kill: make(chan struct{})}
	if ns != nil {
		c.Place = vfs.NewFSContext(ns)
		t.Cleanup(c.Place.DecRef)
	}
	return c
}

// As is another caller at the same place, uid and gid without capabilities.
func (c *Caller) As(uid, gid uint32, groups ...uint32) *Caller {
	n := &Caller{T: c.T, Place: c.Place, Limits: c.Limits, Kill: c.Kill}
	n.Who = &auth.Creds{RUID: uid, EUID: uid, SUID: uid, FSUID: uid, RGID: gid, EGID: gid, SGID: gid, FSGID: gid, Groups: groups}
	n.Tick.Store(c.Tick.Load())
	return n
}

// Creds implements vfs.Ctx.
func (c *Caller) Creds() *auth.Creds { return c.Who }

// Now implements vfs.Ctx.
func (c *Caller) Now() linux.Timespec { return linux.NsecToTimespec(1e18 + c.Tick.Load()) }

// Sleep lets d pass on the caller's clock.
func (c *Caller) Sleep(d time.Duration) { c.Tick.Add(int64(d)) }

// FS implements vfs.Ctx.
func (c *Caller) FS() *vfs.FSContext { return c.Place }

// Limit implements vfs.Ctx.
func (c *Caller) Limit(k limits.Kind) uint64 { return c.Limits.Cur(k) }

// Done implements vfs.Ctx.
func (c *Caller) Done() <-chan struct{} { return c.Kill }

// Raise implements vfs.Ctx.
func (c *Caller) Raise(s linux.Signal) { c.Signals.Or(1 << s) }

// Waited implements vfs.Ctx.
func (*Caller) Waited() {}

// Raised reports whether s has been raised, and forgets it.
func (c *Caller) Raised(s linux.Signal) bool { return c.Signals.And(^uint64(1<<s))&(1<<s) != 0 }

type waker chan struct{}

func (w waker) Wake(*wait.Watch, wait.Events) {
	select {
	case w <- struct{}{}:
	default:
	}
}

// Block implements vfs.Ctx. A wait of ten seconds fails the test.
func (c *Caller) Block(o wait.Object, mask wait.Events) error {
	err := c.BlockFor(o, mask, 10*time.Second)
	if err == linux.ETIMEDOUT {
		c.T.Errorf("waited for ever for %T", o)
		err = linux.ERESTARTSYS
	}
	return err
}

// BlockFor implements vfs.Ctx.
func (c *Caller) BlockFor(o wait.Object, mask wait.Events, d time.Duration) error {
	woken := make(waker, 1)
	w := wait.Watch{Mask: mask, To: woken}
	o.Watch(&w)
	defer o.Unwatch(&w)
	if o.Ready(mask|wait.Always) != 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-woken:
		return nil
	case <-c.Kill:
		return linux.ERESTARTSYS
	case <-t.C:
		return linux.ETIMEDOUT
	}
}

// Memory is a page file for a test.
func Memory(t testing.TB) *memfile.File {
	t.Helper()
	fd, err := unix.MemfdCreate("fstest", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	ro, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	f, err := memfile.New(fd, ro)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}
