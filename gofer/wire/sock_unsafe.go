package wire

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A socket is a descriptor and the memory that sendmsg(2) and recvmsg(2) want, kept
// so that a round trip allocates nothing. It must not move while a call is under
// way: it is part of a Conn, which is on the heap, and Go does not move that.
type socket struct {
	fd  int
	hdr unix.Msghdr
	iov unix.Iovec
	// oob has room for more descriptors than are allowed, so that a peer that sends
	// too many is found out by their number. The kernel does not deliver what does not
	// fit, nor what finds this process's table of descriptors full (MSG_CTRUNC): then
	// the message stands, and its receiver misses a descriptor.
	oob [oobLen]byte
}

// oobLen is CMSG_SPACE of MaxFDs + 1 descriptors, rounded up.
const oobLen = 16 + (4*(MaxFDs+1)+7)/8*8

func (s *socket) init(fd int) { s.fd = fd }

// send sends b without descriptors. MSG_NOSIGNAL: a dead peer is an error, no SIGPIPE.
func (s *socket) send(b []byte) syscall.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_NOSIGNAL, 0, 0)
	return e
}

// sendFDs sends b with descriptors.
func (s *socket) sendFDs(b []byte, fds []int) syscall.Errno {
	s.prepare(b)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&s.oob[0]))
	h.Level, h.Type = unix.SOL_SOCKET, unix.SCM_RIGHTS
	h.SetLen(unix.CmsgLen(4 * len(fds)))
	for i, fd := range fds {
		*(*int32)(unsafe.Pointer(&s.oob[unix.CmsgLen(4*i)])) = int32(fd)
	}
	s.hdr.SetControllen(unix.CmsgSpace(4 * len(fds)))
	_, _, e := syscall.Syscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.hdr)), unix.MSG_NOSIGNAL)
	s.iov.Base = nil
	return e
}

// recv receives a message into b and adds the descriptors that came with it to fds,
// or closes them if there is no place for them. whole is false if the message or
// its descriptors were more than they may be.
func (s *socket) recv(b []byte, fds *FDs) (n int, whole bool, e syscall.Errno) {
	s.prepare(b)
	r, _, e := syscall.Syscall(unix.SYS_RECVMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.hdr)), unix.MSG_CMSG_CLOEXEC)
	if e != 0 {
		return 0, false, e
	}
	whole = s.hdr.Flags&unix.MSG_TRUNC == 0
	if s.hdr.Controllen > 0 && !s.rights(fds) {
		whole = false
	}
	return int(r), whole, 0
}

// prepare points the header to b and to all of oob.
func (s *socket) prepare(b []byte) {
	s.iov.Base = unsafe.SliceData(b)
	s.iov.SetLen(len(b))
	s.hdr = unix.Msghdr{Iov: &s.iov, Iovlen: 1, Control: &s.oob[0]}
	s.hdr.SetControllen(oobLen)
}

// rights moves the descriptors from oob to fds. It reports whether all was as it should.
func (s *socket) rights(fds *FDs) bool {
	ok := true
	for oob := s.oob[:min(int(s.hdr.Controllen), oobLen)]; len(oob) >= unix.SizeofCmsghdr; {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		l := int(h.Len)
		if l < unix.SizeofCmsghdr || l > len(oob) {
			return false // never from Linux
		}
		if h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_RIGHTS {
			ok = false
		} else {
			for off := unix.CmsgLen(0); off+4 <= l; off += 4 {
				fd := int(*(*int32)(unsafe.Pointer(&oob[off])))
				if fds == nil {
					unix.Close(fd)
				} else if !fds.add(fd) {
					ok = false
				}
			}
		}
		oob = oob[min(len(oob), (l+7)&^7):]
	}
	return ok
}
