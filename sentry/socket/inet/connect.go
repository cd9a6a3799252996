package inet

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// Connect implements socket.Connecter.
func (e *Endpoint) Connect(c vfs.Ctx, addr []byte) error {
	if len(addr) < 2 {
		return linux.EINVAL
	}
	if socket.FamilyOf(addr) == linux.AF_UNSPEC {
		if err := e.ep().Disconnect(); err != nil && !e.isTCP() {
			return errno(err)
		}
		return nil
	}
	a, err := parse(e.kind.Family, addr, true)
	if err != nil {
		return err
	}
	a = toLoopback(e.kind.Family, a)
	if lo, _ := e.ports(); lo != 0 && !e.bound.Load() {
		if err := e.bindTo(tcpip.FullAddress{}); err != nil {
			return linux.EADDRNOTAVAIL
		}
		e.bound.Store(true)
	}
	if !e.isTCP() {
		return connectErrno(e.ep().Connect(a))
	}
	return e.connectStream(a)
}

// connectErrno is errno for connect(2), which lacks a port, not has one in use.
func connectErrno(err tcpip.Error) error {
	if _, ok := err.(*tcpip.ErrNoPortAvailable); ok {
		return linux.EADDRNOTAVAIL
	}
	return errno(err)
}

func (e *Endpoint) connectStream(a tcpip.FullAddress) error {
	if l := e.local.Load(); l != nil && !e.refused.Load() {
		return l.connectAgain()
	}
	switch tcp.EndpointState(e.ep().State()) {
	case tcp.StateTimeWait, tcp.StateLastAck, tcp.StateClosing, tcp.StateClose:
		return linux.EISCONN // it was: a connection is not forgotten with its end
	case tcp.StateListen:
		return linux.EISCONN
	case tcp.StateError:
		if !e.refused.Load() {
			return e.refusal(linux.ECONNABORTED) // how the attempt before this one ended
		}
		if err := e.renew(); err != nil {
			return err
		}
	}
	e.failed.Store(false)
	e.refused.Store(false)
	e.local.Store(nil)
	if d := e.fam.diverted(a); d != nil {
		return e.connectDiverted(d, a)
	}
	if srv := e.fam.listenerFor(a); srv != nil {
		return e.connectLocal(srv, a)
	}
	err := connectErrno(e.ep().Connect(a))
	switch err {
	case nil, linux.EINPROGRESS, linux.EALREADY, linux.EISCONN, linux.EINVAL:
		return err
	}
	return e.refusal(err)
}

// refusal is the error of an attempt to connect, or otherwise if another thread took
// it. The socket can try anew.
func (e *Endpoint) refusal(otherwise error) error {
	err := e.TakeError()
	if err == nil {
		err = otherwise
	}
	if tcp.EndpointState(e.ep().State()) == tcp.StateError {
		e.refused.Store(true)
	}
	return err
}

// Connected implements socket.Connecter.
func (e *Endpoint) Connected() error {
	if l := e.local.Load(); l != nil {
		l.told.Store(true)
		err := l.takeError()
		if err != nil && !l.up.Load() {
			e.refused.Store(true)
		}
		return err
	}
	if !e.isTCP() {
		return e.TakeError()
	}
	if tcp.EndpointState(e.ep().State()) == tcp.StateError {
		return e.refusal(linux.ECONNABORTED)
	}
	return e.TakeError()
}
