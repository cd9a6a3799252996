package gofer

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// A key says which inode a node is. The time of birth tells a new file from an old
// one whose inode number it was given.
type key struct {
	dev, ino uint64
	birth    wire.Time
}

func keyOf(st *unix.Statx_t) key {
	return key{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino, wire.Time{Sec: st.Btime.Sec, Nsec: st.Btime.Nsec}}
}

// A node is a file that the sandbox knows by an id. Where it was last seen, parent
// and name, is a hint by which a descriptor for it is opened when one is needed, and
// what that opens must have the node's key. A node with fixed set keeps its
// descriptor for life, because nothing else leads back to it.
//
// All fields but tree, typ and trap are protected by server.mu, except that fd does not
// change while users > 0 once it is open.
type node struct {
	tree  *tree
	typ   uint32 // S_IFMT bits
	trap  bool   // to open it, but by O_PATH, mounts something: autofs(5)
	id    wire.ID
	key   key
	refs  uint64 // ids given out and not given back
	kids  int    // nodes whose parent this is
	users int    // requests that work on it now

	parent *node // nil: unknown
	name   string

	fd         int // O_PATH, or of a directory perhaps O_RDONLY; or -1
	fixed      bool
	gone       bool  // removed and not in use: fd is closed with the last user
	prev, next *node // in server.open

	seen atomic.Bool // the watcher has been told of this directory
	wd   int32       // its watch, or 0
}

// isDir reports whether n is a directory.
func (n *node) isDir() bool { return n.typ == unix.S_IFDIR }

// nodeTable gives out ids: the place of a node in slot, and a generation that makes
// the id of a forgotten node invalid instead of another's.
type nodeTable struct {
	slot []nodeSlot
	free []uint32
}

type nodeSlot struct {
	n        *node
	gen      uint32
	reserved bool // its id was given out before there is a node
}

// newID gives out an id that no node has.
func (t *nodeTable) newID() (wire.ID, error) {
	var i uint32
	if l := len(t.free); l > 0 {
		i, t.free = t.free[l-1], t.free[:l-1]
	} else if len(t.slot) < maxNodes {
		i = uint32(len(t.slot))
		t.slot = append(t.slot, nodeSlot{})
	} else {
		return 0, unix.ENFILE
	}
	s := &t.slot[i]
	s.gen++
	return wire.ID(s.gen)<<32 | wire.ID(i), nil
}

func (t *nodeTable) add(n *node) (err error) {
	if n.id, err = t.newID(); err == nil {
		t.slot[uint32(n.id)].n = n
	}
	return err
}

// reserve gives out an id for a node to come.
func (t *nodeTable) reserve() (wire.ID, error) {
	id, err := t.newID()
	if err == nil {
		t.slot[uint32(id)].reserved = true
	}
	return id, err
}

// reserved reports whether id was given out, and is no node's yet.
func (t *nodeTable) reserved(id wire.ID) bool {
	i := uint32(id)
	return uint64(i) < uint64(len(t.slot)) && t.slot[i].gen == uint32(id>>32) && t.slot[i].reserved
}

// fill makes n the node of a reserved id.
func (t *nodeTable) fill(id wire.ID, n *node) {
	s := &t.slot[uint32(id)]
	s.n, s.reserved = n, false
	n.id = id
}

// unreserve takes a reserved id back.
func (t *nodeTable) unreserve(id wire.ID) {
	t.slot[uint32(id)].reserved = false
	t.free = append(t.free, uint32(id))
}

func (t *nodeTable) get(id wire.ID) *node {
	if i := uint32(id); uint64(i) < uint64(len(t.slot)) && t.slot[i].gen == uint32(id>>32) {
		return t.slot[i].n
	}
	return nil
}

func (t *nodeTable) remove(n *node) {
	i := uint32(n.id)
	t.slot[i].n = nil
	t.free = append(t.free, i)
}

// get finds the node of an id and keeps it until put. EBADF: there is none.
func (s *server) get(id wire.ID) (*node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes.get(id)
	if n == nil {
		return nil, unix.EBADF
	}
	n.users++
	return n, nil
}

// put ends what get began. A nil n is nothing.
func (s *server) put(n *node) {
	if n == nil {
		return
	}
	s.mu.Lock()
	n.users--
	s.releaseLocked(n)
	s.mu.Unlock()
}

// forget takes back count references to id.
func (s *server) forget(id wire.ID, count uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes.get(id)
	if n == nil && count > 0 && s.nodes.reserved(id) {
		s.nodes.unreserve(id)
	}
	if n == nil || n == n.tree.root {
		return // a root stays
	}
	n.refs -= min(n.refs, uint64(count))
	s.releaseLocked(n)
}

// releaseLocked frees n if nothing refers to it, and then perhaps its parents.
func (s *server) releaseLocked(n *node) {
	if n != nil && n.gone && n.users == 0 && n.fd >= 0 {
		s.open.remove(n)
		unix.Close(n.fd)
		n.fd, n.fixed = -1, false
	}
	for n != nil && n.refs == 0 && n.kids == 0 && n.users == 0 && n != n.tree.root {
		if n.fd >= 0 {
			s.open.remove(n)
			unix.Close(n.fd)
			n.fd = -1
		}
		if n.tree.byKey[n.key] == n {
			delete(n.tree.byKey, n.key)
		}
		s.nodes.remove(n)
		s.watch.drop(n)
		p := n.parent
		n.parent = nil
		if p != nil {
			p.kids--
		}
		n = p
	}
}

// intern finds or makes the node for what was seen at name in parent, with one
// more reference and so many more users.
func (s *server) intern(parent *node, name string, st *unix.Statx_t, users int) (*node, error) {
	k, typ := keyOf(st), uint32(st.Mode)&unix.S_IFMT
	t := parent.tree
	s.mu.Lock()
	defer s.mu.Unlock()
	n := t.byKey[k]
	if n != nil && n.typ != typ {
		s.detachLocked(n) // the inode number was given away
		n = nil
	}
	if n == nil {
		n = &node{tree: t, key: k, typ: typ, trap: st.Attributes&unix.STATX_ATTR_AUTOMOUNT != 0, fd: -1}
		if err := s.nodes.add(n); err != nil {
			return nil, err
		}
		t.byKey[k] = n
	}
	n.refs++
	n.users += users
	s.placeLocked(n, parent, name)
	return n, nil
}

// placeLocked notes that n is to be found at name in parent. parent may be nil.
func (s *server) placeLocked(n, parent *node, name string) {
	if n == n.tree.root || n.parent == parent && n.name == name {
		return
	}
	for p := parent; p != nil; p = p.parent {
		if p == n {
			return // two reports crossed: a directory is never below itself
		}
	}
	if parent != nil {
		parent.kids++
	}
	old := n.parent
	n.parent, n.name = parent, name
	if old != nil {
		old.kids--
		s.releaseLocked(old)
	}
}

// detachLocked makes n a file without a name: it lives on by its descriptor, or if
// it has none, is stale.
func (s *server) detachLocked(n *node) {
	if n == n.tree.root {
		return
	}
	if n.tree.byKey[n.key] == n {
		delete(n.tree.byKey, n.key)
	}
	s.placeLocked(n, nil, "")
}

// rekey notes that the file of n has a new key: overlayfs may change the inode
// number when it copies a file up.
func (s *server) rekey(n *node, st *unix.Statx_t) {
	k := keyOf(st)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.key == k || n.tree.byKey[n.key] != n || n.tree.byKey[k] != nil {
		return
	}
	delete(n.tree.byKey, n.key)
	n.key = k
	n.tree.byKey[k] = n
}
