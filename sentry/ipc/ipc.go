// Package ipc is System V IPC, sysvipc(7): shared memory segments, semaphore sets
// and message queues of one IPC namespace. Nothing here waits: what would have to
// returns EAGAIN, and an object that becomes ready when it is worth trying again.
package ipc

import (
	"cmp"
	"slices"
	"sync/atomic"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/wait"
)

// A Caller is who makes a call: its credentials, its process and the time.
type Caller struct {
	Creds *auth.Creds
	PID   int32
	Now   int64 // seconds since 1970
}

// A Namespace is an IPC namespace's objects, ipc_namespaces(7).
type Namespace struct {
	UserNS   *auth.UserNamespace
	Segments Table[*Segment]
	Sets     Table[*Set]
	Queues   Table[*Queue]
}

// NewNamespace returns an empty namespace.
func NewNamespace(user *auth.UserNamespace) *Namespace {
	n := &Namespace{UserNS: user}
	n.Segments.init(user, linux.SHMMNI)
	n.Sets.init(user, linux.SEMMNI)
	n.Queues.init(user, linux.MSGMNI)
	return n
}

// Object is what every kind has: who may do what with it.
type Object struct {
	ID int32

	mu      lock.Mutex[lock.Leaf]
	user    *auth.UserNamespace
	perm    linux.IPCPerm // protected by mu
	removed bool          // protected by mu
	changed Changes
}

func (o *Object) object() *Object { return o }
func (o *Object) dispose()        {}

// lock locks the object; EIDRM, and it is not locked, if it has been removed.
func (o *Object) lock() error {
	o.mu.Lock()
	if o.removed {
		o.mu.Unlock()
		return linux.EIDRM
	}
	return nil
}

// may judges access by the bits of a mode (0444, 0222): EACCES.
func (o *Object) may(c *Caller, want uint32) error {
	p := &o.perm
	requested := want>>6 | want>>3 | want
	granted := p.Mode
	switch {
	case c.Creds.EUID == p.CUID || c.Creds.EUID == p.UID:
		granted >>= 6
	case c.Creds.InGroup(p.CGID) || c.Creds.InGroup(p.GID): // by the filesystem's group, as for files
		granted >>= 3
	}
	if requested&^granted&7 != 0 && !c.Creds.HasCapIn(o.user, auth.CapIPCOwner) {
		return linux.EACCES
	}
	return nil
}

// owns reports whether c may set or remove the object: EPERM.
func (o *Object) owns(c *Caller) error {
	if c.Creds.EUID != o.perm.CUID && c.Creds.EUID != o.perm.UID && !c.Creds.HasCapIn(o.user, auth.CapSysAdmin) {
		return linux.EPERM
	}
	return nil
}

// set is the part of IPC_SET that all kinds have: EINVAL for ids that mean nothing to c.
func (o *Object) set(c *Caller, p *linux.IPCPerm) error {
	uid, ok := c.Creds.UserNS.MakeUID(p.UID)
	gid, ok2 := c.Creds.UserNS.MakeGID(p.GID)
	if !ok || !ok2 {
		return linux.EINVAL
	}
	o.perm.UID, o.perm.GID = uid, gid
	o.perm.Mode = o.perm.Mode&^0o777 | p.Mode&0o777
	return nil
}

// shown is the permissions as c is told of them.
func (o *Object) shown(c *Caller) linux.IPCPerm {
	p, user := o.perm, c.Creds.UserNS
	p.UID, p.CUID = user.ShowUID(p.UID), user.ShowUID(p.CUID)
	p.GID, p.CGID = user.ShowGID(p.GID), user.ShowGID(p.CGID)
	return p
}

// Changes counts what may let a waiter go on.
type Changes struct {
	wait.Queue
	n atomic.Uint64
}

// Ticket is the count now. Take it before trying.
func (c *Changes) Ticket() uint64 { return c.n.Load() }

// tell says that something changed. The object's lock may be held.
func (c *Changes) tell() {
	c.n.Add(1)
	c.Notify(wait.Readable)
}

// Since is ready once something has changed after ticket was taken.
func (c *Changes) Since(ticket uint64) wait.Object { return &since{c, ticket} }

type since struct {
	*Changes
	seen uint64
}

// Ready implements wait.Object.
func (s *since) Ready(mask wait.Events) wait.Events {
	if s.n.Load() != s.seen {
		return mask & wait.Readable
	}
	return 0
}

// Changes is what tells of changes of the object.
func (o *Object) Changes() *Changes { return &o.changed }

// seqShift is where the sequence number is in an identifier (IPCMNI_SHIFT).
const seqShift = 15

// object is what a Table keeps.
type object interface {
	comparable
	object() *Object
	dispose() // undoes the making of one that nobody has seen
}

