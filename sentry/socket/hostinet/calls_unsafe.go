package hostinet

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"garrison/sentry/socket"
)

// The host's calls on sockets, with addresses and options as bytes: they are the guest's,
// and what they mean is for the host to say. Every pointer is converted in the arguments
// of the call, to memory that the caller holds until it returns.

// result makes an error of what a system call returned.
func result(e unix.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

func bind(fd int, addr []byte) error {
	_, _, e := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(addr))), uintptr(len(addr)))
	return result(e)
}

func connect(fd int, addr []byte) error {
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(addr))), uintptr(len(addr)))
	return result(e)
}

// addrRoom is room for any address of the two families.
const addrRoom = unix.SizeofSockaddrInet6

// accept returns a connection's descriptor, and who is at the other end.
func accept(fd int, from *socket.Addr) (int, error) {
	var b [addrRoom]byte
	n := uint32(len(b))
	const flags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	r, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&n)), flags, 0, 0)
	if e != 0 {
		return -1, e
	}
	from.Set(b[:min(n, addrRoom)])
	return int(r), nil
}

// name is getsockname(2) or getpeername(2).
func name(fd int, a *socket.Addr, peer bool) error {
	var b [addrRoom]byte
	n := uint32(len(b))
	nr := uintptr(unix.SYS_GETSOCKNAME)
	if peer {
		nr = unix.SYS_GETPEERNAME
	}
	_, _, e := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&n)))
	if e == 0 {
		a.Set(b[:min(n, addrRoom)])
	}
	return result(e)
}

func setsockopt(fd int, level, name int32, val []byte) error {
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(unsafe.SliceData(val))), uintptr(len(val)), 0)
	return result(e)
}

// getsockopt fills in val and returns how much of it.
func getsockopt(fd int, level, name int32, val []byte) (int, error) {
	n := uint32(len(val))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(unsafe.SliceData(val))), uintptr(unsafe.Pointer(&n)), 0)
	return int(n), result(e)
}

func getLinger(fd int) (l unix.Linger, err error) {
	n := uint32(unsafe.Sizeof(l))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&l)), uintptr(unsafe.Pointer(&n)), 0)
	return l, result(e)
}

// A message is the memory of one sendmsg(2) or recvmsg(2), to be used again.
type message struct {
	hdr     unix.Msghdr
	iov     []unix.Iovec
	name    [addrRoom]byte
	control [controlRoom]byte
}

// set makes m a message of pieces, the guest's memory. With named and control there is
// room for an address and for control messages of that many bytes.
func (m *message) set(pieces [][]byte, named, control int) {
	m.iov = m.iov[:0]
	for _, p := range pieces {
		m.iov = append(m.iov, unix.Iovec{Base: unsafe.SliceData(p), Len: uint64(len(p))})
	}
	m.hdr = unix.Msghdr{Iov: unsafe.SliceData(m.iov), Iovlen: uint64(len(m.iov))}
	if named > 0 {
		m.hdr.Name, m.hdr.Namelen = &m.name[0], uint32(named)
	}
	if control > 0 {
		m.hdr.Control, m.hdr.Controllen = &m.control[0], uint64(control)
	}
}

// clear forgets the guest's memory.
func (m *message) clear() {
	clear(m.iov)
	m.hdr = unix.Msghdr{}
}

// do makes the call nr, sendmsg or recvmsg, once more if a signal came between.
func (m *message) do(nr uintptr, fd int, flags int) (int64, error) {
	for {
		n, _, e := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(&m.hdr)), uintptr(flags))
		if e != unix.EINTR {
			return int64(n), result(e)
		}
	}
}
