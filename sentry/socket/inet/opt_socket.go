package inet

import (
	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// socketOptions is the options of level SOL_SOCKET that the stack knows, socket(7).
var socketOptions = map[optionKey]intOption{
	{linux.SOL_SOCKET, linux.SO_REUSEADDR}:  flag((*tcpip.SocketOptions).GetReuseAddress, (*tcpip.SocketOptions).SetReuseAddress),
	{linux.SOL_SOCKET, linux.SO_REUSEPORT}:  flag((*tcpip.SocketOptions).GetReusePort, (*tcpip.SocketOptions).SetReusePort),
	{linux.SOL_SOCKET, linux.SO_KEEPALIVE}:  flag((*tcpip.SocketOptions).GetKeepAlive, (*tcpip.SocketOptions).SetKeepAlive),
	{linux.SOL_SOCKET, linux.SO_BROADCAST}:  flag((*tcpip.SocketOptions).GetBroadcast, (*tcpip.SocketOptions).SetBroadcast),
	{linux.SOL_SOCKET, linux.SO_NO_CHECK}:   flag((*tcpip.SocketOptions).GetNoChecksum, (*tcpip.SocketOptions).SetNoChecksum),
	{linux.SOL_SOCKET, linux.SO_SNDBUF}:     {get: sendBuffer, set: setSendBuffer},
	{linux.SOL_SOCKET, linux.SO_RCVBUF}:     {get: receiveBuffer, set: setReceiveBuffer},
	{linux.SOL_SOCKET, linux.SO_ACCEPTCONN}: {get: (*Endpoint).acceptConn},
}

func (e *Endpoint) acceptConn() (int, tcpip.Error) {
	return bit(e.isTCP() && e.state() == linux.TCP_LISTEN), nil
}

func sendBuffer(e *Endpoint) (int, tcpip.Error) {
	return int(e.ep().SocketOptions().GetSendBufferSize()), nil
}

// setSendBuffer doubles the size, as Linux does for its own needs.
func setSendBuffer(e *Endpoint, v int) error {
	v = max(2*int(min(uint32(v), socket.MaxBuffer)), 4608)
	e.ep().SocketOptions().SetSendBufferSize(int64(v), true)
	e.resized()
	return nil
}

// receiveBuffer is never 0, though a socket of IPPROTO_RAW, which only sends, has none.
func receiveBuffer(e *Endpoint) (int, tcpip.Error) {
	if n := int(e.ep().SocketOptions().GetReceiveBufferSize()); n > 0 {
		return n, nil
	}
	return socket.DefaultBuffer, nil
}

func setReceiveBuffer(e *Endpoint, v int) error {
	v = max(2*int(min(uint32(v), socket.MaxBuffer)), 2304)
	e.ep().SocketOptions().SetReceiveBufferSize(int64(v), true)
	e.resized()
	return nil
}

// resized tells a local connection that a buffer has a size of its own now.
func (e *Endpoint) resized() {
	e.sized.Store(true)
	if l := e.local.Load(); l != nil {
		l.resize()
	}
}
