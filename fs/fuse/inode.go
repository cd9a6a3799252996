package fuse

import (
	"sync/atomic"
	"time"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// An inode is a file that the server has told of. Which of the methods make sense
// depends on its type, which vfs looks at.
type inode struct {
	m          *connection
	id         uint64
	generation uint64
	typ        linux.FileMode

	// Protected by m.mu:
	refs    int
	lookups uint64 // that the server counts, and is to be told of at the end

	writing turn // who changes data or size
	store   store

	mu      lock.Mutex[lock.Inode]
	attr    vfs.Attr      // protected by mu
	valid   time.Duration // until when attr is; protected by mu
	version uint64        // counts changes to attr; protected by mu
	// sizeValid is until when attr's size is, of which a write tells: protected by mu.
	sizeValid time.Duration
	link      string  // where a symlink points, if linked; protected by mu
	linked    bool    // protected by mu
	files     []*file // that are open; protected by mu

	// Of a directory:
	entries map[string]entry // protected by mu
	looked  bool             // names were looked up since it was listed; protected by mu
}

var _ interface {
	vfs.Inode
	vfs.Counted
	vfs.BasicAttrer
	vfs.Permitter
	vfs.AccessChecker
	vfs.Dir
	vfs.Stale
	vfs.Maker
	vfs.Creator
	vfs.Linker
	vfs.Remover
	vfs.Renamer
	vfs.Symlink
	vfs.Xattr
	vfs.OwnJudge
} = (*inode)(nil)

func (m *connection) newInode(id, generation uint64, typ linux.FileMode) *inode {
	i := &inode{m: m, id: id, generation: generation, typ: typ}
	i.store.i = i
	return i
}

// nodeOf is an inode as it is kept here: a root's is what it embeds. nil for one of
// another filesystem.
func nodeOf(i vfs.Inode) *inode {
	switch x := i.(type) {
	case *inode:
		return x
	case *root:
		return x.inode
	}
	return nil
}

// Hold implements vfs.Counted.
func (i *inode) Hold() {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	i.refs++
}

// Drop implements vfs.Counted. The server is told when nobody knows i any more.
func (i *inode) Drop() {
	i.m.mu.Lock()
	i.refs--
	gone := i.refs == 0
	n := i.lookups
	if gone && i.m.inodes[i.id] == i {
		delete(i.m.inodes, i.id)
	}
	i.m.mu.Unlock()
	if !gone {
		return
	}
	i.forgetNames()
	i.store.free()
	if n != 0 {
		i.m.forget(i.id, n)
	}
}

// found is the inode that an answer tells of, held once: a name was looked up or made,
// which the server has counted. EIO for what can't be.
func (m *connection) found(e *linux.FuseEntryOut, version uint64) (*inode, error) {
	typ := linux.FileMode(e.Attr.Mode).Type()
	if !validType(linux.FileMode(e.Attr.Mode)) || e.Node == linux.FUSE_ROOT_ID || e.Attr.Size > maxSize {
		if e.Node > linux.FUSE_ROOT_ID {
			m.forget(e.Node, 1)
		}
		return nil, linux.EIO
	}
	m.mu.Lock()
	i := m.inodes[e.Node]
	if i == nil || i.generation != e.Generation || i.typ != typ {
		// Another file by the same number: who knows the old one keeps what is left of it.
		i = m.newInode(e.Node, e.Generation, typ)
		m.inodes[e.Node] = i
	}
	i.refs++
	i.lookups++
	m.mu.Unlock()
	i.learn(&e.Attr, m.until(e.AttrValid, e.AttrValidNsec), version)
	return i, nil
}

// maxSize is how long a file can be.
const maxSize = 1<<63 - 1

// A turn is had by one task at a time; who waits for it can be killed.
type turn struct {
	wait.Queue
	taken atomic.Bool
}

// Ready implements wait.Object.
func (x *turn) Ready(e wait.Events) wait.Events {
	if !x.taken.Load() {
		return e & wait.Readable
	}
	return 0
}

// begin waits for the turn. EINTR.
func (x *turn) begin(c vfs.Ctx) error {
	for !x.taken.CompareAndSwap(false, true) {
		t, ok := kernel.Caller(c)
		if !ok || t.Killed() || t.BlockKillable(x, wait.Readable) != nil {
			return linux.EINTR
		}
	}
	return nil
}

func (x *turn) end() {
	x.taken.Store(false)
	x.Notify(wait.Readable)
}
