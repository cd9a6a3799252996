// Package pipe is pipes and FIFOs: pipe(7), fifo(7), and splice(2) and its kin, which
// move bytes through them.
package pipe

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// Sizes of a pipe, in bytes: at first, and what the unprivileged may ask for.
const (
	defaultSize = 16 * arch.PageSize
	maxSize     = 1 << 20
)

// A pipe is bytes on their way from writers to readers.
//
// out is held by who reads and in by who writes, one each, while bytes are copied to
// and from guests: the ring's used part is the reader's, its free part the writer's. mu
// is for the moments when that changes.
type pipe struct {
	out lock.Mutex[lock.Drain]
	in  lock.Mutex[lock.Fill]

	mu         lock.Mutex[lock.Leaf]
	ring       []byte   // its length is a power of two, or 0; changed with in held, too
	head, tail uint64   // bytes read and written so far: [head, tail) are in the ring
	packets    []packet // of the bytes in the ring, those that are packets
	size       int      // the capacity
	readers    int
	writers    int
	opened     [2]uint64 // how often readers, writers were opened
	nameless   bool      // made by pipe2(2), not a FIFO

	queues [3]wait.Queue // of the ends that read, write, do both
}

// A packet is bytes that one read returns (O_DIRECT).
type packet struct{ start, end uint64 }

// An End is an open end of a pipe: a vfs.File.
type End struct {
	p      *pipe
	slot   *vfs.Slot
	reads  bool
	writes bool
	direct directFlag
	since  uint64 // writers opened before this reader: without more there is no hang-up
}

var (
	_ vfs.Control    = (*End)(nil)
	_ vfs.Fcntler    = (*End)(nil)
	_ vfs.FlagSetter = (*End)(nil)
	_ vfs.Streamer   = (*End)(nil)
	_ wait.Object    = (*End)(nil)
)

func newPipe() any { return &pipe{size: defaultSize} }

// New is a pipe's two ends: pipe2(2). Of flags O_NONBLOCK and O_DIRECT count.
func New(c vfs.Ctx, s *vfs.System, flags linux.OpenFlags) (r, w *vfs.FileDescription) {
	flags &= linux.O_NONBLOCK | linux.O_DIRECT
	return s.NewPipe(c, func(slot *vfs.Slot) (vfs.File, vfs.File) {
		p := slot.Acquire(newPipe).(*pipe)
		slot.Acquire(newPipe)
		p.readers, p.writers, p.opened, p.nameless = 1, 1, [2]uint64{1, 1}, true
		r := &End{p: p, slot: slot, reads: true}
		w := &End{p: p, slot: slot, writes: true}
		w.direct.set(flags)
		return r, w
	}, flags)
}

// Of is the pipe's end that a description is open on; nil if it is none.
func Of(d *vfs.FileDescription) *End {
	e, _ := d.File().(*End)
	return e
}

// Same reports whether two ends are of one pipe.
func Same(a, b *End) bool { return a.p == b.p }

// Stream implements vfs.Streamer.
func (e *End) Stream() {}

// Async implements vfs.Asyncer.
func (*End) Async() {}

// Close implements vfs.File.
func (e *End) Close(vfs.Ctx) {
	e.leave()
	e.slot.Release()
}

// join counts e as reader and writer.
func (e *End) joinLocked() {
	if e.reads {
		e.p.readers++
		e.p.opened[0]++
	}
	if e.writes {
		e.p.writers++
		e.p.opened[1]++
	}
}

// leave counts it no longer, and tells those at the other end.
func (e *End) leave() {
	p := e.p
	p.mu.Lock()
	if e.reads {
		p.readers--
	}
	if e.writes {
		p.writers--
	}
	if p.readers+p.writers == 0 {
		p.ring, p.packets, p.head, p.tail = nil, nil, 0, 0
	}
	p.mu.Unlock()
	p.notify(wait.Readable|wait.Hup, wait.Writable|wait.Err)
}

// notify tells the readers r and the writers w.
func (p *pipe) notify(r, w wait.Events) {
	if r != 0 {
		p.queues[0].Notify(r)
	}
	if w != 0 {
		p.queues[1].Notify(w)
	}
	p.queues[2].Notify(r | w)
}

func (e *End) queue() *wait.Queue {
	switch {
	case e.reads && e.writes:
		return &e.p.queues[2]
	case e.writes:
		return &e.p.queues[1]
	}
	return &e.p.queues[0]
}

// Watch implements wait.Object.
func (e *End) Watch(w *wait.Watch) { e.queue().Watch(w) }

// Unwatch implements wait.Object.
func (e *End) Unwatch(w *wait.Watch) { e.queue().Unwatch(w) }

// Ready implements wait.Object.
func (e *End) Ready(mask wait.Events) wait.Events {
	p := e.p
	p.mu.Lock()
	defer p.mu.Unlock()
	var now wait.Events
	if e.reads {
		if p.tail != p.head {
			now |= wait.Readable
		}
		if p.writers == 0 && p.opened[1] != e.since {
			now |= wait.Hup
		}
	}
	if e.writes {
		if p.roomLocked() >= linux.PIPE_BUF {
			now |= wait.Writable
		}
		if p.readers == 0 {
			now |= wait.Err
		}
	}
	return now & (mask | wait.Always)
}

// roomLocked is how many bytes fit. Packets take a page each, as on Linux.
func (p *pipe) roomLocked() int {
	used := int(p.tail - p.head)
	if n := len(p.packets) * arch.PageSize; n > used {
		used = n
	}
	return max(p.size-used, 0)
}

