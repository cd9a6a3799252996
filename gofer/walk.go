package gofer

import (
	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// statMask is what is asked of statx(2).
const statMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME | unix.STATX_MNT_ID

// statx reads the attributes of name below the directory fd, or of fd itself if name
// is empty. It follows nothing and mounts nothing.
func statx(fd int, name string, st *unix.Statx_t) error {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	for {
		err := unix.Statx(fd, name, flags, statMask, st)
		if err != unix.EINTR {
			return err
		}
	}
}

func timeOf(t unix.StatxTimestamp) wire.Time { return wire.Time{Sec: t.Sec, Nsec: t.Nsec} }

// attrOf is st as the wire has it.
func attrOf(st *unix.Statx_t) wire.Attr {
	var flags wire.AttrFlags
	if st.Attributes&(unix.STATX_ATTR_IMMUTABLE|unix.STATX_ATTR_APPEND) != 0 {
		flags |= wire.AttrFixed
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		flags |= wire.AttrMounted
	}
	return wire.Attr{
		Flags: flags,
		Dev:   unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino, Rdev: unix.Mkdev(st.Rdev_major, st.Rdev_minor),
		Size: st.Size, Blocks: st.Blocks, Blksize: st.Blksize,
		Mode: uint32(st.Mode), Nlink: st.Nlink, UID: st.Uid, GID: st.Gid,
		Atime: timeOf(st.Atime), Mtime: timeOf(st.Mtime), Ctime: timeOf(st.Ctime), Btime: timeOf(st.Btime),
	}
}

// look finds name in the directory dir, whose descriptor is fd. The node has a user.
func (s *server) look(dir *node, fd int, name string) (*node, wire.Node, error) {
	return s.lookFor(dir, fd, name, 1)
}

// lookFor is look for so many users. Without one the node is good for nothing but its id
// and type.
func (s *server) lookFor(dir *node, fd int, name string, users int) (*node, wire.Node, error) {
	var st unix.Statx_t
	if err := statx(fd, name, &st); err != nil {
		return nil, wire.Node{}, err
	}
	if dir.tree.NoXDev && st.Mnt_id != dir.tree.mntID {
		return nil, wire.Node{}, unix.ENOENT
	}
	var target string
	if uint32(st.Mode)&unix.S_IFMT == unix.S_IFLNK {
		var err error
		if target, err = readlink(fd, name); err != nil {
			return nil, wire.Node{}, err
		}
	}
	n, err := s.intern(dir, name, &st, users)
	if err != nil {
		return nil, wire.Node{}, err
	}
	return n, wire.Node{ID: n.id, Attr: attrOf(&st), Target: target}, nil
}

// readlink reads the symlink name below fd, or fd itself if name is empty.
func readlink(fd int, name string) (string, error) {
	var room [256]byte
	for b := room[:]; ; b = make([]byte, wire.MaxTarget+1) {
		n, err := unix.Readlinkat(fd, name, b)
		switch {
		case err == unix.EINVAL:
			return "", unix.ESTALE // something else by now
		case err != nil:
			return "", err
		case n < len(b):
			return string(b[:n]), nil
		case len(b) > wire.MaxTarget:
			return "", unix.ENAMETOOLONG
		}
	}
}

func (s *server) doAttach(_ *call, q *wire.AttachReq) (wire.Message, error) {
	if uint64(q.Mount) >= uint64(len(s.trees)) {
		return nil, unix.ENODEV
	}
	t := s.trees[q.Mount]
	var st unix.Statx_t
	if err := statx(t.root.fd, "", &st); err != nil {
		return nil, err
	}
	return &wire.AttachResp{
		Node:     wire.Node{ID: t.root.id, Attr: attrOf(&st)},
		ReadOnly: t.ReadOnly, Shared: t.Shared,
	}, nil
}

func (s *server) doWalk(c *call, q *wire.WalkReq) (wire.Message, error) {
	n, err := s.get(q.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { s.put(n) }()
	resp := &wire.WalkResp{Nodes: make([]wire.Node, 0, len(q.Names))}
	for _, name := range q.Names {
		var next *node
		var found wire.Node
		fd, err := -1, error(unix.ENOTDIR)
		if n.isDir() {
			s.watch.see(n)
			fd, err = s.fd(n)
		}
		if err == nil {
			next, found, err = s.look(n, fd, name)
		}
		if err == nil && q.Lists {
			found.Attr.Flags |= s.bare(fd, name, &found.Attr)
		}
		if err != nil {
			if len(resp.Nodes) == 0 && err == unix.ESTALE {
				return nil, err // it is the start that is stale, not what is below
			}
			resp.Errno = uint32(errno(err))
			return resp, nil
		}
		resp.Nodes = append(resp.Nodes, found)
		s.put(n)
		n = next
		if n.typ == unix.S_IFLNK {
			return resp, nil
		}
	}
	if q.Open && len(q.Names) > 0 && n.typ == unix.S_IFREG {
		// The descriptor is a bonus: without it the sandbox asks again, and is told why.
		if fd, err := s.donate(n, wire.OpenRead); err == nil {
			c.give(fd)
		}
	}
	return resp, nil
}

func (s *server) doReadlink(_ *call, q *wire.ReadlinkReq) (wire.Message, error) {
	return s.with(q.ID, false, func(n *node, fd int) (wire.Message, error) {
		if n.typ != unix.S_IFLNK {
			return nil, unix.EINVAL
		}
		target, err := readlink(fd, "")
		return &wire.ReadlinkResp{Target: target}, err
	})
}
