package gofer

import (
	"strings"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// xattrAllowed says which extended attributes a sandbox can see and set: its own, and
// those that are part of what a file is. trusted.* and the labels of security modules
// are the host's.
func xattrAllowed(name string) bool {
	switch name {
	case "security.capability", "system.posix_acl_access", "system.posix_acl_default":
		return true
	}
	return strings.HasPrefix(name, "user.") && len(name) > len("user.")
}

// checkXattr checks a name that the sandbox sent.
func checkXattr(name string) error {
	switch {
	case name == "" || len(name) > wire.MaxName:
		return unix.ERANGE
	case strings.IndexByte(name, 0) >= 0:
		return unix.EINVAL
	case !xattrAllowed(name):
		return unix.EOPNOTSUPP
	}
	return nil
}

func (s *server) doGetxattr(_ *call, q *wire.GetxattrReq) (wire.Message, error) {
	return s.with(q.ID, false, func(n *node, fd int) (wire.Message, error) {
		if err := checkXattr(q.Name); err != nil {
			return nil, err
		}
		var small [256]byte
		size, err := s.getxattr(n, fd, q.Name, small[:])
		if err == nil {
			return &wire.XattrResp{Value: append([]byte(nil), small[:size]...)}, nil
		}
		if err != unix.ERANGE {
			return nil, err
		}
		big := make([]byte, wire.MaxXattr)
		if size, err = s.getxattr(n, fd, q.Name, big); err != nil {
			return nil, err
		}
		return &wire.XattrResp{Value: big[:size]}, nil
	})
}

func (s *server) doSetxattr(_ *call, q *wire.SetxattrReq) (wire.Message, error) {
	return s.with(q.ID, true, func(n *node, fd int) (wire.Message, error) {
		if q.Flags&^(unix.XATTR_CREATE|unix.XATTR_REPLACE) != 0 {
			return nil, unix.EINVAL
		}
		if err := checkXattr(q.Name); err != nil {
			return nil, err
		}
		s.watch.didNode(n)
		if err := s.setxattr(n, fd, q.Name, q.Value, int(q.Flags)); err != nil {
			return nil, err
		}
		return s.after(n, fd)
	})
}

func (s *server) doRemovexattr(_ *call, q *wire.RemovexattrReq) (wire.Message, error) {
	return s.with(q.ID, true, func(n *node, fd int) (wire.Message, error) {
		if err := checkXattr(q.Name); err != nil {
			return nil, err
		}
		s.watch.didNode(n)
		if err := s.removexattr(n, fd, q.Name); err != nil {
			return nil, err
		}
		return s.after(n, fd)
	})
}

// after is the reply of what changed n: its attributes now. An ACL changes the mode.
func (s *server) after(n *node, fd int) (wire.Message, error) {
	var st unix.Statx_t
	if err := statx(fd, "", &st); err != nil {
		return nil, err
	}
	s.rekey(n, &st)
	return &wire.AttrResp{Attr: attrOf(&st)}, nil
}

func (s *server) doListxattr(_ *call, q *wire.ListxattrReq) (wire.Message, error) {
	return s.with(q.ID, false, func(n *node, fd int) (wire.Message, error) {
		var small [512]byte
		b := small[:]
		size, err := s.listxattr(n, fd, b)
		if err == unix.ERANGE {
			b = make([]byte, wire.MaxXattr)
			size, err = s.listxattr(n, fd, b)
		}
		if err != nil {
			return nil, err
		}
		resp := &wire.ListxattrResp{}
		for name := range strings.SplitSeq(string(b[:size]), "\x00") {
			if xattrAllowed(name) {
				resp.Names = append(resp.Names, name)
			}
		}
		return resp, nil
	})
}

// bare is wire.AttrBare if it is known that name in fd, or fd itself if name is empty, has no
// extended attributes. Only those who may depend on an access control list of a are looked
// at: others, and on a kernel where it takes more than a call, are asked for by who wants to know.
func (s *server) bare(fd int, name string, a *wire.Attr) wire.AttrFlags {
	if !s.hasAt || a.Mode&unix.S_IFMT == unix.S_IFLNK || a.Mode&unix.S_IFMT != unix.S_IFDIR && a.Mode&0o070 == 0 {
		return 0
	}
	dir, flags := fd, unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		dir, name, flags = s.proc, procName(fd), 0
	}
	var room [256]byte
	size, err := listxattrAt(dir, name, flags, room[:])
	if err != nil {
		return 0
	}
	for n := range strings.SplitSeq(string(room[:size]), "\x00") {
		if xattrAllowed(n) {
			return 0
		}
	}
	return wire.AttrBare
}

// The kernel's xattr calls take a path or a descriptor that was opened for I/O. Linux
// 6.13 has them relative to a directory, and there /proc/self/fd/N is a path to any
// kind of file; before, a regular file or directory is opened, and others have none.

func (s *server) getxattr(n *node, fd int, name string, b []byte) (size int, err error) {
	if s.hasAt {
		return getxattrAt(s.proc, procName(fd), name, b)
	}
	err = s.io(n, fd, unix.ENODATA, func(fd int) (err error) {
		size, err = unix.Fgetxattr(fd, name, b)
		return err
	})
	return size, err
}

func (s *server) setxattr(n *node, fd int, name string, value []byte, flags int) error {
	if s.hasAt {
		return setxattrAt(s.proc, procName(fd), name, value, flags)
	}
	return s.io(n, fd, unix.EPERM, func(fd int) error { return unix.Fsetxattr(fd, name, value, flags) })
}

func (s *server) removexattr(n *node, fd int, name string) error {
	if s.hasAt {
		return removexattrAt(s.proc, procName(fd), name)
	}
	return s.io(n, fd, unix.EPERM, func(fd int) error { return unix.Fremovexattr(fd, name) })
}

func (s *server) listxattr(n *node, fd int, b []byte) (size int, err error) {
	if s.hasAt {
		return listxattrAt(s.proc, procName(fd), 0, b)
	}
	err = s.io(n, fd, nil, func(fd int) (err error) {
		size, err = unix.Flistxattr(fd, b)
		return err
	})
	return size, err
}

// io runs do on a descriptor for I/O of a regular file or directory; for any other
// type it returns other.
func (s *server) io(n *node, fd int, other error, do func(fd int) error) error {
	if n.typ != unix.S_IFREG && !n.isDir() {
		return other
	}
	r, err := s.reopen(fd, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(r)
	return do(r)
}
