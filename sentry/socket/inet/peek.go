package inet

import (
	"bytes"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// A drained is the datagrams that were taken from the stack's queue, of which only the first
// can be peeked at, to look behind them (SO_PEEK_OFF). They are read before all others.
type drained struct {
	count atomic.Int32 // of all

	mu    sync.Mutex
	all   []*datagram // protected by mu
	bytes int         // protected by mu: in all
}

// A datagram is what reading one gave.
type datagram struct {
	data   []byte
	told   tcpip.ReadResult
	peeked bool // protected by the drained's mu
}

// take takes the first datagram out, nil if there is none.
func (x *drained) take() *datagram {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.all) == 0 {
		return nil
	}
	d := x.all[0]
	x.all[0] = nil
	x.all = x.all[1:]
	x.bytes -= len(d.data)
	x.count.Store(int32(len(x.all)))
	return d
}

// find is the datagram that has the byte after the first at, and how many of its own that
// leaves out: the first datagram if at is negative. One of no bytes is found once. nil if
// none that was taken has it. mu is held.
func (x *drained) find(at int) (d *datagram, skip int) {
	skip = max(at, 0)
	for _, d := range x.all {
		if at < 0 || skip < len(d.data) || skip == 0 && !d.peeked {
			return d, skip
		}
		skip -= len(d.data)
	}
	return nil, 0
}

// peek is find, which takes from the stack until it finds one: what that says if it has none.
func (x *drained) peek(e *Endpoint, at int) (d *datagram, skip int, err tcpip.Error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for {
		if d, skip = x.find(at); d != nil {
			d.peeked = true
			return d, skip, nil
		}
		if x.full(e) {
			return nil, 0, &tcpip.ErrWouldBlock{}
		}
		var b bytes.Buffer
		told, err := e.ep().Read(&b, tcpip.ReadOptions{NeedRemoteAddr: true})
		if err != nil {
			return nil, 0, err
		}
		x.all = append(x.all, &datagram{data: b.Bytes(), told: told})
		x.bytes += b.Len()
		x.count.Store(int32(len(x.all)))
	}
}

// full reports whether x is as large as the stack's queue may be: no more is taken. mu is held.
func (x *drained) full(e *Endpoint) bool {
	return int64(x.bytes) >= e.ep().SocketOptions().GetReceiveBufferSize()
}

// holds reports whether peek would find any.
func (x *drained) holds(e *Endpoint, at int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	d, _ := x.find(at)
	const readable = waiter.EventMask(wait.Readable)
	return d != nil || !x.full(e) && e.ep().Readiness(readable)&readable != 0
}

// first is the size of the first datagram.
func (x *drained) first() (n int, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.all) == 0 {
		return 0, false
	}
	return len(x.all[0].data), true
}

// recvDrained is Recv of a datagram that was taken from the stack, or is now to be looked
// behind; ok is false if it is to be read from the stack.
func (e *Endpoint) recvDrained(dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (n int64, ok bool, err error) {
	var d *datagram
	skip, peek := 0, flags&linux.MSG_PEEK != 0
	if peek {
		var failed tcpip.Error
		d, skip, failed = e.drained.peek(e, e.opts.PeekOff())
		if _, closed := failed.(*tcpip.ErrClosedForReceive); closed {
			return 0, true, nil
		}
		if failed != nil {
			return 0, true, errno(failed)
		}
	} else if d = e.drained.take(); d == nil {
		return 0, false, nil
	}
	// What was passed over is not cut off, unless the rest is.
	data, cut := d.data[skip:], false
	if int64(len(data)) >= dst.Len() {
		data, cut = data[:dst.Len()], dst.Len() < int64(len(d.data))
	}
	if _, err := dst.CopyOut(data); err != nil {
		return 0, true, err
	}
	if n = int64(len(data)); flags&linux.MSG_TRUNC != 0 {
		n = int64(len(d.data))
	}
	e.opts.MovePeekOff(n, peek)
	if m != nil {
		encode(e.kind.Family, d.told.RemoteAddr, &m.Addr)
		if cut {
			m.Flags |= linux.MSG_TRUNC
		}
		e.recvControl(m, &d.told.ControlMessages)
	}
	return n, true, nil
}

// Later implements socket.Later: nobody waits for errors, and who peeks waits for what is
// behind SO_PEEK_OFF.
func (e *Endpoint) Later(flags linux.MsgFlags) wait.Object {
	switch {
	case flags&linux.MSG_ERRQUEUE != 0:
		return nil
	case flags&linux.MSG_PEEK != 0 && e.opts.PeekOff() >= 0:
		return unpeeked{e}
	}
	return e
}

// unpeeked is a socket that is only readable for what is behind SO_PEEK_OFF.
type unpeeked struct{ *Endpoint }

// Ready implements wait.Object.
func (u unpeeked) Ready(want wait.Events) wait.Events {
	r := u.Endpoint.Ready(want | wait.RdHup)
	if r&(wait.RdHup|wait.Hup|wait.Err) == 0 && !u.holds(u.opts.PeekOff()) {
		r &^= wait.Readable
	}
	return r & (want | wait.Always)
}

// holds reports whether there is anything behind the first at bytes.
func (e *Endpoint) holds(at int) bool {
	if !e.isTCP() {
		return e.drained.holds(e, at)
	}
	if l := e.local.Load(); l != nil {
		return l.in.holds(at, l.inline())
	}
	n, err := e.ep().GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	return err == nil && n > at
}

// holds reports whether a peek behind the first at bytes would give any.
func (f *flow) holds(at int, inline bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, n := f.extent(at, 1, inline)
	return n > 0
}
