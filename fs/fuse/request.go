package fuse

import (
	"bytes"
	"slices"
	"sync/atomic"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// maxIO bounds the data of one request or one reply; linux.FUSE_MAX_PAGES says the same
// in pages.
const (
	maxPages = 256
	maxIO    = maxPages * 4096
)

// A request is what a server is asked. It is ready when it is answered.
type request struct {
	wait.Queue

	header linux.FuseInHeader
	body   []byte
	fixed  int  // the length of an answer
	extra  int  // and up to how much more it may have
	force  bool // it is asked even if nobody waits for the answer
	// then is called with the answer where nobody waits for it, in the server's own
	// task or a dying one: it does not wait. nil: an answer tells nothing.
	then   func(reply []byte, err error)
	waited bool // the caller waits, as long as it has not left

	// Protected by the connection's mu:
	via         *device // that it was read from
	interrupted bool
	left        bool // nobody waits

	// Set before done, and not changed after:
	reply []byte
	err   error
	done  atomic.Bool
}

// Ready implements wait.Object.
func (r *request) Ready(e wait.Events) wait.Events {
	if r.done.Load() {
		return e & wait.Readable
	}
	return 0
}

// ask is a request about a node.
func ask(op linux.FuseOp, node uint64, parts ...[]byte) *request {
	return &request{header: linux.FuseInHeader{Op: op, Node: node}, body: bytes.Join(parts, nil)}
}

// raw is v as the server sees it.
func raw[T any](v T) []byte { return slices.Clone(usermem.AsBytes(&v)) }

// name is s as the server sees it.
func name(s string) []byte { return append([]byte(s), 0) }

// sizeOf is how long a T is.
func sizeOf[T any]() int {
	var v T
	return len(usermem.AsBytes(&v))
}

// decode is a T from the beginning of b, which may be shorter: the rest is zero then.
func decode[T any](b []byte) (v T) {
	copy(usermem.AsBytes(&v), b)
	return v
}

// callFor asks for an answer that is a T.
func callFor[T any](m *connection, c vfs.Ctx, r *request) (v T, err error) {
	r.fixed = sizeOf[T]()
	b, err := m.call(c, r)
	if err != nil {
		return v, err
	}
	return decode[T](b), nil
}

// call asks the server, and waits for its answer: the errno that it gives; ENOTCONN,
// ECONNABORTED and ECONNREFUSED for a server that is not there; EINTR. The kernel itself
// can't wait: EIO.
func (m *connection) call(c vfs.Ctx, r *request) ([]byte, error) {
	t, ok := kernel.Caller(c)
	if !ok {
		return nil, linux.EIO
	}
	if !m.opened.is.Load() {
		if t.Killed() || t.BlockKillable(&m.opened, wait.Readable) != nil {
			return nil, linux.EINTR
		}
	}
	if err := m.sign(c, t, r); err != nil {
		return nil, err
	}
	r.waited = true
	if err := m.enqueue(r); err != nil {
		return nil, err
	}
	if m.await(t, r) {
		return r.reply, r.err
	}
	if m.abandon(r) {
		return nil, linux.EINTR
	}
	return r.reply, r.err
}

// await waits for r, and reports whether it was worth it.
func (m *connection) await(t *kernel.Task, r *request) bool {
	if t.Killed() {
		return false
	}
	if t.Block(r, wait.Readable) == nil {
		return true
	}
	m.interrupt(r)
	return t.BlockKillable(r, wait.Readable) == nil
}

// sign says who asks. EOVERFLOW: one whose ids the server can't be told.
func (m *connection) sign(c vfs.Ctx, t *kernel.Task, r *request) error {
	cr := c.Creds()
	if !r.force && (!m.user.KnowsUID(cr.FSUID) || !m.user.KnowsGID(cr.FSGID)) {
		return linux.EOVERFLOW
	}
	r.header.UID, r.header.GID = m.user.FromUID(cr.FSUID), m.user.FromGID(cr.FSGID)
	r.header.PID = uint32(t.PID().In(m.pids))
	return nil
}

// post asks the server without waiting; r.then is called when it has answered.
func (m *connection) post(c vfs.Ctx, r *request) {
	if t, ok := kernel.Caller(c); ok {
		r.force = true
		_ = m.sign(c, t, r) // with force there is no error
	}
	if err := m.enqueue(r); err != nil && r.then != nil {
		r.then(nil, err)
	}
}
