package gofer

import (
	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

func (s *server) doGetattr(_ *call, q *wire.GetattrReq) (wire.Message, error) {
	return s.with(q.ID, false, func(_ *node, fd int) (wire.Message, error) {
		var st unix.Statx_t
		if err := statx(fd, "", &st); err != nil {
			return nil, err
		}
		a := attrOf(&st)
		if q.Lists {
			a.Flags |= s.bare(fd, "", &a)
		}
		return &wire.AttrResp{Attr: a}, nil
	})
}

func (s *server) doAttrs(_ *call, q *wire.AttrsReq) (wire.Message, error) {
	return &wire.AttrsResp{Attrs: s.attrs(q)}, nil
}

// attrs is the attributes of files; those that can't be had are zero.
func (s *server) attrs(q *wire.AttrsReq) []wire.Attr {
	out := make([]wire.Attr, len(q.IDs))
	for i, id := range q.IDs {
		_, _ = s.with(id, false, func(_ *node, fd int) (wire.Message, error) {
			out[i] = attrAt(fd, "")
			if q.Lists {
				out[i].Flags |= s.bare(fd, "", &out[i])
			}
			return nil, nil
		})
	}
	return out
}

// attrOfID is the attributes of one file, or zero.
func (s *server) attrOfID(id wire.ID) (a wire.Attr) {
	_, _ = s.with(id, false, func(_ *node, fd int) (wire.Message, error) {
		a = attrAt(fd, "")
		return nil, nil
	})
	return a
}

// doSetattr sets attributes in the order that keeps what the sandbox asked for: the
// owner before the mode, because a new owner takes the set-user-ID bit away, and the
// times last, because all else changes them.
func (s *server) doSetattr(_ *call, q *wire.SetattrReq) (wire.Message, error) {
	if !q.Mask.Valid() {
		return nil, unix.EINVAL
	}
	return s.with(q.ID, true, func(n *node, fd int) (wire.Message, error) {
		s.watch.didNode(n)
		if q.Mask&wire.SetSize != 0 {
			if err := s.truncate(n, fd, q.Size); err != nil {
				return nil, err
			}
		}
		if q.Mask&(wire.SetUID|wire.SetGID) != 0 {
			if err := chown(fd, "", q.Mask, q.UID, q.GID); err != nil {
				return nil, err
			}
		}
		if q.Mask&wire.SetMode != 0 {
			if err := s.chmod(fd, q.Mode); err != nil {
				return nil, err
			}
		}
		if err := s.setTimes(fd, q); err != nil {
			return nil, err
		}
		var st unix.Statx_t
		if err := statx(fd, "", &st); err != nil {
			return nil, err
		}
		s.rekey(n, &st)
		return &wire.AttrResp{Attr: attrOf(&st)}, nil
	})
}

// truncate sets the length of a regular file.
func (s *server) truncate(n *node, fd int, size uint64) error {
	if n.typ != unix.S_IFREG || size > 1<<63-1 {
		return unix.EINVAL
	}
	w, err := s.reopen(fd, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(w)
	for {
		if err := unix.Ftruncate(w, int64(size)); err != unix.EINTR {
			return err
		}
	}
}

// chown sets the owners that mask names of name below fd, or of fd itself.
func chown(fd int, name string, mask wire.SetMask, uid, gid uint32) error {
	u, g := -1, -1
	if mask&wire.SetUID != 0 {
		u = int(uid)
	}
	if mask&wire.SetGID != 0 {
		g = int(gid)
	}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return unix.Fchownat(fd, name, u, g, flags)
}

// chmod sets the permissions of the file that the O_PATH descriptor fd stands for.
// fchmodat2(2) could do it without /proc, but is younger than kernels we run on.
func (s *server) chmod(fd int, mode uint32) error {
	return unix.Fchmodat(s.proc, procName(fd), mode&0o7777, 0)
}

// setTimes sets those times that q names.
func (s *server) setTimes(fd int, q *wire.SetattrReq) error {
	const times = wire.SetAtime | wire.SetMtime | wire.SetAtimeNow | wire.SetMtimeNow
	if q.Mask&times == 0 {
		return nil
	}
	ts := []unix.Timespec{
		timespec(q.Mask&wire.SetAtime != 0, q.Mask&wire.SetAtimeNow != 0, q.Atime),
		timespec(q.Mask&wire.SetMtime != 0, q.Mask&wire.SetMtimeNow != 0, q.Mtime),
	}
	return unix.UtimesNanoAt(s.proc, procName(fd), ts, 0)
}

// timespec is one argument of utimensat(2).
func timespec(set, now bool, t wire.Time) unix.Timespec {
	switch {
	case set:
		// The host refuses a bad number of nanoseconds, but takes two for commands.
		return unix.Timespec{Sec: t.Sec, Nsec: int64(min(t.Nsec, 1e9))}
	case now:
		return unix.Timespec{Nsec: unix.UTIME_NOW}
	}
	return unix.Timespec{Nsec: unix.UTIME_OMIT}
}

func (s *server) doStatfs(_ *call, q *wire.StatfsReq) (wire.Message, error) {
	return s.with(q.ID, false, func(_ *node, fd int) (wire.Message, error) {
		var st unix.Statfs_t
		if err := fstatfs(fd, &st); err != nil {
			return nil, err
		}
		return &wire.StatfsResp{
			Type: uint64(st.Type), Bsize: uint64(st.Bsize), Frsize: uint64(st.Frsize),
			Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
			Namelen: uint64(st.Namelen), Flag: uint64(st.Flags),
		}, nil
	})
}

// fstatfs is fstatfs(2).
func fstatfs(fd int, st *unix.Statfs_t) error {
	for {
		if err := unix.Fstatfs(fd, st); err != unix.EINTR {
			return err
		}
	}
}

func (s *server) doFsync(_ *call, q *wire.FsyncReq) (wire.Message, error) {
	return s.withIO(q.ID, func(fd int) error {
		if q.Data {
			return unix.Fdatasync(fd)
		}
		return unix.Fsync(fd)
	})
}

func (s *server) doSyncfs(_ *call, q *wire.SyncfsReq) (wire.Message, error) {
	return s.withIO(q.ID, unix.Syncfs)
}

// withIO runs do on a readable descriptor of a regular file or directory.
func (s *server) withIO(id wire.ID, do func(fd int) error) (wire.Message, error) {
	return s.with(id, false, func(n *node, fd int) (wire.Message, error) {
		if n.typ != unix.S_IFREG && !n.isDir() {
			return nil, unix.EINVAL
		}
		r, err := s.reopen(fd, unix.O_RDONLY)
		if err != nil {
			return nil, err
		}
		defer unix.Close(r)
		for {
			if err := do(r); err != unix.EINTR {
				return &wire.Empty{}, err
			}
		}
	})
}
