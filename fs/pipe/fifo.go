package pipe

import (
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// directFlag is whether an end writes packets.
type directFlag struct{ b atomic.Bool }

func (d *directFlag) set(f linux.OpenFlags) { d.b.Store(f&linux.O_DIRECT != 0) }
func (d *directFlag) on() bool              { return d.b.Load() }

// FIFOs opens named pipes, and pipes again by /proc/pid/fd: vfs.FIFOs.
type FIFOs struct{}

// OpenFIFO implements vfs.FIFOs: fifo(7). It waits for the other end unless O_NONBLOCK;
// then ENXIO for a writer without readers. A pipe that is opened again has had both
// ends: it is never waited for.
func (FIFOs) OpenFIFO(c vfs.Ctx, slot *vfs.Slot, flags linux.OpenFlags) (vfs.File, error) {
	p := slot.Acquire(newPipe).(*pipe)
	e := &End{p: p, slot: slot}
	switch flags & linux.O_ACCMODE {
	case linux.O_RDONLY:
		e.reads = true
	case linux.O_WRONLY:
		e.writes = true
	case linux.O_RDWR:
		e.reads, e.writes = true, true
	default:
		slot.Release()
		return nil, linux.EINVAL
	}
	e.direct.set(flags)
	now := flags&linux.O_NONBLOCK != 0
	p.mu.Lock()
	if e.writes && !e.reads && now && p.readers == 0 && !p.nameless {
		p.mu.Unlock()
		slot.Release()
		return nil, linux.ENXIO
	}
	other, alone := 1, p.writers == 0
	if e.writes {
		other, alone = 0, p.readers == 0
	}
	seen := p.opened[other]
	if e.reads && now && p.writers == 0 && !p.nameless {
		// Without a writer yet, there is no hang-up to tell of.
		e.since = p.opened[1]
	}
	e.joinLocked()
	p.mu.Unlock()
	p.notify(wait.Readable, wait.Writable) // who waits in open, too
	if e.reads && e.writes || now || !alone || p.nameless {
		return e, nil
	}
	w := &partner{e, other, seen}
	for w.Ready(wait.In) == 0 {
		if err := c.Block(w, wait.In|wait.Out); err != nil {
			e.Close(c)
			return nil, err
		}
	}
	return e, nil
}

// A partner is waited for by who opens an end alone: that the other end is opened, even
// if it is closed again at once.
type partner struct {
	*End
	other int
	seen  uint64
}

// Ready implements wait.Object.
func (w *partner) Ready(wait.Events) wait.Events {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if w.p.opened[w.other] != w.seen {
		return wait.In
	}
	return 0
}
