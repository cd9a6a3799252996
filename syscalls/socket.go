package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A socktype is socket(2)'s second argument: a type and flags.
type socktype int32

// split takes the flags off: EINVAL for flags that there are not.
func (s socktype) split() (typ linux.SockType, flags linux.OpenFlags, err error) {
	f := s &^ linux.SOCK_TYPE_MASK
	if f&^(linux.SOCK_CLOEXEC|linux.SOCK_NONBLOCK) != 0 {
		return 0, 0, linux.EINVAL
	}
	return linux.SockType(s & linux.SOCK_TYPE_MASK), linux.OpenFlags(f), nil
}

// network is the caller's network namespace's sockets: EAFNOSUPPORT if it has none.
func network(t *kernel.Task) (*socket.Network, error) {
	if n, ok := t.Namespaces().Net.Network.(*socket.Network); ok {
		return n, nil
	}
	return nil, linux.EAFNOSUPPORT
}

// kindOf checks the first three arguments of socket(2) as far as no family has to.
func kindOf(t *kernel.Task, family int32, st socktype, protocol int32) (n *socket.Network, k socket.Kind, flags linux.OpenFlags, err error) {
	k.Type, flags, err = st.split()
	if err != nil {
		return nil, k, 0, err
	}
	if family < 0 || family >= linux.AF_MAX {
		return nil, k, 0, linux.EAFNOSUPPORT
	}
	k.Family, k.Protocol = uint16(family), protocol
	n, err = network(t)
	return n, k, flags, err
}

// socket_ implements socket(2).
func socket_(t *kernel.Task, family int32, st socktype, protocol int32) (kernel.FD, error) {
	n, k, flags, err := kindOf(t, family, st, protocol)
	if err != nil {
		return 0, err
	}
	s, err := n.Socket(t, k)
	if err != nil {
		return 0, err
	}
	return newSocket(t, s, flags)
}

// newSocket gives a descriptor to s. O_CLOEXEC and O_NONBLOCK of flags count; SOCK_*
// have the same values.
func newSocket(t *kernel.Task, s *socket.Socket, flags linux.OpenFlags) (kernel.FD, error) {
	d := s.Open(t, t.Kernel().VFS, flags&linux.O_NONBLOCK)
	defer d.Release(t)
	return t.NewFD(flags, d)
}

// socketpair implements socketpair(2).
func socketpair(t *kernel.Task, family int32, st socktype, protocol int32, fds usermem.Ptr[[2]kernel.FD]) (int, error) {
	n, k, flags, err := kindOf(t, family, st, protocol)
	if err != nil {
		return 0, err
	}
	a, b, err := n.Pair(t, k)
	if err != nil {
		return 0, err
	}
	x := a.Open(t, t.Kernel().VFS, flags&linux.O_NONBLOCK)
	defer x.Release(t)
	y := b.Open(t, t.Kernel().VFS, flags&linux.O_NONBLOCK)
	defer y.Release(t)
	nums, err := t.NewFDs(flags, x, y)
	if err != nil {
		return 0, err
	}
	if err := fds.Store(t, (*[2]kernel.FD)(nums)); err != nil {
		t.CloseFDs(nums...)
		return 0, err
	}
	return 0, nil
}

// An openSocket is a socket with the description that it was reached by, which is held.
type openSocket struct {
	*socket.Socket
	file *vfs.FileDescription
}

// Release gives the description back.
func (s openSocket) Release(t *kernel.Task) { s.file.Release(t) }

// socketOf is the socket of fd: EBADF, ENOTSOCK.
func socketOf(t *kernel.Task, fd kernel.FD) (openSocket, error) {
	d, err := t.File(fd)
	if err != nil {
		return openSocket{}, err
	}
	s, err := socket.Of(d)
	if err != nil {
		d.Release(t)
		return openSocket{}, err
	}
	return openSocket{s, d}, nil
}

// loadAddr copies a socket address in: EINVAL for a length that no address has.
func loadAddr(t *kernel.Task, p address, n int32, a *socket.Addr) error {
	if n < 0 || n > linux.SockaddrMax {
		return linux.EINVAL
	}
	var b [linux.SockaddrMax]byte
	if n > 0 {
		if _, err := t.CopyIn(b[:n], p.Addr()); err != nil {
			return err
		}
	}
	a.Set(b[:n])
	return nil
}

// storeAddr copies as much of a out as *size says there is room for, and stores the
// whole length there: EINVAL if that is negative.
func storeAddr(t *kernel.Task, a *socket.Addr, p address, size usermem.Ptr[int32]) error {
	room, err := size.Load(t)
	if err != nil {
		return err
	}
	if room < 0 {
		return linux.EINVAL
	}
	if n := min(int(room), a.Len()); n > 0 {
		if _, err := t.CopyOut(p.Addr(), a.Bytes()[:n]); err != nil {
			return err
		}
	}
	n := int32(a.Len())
	return size.Store(t, &n)
}

// bind implements bind(2).
func bind(t *kernel.Task, fd kernel.FD, p address, n int32) (int, error) {
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	var a socket.Addr
	if err := loadAddr(t, p, n, &a); err != nil {
		return 0, err
	}
	return 0, s.Bind(t, a.Bytes())
}

// listen implements listen(2).
func listen(t *kernel.Task, fd kernel.FD, backlog int32) (int, error) {
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	return 0, s.Listen(t, int(backlog))
}