// Read implements vfs.File.
func (e *End) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	want := dst.Len()
	if want == 0 {
		return 0, nil
	}
	return e.Take(want, func(b []byte) (int, error) {
		n, err := dst.CopyOut(b)
		if n < len(b) || err != nil {
			return n, err
		}
		if want -= int64(n); want > 0 {
			dst = dst.Skip(int64(n))
		}
		return n, nil
	})
}

// Take calls f with what is in the pipe, n bytes at the most, in pieces, until it takes
// less than it was given or fails; what it took is read. EAGAIN if there is nothing; 0
// if there are no writers either. f may use other files, but not wait.
func (e *End) Take(n int64, f func([]byte) (int, error)) (total int64, err error) {
	p := e.p
	p.out.Lock()
	defer p.out.Unlock()
	for total < n {
		p.mu.Lock()
		b, pkt := p.frontLocked(uint64(n - total))
		writers := p.writers
		p.mu.Unlock()
		if len(b) == 0 {
			if total == 0 && writers > 0 {
				return 0, linux.EAGAIN
			}
			return total, nil
		}
		if pkt && total > 0 {
			return total, nil
		}
		var m int
		m, err = f(b)
		p.mu.Lock()
		ends := p.takeLocked(uint64(m), pkt, n == total+int64(m))
		p.mu.Unlock()
		if m > 0 {
			p.notify(0, wait.Writable)
		}
		total += int64(m)
		if err != nil || m < len(b) || ends {
			break
		}
	}
	if total > 0 {
		err = nil
	}
	return total, err
}

// Write implements vfs.File. Up to PIPE_BUF bytes are written at once or not at all.
func (e *End) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	want := src.Len()
	if want == 0 {
		return 0, nil
	}
	if e.direct.on() {
		return e.writePackets(src, want)
	}
	need := int64(1)
	if want <= linux.PIPE_BUF {
		need = want
	}
	return e.give(want, need, false, func(b []byte) (int, error) {
		n, err := src.CopyIn(b)
		if n < len(b) || err != nil {
			return n, err
		}
		if want -= int64(n); want > 0 {
			src = src.Skip(int64(n))
		}
		return n, nil
	})
}

// writePackets writes src as packets of at most PIPE_BUF bytes.
func (e *End) writePackets(src usermem.Seq, want int64) (total int64, err error) {
	for total < want {
		one := min(want-total, linux.PIPE_BUF)
		left := src
		n, err := e.give(one, linux.PIPE_BUF, true, func(b []byte) (int, error) {
			n, err := left.CopyIn(b)
			left = left.Skip(int64(n))
			return n, err
		})
		total += n
		if err != nil || n < one {
			if total > 0 && err != linux.EPIPE {
				err = nil
			}
			return total, err
		}
		src = src.Skip(n)
	}
	return total, nil
}

// Give calls f with room for at most n bytes, in pieces, until it fills less than it was
// given or fails; what it filled is written. EAGAIN if there is no room, EPIPE if there
// are no readers. f may use other files, but not wait.
func (e *End) Give(n int64, f func([]byte) (int, error)) (int64, error) {
	return e.give(n, 1, false, f)
}

// give is Give that wants room for need bytes, of a packet if pkt.
func (e *End) give(n, need int64, pkt bool, f func([]byte) (int, error)) (total int64, err error) {
	p := e.p
	p.in.Lock()
	defer p.in.Unlock()
	start := uint64(0)
	for total < n {
		p.mu.Lock()
		if p.readers == 0 {
			p.mu.Unlock()
			return total, linux.EPIPE
		}
		room := p.roomLocked()
		if total == 0 && int64(room) < need || room == 0 {
			p.mu.Unlock()
			if total == 0 {
				err = linux.EAGAIN
			}
			return total, err
		}
		if total == 0 {
			start = p.tail
		}
		b := p.backLocked(min(uint64(n-total), uint64(room)))
		p.mu.Unlock()
		var m int
		m, err = f(b)
		p.mu.Lock()
		p.tail += uint64(m)
		total += int64(m)
		if pkt && total > 0 && (total == n || m < len(b) || err != nil) {
			p.packets = append(p.packets, packet{start, p.tail})
		}
		p.mu.Unlock()
		if m > 0 {
			p.notify(wait.Readable, 0)
		}
		if err != nil || m < len(b) {
			break
		}
	}
	if total > 0 {
		err = nil
	}
	return total, err
}

// SetFlags implements vfs.FlagSetter: O_DIRECT is packet mode.
func (e *End) SetFlags(_ vfs.Ctx, f linux.OpenFlags) error {
	e.direct.set(f)
	return nil
}

// Ioctl implements vfs.Control.
func (e *End) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if cmd != linux.FIONREAD {
		return 0, linux.ENOTTY
	}
	e.p.mu.Lock()
	n := int32(e.p.tail - e.p.head)
	e.p.mu.Unlock()
	return 0, usermem.Ptr[int32](arg).Store(m, &n)
}

// Fcntl implements vfs.Fcntler: F_GETPIPE_SZ and F_SETPIPE_SZ.
func (e *End) Fcntl(c vfs.Ctx, cmd uint32, arg uint64) (int, error) {
	switch cmd {
	case linux.F_GETPIPE_SZ:
		e.p.mu.Lock()
		defer e.p.mu.Unlock()
		return e.p.size, nil
	case linux.F_SETPIPE_SZ:
		return e.p.resize(c, arg)
	}
	return 0, linux.ENOTTY
}
