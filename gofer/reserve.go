package gofer

import (
	"math"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// doReserve gives out ids for files to come, and says what room there is for them.
func (s *server) doReserve(_ *call, q *wire.ReserveReq) (wire.Message, error) {
	if q.N > wire.MaxReserve {
		return nil, unix.EINVAL
	}
	return s.withDir(q.Root, true, func(_ *node, fd int) (wire.Message, error) {
		var st unix.Statfs_t
		if err := fstatfs(fd, &st); err != nil {
			return nil, err
		}
		resp := &wire.ReserveResp{Bytes: st.Bavail * uint64(st.Frsize), Inodes: st.Ffree}
		if st.Files == 0 { // they are made as they are needed
			resp.Inodes = math.MaxUint64
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for range q.N {
			id, err := s.nodes.reserve()
			if err != nil {
				break
			}
			resp.Reserved = append(resp.Reserved, id)
		}
		return resp, nil
	})
}

// makeReserved makes a file whose id was reserved, and what it begins with. It returns its
// attributes. If that can't be, there is no such file.
func (s *server) makeReserved(q *wire.MakeReq) (a wire.Attr, err error) {
	s.mu.Lock()
	ok := s.nodes.reserved(q.ID)
	s.mu.Unlock()
	if !ok {
		return a, unix.EBADF
	}
	_, err = s.withDir(q.Dir, true, func(dir *node, dfd int) (_ wire.Message, err error) {
		s.watch.did(dir, q.Name)
		switch q.Mode & wire.TypeMask {
		case wire.TypeFile:
			a, err = s.makeFile(dir, dfd, q)
		case wire.TypeDir, wire.TypeLink:
			a, err = s.makeOther(dir, dfd, q)
		default:
			err = unix.EINVAL
		}
		return nil, err
	})
	return a, err
}

// makeFile is makeReserved of a regular file.
func (s *server) makeFile(dir *node, dfd int, q *wire.MakeReq) (a wire.Attr, err error) {
	fd, err := s.openAt(dir.tree, dfd, q.Name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, q.Mode&0o777)
	if err != nil {
		return a, err
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err = s.begin(fd, q, &st); err == nil {
		err = s.fill(dir, q, &st)
	}
	if err != nil {
		_ = unix.Unlinkat(dfd, q.Name, 0)
		return a, err
	}
	return attrOf(&st), nil
}

// begin gives a new file its bytes, owners, mode and times, and reads its attributes.
func (s *server) begin(fd int, q *wire.MakeReq, st *unix.Statx_t) error {
	for b := q.Data; len(b) > 0; {
		n, err := unix.Write(fd, b)
		if err != nil && err != unix.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	if q.Times != 0 {
		if err := futimens(fd, timesOf(q)); err != nil {
			return err
		}
	}
	// Changing owner or mode leaves those times as they are.
	return own(fd, &wire.CreateReq{Mode: q.Mode, UID: q.UID, GID: q.GID}, st)
}

// makeOther is makeReserved of a directory or a symlink.
func (s *server) makeOther(dir *node, dfd int, q *wire.MakeReq) (a wire.Attr, err error) {
	mk := &wire.MknodReq{Name: q.Name, Mode: q.Mode, UID: q.UID, GID: q.GID, Target: q.Target}
	rmFlag, err := mknod(dfd, mk)
	if err != nil {
		return a, err
	}
	var st unix.Statx_t
	if err = statx(dfd, q.Name, &st); err == nil {
		a, err = s.dress(dir, dfd, q, mk, &st)
	}
	if err != nil {
		_ = unix.Unlinkat(dfd, q.Name, rmFlag)
	}
	return a, err
}

// timesOf is the times that q gives.
func timesOf(q *wire.MakeReq) []unix.Timespec {
	return []unix.Timespec{
		timespec(q.Times&wire.SetAtime != 0, false, q.Atime),
		timespec(q.Times&wire.SetMtime != 0, false, q.Mtime),
	}
}

// dress gives what mknod has made as q has it, and whose attributes are st, its owners, mode
// and times, and returns what these are then.
func (s *server) dress(dir *node, dfd int, q *wire.MakeReq, mk *wire.MknodReq, st *unix.Statx_t) (wire.Attr, error) {
	a := attrOf(st)
	if err := s.fill(dir, q, st); err != nil {
		return a, err
	}
	n, err := s.get(q.ID)
	if err != nil {
		return a, err
	}
	defer s.put(n)
	changed, err := s.ownNode(n, dfd, mk, &a)
	if err == nil && q.Times != 0 {
		changed, err = true, unix.UtimesNanoAt(dfd, q.Name, timesOf(q), unix.AT_SYMLINK_NOFOLLOW)
	}
	if err == nil && changed {
		err = statx(dfd, q.Name, st)
		a = attrOf(st)
	}
	if err != nil {
		s.forget(q.ID, 1)
		return a, err
	}
	if n.isDir() {
		s.watch.made(n, &a) // of which the sandbox knows that nothing is in it
	}
	return a, nil
}

// fill makes the node of a file that was just made as a reserved id has it.
func (s *server) fill(dir *node, q *wire.MakeReq, st *unix.Statx_t) error {
	n := &node{tree: dir.tree, key: keyOf(st), typ: q.Mode & wire.TypeMask, fd: -1, refs: 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.nodes.reserved(q.ID) {
		return unix.EBADF // given back, or used, meanwhile
	}
	if old := n.tree.byKey[n.key]; old != nil {
		s.detachLocked(old) // its inode number was given away
	}
	s.nodes.fill(q.ID, n)
	n.tree.byKey[n.key] = n
	s.placeLocked(n, dir, q.Name)
	return nil
}
