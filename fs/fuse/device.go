package fuse

import (
	"sync/atomic"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// The number of /dev/fuse, Documentation/admin-guide/devices.txt.
const (
	DeviceMajor = 10
	DeviceMinor = 229
)

// Device is /dev/fuse.
type Device struct{}

// Open implements vfs.Device.
func (Device) Open(vfs.Ctx, vfs.Path, linux.OpenFlags) (vfs.File, error) { return &device{}, nil }

// A device is an open /dev/fuse: nothing until it is given to mount(2), or made another
// channel of what one that was is.
type device struct {
	wait.Queue
	conn atomic.Pointer[connection]
}

// Stream implements vfs.Streamer.
func (*device) Stream() {}

// Async implements vfs.Asyncer: SIGIO tells of requests.
func (*device) Async() {}

// Close implements vfs.File.
func (d *device) Close(vfs.Ctx) {
	if m := d.conn.Load(); m != nil {
		m.detach(d)
	}
}

// Ready implements wait.Object.
func (d *device) Ready(e wait.Events) wait.Events {
	m := d.conn.Load()
	if m == nil {
		return e & wait.Err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.phase == ended {
		return e & wait.Err
	}
	now := wait.Writable
	if len(m.pending)+len(m.interrupts)+len(m.forgets) != 0 {
		now |= wait.Readable
	}
	return e & now
}

// Ioctl implements vfs.Control: FUSE_DEV_IOC_CLONE.
func (d *device) Ioctl(c vfs.Ctx, mem usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if cmd != linux.FUSE_DEV_IOC_CLONE {
		return 0, linux.ENOTTY
	}
	fd, err := usermem.Ptr[uint32](arg).Load(mem)
	if err != nil {
		return 0, err
	}
	from, release, err := deviceOf(c, kernel.FD(fd))
	if err != nil {
		return 0, err
	}
	defer release()
	m := from.conn.Load()
	switch {
	case m == nil:
		return 0, linux.EPERM
	case !m.adopt(d):
		return 0, linux.EINVAL
	}
	return 0, nil
}

// adopt makes d, which is nothing yet, a channel of m.
func (m *connection) adopt(d *device) bool {
	if !d.conn.CompareAndSwap(nil, m) {
		return false
	}
	m.mu.Lock()
	m.devices[d] = struct{}{}
	m.mu.Unlock()
	return true
}

// Read implements vfs.File: a request, whole.
func (d *device) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	m := d.conn.Load()
	if m == nil {
		return 0, linux.EPERM
	}
	room := dst.Len()
	if room < m.leastRoom() {
		return 0, linux.EINVAL
	}
	for {
		r, msg, err := m.next(d, room)
		if err != nil {
			return 0, err
		}
		if int64(len(msg)) > room {
			err := error(linux.EIO)
			if r.header.Op == linux.FUSE_SETXATTR {
				err = linux.E2BIG
			}
			m.finish(r, nil, err)
			continue
		}
		if _, err := dst.CopyOut(msg); err != nil {
			if r != nil {
				m.finish(r, nil, linux.EIO)
			}
			return 0, err
		}
		return int64(len(msg)), nil
	}
}

// leastRoom is how much a reader must have room for.
func (m *connection) leastRoom() int64 {
	n := 0
	if t := m.agreed.Load(); t != nil {
		n = sizeOf[linux.FuseInHeader]() + sizeOf[linux.FuseIOIn]() + t.maxWrite
	}
	return int64(max(n, linux.FUSE_MIN_READ_BUFFER))
}

// forgetsInRow is how many messages of what is forgotten come between two requests, if
// there are both.
const forgetsInRow = 8

// next is the message that d is to read: r's, or nobody's that is to be answered. EAGAIN.
func (m *connection) next(d *device, room int64) (r *request, msg []byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.phase == ended:
		return nil, nil, m.abort
	case len(m.interrupts) != 0:
		return nil, m.nextInterruptLocked(), nil
	case len(m.forgets) != 0 && (len(m.pending) == 0 || m.turns < forgetsInRow):
		m.turns++
		return nil, m.nextForgetLocked(room), nil
	case len(m.pending) == 0:
		return nil, nil, linux.EAGAIN
	}
	m.turns = 0
	r = m.pending[0]
	m.pending[0] = nil
	m.pending = m.pending[1:]
	msg = message(r.header, r.body)
	if r.header.Op == linux.FUSE_NOTIFY_REPLY {
		r.done.Store(true)
		return r, msg, nil
	}
	r.body, r.via = nil, d
	if r.left {
		m.abandoned++
	}
	m.sent[r.header.Unique] = r
	if r.interrupted {
		m.interruptLocked(r)
	}
	return r, msg, nil
}

