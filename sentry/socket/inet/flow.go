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
}

// A flowState is a flow at one moment.
type flowState struct {
	used      int
	fin, gone bool
	roomy     bool // there is enough room to tell a writer
}

func (f *flow) state() flowState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return flowState{f.ring.Used(), f.fin, f.gone, f.roomy()}
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
// gone, or the sender itself shut down.
func (f *flow) write(src usermem.Seq) (done int64, err error) {
	f.wr.Lock()
	defer f.wr.Unlock()
	for total := src.Len(); done < total; {
		var n int
		if n, err = f.writeChunk(src); n > 0 {
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

func (f *flow) writeChunk(src usermem.Seq) (int, error) {
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
	return got, nil
}

// read copies what is there to dst, or only looks at it. sink throws it away. EAGAIN if
// there is nothing; roomy is true if the writer is to be told of room.
func (f *flow) read(dst usermem.Seq, peek, sink bool) (n int64, roomy bool, err error) {
	f.rd.Lock()
	defer f.rd.Unlock()
	f.mu.Lock()
	k := int(min(int64(f.ring.Used()), dst.Len()))
	if k == 0 {
		f.mu.Unlock()
		return 0, false, linux.EAGAIN
	}
	a, b := f.ring.Data(0, k)
	f.mu.Unlock()

	got := k
	if !sink {
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
	if peek {
		return int64(got), false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone { // closed meanwhile
		return int64(got), false, nil
	}
	before := f.roomy()
	f.ring.Drop(got)
	if !f.filling {
		f.ring.Shrink()
	}
	return int64(got), !before && f.roomy(), nil
}
