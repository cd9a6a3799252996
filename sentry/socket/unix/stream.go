package unix

import (
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// chunk is how much is copied in one piece, in bytes, and how much of a write the files
// sent with it belong to (Linux: one buffer).
const chunk = 32 << 10

// sendStream is Send of a stream socket.
func (e *Endpoint) sendStream(c vfs.Ctx, src usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EOPNOTSUPP
	}
	conn := e.conn.Load()
	if m != nil && m.Addr.Len() > 0 {
		if conn != nil {
			return 0, linux.EISCONN
		}
		return 0, linux.EOPNOTSUPP
	}
	if conn == nil {
		return 0, linux.ENOTCONN
	}
	total := src.Len()
	if conn.out.isShut() {
		return 0, linux.EPIPE
	}
	if total == 0 {
		return 0, nil
	}
	seg := segment{cred: e.credFor(c, conn.peer, m)}
	if m != nil && len(m.Rights) > 0 {
		r, err := e.launch(c, conn.peer, m.Rights)
		if err != nil {
			return 0, err
		}
		seg.rights = r
	}
	n, err := conn.out.write(src, seg, int(e.opts.SndBuf()))
	if seg.rights != nil {
		if n == 0 {
			e.fam.flight.land(seg.rights)
		} else {
			m.Rights = nil
		}
	}
	return n, err
}

// write copies src into the ring until it is full. seg is of the first bytes; the
// others have its sender but not its files. The reader is told once, at the end: to be
// woken for each piece would cost it more than it gains.
func (ch *channel) write(src usermem.Seq, seg segment, limit int) (done int64, err error) {
	ch.wr.Lock()
	for total := src.Len(); done < total; {
		var n int
		if n, err = ch.writeChunk(src, seg, limit); n > 0 {
			done += int64(n)
			seg.rights = nil
		}
		if err != nil || n < chunk {
			break
		}
		src = src.Skip(chunk)
	}
	ch.wr.Unlock()
	if done > 0 {
		ch.reader.Notify(wait.Readable)
		return done, nil
	}
	return 0, err
}

// writeChunk moves up to chunk bytes: EAGAIN if there is no room, EPIPE.
func (ch *channel) writeChunk(src usermem.Seq, seg segment, limit int) (int, error) {
	ch.mu.Lock()
	if ch.shut {
		ch.mu.Unlock()
		return 0, linux.EPIPE
	}
	n := int(min(src.Len(), chunk, int64(limit-ch.ring.Used())))
	if n <= 0 {
		ch.mu.Unlock()
		return 0, linux.EAGAIN
	}
	a, b := ch.ring.Space(n)
	ch.filling = true
	ch.mu.Unlock()

	got, err := src.CopyIn(a)
	if err == nil && len(b) > 0 {
		var k int
		k, err = src.Skip(int64(got)).CopyIn(b)
		got += k
	}

	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.filling = false
	switch {
	case err != nil:
		return 0, err // as on Linux, nothing of a buffer that faults is sent
	case ch.shut:
		return 0, linux.EPIPE
	}
	ch.ring.Add(got)
	ch.label(seg)
	return got, nil
}

// label says whose the bytes up to tail are. mu is held.
func (ch *channel) label(seg segment) {
	seg.end = ch.ring.Tail()
	if last := len(ch.segs) - 1; last >= 0 && seg.rights == nil {
		if s := &ch.segs[last]; s.rights == nil && s.cred == seg.cred {
			s.end = seg.end
			return
		}
	}
	ch.segs = append(ch.segs, seg)
}

// recvStream is Recv of a stream socket.
func (e *Endpoint) recvStream(c vfs.Ctx, dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if flags&linux.MSG_OOB != 0 {
		return 0, linux.EINVAL
	}
	conn := e.conn.Load()
	if conn == nil {
		return 0, linux.EINVAL
	}
	r := reading{ch: conn.in, peek: flags&linux.MSG_PEEK != 0, creds: e.wantsCreds(), at: -1}
	if r.peek {
		r.at = e.opts.PeekOff()
	}
	n, err := r.run(dst, e)
	if n > 0 {
		e.opts.MovePeekOff(n, r.peek)
		if m != nil {
			if from := conn.peer.name.Load(); from != nil {
				m.Addr.Set(from.addr)
			}
		}
	}
	e.deliver(c, m, r.found, r.peek)
	return n, err
}

// A reading is one recvmsg(2) from a stream.
type reading struct {
	ch    *channel
	peek  bool
	creds bool // senders are told apart
	at    int  // where to peek, -1 at the beginning
	found segment
}

// run copies what one call may return to dst.
func (r *reading) run(dst usermem.Seq, e *Endpoint) (int64, error) {
	ch := r.ch
	want := dst.Len()
	ch.rd.Lock()
	ch.mu.Lock()
	skip := max(r.at, 0)
	avail := ch.ring.Used() - skip
	if avail <= 0 {
		shut := ch.shut
		ch.mu.Unlock()
		ch.rd.Unlock()
		if err := e.TakeError(); err != nil {
			return 0, err
		}
		if shut {
			return 0, nil
		}
		return 0, linux.EAGAIN
	}
	n := int(min(int64(r.extent(skip)), want))
	a, b := ch.ring.Data(skip, n)
	ch.mu.Unlock()

	got, err := dst.CopyOut(a)
	if err == nil && len(b) > 0 {
		var k int
		k, err = dst.Skip(int64(got)).CopyOut(b)
		got += k
	}
	woke := false
	if got > 0 || err == nil {
		woke, err = r.commit(skip, got), nil
	}
	ch.rd.Unlock()
	if woke {
		ch.writer.Notify(wait.Writable | wait.WrBand)
	}
	return int64(got), err
}

// extent is how many bytes from skip on one call may return; it notes in found
// whose they are. mu is held.
func (r *reading) extent(skip int) int {
	from := r.ch.ring.Head() + uint64(skip)
	end := from
	first := true
	for i := range r.ch.segs {
		s := &r.ch.segs[i]
		if s.end <= from {
			continue
		}
		if !first && r.creds && s.cred != r.found.cred {
			break
		}
		if first {
			r.found.cred, first = s.cred, false
		}
		if end = s.end; s.rights != nil {
			break
		}
	}
	return int(end - from)
}

// commit takes n bytes out, with the files that they bring, and reports whether
// the writer has room again.
func (r *reading) commit(skip, n int) (room bool) {
	ch := r.ch
	ch.mu.Lock()
	defer ch.mu.Unlock()
	end := ch.ring.Head() + uint64(skip+n)
	start := ch.ring.Head() + uint64(skip)
	for i := range ch.segs {
		s := &ch.segs[i]
		begin := ch.ring.Head()
		if i > 0 {
			begin = ch.segs[i-1].end
		}
		if s.rights == nil || s.end <= start || begin >= end {
			continue
		}
		r.found.rights = s.rights
		if !r.peek {
			s.rights = nil
		}
		break
	}
	if r.peek {
		if r.found.rights != nil {
			r.found.rights = r.found.rights.copy()
		}
		return false
	}
	limit := ch.writer.opts.SndBuf()
	before := ch.ring.Used()
	ch.ring.Drop(skip + n)
	k := 0
	for k < len(ch.segs)-1 && ch.segs[k].end <= end {
		k++
	}
	if k > 0 {
		ch.segs = append(ch.segs[:0], ch.segs[k:]...)
	}
	if !ch.filling {
		ch.ring.Shrink()
	}
	return before*4 > limit && ch.ring.Used()*4 <= limit
}
