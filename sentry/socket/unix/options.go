package unix

import (
	"encoding/binary"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// SetOption implements socket.Optioner.
func (e *Endpoint) SetOption(_ vfs.Ctx, level, name int32, val []byte) error {
	if level != linux.SOL_SOCKET {
		return linux.EOPNOTSUPP
	}
	if name != linux.SO_PEEK_OFF {
		return linux.ENOPROTOOPT
	}
	v, err := socket.Int(val)
	if err == nil {
		e.opts.SetPeekOff(int(v))
	}
	return err
}

// Option implements socket.Optioner.
func (e *Endpoint) Option(c vfs.Ctx, level, name int32, size int) ([]byte, error) {
	if level != linux.SOL_SOCKET {
		return nil, linux.EOPNOTSUPP
	}
	switch name {
	case linux.SO_ACCEPTCONN:
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.listener != nil {
			return socket.IntBytes(1), nil
		}
		return socket.IntBytes(0), nil
	case linux.SO_PEERCRED:
		return e.peercred(c), nil
	case linux.SO_PEEK_OFF:
		return socket.IntBytes(int32(e.opts.PeekOff())), nil
	}
	return nil, linux.ENOPROTOOPT
}

// peercred is SO_PEERCRED's struct ucred.
func (e *Endpoint) peercred(c vfs.Ctx) []byte {
	e.mu.Lock()
	k, ok := e.peerCred, e.peered
	if e.listener != nil {
		k, ok = e.cred, true
	}
	e.mu.Unlock()
	u := linux.Ucred{UID: auth.NoID, GID: auth.NoID} // no peer, not one that c can't name
	if ok {
		u = k.Ucred(c)
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(u.PID))
	b = binary.LittleEndian.AppendUint32(b, u.UID)
	return binary.LittleEndian.AppendUint32(b, u.GID)
}

// Ioctl implements socket.Ioctler.
func (e *Endpoint) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case linux.SIOCINQ:
		n, err := e.queued()
		if err != nil {
			return 0, err
		}
		return socket.StoreInt(m, arg, n)
	case linux.SIOCOUTQ:
		n := int(e.wmem.Load())
		if conn := e.conn.Load(); conn != nil && e.typ == linux.SOCK_STREAM {
			conn.out.mu.Lock()
			n = conn.out.ring.Used()
			conn.out.mu.Unlock()
		}
		return socket.StoreInt(m, arg, n)
	case linux.SIOCATMARK:
		if e.typ != linux.SOCK_STREAM {
			return 0, linux.EOPNOTSUPP
		}
		return socket.StoreInt(m, arg, 0)
	case linux.SIOCUNIXFILE:
		return 0, linux.ENOENT
	}
	return 0, linux.ENOTTY
}

// queued is the bytes that can be read, or those of the first message: EINVAL for a
// listening socket.
func (e *Endpoint) queued() (int, error) {
	e.mu.Lock()
	listening := e.listener != nil
	e.mu.Unlock()
	if listening {
		return 0, linux.EINVAL
	}
	ch := e.inbox()
	if ch == nil {
		return 0, nil
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if e.typ != linux.SOCK_DGRAM {
		n := ch.ring.Used()
		for m := range ch.msgs.All() {
			n += len(m.data)
		}
		return n, nil
	}
	if m := ch.msgs.Front(); m != nil {
		return len(m.Value.data), nil
	}
	return 0, nil
}
