package pipe

import (
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// chunk is how much is moved at a time between two files that are no pipes.
const chunk = 64 << 10

// retry does f until it is not EAGAIN, waiting for d in between unless now.
func retry(c vfs.Ctx, d *vfs.FileDescription, e wait.Events, now bool, f func() (int64, error)) (int64, error) {
	for {
		n, err := f()
		if err != linux.EAGAIN || now {
			return n, err
		}
		if err := c.Block(d, e); err != nil {
			return 0, err
		}
	}
}

// Splice moves at most n bytes from one file to another, at least one of which is a
// pipe: splice(2). Offsets, if not nil, are used instead of the files' own, and
// advanced. With now it does not wait for pipes. EINVAL, EBADF, ESPIPE.
func Splice(c vfs.Ctx, m Move) (int64, error) {
	in, out := Of(m.In), Of(m.Out)
	switch {
	case !m.In.Flags().Readable() || !m.Out.Flags().Writable():
		return 0, linux.EBADF
	case in == nil && out == nil:
		return 0, linux.EINVAL
	case in != nil && m.InOff != nil || out != nil && m.OutOff != nil:
		return 0, linux.ESPIPE
	case m.InOff != nil && m.In.Stream() || m.OutOff != nil && m.Out.Stream():
		return 0, linux.ESPIPE
	case in != nil && out != nil && Same(in, out):
		return 0, linux.EINVAL
	case m.Out.Flags()&linux.O_APPEND != 0 && out == nil:
		return 0, linux.EINVAL
	}
	if m.N == 0 {
		return 0, nil
	}
	switch {
	case in != nil && out != nil:
		return m.between(c, in, out)
	case in != nil:
		return retry(c, m.In, wait.Readable, m.Now || m.In.NonBlocking(), func() (int64, error) { return m.fromPipe(c, in) })
	}
	return m.toPipe(c, out)
}

// A Move is what splice(2) is asked for.
type Move struct {
	In, Out       *vfs.FileDescription
	InOff, OutOff *int64
	N             int64
	Now           bool
}

// between moves from pipe to pipe.
func (m *Move) between(c vfs.Ctx, in, out *End) (int64, error) {
	for {
		full := false
		n, err := in.Take(m.N, func(b []byte) (int, error) {
			src := b
			n, err := out.Give(int64(len(b)), func(room []byte) (int, error) {
				k := copy(room, src)
				src = src[k:]
				return k, nil
			})
			full = err == linux.EAGAIN
			return int(n), err
		})
		if err == linux.EPIPE {
			c.Raise(linux.SIGPIPE)
		}
		if err != linux.EAGAIN || m.Now {
			return n, err
		}
		if full {
			if m.Out.NonBlocking() {
				return 0, err
			}
			err = c.Block(m.Out, wait.Writable)
		} else {
			if m.In.NonBlocking() {
				return 0, err
			}
			err = c.Block(m.In, wait.Readable)
		}
		if err != nil {
			return 0, err
		}
	}
}

// fromPipe moves what is in the pipe to another file. That may have to wait; the pipe's
// other readers do not wait with it: it is asked without waiting, and waited for by
// itself.
func (m *Move) fromPipe(c vfs.Ctx, in *End) (int64, error) {
	for {
		blocked := false
		n, err := in.Take(m.N, func(b []byte) (int, error) {
			k, err := m.writeOut(c, b)
			blocked = err == linux.EAGAIN
			return int(k), err
		})
		if !blocked || n > 0 || m.Out.NonBlocking() {
			return n, err
		}
		if err := c.Block(m.Out, wait.Writable); err != nil {
			return 0, err
		}
	}
}

// writeOut writes b to m.Out, without waiting, at its offset.
func (m *Move) writeOut(c vfs.Ctx, b []byte) (int64, error) {
	off := int64(-1)
	if m.OutOff != nil {
		off = *m.OutOff
	}
	n, err := m.Out.WriteWith(c, usermem.FromBytes(b), off, linux.RWF_NOWAIT)
	if m.OutOff != nil && n > 0 {
		*m.OutOff += n
	}
	return n, err
}

// readIn reads into b from m.In, without waiting, at its offset.
func (m *Move) readIn(c vfs.Ctx, b []byte) (int64, error) {
	off := int64(-1)
	if m.InOff != nil {
		off = *m.InOff
	}
	n, err := m.In.ReadWith(c, usermem.FromBytes(b), off, linux.RWF_NOWAIT|vfs.Asked)
	if m.InOff != nil && n > 0 {
		*m.InOff += n
	}
	return n, err
}

// toPipe moves from another file into a pipe.
func (m *Move) toPipe(c vfs.Ctx, out *End) (int64, error) {
	if err := m.In.AskRead(c); err != nil { // not while others can't write to the pipe
		return 0, err
	}
	for {
		blocked := false
		n, err := out.Give(m.N, func(room []byte) (int, error) {
			k, err := m.readIn(c, room)
			blocked = err == linux.EAGAIN
			return int(k), err
		})
		if err == linux.EPIPE {
			c.Raise(linux.SIGPIPE)
		}
		if n > 0 || err != linux.EAGAIN {
			return n, err
		}
		if blocked {
			if m.In.NonBlocking() {
				return 0, err
			}
			err = c.Block(m.In, wait.Readable)
		} else {
			if m.Now || m.Out.NonBlocking() {
				return 0, err
			}
			err = c.Block(m.Out, wait.Writable)
		}
		if err != nil {
			return 0, err
		}
	}
}

// Tee copies at most n bytes from one pipe to another and leaves them: tee(2). EINVAL.
func Tee(c vfs.Ctx, m Move) (int64, error) {
	in, out := Of(m.In), Of(m.Out)
	switch {
	case !m.In.Flags().Readable() || !m.Out.Flags().Writable():
		return 0, linux.EBADF
	case in == nil || out == nil || Same(in, out):
		return 0, linux.EINVAL
	case m.N == 0:
		return 0, nil
	}
	for {
		n, empty, err := tee(in, out, m.N)
		if err == linux.EPIPE {
			c.Raise(linux.SIGPIPE)
		}
		if err != linux.EAGAIN || m.Now {
			return n, err
		}
		if empty {
			if m.In.NonBlocking() {
				return 0, err
			}
			err = c.Block(m.In, wait.Readable)
		} else {
			if m.Out.NonBlocking() {
				return 0, err
			}
			err = c.Block(m.Out, wait.Writable)
		}
		if err != nil {
			return 0, err
		}
	}
}

// tee copies without waiting; empty says what EAGAIN is for.
func tee(in, out *End, n int64) (total int64, empty bool, err error) {
	p := in.p
	p.out.Lock()
	defer p.out.Unlock()
	p.mu.Lock()
	at, end, writers := p.head, p.tail, p.writers
	ring := p.ring
	p.mu.Unlock()
	end = min(end, at+uint64(n))
	if at == end {
		if writers == 0 {
			return 0, true, nil
		}
		return 0, true, linux.EAGAIN
	}
	total, err = out.Give(int64(end-at), func(room []byte) (k int, _ error) {
		for k < len(room) && at < end {
			i := at & uint64(len(ring)-1)
			m := copy(room[k:], ring[i:min(uint64(len(ring)), i+end-at)])
			k, at = k+m, at+uint64(m)
		}
		return k, nil
	})
	return total, false, err
}

// Copy moves at most m.N bytes between two files that need not be pipes: sendfile(2)
// and copy_file_range(2). It waits for both. Progress wins over an error.
func Copy(c vfs.Ctx, m Move) (total int64, err error) {
	buf := make([]byte, min(m.N, chunk))
	for total < m.N {
		b := buf[:min(int64(len(buf)), m.N-total)]
		off := int64(-1)
		if m.InOff != nil {
			off = *m.InOff
		}
		// Read first without moving an offset of the file, which a failed write
		// must leave behind.
		var n int64
		own := off < 0 && !m.In.Stream()
		if own {
			off = m.In.Offset()
		}
		if n, err = m.In.ReadWith(c, usermem.FromBytes(b), off, 0); n <= 0 || err != nil {
			break
		}
		out := int64(-1)
		if m.OutOff != nil {
			out = *m.OutOff
		}
		var w int64
		w, err = m.Out.WriteWith(c, usermem.FromBytes(b[:n]), out, 0)
		if w > 0 {
			total += w
			if m.OutOff != nil {
				*m.OutOff += w
			}
			if m.InOff != nil {
				*m.InOff += w
			}
			if own {
				m.In.Seek(c, off+w, linux.SEEK_SET)
			}
		}
		if err != nil || w < n {
			break
		}
	}
	if total > 0 {
		err = nil
	}
	return total, err
}
