package gofer

import (
	"strconv"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// resolve is how every path step is resolved: beneath the directory it starts from,
// through no link of any kind.
const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// openAt opens one component below a directory.
func (s *server) openAt(t *tree, dir int, name string, flags int, mode uint32) (int, error) {
	how := t.how(flags, mode)
	for {
		fd, err := unix.Openat2(dir, name, &how)
		if err == unix.EINTR || err == unix.EAGAIN || err == unix.EMFILE && s.makeRoom() {
			continue
		}
		if err == unix.EXDEV && t.NoXDev {
			err = unix.ENOENT
		}
		return fd, err
	}
}

// how is how openAt opens with these flags.
func (t *tree) how(flags int, mode uint32) unix.OpenHow {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW), Mode: uint64(mode), Resolve: resolve}
	if t.NoXDev {
		how.Resolve |= unix.RESOLVE_NO_XDEV
	}
	return how
}

// procName is the name of descriptor fd in /proc/self/fd.
func procName(fd int) string { return strconv.Itoa(fd) }

// reopen opens the very file that the O_PATH descriptor fd stands for. The number is
// ours, so that following the link is no path step.
func (s *server) reopen(fd, flags int) (int, error) {
	name := procName(fd)
	for {
		n, err := unix.Openat(s.proc, name, flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err == unix.EINTR || err == unix.EMFILE && s.makeRoom() {
			continue
		}
		return n, err
	}
}

// makeRoom closes some files when the process may have no more, and remembers how many
// it may. It reports whether that was of use.
func (s *server) makeRoom() bool {
	s.mu.Lock()
	was := s.open.len
	s.maxOpen = min(s.maxOpen, max(was*3/4, 1))
	old := s.trimLocked()
	s.mu.Unlock()
	closeAll(old)
	return len(old) > 0
}

// closeAll closes descriptors that no node has any more. It is not done under server.mu,
// which others want that work on the same request: to close a directory takes the host a
// few microseconds.
func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// fd is a descriptor of n, which the caller has from get or intern: good for what O_PATH
// is good for, and valid until the caller's put. ESTALE: the file is no longer where it was.
func (s *server) fd(n *node) (int, error) {
	s.mu.Lock()
	if n.fd >= 0 {
		s.open.touch(n)
		s.mu.Unlock()
		return n.fd, nil
	}
	s.mu.Unlock()
	s.names.RLock()
	defer s.names.RUnlock()
	return s.fdNamed(n)
}

// fdNamed is fd while names stay as they are.
func (s *server) fdNamed(n *node) (int, error) {
	for {
		fd, at, err := s.openStep(n, unix.O_PATH)
		if at != stepAbove {
			return fd, err
		}
	}
}

// listFD is fd of a directory that is about to be listed. own: it was not open before,
// and now is for reading, at its start, where nobody else will list it. So one descriptor
// does for both, where there would be two.
func (s *server) listFD(n *node) (fd int, own bool, err error) {
	s.names.RLock()
	defer s.names.RUnlock()
	for {
		fd, at, err := s.openStep(n, unix.O_RDONLY|unix.O_DIRECTORY)
		if at != stepAbove {
			return fd, at == stepOpened, err
		}
	}
}

// A step is how far openStep has come.
type step int

const (
	stepAbove  step = iota // a directory above n was opened
	stepThere              // n had a descriptor, or can't have one
	stepOpened             // n has one now
)

// openStep opens the highest node above n, or with these flags n itself, that has no
// descriptor. Opening from the top down, one directory at a time, costs the same at any
// depth of the tree.
func (s *server) openStep(n *node, flags int) (fd int, at step, err error) {
	s.mu.Lock()
	if n.fd >= 0 {
		s.open.touch(n)
		s.mu.Unlock()
		return n.fd, stepThere, nil
	}
	next := n
	for next.parent != nil && next.parent.fd < 0 {
		next = next.parent
	}
	dir, name := next.parent, next.name
	if dir == nil {
		s.mu.Unlock()
		return -1, stepThere, unix.ESTALE
	}
	dir.users++
	next.users++
	s.open.touch(dir)
	s.mu.Unlock()
	if at = stepOpened; next != n {
		at, flags = stepAbove, unix.O_PATH
	}

	fd, err = s.openAt(n.tree, dir.fd, name, flags, 0)
	var st unix.Statx_t
	if err == nil {
		if err = statx(fd, "", &st); err != nil {
			unix.Close(fd)
		}
	}
	if err == unix.ENOENT || err == unix.ENOTDIR {
		err = unix.ESTALE
	}

	var old []int
	defer func() { closeAll(old) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	dir.users--
	next.users--
	s.releaseLocked(dir)
	if err != nil {
		return -1, stepThere, err
	}
	if next.fd >= 0 { // another request was faster
		unix.Close(fd)
		return n.fd, min(at, stepThere), nil
	}
	if !s.sameLocked(next, &st) {
		unix.Close(fd)
		return -1, stepThere, unix.ESTALE
	}
	next.fd = fd
	old = s.keepLocked(next)
	return fd, at, nil
}

// sameLocked reports whether st is the file that n stands for. A directory of an
// exclusive mount is taken for the one that was there: on overlayfs its inode number
// does not outlive the host's inode cache.
func (s *server) sameLocked(n *node, st *unix.Statx_t) bool {
	k := keyOf(st)
	if n.key == k && n.typ == uint32(st.Mode)&unix.S_IFMT {
		return true
	}
	if !n.isDir() || uint32(st.Mode)&unix.S_IFMT != unix.S_IFDIR || n.tree.Shared || n.tree.byKey[k] != nil {
		return false
	}
	if n.tree.byKey[n.key] == n {
		delete(n.tree.byKey, n.key)
		n.tree.byKey[k] = n
	}
	n.key = k
	return true
}

// keepLocked enters n, which has a new descriptor, into the list of those that may
// be closed, and returns the least recently used of them if they are too many.
func (s *server) keepLocked(n *node) (old []int) {
	if n.fixed {
		return nil
	}
	s.open.push(n)
	return s.trimLocked()
}

// trimLocked takes the descriptors off that were used longest ago and are not in use, down
// to maxOpen, and returns them to be closed.
func (s *server) trimLocked() (old []int) {
	for v := s.open.oldest(); v != nil && s.open.len > s.maxOpen; {
		older := v
		v = v.prev
		if older.users == 0 {
			s.open.remove(older)
			old = append(old, older.fd)
			older.fd = -1
		}
	}
	return old
}

// fix opens n, if need be, and keeps its descriptor for good, for it is about to
// lose its name.
func (s *server) fix(n *node) error {
	if n.fixed {
		return nil
	}
	if _, err := s.fd(n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.fixed >= maxFixed {
		return unix.ENFILE
	}
	s.open.remove(n)
	s.open.fixed++
	n.fixed = true
	return nil
}

func (s *server) doOpen(c *call, q *wire.OpenReq) (wire.Message, error) {
	if !q.Mode.Valid() {
		return nil, unix.EINVAL
	}
	n, err := s.get(q.ID)
	if err != nil {
		return nil, err
	}
	defer s.put(n)
	fd, err := s.donate(n, q.Mode)
	if err != nil {
		return nil, err
	}
	c.give(fd)
	var st unix.Statx_t
	if err := statx(fd, "", &st); err != nil {
		return nil, err
	}
	if q.Mode&wire.OpenWrite != 0 {
		s.rekey(n, &st)
	}
	return &wire.AttrResp{Attr: attrOf(&st)}, nil
}

func (s *server) doOpens(c *call, q *wire.OpensReq) (wire.Message, error) {
	resp := &wire.OpensResp{}
	for i, id := range q.IDs {
		fd, err := s.openRead(id)
		var st unix.Statx_t
		if err == nil && i == 0 {
			if err = statx(fd, "", &st); err != nil {
				unix.Close(fd)
			}
			resp.Attr = attrOf(&st)
		}
		switch {
		case err == nil:
			c.give(fd)
			resp.Opened = append(resp.Opened, id)
		case i == 0:
			return nil, err
		}
	}
	if len(resp.Opened) == 0 {
		return nil, unix.EINVAL
	}
	return resp, nil
}

// openRead opens a file for reading.
func (s *server) openRead(id wire.ID) (int, error) {
	n, err := s.get(id)
	if err != nil {
		return -1, err
	}
	defer s.put(n)
	return s.donate(n, wire.OpenRead)
}

// donate opens n for the sandbox, which may read it, and write if mode says so: only
// a regular file, for to open anything else can block or do something.
func (s *server) donate(n *node, mode wire.OpenMode) (int, error) {
	if n.typ != unix.S_IFREG {
		return -1, unix.EINVAL
	}
	flags := unix.O_RDONLY
	if mode&wire.OpenWrite != 0 {
		if n.tree.ReadOnly {
			return -1, unix.EROFS
		}
		flags = unix.O_RDWR
	}
	if mode&wire.OpenTruncate != 0 {
		flags |= unix.O_TRUNC
	}
	if flags == unix.O_RDONLY && !n.tree.Shared {
		if fd, ok := s.openNamed(n); ok {
			return fd, nil
		}
	}
	fd, err := s.fd(n)
	if err != nil {
		return -1, err
	}
	return s.reopen(fd, flags)
}

// openNamed opens a regular file for reading by its name, which takes half the calls that fd
// and reopen do. It is not done if the file has a descriptor, and not ok if that is not the
// file. Of a mount that is the sandbox's alone only the host's administrator can have put
// something else there, while names stay: what opening that does is his, but it must not block.
func (s *server) openNamed(n *node) (fd int, ok bool) {
	s.names.RLock()
	defer s.names.RUnlock()
	s.mu.Lock()
	dir, name := n.parent, n.name
	if n.fd >= 0 || dir == nil {
		s.mu.Unlock()
		return -1, false
	}
	dir.users++
	s.mu.Unlock()
	defer s.put(dir)
	at, err := s.fdNamed(dir)
	if err != nil {
		return -1, false
	}
	// O_NONBLOCK stays, which means nothing to a regular file, once no lease is in its way.
	how := n.tree.how(unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if fd, err = unix.Openat2(at, name, &how); err != nil {
		return -1, false
	}
	var st unix.Statx_t
	if err := statx(fd, "", &st); err == nil && s.isKeyOf(n, &st) {
		return fd, true
	}
	unix.Close(fd)
	return -1, false
}

// isKeyOf reports whether st is the regular file that n stands for.
func (s *server) isKeyOf(n *node, st *unix.Statx_t) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint32(st.Mode)&unix.S_IFMT == unix.S_IFREG && keyOf(st) == n.key
}
