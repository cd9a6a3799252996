package sockettest

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollMask is what both worlds are asked for.
const pollMask = unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP | unix.POLLPRI | 0x40 | 0x100

// A Host is a World of the host's own sockets, which Release closes.
type Host struct {
	fds []int
	// Pause is how long Settle waits.
	Pause time.Duration
}

// result is what a system call returned. Pointers are converted in the calls' own
// arguments, as package unsafe demands, and at gives those of slices, which the caller
// holds until the call has returned.
func result(n uintptr, e syscall.Errno) (int, error) {
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func at(b []byte) unsafe.Pointer {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Pointer(&b[0])
}

// Release closes all sockets.
func (h *Host) Release() {
	for i := range h.fds {
		h.Close(i)
	}
}

func (h *Host) keep(err error, fds ...int) error {
	if err == nil {
		h.fds = append(h.fds, fds...)
	}
	return err
}

func (h *Host) Socket(family, typ, protocol int) error {
	fd, err := unix.Socket(family, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	return h.keep(err, fd)
}

func (h *Host) Pair(typ int) error {
	p, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return h.keep(err, p[:]...)
}

func (h *Host) Bind(s int, addr []byte) error {
	_, _, e := syscall.Syscall(unix.SYS_BIND, uintptr(h.fds[s]), uintptr(at(addr)), uintptr(len(addr)))
	_, err := result(0, e)
	return err
}

func (h *Host) Connect(s int, addr []byte) error {
	_, _, e := syscall.Syscall(unix.SYS_CONNECT, uintptr(h.fds[s]), uintptr(at(addr)), uintptr(len(addr)))
	_, err := result(0, e)
	return err
}

func (h *Host) Listen(s, n int) error { return unix.Listen(h.fds[s], n) }

func (h *Host) Accept(s int) error {
	fd, _, e := syscall.Syscall6(unix.SYS_ACCEPT4, uintptr(h.fds[s]), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	n, err := result(fd, e)
	return h.keep(err, n)
}

func (h *Host) Shutdown(s, how int) error { return unix.Shutdown(h.fds[s], how) }

func (h *Host) Close(s int) {
	if h.fds[s] >= 0 {
		unix.Close(h.fds[s])
		h.fds[s] = -1
	}
}

func (h *Host) Settle() { time.Sleep(h.Pause) }

func (h *Host) Send(s int, data string, flags int, to []byte, files int) (int, error) {
	b := []byte(data)
	var oob []byte
	if files > 0 {
		var fds []int
		for range files {
			fds = append(fds, 0)
		}
		oob = unix.UnixRights(fds...)
	}
	iov := unix.Iovec{Base: (*byte)(at(b)), Len: uint64(len(b))}
	m := unix.Msghdr{Name: (*byte)(at(to)), Namelen: uint32(len(to)), Iov: &iov, Iovlen: 1, Control: (*byte)(at(oob)), Controllen: uint64(len(oob))}
	n, _, e := syscall.Syscall(unix.SYS_SENDMSG, uintptr(h.fds[s]), uintptr(unsafe.Pointer(&m)), uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL))
	return result(n, e)
}

func (h *Host) Recv(s, size, flags int) (string, []byte, int, int, error) {
	b, oob, name := make([]byte, size), make([]byte, 4096), make([]byte, 128)
	iov := unix.Iovec{Base: (*byte)(at(b)), Len: uint64(len(b))}
	m := unix.Msghdr{Name: &name[0], Namelen: uint32(len(name)), Iov: &iov, Iovlen: 1, Control: &oob[0], Controllen: uint64(len(oob))}
	n, _, e := syscall.Syscall(unix.SYS_RECVMSG, uintptr(h.fds[s]), uintptr(unsafe.Pointer(&m)), uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC))
	if e != 0 {
		return "", nil, 0, 0, e
	}
	text := string(b[:min(int(n), size)])
	if int(n) > size {
		text += fmt.Sprintf(" of %d", n)
	}
	files := 0
	cs, _ := unix.ParseSocketControlMessage(oob[:m.Controllen])
	for i := range cs {
		fds, _ := unix.ParseUnixRights(&cs[i])
		files += len(fds)
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	return text, name[:m.Namelen], int(m.Flags) &^ unix.MSG_CMSG_CLOEXEC, files, nil
}

func (h *Host) Poll(s int) int {
	p := []unix.PollFd{{Fd: int32(h.fds[s]), Events: pollMask}}
	unix.Poll(p, 0)
	return int(p[0].Revents)
}

func (h *Host) SetOption(s, level, name int, val []byte) error {
	_, _, e := syscall.Syscall6(unix.SYS_SETSOCKOPT, uintptr(h.fds[s]), uintptr(level), uintptr(name), uintptr(at(val)), uintptr(len(val)), 0)
	_, err := result(0, e)
	return err
}

func (h *Host) Option(s, level, name, size int) ([]byte, error) {
	b, n := make([]byte, size), uint32(size)
	_, _, e := syscall.Syscall6(unix.SYS_GETSOCKOPT, uintptr(h.fds[s]), uintptr(level), uintptr(name), uintptr(at(b)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return nil, e
	}
	return b[:n], nil
}

func (h *Host) Name(s int, peer bool) ([]byte, error) {
	nr := uintptr(unix.SYS_GETSOCKNAME)
	if peer {
		nr = unix.SYS_GETPEERNAME
	}
	b, n := make([]byte, 128), uint32(128)
	_, _, e := syscall.Syscall(nr, uintptr(h.fds[s]), uintptr(at(b)), uintptr(unsafe.Pointer(&n)))
	if e != 0 {
		return nil, e
	}
	return b[:n], nil
}

func (h *Host) Ioctl(s int, cmd uint32) (int, error) {
	var v [2]int32
	_, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(h.fds[s]), uintptr(cmd), uintptr(unsafe.Pointer(&v)))
	if e != 0 {
		return 0, e
	}
	return int(v[0]), nil
}
