package vfs

import (
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// A Ctx is the caller as a filesystem may know it. *kernel.Task is one; Internal is
// another, for the kernel's own use.
type Ctx interface {
	// Creds is the caller's credentials, with which access is judged.
	Creds() *auth.Creds
	// Now is CLOCK_REALTIME.
	Now() linux.Timespec
	// FS is the caller's root, working directory and umask.
	FS() *FSContext
	// Limit is the soft limit that holds for the caller.
	Limit(limits.Kind) uint64
	Sleeper
}

// A Sleeper can wait, and be told to stop.
type Sleeper interface {
	// Block returns nil when o may be ready for one of mask; ERESTARTSYS on a
	// signal, a stop or a checkpoint.
	Block(o wait.Object, mask wait.Events) error
	// BlockFor is Block that gives up after d with ETIMEDOUT.
	BlockFor(o wait.Object, mask wait.Events, d time.Duration) error
	// Done is closed when the caller is being killed: a wait that Block can't
	// express (for the gofer) ends with it. nil for a caller that can't be.
	Done() <-chan struct{}
	// Waited says that the caller has waited so.
	Waited()
	// Raise sends the caller a signal from the kernel (SIGPIPE, SIGXFSZ).
	Raise(linux.Signal)
}

// Killed reports whether c's caller is being killed: for what has long to do, and can't sleep.
func Killed(c Ctx) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

// Internal is a Ctx for what the kernel does on its own account: making mounts
// before the first task, copying up. It can't be interrupted and must not be used
// where it would have to sleep: Block answers EAGAIN.
type Internal struct {
	Who   *auth.Creds
	Clock func() linux.Timespec `save:"-"` // nil: the host's
	Place *FSContext            // nil while nothing is resolved
}

// Creds implements Ctx.
func (i *Internal) Creds() *auth.Creds { return i.Who }

// Now implements Ctx.
func (i *Internal) Now() linux.Timespec {
	if i.Clock != nil {
		return i.Clock()
	}
	return linux.NsecToTimespec(time.Now().UnixNano())
}

// FS implements Ctx.
func (i *Internal) FS() *FSContext { return i.Place }

// Limit implements Ctx: there is none.
func (i *Internal) Limit(limits.Kind) uint64 { return limits.Infinity }

// Block implements Ctx.
func (i *Internal) Block(wait.Object, wait.Events) error { return linux.EAGAIN }

// BlockFor implements Ctx.
func (i *Internal) BlockFor(wait.Object, wait.Events, time.Duration) error { return linux.EAGAIN }

// Done implements Ctx.
func (i *Internal) Done() <-chan struct{} { return nil }

// Raise implements Ctx.
func (i *Internal) Raise(linux.Signal) {}

// Waited implements Ctx.
func (i *Internal) Waited() {}

// As is c with other credentials: access(2) judges with the real ids, an overlay
// acts with its mounter's rights.
func As(c Ctx, who *auth.Creds) Ctx { return &asCtx{c, who} }

type asCtx struct {
	Ctx
	who *auth.Creds
}

func (a *asCtx) Creds() *auth.Creds { return a.who }

// Caller is who c was before As gave it other credentials: the task, where c is a
// task's, whatever rights it acts with.
func Caller(c Ctx) Ctx {
	for {
		a, is := c.(*asCtx)
		if !is {
			return c
		}
		c = a.Ctx
	}
}
