package fuse

import (
	"slices"
	"sync/atomic"
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/memfile"
	"garrison/sentry/wait"
)

// settings are what mount(2) was told.
type settings struct {
	user        *auth.UserNamespace // whose ids the server speaks
	pids        *kernel.PIDNamespace
	uid, gid    uint32 // the kernel's ids of who may use it
	rootMode    linux.FileMode
	allowOther  bool
	permissions bool   // default_permissions: the kernel judges by mode bits
	maxRead     uint32 // 0: no limit
}

// A phase is what a connection's life has come to.
type phase int

const (
	opening phase = iota // FUSE_INIT is not answered yet: requests wait
	open
	refused // the server speaks no protocol that is known here
	ended
)

// A connection is a mounted filesystem and its server.
type connection struct {
	settings
	mem    *memfile.File
	pool   *memfile.Pool
	began  time.Time
	opened gate // passable when no longer opening

	// agreed is what FUSE_INIT has led to; nil before. absent has the requests that the
	// server does not know.
	agreed atomic.Pointer[terms]
	absent [64]atomic.Bool
	// silent: the server does not know FUSE_INTERRUPT.
	silent atomic.Bool
	names  atomic.Int64 // remembered, in all directories

	mu         lock.Mutex[lock.Leaf]
	phase      phase                // protected by mu
	abort      error                // of a read after the end; protected by mu
	devices    map[*device]struct{} // protected by mu
	unique     uint64               // protected by mu
	pending    []*request           // protected by mu
	interrupts []*request           // protected by mu
	forgets    []linux.FuseForget   // protected by mu
	turns      int                  // forgets given since the last request was; protected by mu
	sent       map[uint64]*request  // protected by mu
	abandoned  int                  // of those sent; protected by mu
	inodes     map[uint64]*inode    // by node id; protected by mu
	polls      map[uint64]*poll     // by kernel handle; protected by mu
	lastPoll   uint64               // protected by mu
}

func newConnection(s settings, mem *memfile.File) *connection {
	return &connection{
		settings: s, mem: mem, pool: mem.NewPool(), began: time.Now(),
		devices: map[*device]struct{}{}, sent: map[uint64]*request{},
		inodes: map[uint64]*inode{}, polls: map[uint64]*poll{},
	}
}

// now is a time to which caches are valid, on the connection's own clock.
func (m *connection) now() time.Duration { return time.Since(m.began) }

// maxValid is longer than any connection lives.
const maxValid = 1 << 60

// until is when what is valid for so long becomes stale.
func (m *connection) until(sec uint64, nsec uint32) time.Duration {
	if sec >= uint64(maxValid/time.Second) || nsec >= 1e9 {
		return maxValid
	}
	if sec == 0 && nsec == 0 {
		return 0
	}
	return m.now() + time.Duration(sec)*time.Second + time.Duration(nsec)
}

// has reports whether the server knows op, as far as is known.
func (m *connection) has(op linux.FuseOp) bool { return !m.absent[op].Load() }

// lacks notes that the server does not know op if err says so, and reports it.
func (m *connection) lacks(op linux.FuseOp, err error) bool {
	if err == linux.ENOSYS {
		m.absent[op].Store(true)
	}
	return err == linux.ENOSYS
}

// offers reports whether the server has agreed to a flag of FUSE_INIT.
func (m *connection) offers(flag uint32) bool {
	t := m.agreed.Load()
	return t != nil && t.flags&flag != 0
}

// detach is called when d is closed: what it has read will not be answered. The last
// ends the connection.
func (m *connection) detach(d *device) {
	m.mu.Lock()
	delete(m.devices, d)
	last := len(m.devices) == 0
	var lost []*request
	for _, r := range m.sent {
		if r.via == d {
			lost = append(lost, r)
		}
	}
	m.mu.Unlock()
	for _, r := range lost {
		m.finish(r, nil, linux.ECONNABORTED)
	}
	if last {
		m.end(linux.ENODEV)
	}
}

// end ends the connection; why is what readers of the device are told from now on.
func (m *connection) end(why error) {
	m.mu.Lock()
	if m.phase == ended {
		m.mu.Unlock()
		return
	}
	m.phase, m.abort = ended, why
	lost := slices.Clone(m.pending)
	for _, r := range m.sent {
		lost = append(lost, r)
	}
	m.forgets, m.interrupts = nil, nil
	polls := make([]*poll, 0, len(m.polls))
	for _, p := range m.polls {
		polls = append(polls, p)
	}
	devices := m.listDevicesLocked()
	m.mu.Unlock()
	m.opened.open()
	for _, r := range lost {
		m.finish(r, nil, linux.ECONNABORTED)
	}
	for _, p := range polls {
		p.set(uint32(wait.Err))
	}
	for _, d := range devices {
		d.Notify(wait.Err | wait.Hup | wait.Readable | wait.Writable)
	}
}

