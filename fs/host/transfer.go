package host

import (
	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A stream is an open pipe, socket or character device.
type stream struct{ file }

// Stream implements vfs.Streamer.
func (*stream) Stream() {}

// Async implements vfs.Asyncer.
func (*stream) Async() {}

// Watch implements wait.Object.
func (s *stream) Watch(w *wait.Watch) { s.d.queue.Watch(w) }

// Unwatch implements wait.Object.
func (s *stream) Unwatch(w *wait.Watch) { s.d.queue.Unwatch(w) }

// Ready implements wait.Object.
func (s *stream) Ready(mask wait.Events) wait.Events {
	d := s.d
	if !d.polled {
		return mask & (wait.Readable | wait.Writable)
	}
	e := ready(d.fd, mask)
	if d.slow.Load() {
		e = d.slowReady(e)
	}
	return e & (mask | wait.Always)
}

// Read implements vfs.File.
func (s *stream) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	d := s.d
	if !d.slow.Load() {
		n, err := dst.Each(arch.Write, func(p [][]byte) (int64, error) { return d.call(p, false) })
		if err != linux.EOPNOTSUPP {
			return n, err
		}
		d.slow.Store(true)
	}
	return d.slowRead(dst)
}

// Write implements vfs.File.
func (s *stream) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	d := s.d
	if src.Len() == 0 {
		return 0, nil
	}
	d.poller.Settle()
	if !d.slow.Load() {
		n, err := src.Each(arch.Read, func(p [][]byte) (int64, error) { return d.call(p, true) })
		if err != linux.EOPNOTSUPP {
			return n, err
		}
		d.slow.Store(true)
	}
	return d.slowWrite(src)
}

// maxPieces is how many buffers one host call takes (IOV_MAX).
const maxPieces = 1024

// call moves bytes without waiting: EAGAIN if it would have to, EOPNOTSUPP if
// the host can't be asked that of this kind of file.
func (d *Descriptor) call(p [][]byte, write bool) (int64, error) {
	if len(p) > maxPieces {
		p = p[:maxPieces]
	}
	for {
		n, err := 0, error(nil)
		switch {
		case d.kind == linux.S_IFSOCK && write:
			n, err = unix.SendmsgBuffers(d.fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		case d.kind == linux.S_IFSOCK:
			n, _, _, _, err = unix.RecvmsgBuffers(d.fd, p, nil, unix.MSG_DONTWAIT)
		case write && !d.polled: // /dev/null and the like never wait
			n, err = unix.Writev(d.fd, p)
		case write:
			n, err = unix.Pwritev2(d.fd, p, -1, unix.RWF_NOWAIT)
		case !d.polled:
			n, err = unix.Readv(d.fd, p)
		default:
			n, err = unix.Preadv2(d.fd, p, -1, unix.RWF_NOWAIT)
		}
		switch err {
		case nil:
			return int64(n), nil
		case unix.EINTR:
			continue
		case unix.EFAULT, unix.EAGAIN, unix.EPIPE:
			return 0, err.(unix.Errno)
		}
		return 0, errno(err)
	}
}
