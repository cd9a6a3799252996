package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
)

// kernelMsgFlags is the bits that are for Linux itself; a caller's are ignored.
const kernelMsgFlags = linux.MsgFlags(0x8e000000) &^ linux.MSG_ZEROCOPY &^ linux.MSG_FASTOPEN

// transmit sends, with SIGPIPE if that is due.
func transmit(t *kernel.Task, s openSocket, src usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	flags &^= kernelMsgFlags
	if s.file.NonBlocking() {
		flags |= linux.MSG_DONTWAIT
	}
	n, err := s.Transmit(t, src, flags, m)
	if err == linux.EPIPE && flags&linux.MSG_NOSIGNAL == 0 && s.SignalsPipe() {
		t.Raise(linux.SIGPIPE)
	}
	return n, err
}

// sendto implements send(2)'s sendto().
func sendto(t *kernel.Task, fd kernel.FD, buf address, n size, flags linux.MsgFlags, addr address, addrLen int32) (int64, error) {
	src, err := buffer(t, buf, n)
	if err != nil {
		return 0, err
	}
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	if addr == 0 {
		return transmit(t, s, src, flags, nil)
	}
	m := &socket.Msg{}
	if err := loadAddr(t, addr, addrLen, &m.Addr); err != nil {
		return 0, err
	}
	return transmit(t, s, src, flags, m)
}

// sendmsg implements send(2)'s sendmsg().
func sendmsg(t *kernel.Task, fd kernel.FD, p usermem.Ptr[linux.Msghdr], flags linux.MsgFlags) (int64, error) {
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	return sendOne(t, s, p, flags)
}

// sendOne sends what one struct msghdr describes.
func sendOne(t *kernel.Task, s openSocket, p usermem.Ptr[linux.Msghdr], flags linux.MsgFlags) (int64, error) {
	h, src, err := loadMsghdr(t, p)
	if err != nil {
		return 0, err
	}
	m := &socket.Msg{}
	if h.Namelen > 0 {
		if err := loadAddr(t, address(h.Name), h.Namelen, &m.Addr); err != nil {
			return 0, err
		}
	}
	defer m.DropRights(t)
	if h.Controllen > 0 {
		if err := loadControl(t, s, &h, &m.Control); err != nil {
			return 0, err
		}
	}
	return transmit(t, s, src, flags, m)
}

// loadMsghdr loads a msghdr and finds its data. A name that is too long is cut, as
// on Linux.
func loadMsghdr(t *kernel.Task, p usermem.Ptr[linux.Msghdr]) (h linux.Msghdr, data usermem.Seq, err error) {
	if h, err = p.Load(t); err != nil {
		return h, data, err
	}
	switch {
	case h.Name == 0:
		h.Namelen = 0
	case h.Namelen < 0:
		return h, data, linux.EINVAL
	}
	h.Namelen = min(h.Namelen, linux.SockaddrMax)
	data, err = msgVector(t, &h)
	return h, data, err
}

// msgVector is the data of a msghdr: EMSGSIZE for too many parts.
func msgVector(t *kernel.Task, h *linux.Msghdr) (usermem.Seq, error) {
	if h.Iovlen > linux.IOV_MAX {
		return usermem.Seq{}, linux.EMSGSIZE
	}
	if h.Iovlen == 1 {
		v, err := usermem.Ptr[iovec](h.Iov).Load(t)
		if err != nil {
			return usermem.Seq{}, err
		}
		return buffer(t, address(v.Base), size(v.Len))
	}
	return vector(t, usermem.Ptr[iovec](h.Iov), int64(h.Iovlen))
}

// maxControl is /proc/sys/net/core/optmem_max: the most bytes of control messages.
const maxControl = 131072

// loadControl reads the control messages of a msghdr: ENOBUFS, EINVAL, EBADF, EPERM.
func loadControl(t *kernel.Task, s openSocket, h *linux.Msghdr, c *socket.Control) error {
	if h.Controllen > maxControl {
		return linux.ENOBUFS
	}
	b := make([]byte, h.Controllen)
	if _, err := t.CopyIn(b, arch.Addr(h.Control)); err != nil {
		return err
	}
	r := socket.ReadCmsgs(b)
	for {
		m, ok := r.Next()
		if !ok {
			return r.Err()
		}
		var err error
		switch family := s.Kind().Family; {
		case m.Level != linux.SOL_SOCKET:
			c.Others = append(c.Others, m)
		case family == linux.AF_UNIX || family == linux.AF_NETLINK:
			err = loadSCM(t, family, m, c)
		case m.Type != linux.SCM_RIGHTS && m.Type != linux.SCM_CREDENTIALS:
			c.Others = append(c.Others, m)
		}
		if err != nil {
			return err
		}
	}
}

// loadSCM reads what only local sockets carry: files and credentials.
func loadSCM(t *kernel.Task, family uint16, m socket.Cmsg, c *socket.Control) error {
	switch {
	case m.Type == linux.SCM_RIGHTS && family == linux.AF_UNIX:
		return loadRights(t, m.Data, c)
	case m.Type == linux.SCM_CREDENTIALS:
		var u linux.Ucred
		b := usermem.AsBytes(&u)
		if len(m.Data) != len(b) {
			return linux.EINVAL
		}
		copy(b, m.Data)
		cred, err := socket.Claim(t, u)
		if err != nil {
			return err
		}
		c.Cred, c.HasCred = cred, true
		return nil
	}
	return linux.EINVAL
}

func loadRights(t *kernel.Task, b []byte, c *socket.Control) error {
	if len(b)/4+len(c.Rights) > linux.SCM_MAX_FD {
		return linux.EINVAL
	}
	for ; len(b) >= 4; b = b[4:] {
		fd, _ := socket.Int(b)
		d, err := t.FDs().GetPath(kernel.FD(fd))
		if err != nil {
			return err
		}
		c.Rights = append(c.Rights, d)
	}
	return nil
}

// maxBatch is the most messages of one sendmmsg(2) or recvmmsg(2) (UIO_MAXIOV).
const maxBatch = 1024

// sendmmsg implements sendmmsg(2).
func sendmmsg(t *kernel.Task, fd kernel.FD, p usermem.Ptr[linux.Mmsghdr], n uint32, flags linux.MsgFlags) (int, error) {
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	for i := range int(min(n, maxBatch)) {
		at := p.At(i)
		k, err := sendOne(t, s, usermem.Ptr[linux.Msghdr](at), flags)
		if err == nil {
			err = storeMsgLen(t, at, k)
		}
		if err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, err
		}
	}
	return int(min(n, maxBatch)), nil
}

// storeMsgLen stores the count of bytes of one message of a batch.
func storeMsgLen(t *kernel.Task, p usermem.Ptr[linux.Mmsghdr], n int64) error {
	const offset = 56 // of msg_len
	v := uint32(n)
	return usermem.Ptr[uint32](uint64(p)+offset).Store(t, &v)
}
