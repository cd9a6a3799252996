package aio

import (
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A Poll is a request that completes when a file becomes ready: IOCB_CMD_POLL.
type Poll struct {
	wait.Watch
	c      *Context
	file   *vfs.FileDescription // held
	object wait.Object
	event  linux.IOEvent
	signal *vfs.FileDescription // held, or nil
	looks  atomic.Bool          // a goroutine is about to look
	done   bool                 // protected by c.mu
}

// Poll begins a request, for which the caller called Begin, that completes when
// object, which is file's, is ready for one of mask; file and signal pass to it.
// EINVAL, and they have not, if the file can't be waited for.
func (c *Context) Poll(file *vfs.FileDescription, object wait.Object, mask wait.Events, ev linux.IOEvent, signal *vfs.FileDescription) error {
	p := &Poll{c: c, file: file, object: object, event: ev, signal: signal}
	p.Mask, p.To = mask|wait.Err|wait.Hup, p
	if !file.Pollable() && p.ready() == 0 {
		return linux.EINVAL
	}
	c.mu.Lock()
	dead := c.dead
	c.polls[p] = struct{}{}
	c.mu.Unlock()
	object.Watch(&p.Watch)
	switch r := p.ready(); {
	case r != 0:
		p.finish(int64(r))
	case dead:
		p.finish(0)
	default:
		// Whoever finished it meanwhile did not find the watch.
		c.mu.Lock()
		done := p.done
		c.mu.Unlock()
		if done {
			object.Unwatch(&p.Watch)
		}
	}
	return nil
}

func (p *Poll) ready() wait.Events { return p.object.Ready(p.Mask) & p.Mask }

// Wake implements wait.Waker. Completing takes locks, which a Waker must not.
func (p *Poll) Wake(*wait.Watch, wait.Events) {
	if !p.looks.Swap(true) {
		go p.look()
	}
}

func (p *Poll) look() {
	p.looks.Store(false) // before it looks: what happens from now on is told again
	if r := p.ready(); r != 0 {
		p.finish(int64(r))
	}
}

// finish completes p, once, and reports whether this call has.
func (p *Poll) finish(res int64) bool {
	p.c.mu.Lock()
	if p.done {
		p.c.mu.Unlock()
		return false
	}
	p.done = true
	delete(p.c.polls, p)
	p.c.mu.Unlock()
	p.object.Unwatch(&p.Watch)
	p.event.Res = res
	p.c.Complete(p.event, p.signal)
	p.file.DecRef()
	return true
}

// Cancel is io_cancel(2) of the request that the iocb at obj has begun: EINVAL if
// there is none that waits, EINPROGRESS if so, and its event comes as any other.
func (c *Context) Cancel(obj uint64) error {
	c.mu.Lock()
	var found *Poll
	for p := range c.polls {
		if p.event.Obj == obj {
			found = p
			break
		}
	}
	c.mu.Unlock()
	if found == nil || !found.finish(0) {
		return linux.EINVAL
	}
	return linux.EINPROGRESS
}
