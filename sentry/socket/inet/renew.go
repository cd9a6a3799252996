package inet

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"

	"garrison/sentry/linux"
)

// renew gives a TCP socket whose attempt to connect was refused a new endpoint, with
// the options and the address of the old one: Linux lets such a socket try again.
func (e *Endpoint) renew() error {
	s, err := e.fam.stack()
	if err != nil {
		return linux.ENOMEM
	}
	q := &waiter.Queue{}
	ep, terr := open(s, e.kind, q)
	if terr != nil {
		return errno(terr)
	}
	old := e.cur.Load()
	copyOptions(ep, old.ep)
	local, lerr := old.ep.GetLocalAddress()
	old.detach()
	if lerr == nil && e.bound.Load() {
		if terr := ep.Bind(local); terr != nil {
			ep.Close()
			return errno(terr)
		}
	}
	e.attach(ep, q)
	return nil
}

// copied is the int options that a new endpoint takes over.
var copied = [...]tcpip.SockOptInt{
	tcpip.IPv4TTLOption, tcpip.IPv6HopLimitOption, tcpip.IPv4TOSOption,
	tcpip.MTUDiscoverOption, tcpip.TCPSynCountOption,
}

func copyOptions(to, from tcpip.Endpoint) {
	a, b := to.SocketOptions(), from.SocketOptions()
	a.SetReuseAddress(b.GetReuseAddress())
	a.SetReusePort(b.GetReusePort())
	a.SetKeepAlive(b.GetKeepAlive())
	a.SetV6Only(b.GetV6Only())
	a.SetDelayOption(b.GetDelayOption())
	a.SetCorkOption(b.GetCorkOption())
	a.SetQuickAck(b.GetQuickAck())
	a.SetLinger(b.GetLinger())
	a.SetSendBufferSize(b.GetSendBufferSize(), false)
	a.SetReceiveBufferSize(b.GetReceiveBufferSize(), false)
	for _, o := range copied {
		if v, err := from.GetSockOptInt(o); err == nil {
			to.SetSockOptInt(o, v)
		}
	}
	copyKeepalive(to, from)
	var timeout tcpip.TCPUserTimeoutOption
	if from.GetSockOpt(&timeout) == nil {
		to.SetSockOpt(&timeout)
	}
}

// copyKeepalive has one socket probe its peer when another does.
func copyKeepalive(to, from tcpip.Endpoint) {
	var idle tcpip.KeepaliveIdleOption
	if from.GetSockOpt(&idle) == nil {
		to.SetSockOpt(&idle)
	}
	var interval tcpip.KeepaliveIntervalOption
	if from.GetSockOpt(&interval) == nil {
		to.SetSockOpt(&interval)
	}
	if n, err := from.GetSockOptInt(tcpip.KeepaliveCountOption); err == nil {
		to.SetSockOptInt(tcpip.KeepaliveCountOption, n)
	}
}
