package gofer

import (
	"runtime"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// sockets reports whether the mount allows what want is.
func (t *tree) sockets(want Sockets) bool {
	return t.Sockets == BindSockets || t.Sockets == want
}

// inDirectory runs do on a thread of its own whose working directory is fd: connect(2)
// and bind(2) know no directory descriptor, and a path longer than 107 bytes does not
// fit their address. The thread ends with do, so that its directory leaks to no other.
func inDirectory(fd int, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Fchdir(fd)
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

// socket makes a unix socket of a type that a guest can ask for.
func socket(typ uint32) (int, error) {
	switch typ {
	case unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET:
		return unix.Socket(unix.AF_UNIX, int(typ)|unix.SOCK_CLOEXEC, 0)
	}
	return -1, unix.EPROTONOSUPPORT
}

func (s *server) doConnect(c *call, q *wire.ConnectReq) (wire.Message, error) {
	return s.with(q.ID, false, func(n *node, fd int) (wire.Message, error) {
		if n.typ != unix.S_IFSOCK || !n.tree.sockets(ConnectSockets) {
			return nil, unix.ECONNREFUSED
		}
		sock, err := socket(q.Type)
		if err != nil {
			return nil, err
		}
		c.give(sock)
		err = inDirectory(s.proc, func() error {
			for {
				err := unix.Connect(sock, &unix.SockaddrUnix{Name: procName(fd)})
				if err != unix.EINTR {
					return err
				}
			}
		})
		return &wire.Empty{}, err
	})
}

func (s *server) doBind(c *call, q *wire.BindReq) (wire.Message, error) {
	return s.withDir(q.Dir, true, func(dir *node, dfd int) (wire.Message, error) {
		if !dir.tree.sockets(BindSockets) {
			return nil, unix.EPERM
		}
		if len(q.Name) > 107 || q.Name[0] == '@' {
			return nil, unix.EINVAL // no address, or one that is not a path
		}
		sock, err := socket(q.Type)
		if err != nil {
			return nil, err
		}
		c.give(sock)
		s.watch.did(dir, q.Name)
		err = inDirectory(dfd, func() error { return unix.Bind(sock, &unix.SockaddrUnix{Name: q.Name}) })
		if err != nil {
			return nil, err
		}
		n, found, err := s.adopt(dir, dfd, &wire.MknodReq{Dir: q.Dir, Name: q.Name,
			Mode: unix.S_IFSOCK | q.Mode&0o777, UID: q.UID, GID: q.GID})
		if err != nil {
			_ = unix.Unlinkat(dfd, q.Name, 0)
			return nil, err
		}
		s.put(n)
		return &wire.NodeResp{Node: found, Dir: attrAt(dfd, "")}, nil
	})
}