// connect implements connect(2).
func connect(t *kernel.Task, fd kernel.FD, p address, n int32) (int, error) {
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	var a socket.Addr
	if err := loadAddr(t, p, n, &a); err != nil {
		return 0, err
	}
	return 0, s.Connect(t, a.Bytes(), s.file.NonBlocking())
}

// accept implements accept(2).
func accept(t *kernel.Task, fd kernel.FD, p address, size usermem.Ptr[int32]) (kernel.FD, error) {
	return accept4(t, fd, p, size, 0)
}

// accept4 implements accept(2)'s accept4().
func accept4(t *kernel.Task, fd kernel.FD, p address, size usermem.Ptr[int32], st socktype) (kernel.FD, error) {
	typ, flags, err := st.split()
	if err != nil || typ != 0 {
		return 0, linux.EINVAL
	}
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	if t.FDs().Full(t) {
		return 0, linux.EMFILE // and the connection stays in the queue
	}
	n, err := s.Accept(t, s.file.NonBlocking())
	if err != nil {
		return 0, err
	}
	nfd, err := newSocket(t, n, flags)
	if err != nil || p == 0 {
		return nfd, err
	}
	var a socket.Addr
	if err := n.AcceptedFrom(&a); err != nil {
		err = linux.ECONNABORTED // it has ended already
		t.CloseFDs(nfd)
		return 0, err
	}
	if err := storeAddr(t, &a, p, size); err != nil {
		t.CloseFDs(nfd)
		return 0, err
	}
	return nfd, nil
}

// shutdown implements shutdown(2).
func shutdown(t *kernel.Task, fd kernel.FD, how int32) (int, error) {
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	return 0, s.Shutdown(t, int(how))
}

// name does the work of getsockname(2) and getpeername(2).
func name(t *kernel.Task, fd kernel.FD, p address, size usermem.Ptr[int32], peer bool) (int, error) {
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	var a socket.Addr
	if err := s.Name(&a, peer); err != nil {
		return 0, err
	}
	return 0, storeAddr(t, &a, p, size)
}

// getsockname implements getsockname(2).
func getsockname(t *kernel.Task, fd kernel.FD, p address, size usermem.Ptr[int32]) (int, error) {
	return name(t, fd, p, size, false)
}

// getpeername implements getpeername(2).
func getpeername(t *kernel.Task, fd kernel.FD, p address, size usermem.Ptr[int32]) (int, error) {
	return name(t, fd, p, size, true)
}

// getsockopt implements getsockopt(2).
func getsockopt(t *kernel.Task, fd kernel.FD, level, opt int32, p address, size usermem.Ptr[int32]) (int, error) {
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	n, err := size.Load(t)
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, linux.EINVAL
	}
	if level == linux.SOL_SOCKET && opt == linux.SO_ATTACH_FILTER {
		return 0, getFilter(t, s, p, size, int(n))
	}
	v, err := s.Option(t, level, opt, int(n))
	if level == linux.SOL_SOCKET && opt == linux.SO_PEERPIDFD {
		v, err = peerPidfd(t, s, n)
	}
	if x, ok := s.Proto().(socket.Asked); ok && x.Question(level, opt) > 0 {
		question := make([]byte, min(x.Question(level, opt), int(n)))
		if _, err := t.CopyIn(question, p.Addr()); err != nil {
			return 0, err
		}
		v, err = x.Answer(t, level, opt, question)
	}
	if err != nil {
		return 0, err
	}
	v = v[:min(len(v), int(n))]
	if len(v) > 0 {
		if _, err := t.CopyOut(p.Addr(), v); err != nil {
			return 0, err
		}
	}
	n = int32(len(v))
	return 0, size.Store(t, &n)
}

// getFilter is SO_GET_FILTER, which counts instructions: those there is room for, and those
// there are. EINVAL for too little room, but none at all asks how many there are.
func getFilter(t *kernel.Task, s openSocket, p address, size usermem.Ptr[int32], room int) error {
	var program []linux.SockFilter
	if x, ok := s.Proto().(socket.Filterer); ok {
		program = x.Filter()
	}
	if room > 0 && len(program) > 0 {
		if room < len(program) {
			return linux.EINVAL
		}
		if err := usermem.Ptr[linux.SockFilter](p.Addr()).StoreSlice(t, program); err != nil {
			return err
		}
	}
	n := int32(len(program))
	return size.Store(t, &n)
}

// peerPidfd is SO_PEERPIDFD: a descriptor of the process at the other end. ENODATA if
// there is none.
func peerPidfd(t *kernel.Task, s openSocket, n int32) ([]byte, error) {
	x, ok := s.Proto().(socket.PeerProcess)
	if !ok {
		return nil, linux.ENODATA
	}
	p, ok := x.PeerProcess().(*kernel.PID)
	switch {
	case !ok:
		return nil, linux.ENODATA
	case n < 4:
		return nil, linux.EINVAL
	}
	fd, err := newPidfd(t, p, 0)
	return socket.IntBytes(int32(fd)), err
}

// setsockopt implements setsockopt(2).
func setsockopt(t *kernel.Task, fd kernel.FD, level, opt int32, p address, n int32) (int, error) {
	if n < 0 {
		return 0, linux.EINVAL
	}
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	v := make([]byte, min(n, socket.MaxOption))
	if len(v) > 0 {
		if _, err := t.CopyIn(v, p.Addr()); err != nil {
			return 0, err
		}
	}
	return 0, s.SetOption(t, level, opt, v)
}