func message(h linux.FuseInHeader, body []byte) []byte {
	n := sizeOf[linux.FuseInHeader]()
	h.Len = uint32(n + len(body))
	return append(append(make([]byte, 0, h.Len), raw(h)...), body...)
}

func (m *connection) nextInterruptLocked() []byte {
	r := m.interrupts[0]
	m.interrupts = m.interrupts[1:]
	h := linux.FuseInHeader{Op: linux.FUSE_INTERRUPT, Unique: r.header.Unique | 1}
	return message(h, raw(linux.FuseInterruptIn{Unique: r.header.Unique}))
}

// maxForgets bounds one FUSE_BATCH_FORGET.
const maxForgets = 256

// nextForgetLocked tells of as many as there is room for.
func (m *connection) nextForgetLocked(room int64) []byte {
	m.unique += 2
	h := linux.FuseInHeader{Op: linux.FUSE_FORGET, Unique: m.unique}
	if len(m.forgets) == 1 {
		f := m.forgets[0]
		m.forgets = nil
		h.Node = f.Node
		return message(h, raw(linux.FuseForgetIn{Lookups: f.Lookups}))
	}
	h.Op = linux.FUSE_BATCH_FORGET
	room -= int64(sizeOf[linux.FuseInHeader]() + sizeOf[linux.FuseBatchForgetIn]())
	n := min(len(m.forgets), maxForgets, int(room)/sizeOf[linux.FuseForget]())
	body := raw(linux.FuseBatchForgetIn{Count: uint32(n)})
	for _, f := range m.forgets[:n] {
		body = append(body, raw(f)...)
	}
	if m.forgets = m.forgets[n:]; len(m.forgets) == 0 {
		m.forgets = nil
	}
	return message(h, body)
}

// Write implements vfs.File: an answer, or something that the server tells unasked.
func (d *device) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	m := d.conn.Load()
	if m == nil {
		return 0, linux.EPERM
	}
	n, size := src.Len(), int64(sizeOf[linux.FuseOutHeader]())
	if n < size {
		return 0, linux.EINVAL
	}
	head := make([]byte, size)
	if _, err := src.CopyIn(head); err != nil {
		return 0, err
	}
	h := decode[linux.FuseOutHeader](head)
	var err error
	switch {
	case int64(h.Len) != n:
		err = linux.EINVAL
	case h.Unique == 0:
		err = m.told(h.Error, src.Skip(size))
	case h.Error <= -512 || h.Error > 0:
		err = linux.EINVAL
	case h.Unique&1 != 0:
		err = m.interruptAnswered(h, n == size)
	default:
		err = m.answered(d, h, src.Skip(size))
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// find is the request that is answered by d, if it was read there.
func (m *connection) find(d *device, unique uint64) *request {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.sent[unique]
	if r == nil || d != nil && r.via != d {
		return nil
	}
	return r
}

// interruptAnswered takes what a server says to FUSE_INTERRUPT, if it says anything.
func (m *connection) interruptAnswered(h linux.FuseOutHeader, short bool) error {
	r := m.find(nil, h.Unique&^1)
	switch {
	case r == nil:
		return linux.ENOENT
	case !short:
		return linux.EINVAL
	case h.Error == -int32(linux.ENOSYS):
		m.silent.Store(true)
	case h.Error == -int32(linux.EAGAIN):
		m.interrupt(r)
	}
	return nil
}

// answered gives a request its answer. What is of another size than asked for is EINVAL
// to the server and EIO to who asked.
func (m *connection) answered(d *device, h linux.FuseOutHeader, body usermem.Seq) error {
	r := m.find(d, h.Unique)
	if r == nil {
		return linux.ENOENT
	}
	n := body.Len()
	if h.Error != 0 {
		if n != 0 {
			m.finish(r, nil, linux.EIO)
			return linux.EINVAL
		}
		m.finish(r, nil, linux.Errno(-h.Error))
		return nil
	}
	if n < int64(r.fixed) || n > int64(r.fixed+r.extra) {
		m.finish(r, nil, linux.EIO)
		return linux.EINVAL
	}
	b := make([]byte, n)
	if _, err := body.CopyIn(b); err != nil {
		m.finish(r, nil, linux.EIO)
		return err
	}
	m.finish(r, b, nil)
	return nil
}
