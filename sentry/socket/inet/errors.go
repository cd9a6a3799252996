package inet

import (
	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
)

// errno is a tcpip error as Linux calls it; nil stays nil.
func errno(err tcpip.Error) error {
	if err == nil {
		return nil
	}
	if e, ok := stateErrno(err); ok {
		return e
	}
	if e, ok := routeErrno(err); ok {
		return e
	}
	switch err.(type) {
	case *tcpip.ErrAddressFamilyNotSupported:
		return linux.EAFNOSUPPORT
	case *tcpip.ErrBadBuffer:
		return linux.EFAULT
	case *tcpip.ErrDuplicateAddress, *tcpip.ErrDuplicateNICID:
		return linux.EEXIST
	case *tcpip.ErrUnknownDevice, *tcpip.ErrUnknownNICID, *tcpip.ErrInvalidNICID:
		return linux.ENODEV
	case *tcpip.ErrMessageTooLong:
		return linux.EMSGSIZE
	case *tcpip.ErrNoBufferSpace:
		return linux.ENOBUFS
	case *tcpip.ErrNoSuchFile:
		return linux.ENOENT
	case *tcpip.ErrNotPermitted:
		return linux.EPERM
	case *tcpip.ErrNotSupported:
		return linux.EOPNOTSUPP
	case *tcpip.ErrQueueSizeNotSupported:
		return linux.ENOTTY
	case *tcpip.ErrUnknownProtocol:
		return linux.EPROTONOSUPPORT
	case *tcpip.ErrUnknownProtocolOption:
		return linux.ENOPROTOOPT
	case *tcpip.ErrEndpointBusy:
		return linux.EBUSY
	}
	return linux.EINVAL // ErrInvalidOptionValue, ErrMalformedHeader and the like
}

// stateErrno is the errors that tell of a socket's state.
func stateErrno(err tcpip.Error) (linux.Errno, bool) {
	switch err.(type) {
	case *tcpip.ErrAlreadyBound:
		return linux.EINVAL, true
	case *tcpip.ErrAlreadyConnected:
		return linux.EISCONN, true
	case *tcpip.ErrAlreadyConnecting:
		return linux.EALREADY, true
	case *tcpip.ErrConnectStarted:
		return linux.EINPROGRESS, true
	case *tcpip.ErrWouldBlock:
		return linux.EAGAIN, true
	case *tcpip.ErrClosedForSend:
		return linux.EPIPE, true
	case *tcpip.ErrNotConnected:
		return linux.ENOTCONN, true
	case *tcpip.ErrDestinationRequired:
		return linux.EDESTADDRREQ, true
	case *tcpip.ErrConnectionAborted, *tcpip.ErrAborted:
		return linux.ECONNABORTED, true
	case *tcpip.ErrConnectionRefused:
		return linux.ECONNREFUSED, true
	case *tcpip.ErrConnectionReset:
		return linux.ECONNRESET, true
	case *tcpip.ErrTimeout:
		return linux.ETIMEDOUT, true
	case *tcpip.ErrInvalidEndpointState:
		return linux.EINVAL, true
	}
	return 0, false
}

// routeErrno is the errors that tell of addresses and of the way to them.
func routeErrno(err tcpip.Error) (linux.Errno, bool) {
	switch err.(type) {
	case *tcpip.ErrBadLocalAddress:
		return linux.EADDRNOTAVAIL, true
	case *tcpip.ErrBroadcastDisabled:
		return linux.EACCES, true
	case *tcpip.ErrHostUnreachable:
		return linux.EHOSTUNREACH, true
	case *tcpip.ErrHostDown:
		return linux.EHOSTDOWN, true
	case *tcpip.ErrNetworkUnreachable:
		return linux.ENETUNREACH, true
	case *tcpip.ErrNoNet:
		return linux.ENONET, true
	case *tcpip.ErrPortInUse, *tcpip.ErrNoPortAvailable:
		return linux.EADDRINUSE, true
	}
	return 0, false
}
