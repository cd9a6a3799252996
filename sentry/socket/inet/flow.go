package inet

import (
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
)

// flowLimit is how many bytes a flow takes while its ends leave the sizes of their
// buffers to the kernel, which on Linux grow to about as much.
const flowLimit = 2 << 20

// flowChunk is how much is copied in one piece.
const flowChunk = 64 << 10

// A flow is one direction of a local connection: the receive queue of one end.
type flow struct {
	// rd and wr let one reader and one writer at a time into the ring. They are
	// held while guest memory is copied, which mu never is; hence their rank.
	rd, wr lock.Mutex[lock.File]

	mu      lock.Mutex[lock.Socket]
	ring    socket.Ring // protected by mu
	fin     bool        // protected by mu: nothing comes after what is there
	gone    bool        // protected by mu: the receiver has closed
	filling bool        // protected by mu: a writer copies into the ring
	limit   int         // protected by mu
	urg     urgent      // protected by mu
}

// An urgent is the one byte of a stream that was sent last with MSG_OOB, tcp(7). It lies
// among the others; unless the receiver wants it there (SO_OOBINLINE), what reads the
// others passes over it.
type urgent struct {
	on    bool // there is one, not yet passed
	taken bool // recv(MSG_OOB) has had it
	at    uint64
	value byte
}

// A flowState is a flow at one moment.
type flowState struct {
	used      int // bytes to be read, without an urgent one that is next
	fin, gone bool
	roomy     bool // there is enough room to tell a writer
	urgent    bool // there is a byte for recv(MSG_OOB)
	mark      bool // the next byte is the urgent one
}

// state tells of f; inline is the receiver's SO_OOBINLINE.
func (f *flow) state(inline bool) flowState {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := flowState{used: f.ring.Used(), fin: f.fin, gone: f.gone, roomy: f.roomy()}
	if f.urg.on {
		s.urgent, s.mark = !f.urg.taken, f.urg.at == f.ring.Head()
		if s.mark && !inline {
			s.used--
		}
	}
	return s
}

// extent is what one read may return that begins at bytes behind the first: at most want,
// after skip that it passes over. It stops at the urgent byte. mu is held.
func (f *flow) extent(at int, want int64, inline bool) (skip, n int) {
	skip, end := at, f.ring.Used()
	if f.urg.on {
		switch urgent := int(f.urg.at - f.ring.Head()); {
		case urgent > at:
			end = urgent
		case urgent == at && !inline:
			skip++
		}
	}
	return skip, int(max(0, min(int64(end-skip), want)))
}

// before is how many bytes can be read before the urgent one, or at all: SIOCINQ.
func (f *flow) before(inline bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.urg.on && !inline {
		return int(f.urg.at - f.ring.Head())
	}
	return f.ring.Used()
}

// drop takes n bytes out, and forgets an urgent one that was passed. mu is held.
func (f *flow) drop(n int) {
	f.ring.Drop(n)
	if f.urg.on && f.ring.Head() > f.urg.at {
		f.urg = urgent{}
	}
}

// readUrgent is recv(MSG_OOB): EINVAL if there is no such byte, or it was had, or the
// receiver has it with the others.
func (f *flow) readUrgent(dst usermem.Seq, inline, peek bool) (int64, error) {
	f.mu.Lock()
	if inline || !f.urg.on || f.urg.taken {
		f.mu.Unlock()
		return 0, linux.EINVAL
	}
	value := f.urg.value
	f.urg.taken = !peek
	f.mu.Unlock()
	if dst.Len() == 0 {
		return 0, nil
	}
	n, err := dst.CopyOut([]byte{value})
	return int64(n), err
}

// roomy reports whether a third of the room is free, as Linux has it. mu is held.
func (f *flow) roomy() bool { return f.ring.Used()*3 <= f.limit*2 }

// finish says that nothing more is sent.
func (f *flow) finish() {
	f.mu.Lock()
	f.fin = true
	f.mu.Unlock()
}

// abandon says that nobody receives any more, and reports whether something was left.
func (f *flow) abandon() (unread bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	unread = f.ring.Used() > 0
	f.gone = true
	f.ring.Reset()
	return unread
}

// write copies src into the ring: EAGAIN if there is no room; EPIPE if the receiver has
// gone, or the sender itself shut down. With oob, the last byte of src is urgent.
func (f *flow) write(src usermem.Seq, oob bool) (done int64, err error) {
	f.wr.Lock()
	defer f.wr.Unlock()
	for total := src.Len(); done < total; {
		var n int
		if n, err = f.writeChunk(src, oob); n > 0 {
			done += int64(n)
		}
		if err != nil || n < flowChunk {
			break
		}
		src = src.Skip(flowChunk)
	}
	if done > 0 {
		return done, nil
	}
	return 0, err
}

// mark makes the last byte urgent. An older one that was not had is an ordinary byte
// again. mu is held.
func (f *flow) mark() {
	last, _ := f.ring.Data(f.ring.Used()-1, 1)
	f.urg = urgent{on: true, at: f.ring.Tail() - 1, value: last[0]}
}

// writeChunk writes one piece; if it is the last, with oob its last byte is urgent.
func (f *flow) writeChunk(src usermem.Seq, oob bool) (int, error) {
	f.mu.Lock()
	if f.gone || f.fin {
		f.mu.Unlock()
		return 0, linux.EPIPE
	}
	n := int(min(src.Len(), flowChunk, int64(f.limit-f.ring.Used())))
	if n <= 0 {
		f.mu.Unlock()
		return 0, linux.EAGAIN
	}
	a, b := f.ring.Space(n)
	f.filling = true
	f.mu.Unlock()

	got, err := src.CopyIn(a)
	if err == nil && len(b) > 0 {
		var k int
		k, err = src.Skip(int64(got)).CopyIn(b)
		got += k
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	f.filling = false
	switch {
	case f.gone:
		return 0, linux.EPIPE
	case got == 0:
		return 0, err
	}
	f.ring.Add(got)
	if oob && int64(got) == src.Len() {
		f.mark()
	}
	return got, nil
}

// A readSpec is how a reader wants its bytes.
type readSpec struct {
	peek   bool // they stay
	sink   bool // they are thrown away
	inline bool // SO_OOBINLINE
	at     int  // where a peek begins: SO_PEEK_OFF
}

// read copies what is there to dst. EAGAIN if there is nothing; roomy is true if the
// writer is to be told of room.
func (f *flow) read(dst usermem.Seq, how readSpec) (n int64, roomy bool, err error) {
	f.rd.Lock()
	defer f.rd.Unlock()
	f.mu.Lock()
	skip, k := f.extent(how.at, dst.Len(), how.inline)
	if k == 0 {
		if skip > 0 && !how.peek && !f.gone {
			f.drop(skip) // what reads at the mark passes it, whatever comes after
		}
		f.mu.Unlock()
		return 0, false, linux.EAGAIN
	}
	a, b := f.ring.Data(skip, k)
	f.mu.Unlock()

	got := k
	if !how.sink {
		got, err = dst.CopyOut(a)
		if err == nil && len(b) > 0 {
			var m int
			m, err = dst.Skip(int64(got)).CopyOut(b)
			got += m
		}
	}
	if got == 0 {
		return 0, false, err
	}
	if how.peek {
		return int64(got), false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone { // closed meanwhile
		return int64(got), false, nil
	}
	before := f.roomy()
	f.drop(skip + got)
	if !f.filling {
		f.ring.Shrink()
	}
	return int64(got), !before && f.roomy(), nil
}
