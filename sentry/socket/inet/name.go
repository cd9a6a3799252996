package inet

import (
	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// Name implements socket.Namer.
func (e *Endpoint) Name(a *socket.Addr, peer bool) error {
	if l := e.local.Load(); l != nil {
		return l.address(e.kind.Family, a, peer)
	}
	get := e.ep().GetLocalAddress
	if peer {
		get = e.ep().GetRemoteAddress
		if e.isTCP() {
			switch e.state() {
			case linux.TCP_CLOSE, linux.TCP_SYN_SENT, linux.TCP_LISTEN, linux.TCP_TIME_WAIT:
				return linux.ENOTCONN
			}
		}
	}
	full, err := get()
	if err != nil {
		return errno(err)
	}
	encode(e.kind.Family, full, a)
	return nil
}

// TakeError implements socket.Failer.
func (e *Endpoint) TakeError() error {
	if l := e.local.Load(); l != nil {
		return l.takeError()
	}
	err := e.ep().SocketOptions().GetLastError()
	if err == nil {
		return nil
	}
	e.failed.Store(true)
	if e.isTCP() {
		// The stack keeps the error that ended a connection and the last one;
		// they are the same.
		e.ep().SocketOptions().GetLastError()
	}
	return errno(err)
}

// AcceptedFrom implements socket.Accepted.
func (e *Endpoint) AcceptedFrom(a *socket.Addr) {
	from := e.from
	if l := e.local.Load(); l != nil {
		from = l.remote
	}
	encode(e.kind.Family, from, a)
}