func (m *connection) listDevicesLocked() []*device {
	out := make([]*device, 0, len(m.devices))
	for d := range m.devices {
		out = append(out, d)
	}
	return out
}

// enqueue gives r to the server: an error is why that can't be.
func (m *connection) enqueue(r *request) error {
	m.mu.Lock()
	switch m.phase {
	case ended:
		m.mu.Unlock()
		return linux.ENOTCONN
	case refused:
		m.mu.Unlock()
		return linux.ECONNREFUSED
	}
	if r.header.Op != linux.FUSE_NOTIFY_REPLY {
		m.numberLocked(r)
	}
	m.pending = append(m.pending, r)
	devices := m.listDevicesLocked()
	m.mu.Unlock()
	tell(devices)
	return nil
}

// numberLocked gives r its number: they are even, as an odd one is an interrupt's.
func (m *connection) numberLocked(r *request) {
	m.unique += 2
	r.header.Unique = m.unique
}

func tell(devices []*device) {
	for _, d := range devices {
		d.Notify(wait.Readable)
	}
}

// forget tells the server that n of its lookups of node are no longer held.
func (m *connection) forget(node, n uint64) {
	m.mu.Lock()
	if m.phase == ended || m.phase == refused {
		m.mu.Unlock()
		return
	}
	if last := len(m.forgets) - 1; last >= 0 && m.forgets[last].Node == node {
		m.forgets[last].Lookups += n
	} else {
		m.forgets = append(m.forgets, linux.FuseForget{Node: node, Lookups: n})
	}
	devices := m.listDevicesLocked()
	m.mu.Unlock()
	tell(devices)
}

// interrupt tells the server that nobody would wait for r if it could be helped.
func (m *connection) interrupt(r *request) {
	if m.silent.Load() {
		return
	}
	m.mu.Lock()
	r.interrupted = true
	devices := m.interruptLocked(r)
	m.mu.Unlock()
	tell(devices)
}

// interruptLocked queues the interrupt of r if r has been read; else that is done when it is.
func (m *connection) interruptLocked(r *request) []*device {
	if m.sent[r.header.Unique] != r || slices.Contains(m.interrupts, r) {
		return nil
	}
	m.interrupts = append(m.interrupts, r)
	return m.listDevicesLocked()
}

// maxAbandoned is how many requests are remembered for whose answers nobody waits.
const maxAbandoned = 1024

// abandon gives r up, for which nobody waits any more, and reports whether it was still
// under way. What has not been read is never asked, unless it must be.
func (m *connection) abandon(r *request) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.done.Load() {
		return false
	}
	r.left = true
	if i := slices.Index(m.pending, r); i >= 0 {
		if !r.force {
			m.pending = slices.Delete(m.pending, i, i+1)
		}
		return true
	}
	if m.abandoned++; m.abandoned > maxAbandoned {
		m.dropLocked(r)
	}
	return true
}

// dropLocked forgets r, which has been sent.
func (m *connection) dropLocked(r *request) {
	delete(m.sent, r.header.Unique)
	if i := slices.Index(m.interrupts, r); i >= 0 {
		m.interrupts = slices.Delete(m.interrupts, i, i+1)
	}
	if r.left {
		m.abandoned--
	}
}

// finish gives r, pending or sent, its answer, and whoever waits for it. It does nothing
// to one that has been answered.
func (m *connection) finish(r *request, reply []byte, err error) {
	m.mu.Lock()
	if r.done.Load() {
		m.mu.Unlock()
		return
	}
	if i := slices.Index(m.pending, r); i >= 0 {
		m.pending = slices.Delete(m.pending, i, i+1)
	}
	if m.sent[r.header.Unique] == r {
		m.dropLocked(r)
	}
	r.reply, r.err = reply, err
	left := r.left
	r.done.Store(true)
	m.mu.Unlock()
	r.Notify(wait.Readable)
	if r.then != nil && (!r.waited || left) {
		r.then(reply, err)
	}
}

// A gate lets pass once it is open, for good.
type gate struct {
	wait.Queue
	is atomic.Bool
}

func (g *gate) open() {
	g.is.Store(true)
	g.Notify(wait.Readable)
}

// Ready implements wait.Object.
func (g *gate) Ready(e wait.Events) wait.Events {
	if g.is.Load() {
		return e & wait.Readable
	}
	return 0
}
