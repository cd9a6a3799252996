package hostinet

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// An Endpoint is one socket: a socket.Proto. Watchers are on its Queue, which the Poller
// tells.
type Endpoint struct {
	wait.Queue
	fam    *Family
	kind   socket.Kind
	fd     int `save:"-"`
	pollID int32
	opts   *socket.Options
	socket *socket.Socket
	uid    uint32 // who made it
	stream bool

	// target is where a connection in progress goes; nil if there is none.
	target atomic.Pointer[[]byte]
	from   socket.Addr // of one that was accepted: where it came from
}

var (
	_ socket.Proto     = (*Endpoint)(nil)
	_ socket.Binder    = (*Endpoint)(nil)
	_ socket.Connecter = (*Endpoint)(nil)
	_ socket.Accepter  = (*Endpoint)(nil)
	_ socket.Accepted  = (*Endpoint)(nil)
	_ socket.Shutter   = (*Endpoint)(nil)
	_ socket.Namer     = (*Endpoint)(nil)
	_ socket.Optioner  = (*Endpoint)(nil)
	_ socket.Failer    = (*Endpoint)(nil)
	_ socket.Ioctler   = (*Endpoint)(nil)
	_ socket.Later     = (*Endpoint)(nil)
	_ socket.Asked     = (*Endpoint)(nil)
)

func (e *Endpoint) wrap() *socket.Socket {
	e.socket = socket.New(e.fam.net, e.kind, e, e.opts)
	e.fam.mu.Lock()
	e.fam.all[e] = struct{}{}
	e.fam.mu.Unlock()
	return e.socket
}

// Ready implements wait.Object: poll(2) on the host.
func (e *Endpoint) Ready(mask wait.Events) wait.Events {
	p := [1]unix.PollFd{{Fd: int32(e.fd), Events: int16(mask)}}
	for {
		_, err := unix.Poll(p[:], 0)
		switch err {
		case nil:
			return wait.Events(uint16(p[0].Revents)) & (mask | wait.Always)
		case unix.EINTR:
			continue
		}
		return 0
	}
}

// hostAddr is the part of a socket address that a host call is given. What is longer than
// any address of the two families is no address of theirs, or a struct sockaddr_storage.
func hostAddr(addr []byte) []byte { return addr[:min(len(addr), linux.SockaddrInet6Len)] }

// Bind implements socket.Binder. The sentry may not bind the ports of the privileged; who
// may for it asks no questions, so they are asked here.
func (e *Endpoint) Bind(c vfs.Ctx, addr []byte) error {
	addr = hostAddr(addr)
	err := bind(e.fd, addr)
	if err == linux.EACCES && e.fam.capableLow(c) {
		err = e.fam.BindLow(e.fd, addr)
	}
	return errno(err)
}

// Connect implements socket.Connecter.
func (e *Endpoint) Connect(_ vfs.Ctx, addr []byte) error {
	addr = hostAddr(addr)
	e.fam.Poller.Settle()
	err := connect(e.fd, addr)
	switch err {
	case linux.EINPROGRESS:
		to := append([]byte(nil), addr...)
		e.target.Store(&to)
	case linux.EAGAIN: // no port is free: nothing that could be waited for
		return linux.EADDRNOTAVAIL
	}
	return errno(err)
}

// Connected implements socket.Connecter: connect(2) again, by which the host's socket
// itself learns how it ended.
func (e *Endpoint) Connected() error {
	to := e.target.Swap(nil)
	if to == nil {
		return e.TakeError()
	}
	err := connect(e.fd, *to)
	if err == linux.EISCONN {
		return nil
	}
	return errno(err)
}

// Listen implements socket.Accepter.
func (e *Endpoint) Listen(_ vfs.Ctx, backlog int) error { return errno(unix.Listen(e.fd, backlog)) }

// Accept implements socket.Accepter.
func (e *Endpoint) Accept(vfs.Ctx) (*socket.Socket, error) {
	var from socket.Addr
	fd, err := accept(e.fd, &from)
	if err != nil {
		return nil, errno(err)
	}
	n, err := e.fam.newEndpoint(e.kind, fd, e.opts.Inherit())
	if err != nil {
		return nil, err
	}
	n.uid, n.from = e.uid, from
	return n.wrap(), nil
}

// AcceptedFrom implements socket.Accepted.
func (e *Endpoint) AcceptedFrom(a *socket.Addr) { *a = e.from }

// Shutdown implements socket.Shutter.
func (e *Endpoint) Shutdown(_ vfs.Ctx, how int) error { return errno(unix.Shutdown(e.fd, how)) }

// Name implements socket.Namer.
func (e *Endpoint) Name(a *socket.Addr, peer bool) error { return errno(name(e.fd, a, peer)) }

// TakeError implements socket.Failer.
func (e *Endpoint) TakeError() error {
	n, err := unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return errno(err)
	case n != 0:
		return linux.Errno(n)
	}
	return nil
}

// Close implements socket.Proto. The host sends what is left by itself; a close that
// lingers would keep one of the sentry's threads for as long as the guest chose.
func (e *Endpoint) Close(vfs.Ctx) {
	e.fam.mu.Lock()
	delete(e.fam.all, e)
	e.fam.mu.Unlock()
	e.fam.Poller.Settle()
	if l, err := getLinger(e.fd); err == nil && l.Onoff != 0 && l.Linger > 0 {
		_ = unix.SetsockoptLinger(e.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
	}
	e.fam.Poller.Remove(e.fd, e.pollID)
	unix.Close(e.fd)
	e.Notify(wait.Hup | wait.Err | wait.Readable | wait.Writable)
}

// Ioctl implements socket.Ioctler: how much is to be read, or yet to be acknowledged, and
// whether urgent data is next.
func (e *Endpoint) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	switch {
	case cmd == linux.SIOCINQ, cmd == linux.SIOCOUTQ, cmd == linux.SIOCATMARK && e.stream:
		n, err := unix.IoctlGetInt(e.fd, uint(cmd))
		if err != nil {
			return 0, errno(err)
		}
		return socket.StoreInt(m, arg, n)
	}
	return 0, linux.ENOTTY
}
