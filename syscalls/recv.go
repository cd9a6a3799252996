package syscalls

import (
	"encoding/binary"

	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// receive receives, and waits unless the call or the descriptor says not to.
func receive(t *kernel.Task, s openSocket, dst usermem.Seq, flags linux.MsgFlags, m *socket.Msg) (int64, error) {
	if s.file.NonBlocking() {
		flags |= linux.MSG_DONTWAIT
	}
	return s.Receive(t, dst, flags, m)
}

// recvfrom implements recv(2)'s recvfrom().
func recvfrom(t *kernel.Task, fd kernel.FD, buf address, n size, flags linux.MsgFlags, addr address, addrLen usermem.Ptr[int32]) (int64, error) {
	dst, err := buffer(t, buf, n)
	if err != nil {
		return 0, err
	}
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	if addr == 0 {
		return receive(t, s, dst, flags, nil)
	}
	m := &socket.Msg{}
	k, err := receive(t, s, dst, flags, m)
	m.DropRights(t)
	if err != nil {
		return 0, err
	}
	return k, storeAddr(t, &m.Addr, addr, addrLen)
}

// recvmsg implements recv(2)'s recvmsg().
func recvmsg(t *kernel.Task, fd kernel.FD, p usermem.Ptr[linux.Msghdr], flags linux.MsgFlags) (int64, error) {
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	return recvOne(t, s, p, flags)
}

// recvOne receives what one struct msghdr has room for.
func recvOne(t *kernel.Task, s openSocket, p usermem.Ptr[linux.Msghdr], flags linux.MsgFlags) (int64, error) {
	h, dst, err := loadMsghdr(t, p)
	if err != nil {
		return 0, err
	}
	m := &socket.Msg{}
	n, err := receive(t, s, dst, flags, m)
	if err != nil {
		m.DropRights(t)
		return 0, err
	}
	h.Flags = m.Flags | flags&linux.MSG_CMSG_CLOEXEC
	if err := storeControl(t, &h, m); err != nil {
		return 0, err
	}
	if h.Name != 0 {
		room := min(int(h.Namelen), m.Addr.Len())
		if _, err := t.CopyOut(arch.Addr(h.Name), m.Addr.Bytes()[:room]); err != nil {
			return 0, err
		}
		h.Namelen = int32(m.Addr.Len())
	}
	return n, storeHeader(t, p, &h)
}

// storeHeader stores the fields of a msghdr that recvmsg changes, and no other.
func storeHeader(t *kernel.Task, p usermem.Ptr[linux.Msghdr], h *linux.Msghdr) error {
	const nameLen, controlLen = 8, 40
	if h.Name != 0 {
		if err := usermem.Ptr[int32](uint64(p)+nameLen).Store(t, &h.Namelen); err != nil {
			return err
		}
	}
	b := binary.LittleEndian.AppendUint64(nil, h.Controllen)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Flags))
	_, err := t.CopyOut(p.Addr()+controlLen, b)
	return err
}

// storeControl stores the control messages that came, and gives descriptors to files.
// What does not fit is dropped, with MSG_CTRUNC.
func storeControl(t *kernel.Task, h *linux.Msghdr, m *socket.Msg) error {
	defer m.DropRights(t)
	w := socket.WriteCmsgs(int(min(h.Controllen, maxControl)))
	for _, c := range m.Others {
		w.Put(c.Level, c.Type, c.Data)
	}
	if m.HasCred {
		u := m.Cred.Ucred(t)
		w.Put(linux.SOL_SOCKET, linux.SCM_CREDENTIALS, usermem.AsBytes(&u))
	}
	var fds []kernel.FD
	if m.HasPidfd {
		fds = storePidfd(t, &w, m.Cred.PID)
	}
	if len(m.Rights) > 0 {
		fds = append(fds, storeRights(t, &w, m.Rights, h.Flags)...)
	}
	if w.Truncated() {
		h.Flags |= linux.MSG_CTRUNC
	}
	h.Controllen = uint64(len(w.Bytes()))
	if h.Controllen == 0 {
		return nil
	}
	if _, err := t.CopyOut(arch.Addr(h.Control), w.Bytes()); err != nil {
		t.CloseFDs(fds...)
		return err
	}
	return nil
}

// storePidfd gives a descriptor to the sender's process; as on Linux, its message has an
// error in the place of one that can't be had.
func storePidfd(t *kernel.Task, w *socket.CmsgWriter, sender any) (fds []kernel.FD) {
	v := -int32(linux.ESRCH)
	if p, ok := sender.(*kernel.PID); ok && w.Room() >= 4 {
		fd, err := newPidfd(t, p, 0)
		if v = int32(fd); err != nil {
			v = -int32(kernel.Errno(err))
		} else {
			fds = append(fds, fd)
		}
	}
	w.Put(linux.SOL_SOCKET, linux.SCM_PIDFD, socket.IntBytes(v))
	return fds
}

// storeRights gives descriptors to as many files as there is room for.
func storeRights(t *kernel.Task, w *socket.CmsgWriter, files []*vfs.FileDescription, flags linux.MsgFlags) (fds []kernel.FD) {
	open := linux.OpenFlags(0)
	if flags&linux.MSG_CMSG_CLOEXEC != 0 {
		open = linux.O_CLOEXEC
	}
	var b []byte
	for _, d := range files[:max(0, min(len(files), w.Room()/4))] {
		fd, err := t.NewFD(open, d)
		if err != nil {
			break
		}
		fds = append(fds, fd)
		b = binary.LittleEndian.AppendUint32(b, uint32(fd))
	}
	if len(fds) > 0 {
		w.Put(linux.SOL_SOCKET, linux.SCM_RIGHTS, b)
	}
	if len(fds) < len(files) {
		w.SetTruncated()
	}
	return fds
}

// recvmmsg implements recvmmsg(2). As on Linux, the time-out is looked at after each
// message, and does not end a wait.
func recvmmsg(t *kernel.Task, fd kernel.FD, p usermem.Ptr[linux.Mmsghdr], n uint32, flags linux.MsgFlags, timeout usermem.Ptr[linux.Timespec]) (int, error) {
	l, err := loadLimit(t, timeout)
	if err != nil {
		return 0, err
	}
	s, err := socketOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer s.Release(t)
	if e := s.TakeError(); e != 0 {
		return 0, e
	}
	once := flags & linux.MSG_WAITFORONE
	flags &^= linux.MSG_WAITFORONE
	count := 0
	for count < int(min(n, maxBatch)) {
		at := p.At(count)
		var k int64
		k, err = recvOne(t, s, usermem.Ptr[linux.Msghdr](at), flags)
		if err == nil {
			err = storeMsgLen(t, at, k)
		}
		if err != nil {
			break
		}
		count++
		if once != 0 {
			flags |= linux.MSG_DONTWAIT
		}
		if timeout != 0 && (l.now || l.deadline.Passed()) {
			break
		}
	}
	if timeout != 0 {
		ts := l.left()
		timeout.Store(t, &ts)
	}
	if count > 0 {
		return count, nil
	}
	return 0, err
}