// A Table is the objects of one kind.
type Table[T object] struct {
	user  *auth.UserNamespace
	limit int

	mu    lock.Mutex[lock.Socket]
	slots map[int32]T // protected by mu: by index
	keys  map[int32]T // protected by mu
	seq   uint16      // protected by mu
	last  int32       // protected by mu: index given last
}

func (t *Table[T]) init(user *auth.UserNamespace, limit int) {
	t.user, t.limit, t.last = user, limit, -1
	t.slots, t.keys = map[int32]T{}, map[int32]T{}
}

// Get is the get calls: the object of key, or a new one. check sees whether the
// one that is there will do; mk makes another, whose Object is filled in here.
func (t *Table[T]) Get(c *Caller, key int32, flags uint32, check func(T) error, mk func() (T, error)) (int32, error) {
	if id, ok, err := t.existing(c, key, flags, check); ok || err != nil {
		return id, err
	}
	x, err := mk() // without the lock: it may make a file
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	if _, raced := t.keys[key]; raced && key != linux.IPC_PRIVATE {
		t.mu.Unlock()
		x.dispose()
		id, _, err := t.existing(c, key, flags, check)
		return id, err
	}
	defer t.mu.Unlock()
	t.insert(c, x, key, flags)
	return x.object().ID, nil
}

// existing looks key up; ok is false where a new object is to be made. ENOENT,
// ENOSPC.
func (t *Table[T]) existing(c *Caller, key int32, flags uint32, check func(T) error) (id int32, ok bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key != linux.IPC_PRIVATE {
		if x, there := t.keys[key]; there {
			id, err = t.found(c, x, flags, check)
			return id, true, err
		}
		if flags&linux.IPC_CREAT == 0 {
			return 0, false, linux.ENOENT
		}
	}
	if len(t.slots) >= t.limit {
		return 0, false, linux.ENOSPC
	}
	return 0, false, nil
}

func (t *Table[T]) found(c *Caller, x T, flags uint32, check func(T) error) (int32, error) {
	if flags&linux.IPC_CREAT != 0 && flags&linux.IPC_EXCL != 0 {
		return 0, linux.EEXIST
	}
	if err := check(x); err != nil {
		return 0, err
	}
	o := x.object()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ID, o.may(c, flags)
}

// insert gives x the lowest free index. An index used again comes with another
// sequence number, so that an old identifier does not mean the new object.
func (t *Table[T]) insert(c *Caller, x T, key int32, flags uint32) {
	i := int32(0)
	for {
		if _, used := t.slots[i]; !used {
			break
		}
		i++
	}
	if i <= t.last {
		t.seq = (t.seq + 1) & 0xffff
	}
	t.last = i
	o := x.object()
	o.ID = int32(t.seq)<<seqShift&0x7fffffff | i
	o.user = t.user
	o.perm = linux.IPCPerm{
		Key: key, UID: c.Creds.EUID, GID: c.Creds.EGID, CUID: c.Creds.EUID, CGID: c.Creds.EGID,
		Mode: flags & 0o777, Seq: t.seq,
	}
	t.slots[i] = x
	if key != linux.IPC_PRIVATE {
		t.keys[key] = x
	}
}

// Find is the object of an identifier: EINVAL if there is none, EIDRM if it has
// been removed and another has its index.
func (t *Table[T]) Find(id int32) (x T, err error) {
	if id < 0 {
		return x, linux.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	x, ok := t.slots[id&(1<<seqShift-1)]
	if !ok {
		return x, linux.EINVAL
	}
	if x.object().ID != id {
		return x, linux.EIDRM
	}
	return x, nil
}

// At is the object of an index (SHM_STAT and its like): EINVAL.
func (t *Table[T]) At(i int32) (T, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x, ok := t.slots[i]
	if !ok {
		return x, linux.EINVAL
	}
	return x, nil
}

// drop forgets x: its identifier is nobody's any more.
func (t *Table[T]) drop(x T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := x.object()
	if i := o.ID & (1<<seqShift - 1); t.slots[i] == x {
		delete(t.slots, i)
	}
	t.unkeyLocked(x)
}

// unkey makes x's key free for another.
func (t *Table[T]) unkey(x T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unkeyLocked(x)
}

func (t *Table[T]) unkeyLocked(x T) {
	for k, y := range t.keys {
		if y == x {
			delete(t.keys, k)
		}
	}
}

// All lists the objects by index.
func (t *Table[T]) All() []T {
	t.mu.Lock()
	out := make([]T, 0, len(t.slots))
	for _, x := range t.slots {
		out = append(out, x)
	}
	t.mu.Unlock()
	index := func(x T) int32 { return x.object().ID & (1<<seqShift - 1) }
	slices.SortFunc(out, func(a, b T) int { return cmp.Compare(index(a), index(b)) })
	return out
}

// Highest is the highest index in use, 0 if there is none.
func (t *Table[T]) Highest() (i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := range t.slots {
		i = max(i, int(n))
	}
	return i
}

// Count is the number of objects.
func (t *Table[T]) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.slots)
}
