package inet

import (
	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Ioctl implements socket.Ioctler.
func (e *Endpoint) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case linux.SIOCINQ:
		if e.isTCP() && e.state() == linux.TCP_LISTEN {
			return 0, linux.EINVAL
		}
	case linux.SIOCOUTQ:
		if l := e.local.Load(); l != nil {
			return socket.StoreInt(m, arg, l.queued(false))
		}
		return socket.StoreInt(m, arg, e.unsent())
	case linux.SIOCATMARK:
		if !e.isTCP() {
			return 0, linux.ENOTTY
		}
		l := e.local.Load()
		return socket.StoreInt(m, arg, bit(l != nil && l.in.state(l.inline()).mark))
	default:
		return 0, linux.ENOTTY
	}
	if l := e.local.Load(); l != nil {
		return socket.StoreInt(m, arg, l.queued(true))
	}
	if n, ok := e.drained.first(); ok {
		return socket.StoreInt(m, arg, n)
	}
	n, err := e.ep().GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	if err != nil {
		n = 0
	}
	return socket.StoreInt(m, arg, n)
}
