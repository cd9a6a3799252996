package fuse

import (
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A poll is what the server has said last of whether a file is ready. Who begins to wait
// asks it anew (vfs.PerCaller); when it says that something has changed, it is asked what.
type poll struct {
	wait.Queue
	f      *file
	handle atomic.Uint64 // by which the server names it; 0: not asked yet
	events atomic.Uint32
	// told: the server has said that something has changed, and was not asked since; asking:
	// it is being asked.
	told, asking atomic.Bool
}

// Ready implements wait.Object.
func (p *poll) Ready(e wait.Events) wait.Events {
	if p.handle.Load() == 0 {
		return e & (wait.Readable | wait.Writable)
	}
	return e & wait.Events(p.events.Load())
}

func (p *poll) set(events uint32) {
	p.events.Store(events)
	p.Notify(wait.Events(events))
}

// allEvents is what the server is asked about.
const allEvents = uint32(wait.Readable | wait.Writable | wait.Pri | wait.Always | wait.RdHup)

// For implements vfs.PerCaller.
func (f *file) For(c vfs.Ctx) wait.Object {
	m, p := f.i.m, &f.poll
	if !m.has(linux.FUSE_POLL) {
		return p
	}
	p.name(m)
	o, err := callFor[linux.FusePollOut](m, c, p.question())
	p.answered(o, err)
	return p
}

// name gives p its handle.
func (p *poll) name(m *connection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.handle.Load() == 0 {
		m.lastPoll++
		m.polls[m.lastPoll] = p
		p.handle.Store(m.lastPoll)
	}
}

func (p *poll) question() *request {
	return ask(linux.FUSE_POLL, p.f.i.id, raw(linux.FusePollIn{
		FH: p.f.fh, KH: p.handle.Load(), Flags: linux.FUSE_POLL_SCHEDULE_NOTIFY, Events: allEvents,
	}))
}

// answered takes what the server says of p. One that knows no poll is always ready.
func (p *poll) answered(o linux.FusePollOut, err error) {
	switch {
	case p.f.i.m.lacks(linux.FUSE_POLL, err):
		p.set(uint32(wait.Readable | wait.Writable))
	case err == linux.EINTR: // nobody wants to know any more
	case err != nil:
		p.set(uint32(wait.Err))
	default:
		p.set(o.Revents)
	}
}

// changed asks the server anew, as it has said that the answer is another. However often it
// says so, there is one question at a time.
func (p *poll) changed() {
	p.told.Store(true)
	p.inquire()
}

// inquire asks the server what has changed, unless that is being done: then it is done anew,
// by who has the answer.
func (p *poll) inquire() {
	for {
		if !p.told.Load() || !p.asking.CompareAndSwap(false, true) {
			return
		}
		if p.told.Swap(false) {
			break
		}
		p.asking.Store(false) // another was faster; but it may have been told since
	}
	r := p.question()
	r.fixed = sizeOf[linux.FusePollOut]()
	r.then = func(reply []byte, err error) {
		p.answered(decode[linux.FusePollOut](reply), err)
		p.asking.Store(false)
		if err == nil {
			p.inquire()
		}
	}
	p.f.i.m.post(nil, r)
}

// close is called with the file.
func (p *poll) close() {
	m := p.f.i.m
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.polls, p.handle.Load())
}
