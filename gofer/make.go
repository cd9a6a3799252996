package gofer

import (
	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

func (s *server) doCreate(c *call, q *wire.CreateReq) (wire.Message, error) {
	return s.withDir(q.Dir, true, func(dir *node, dfd int) (wire.Message, error) {
		if q.Name == "" {
			return s.tmpfile(c, dir, dfd, q)
		}
		s.watch.did(dir, q.Name)
		// Not with the set-ID bits: for a moment the file is the gofer's.
		fd, err := s.openAt(dir.tree, dfd, q.Name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, q.Mode&0o777)
		if err != nil {
			return nil, err
		}
		c.give(fd)
		var st unix.Statx_t
		if err := own(fd, q, &st); err != nil {
			_ = unix.Unlinkat(dfd, q.Name, 0)
			return nil, err
		}
		n, err := s.intern(dir, q.Name, &st, 1)
		if err != nil {
			return nil, err
		}
		defer s.put(n)
		return &wire.NodeResp{Node: wire.Node{ID: n.id, Attr: attrOf(&st)}, Dir: attrAt(dfd, "")}, nil
	})
}

// attrAt is the attributes of a directory in which something has just changed, or of
// name in it. If they can't be had, the change stands all the same, and they are zero.
func attrAt(dfd int, name string) (a wire.Attr) {
	var st unix.Statx_t
	if err := statx(dfd, name, &st); err == nil {
		a = attrOf(&st)
	}
	return a
}

// own gives a new file its owner and mode and reads its attributes. Mostly the file
// is right as it is, and no call is needed for it.
func own(fd int, q *wire.CreateReq, st *unix.Statx_t) error {
	if err := statx(fd, "", st); err != nil {
		return err
	}
	changed := false
	if st.Uid != q.UID || st.Gid != q.GID {
		if err := unix.Fchown(fd, int(q.UID), int(q.GID)); err != nil {
			return err
		}
		changed = true
	}
	if uint32(st.Mode)&0o7777 != q.Mode&0o7777 {
		if err := unix.Fchmod(fd, q.Mode&0o7777); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	return statx(fd, "", st)
}

// tmpfile makes a file without a name.
func (s *server) tmpfile(c *call, dir *node, dfd int, q *wire.CreateReq) (wire.Message, error) {
	fd, err := unix.Openat(dfd, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, q.Mode&0o777)
	if err != nil {
		return nil, err
	}
	c.give(fd)
	var st unix.Statx_t
	if err := own(fd, q, &st); err != nil {
		return nil, err
	}
	path, err := s.reopen(fd, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	n := &node{tree: dir.tree, key: keyOf(&st), typ: unix.S_IFREG, fd: path, fixed: true, refs: 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.fixed >= maxFixed {
		err = unix.ENFILE
	} else {
		err = s.nodes.add(n)
	}
	if err != nil {
		unix.Close(path)
		return nil, err
	}
	s.open.fixed++
	n.tree.byKey[n.key] = n
	return &wire.NodeResp{Node: wire.Node{ID: n.id, Attr: attrOf(&st)}}, nil
}

func (s *server) doMknod(_ *call, q *wire.MknodReq) (wire.Message, error) {
	return s.withDir(q.Dir, true, func(dir *node, dfd int) (wire.Message, error) {
		s.watch.did(dir, q.Name)
		rmFlag, err := mknod(dfd, q)
		if err != nil {
			return nil, err
		}
		n, found, err := s.adopt(dir, dfd, q)
		if err != nil {
			_ = unix.Unlinkat(dfd, q.Name, rmFlag)
			return nil, err
		}
		if n.isDir() {
			s.watch.made(n, &found.Attr) // of which the sandbox knows that nothing is in it
		}
		s.put(n)
		return &wire.NodeResp{Node: found, Dir: attrAt(dfd, "")}, nil
	})
}

// mknod makes what q asks for, and returns the flag with which it is removed.
func mknod(dfd int, q *wire.MknodReq) (rmFlag int, err error) {
	switch q.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return unix.AT_REMOVEDIR, unix.Mkdirat(dfd, q.Name, q.Mode&0o1777)
	case unix.S_IFLNK:
		return 0, unix.Symlinkat(q.Target, dfd, q.Name)
	case unix.S_IFIFO, unix.S_IFSOCK:
		return 0, unix.Mknodat(dfd, q.Name, q.Mode&(unix.S_IFMT|0o777), 0)
	case unix.S_IFCHR, unix.S_IFBLK:
		return 0, unix.Mknodat(dfd, q.Name, q.Mode&(unix.S_IFMT|0o777), int(q.Rdev))
	}
	return 0, unix.EINVAL
}

// adopt gives what mknod made its owner and mode, and finds its node.
func (s *server) adopt(dir *node, dfd int, q *wire.MknodReq) (*node, wire.Node, error) {
	n, found, err := s.look(dir, dfd, q.Name)
	if err != nil {
		return nil, found, err
	}
	changed, err := s.ownNode(n, dfd, q, &found.Attr)
	if err == nil && changed {
		var st unix.Statx_t
		err = statx(dfd, q.Name, &st)
		found.Attr = attrOf(&st)
	}
	if err != nil {
		s.put(n)
		s.forget(n.id, 1)
		return nil, found, err
	}
	return n, found, nil
}

// ownNode corrects the owner and mode a has, and reports whether it had to.
func (s *server) ownNode(n *node, dfd int, q *wire.MknodReq, a *wire.Attr) (changed bool, err error) {
	if a.Mode&unix.S_IFMT != q.Mode&unix.S_IFMT {
		return false, unix.ESTALE // not what was made: somebody was faster
	}
	if a.UID != q.UID || a.GID != q.GID {
		if err := chown(dfd, q.Name, wire.SetUID|wire.SetGID, q.UID, q.GID); err != nil {
			return false, err
		}
		changed = true
	}
	if n.typ != unix.S_IFLNK && (changed || a.Mode&0o7777 != q.Mode&0o7777) {
		fd, err := s.fd(n)
		if err != nil {
			return false, err
		}
		return true, s.chmod(fd, q.Mode)
	}
	return changed, nil
}

// doLink gives a file another name, by way of /proc: with AT_EMPTY_PATH it would
// take a capability that can read every file of the host.
func (s *server) doLink(_ *call, q *wire.LinkReq) (wire.Message, error) {
	n, err := s.get(q.ID)
	if err != nil {
		return nil, err
	}
	defer s.put(n)
	fd, err := s.fd(n)
	if err != nil {
		return nil, err
	}
	return s.withDir(q.Dir, true, func(dir *node, dfd int) (wire.Message, error) {
		if dir.tree != n.tree {
			return nil, unix.EXDEV
		}
		s.watch.did(dir, q.Name)
		s.watch.didNode(n)
		if err := unix.Linkat(s.proc, procName(fd), dfd, q.Name, unix.AT_SYMLINK_FOLLOW); err != nil {
			return nil, err
		}
		var st unix.Statx_t
		if err := statx(fd, "", &st); err != nil {
			return nil, err
		}
		s.rekey(n, &st)
		s.mu.Lock()
		s.placeLocked(n, dir, q.Name)
		s.mu.Unlock()
		return &wire.LinkResp{Attr: attrOf(&st), Dir: attrAt(dfd, "")}, nil
	})
}
