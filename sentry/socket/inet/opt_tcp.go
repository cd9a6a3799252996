package inet

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
)

// tcpOptions is the options of level SOL_TCP that are ints, tcp(7).
var tcpOptions = map[optionKey]intOption{
	{linux.SOL_TCP, linux.TCP_NODELAY}: onlyTCP(intOption{
		get: func(e *Endpoint) (int, tcpip.Error) { return int(e.small[tcpNodelay].Load()), nil },
		set: setNodelay,
	}),
	{linux.SOL_TCP, linux.TCP_CORK}:                 onlyTCP(flag((*tcpip.SocketOptions).GetCorkOption, (*tcpip.SocketOptions).SetCorkOption)),
	{linux.SOL_TCP, linux.TCP_QUICKACK}:             onlyTCP(flag((*tcpip.SocketOptions).GetQuickAck, (*tcpip.SocketOptions).SetQuickAck)),
	{linux.SOL_TCP, linux.TCP_MAXSEG}:               onlyTCP(number(tcpip.MaxSegOption, 88, 32767)),
	{linux.SOL_TCP, linux.TCP_KEEPCNT}:              onlyTCP(number(tcpip.KeepaliveCountOption, 1, 127)),
	{linux.SOL_TCP, linux.TCP_SYNCNT}:               onlyTCP(number(tcpip.TCPSynCountOption, 1, 127)),
	{linux.SOL_TCP, linux.TCP_WINDOW_CLAMP}:         onlyTCP(number(tcpip.TCPWindowClampOption, 0, 1<<31-1)),
	{linux.SOL_TCP, linux.TCP_KEEPIDLE}:             onlyTCP(intOption{get: keepIdle, set: setKeepIdle}),
	{linux.SOL_TCP, linux.TCP_KEEPINTVL}:            onlyTCP(intOption{get: keepInterval, set: setKeepInterval}),
	{linux.SOL_TCP, linux.TCP_USER_TIMEOUT}:         onlyTCP(intOption{get: userTimeout, set: setUserTimeout}),
	{linux.SOL_TCP, linux.TCP_LINGER2}:              onlyTCP(intOption{get: linger2, set: setLinger2}),
	{linux.SOL_TCP, linux.TCP_DEFER_ACCEPT}:         onlyTCP(intOption{get: deferAccept, set: setDeferAccept}),
	{linux.SOL_TCP, linux.TCP_FASTOPEN}:             onlyTCP(kept(tcpFastopen, 0, 1<<31-1)),
	{linux.SOL_TCP, linux.TCP_FASTOPEN_CONNECT}:     onlyTCP(kept(tcpFastopenConnect, 0, 1)),
	{linux.SOL_TCP, linux.TCP_THIN_LINEAR_TIMEOUTS}: onlyTCP(kept(tcpThinLinear, 0, 1)),
	{linux.SOL_TCP, linux.TCP_THIN_DUPACK}:          onlyTCP(kept(tcpThinDupack, 0, 1)),
	{linux.SOL_TCP, linux.TCP_NOTSENT_LOWAT}:        onlyTCP(kept(tcpNotsent, -1<<31, 1<<31-1)),
	{linux.SOL_TCP, linux.TCP_INQ}:                  onlyTCP(kept(tcpInq, 0, 1)),
	{linux.SOL_TCP, linux.TCP_SAVE_SYN}:             onlyTCP(kept(tcpSaveSyn, 0, 2)),
	{linux.SOL_TCP, linux.TCP_TIMESTAMP}:            onlyTCP(constant(0)),

	{linux.SOL_UDP, linux.UDP_CORK}: onlyUDP(keptBool(udpCork)),
	{linux.SOL_UDP, linux.UDP_GRO}:  onlyUDP(keptBool(udpGRO)),

	{linux.SOL_UDPLITE, linux.UDPLITE_SEND_CSCOV}: onlyUDP(kept(udpliteSend, 0, 0xffff)),
	{linux.SOL_UDPLITE, linux.UDPLITE_RECV_CSCOV}: onlyUDP(kept(udpliteRecv, 0, 0xffff)),
}

// setNodelay is TCP_NODELAY. What nobody asked for is not done: small segments wait
// for others only if the option was turned off by name, though it reads 0 before.
func setNodelay(e *Endpoint, v int) error {
	e.small[tcpNodelay].Store(int32(bit(v != 0)))
	e.ep().SocketOptions().SetDelayOption(v == 0)
	return nil
}

// maxKeep is the longest keepalive time, in seconds.
const maxKeep = 32767

func keepIdle(e *Endpoint) (int, tcpip.Error) {
	var v tcpip.KeepaliveIdleOption
	err := e.ep().GetSockOpt(&v)
	return int(time.Duration(v) / time.Second), err
}

func setKeepIdle(e *Endpoint, v int) error {
	if v < 1 || v > maxKeep {
		return linux.EINVAL
	}
	o := tcpip.KeepaliveIdleOption(time.Duration(v) * time.Second)
	return errno(e.ep().SetSockOpt(&o))
}

func keepInterval(e *Endpoint) (int, tcpip.Error) {
	var v tcpip.KeepaliveIntervalOption
	err := e.ep().GetSockOpt(&v)
	return int(time.Duration(v) / time.Second), err
}

func setKeepInterval(e *Endpoint, v int) error {
	if v < 1 || v > maxKeep {
		return linux.EINVAL
	}
	o := tcpip.KeepaliveIntervalOption(time.Duration(v) * time.Second)
	return errno(e.ep().SetSockOpt(&o))
}

func userTimeout(e *Endpoint) (int, tcpip.Error) {
	var v tcpip.TCPUserTimeoutOption
	err := e.ep().GetSockOpt(&v)
	return int(time.Duration(v) / time.Millisecond), err
}

func setUserTimeout(e *Endpoint, v int) error {
	if v < 0 {
		return linux.EINVAL
	}
	o := tcpip.TCPUserTimeoutOption(time.Duration(v) * time.Millisecond)
	return errno(e.ep().SetSockOpt(&o))
}

func linger2(e *Endpoint) (int, tcpip.Error) {
	var v tcpip.TCPLingerTimeoutOption
	err := e.ep().GetSockOpt(&v)
	if v < 0 {
		return -1, err
	}
	return int(time.Duration(v) / time.Second), err
}

func setLinger2(e *Endpoint, v int) error {
	o := tcpip.TCPLingerTimeoutOption(time.Duration(v) * time.Second)
	return errno(e.ep().SetSockOpt(&o))
}

// deferAccept is in seconds, rounded up to what the SYN-ACK's repetitions take.
func deferAccept(e *Endpoint) (int, tcpip.Error) {
	var v tcpip.TCPDeferAcceptOption
	err := e.ep().GetSockOpt(&v)
	return int(time.Duration(v) / time.Second), err
}

func setDeferAccept(e *Endpoint, v int) error {
	o := tcpip.TCPDeferAcceptOption(time.Duration(max(v, 0)) * time.Second)
	return errno(e.ep().SetSockOpt(&o))
}
