package inet

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
)

// tcpOptions is the options of level SOL_TCP that are ints, tcp(7).
var tcpOptions = map[optionKey]intOption{
	{linux.SOL_TCP, linux.TCP_NODELAY}:              {get: kept(tcpNodelay, 0, 1).get, set: setNodelay},
	{linux.SOL_TCP, linux.TCP_CORK}:                 flag((*tcpip.SocketOptions).GetCorkOption, (*tcpip.SocketOptions).SetCorkOption),
	{linux.SOL_TCP, linux.TCP_QUICKACK}:             flag((*tcpip.SocketOptions).GetQuickAck, (*tcpip.SocketOptions).SetQuickAck),
	{linux.SOL_TCP, linux.TCP_MAXSEG}:               {get: number(tcpip.MaxSegOption, 0, 0).get, set: setMaxSeg},
	{linux.SOL_TCP, linux.TCP_KEEPCNT}:              number(tcpip.KeepaliveCountOption, 1, 127),
	{linux.SOL_TCP, linux.TCP_SYNCNT}:               number(tcpip.TCPSynCountOption, 1, 127),
	{linux.SOL_TCP, linux.TCP_WINDOW_CLAMP}:         {get: kept(tcpClamp, 0, 0).get, set: setClamp},
	{linux.SOL_TCP, linux.TCP_KEEPIDLE}:             {get: keepIdle, set: setKeepIdle},
	{linux.SOL_TCP, linux.TCP_KEEPINTVL}:            {get: keepInterval, set: setKeepInterval},
	{linux.SOL_TCP, linux.TCP_USER_TIMEOUT}:         {get: userTimeout, set: setUserTimeout},
	{linux.SOL_TCP, linux.TCP_LINGER2}:              {get: linger2, set: setLinger2},
	{linux.SOL_TCP, linux.TCP_DEFER_ACCEPT}:         {get: deferAccept, set: setDeferAccept},
	{linux.SOL_TCP, linux.TCP_FASTOPEN}:             {get: kept(tcpFastopen, 0, 0).get, set: setFastopen},
	{linux.SOL_TCP, linux.TCP_FASTOPEN_CONNECT}:     kept(tcpFastopenConnect, 0, 1),
	{linux.SOL_TCP, linux.TCP_THIN_LINEAR_TIMEOUTS}: kept(tcpThinLinear, 0, 1),
	{linux.SOL_TCP, linux.TCP_THIN_DUPACK}:          {get: constant(0).get, set: setThinDupack},
	{linux.SOL_TCP, linux.TCP_NOTSENT_LOWAT}:        kept(tcpNotsent, -1<<31, 1<<31-1),
	{linux.SOL_TCP, linux.TCP_INQ}:                  kept(tcpInq, 0, 1),
	{linux.SOL_TCP, linux.TCP_FASTOPEN_NO_COOKIE}:   kept(tcpFastopenNoCookie, 0, 1),
	{linux.SOL_TCP, linux.TCP_REPAIR}:               {get: constant(0).get, set: setRepair},
	{linux.SOL_TCP, linux.TCP_IS_MPTCP}:             {get: constant(0).get},
	{linux.SOL_TCP, linux.TCP_RTO_MAX_MS}:           jiffies(1, keptFrom(tcpRTOMax, 1000, 120000, 120000)),
	{linux.SOL_TCP, linux.TCP_RTO_MIN_US}:           jiffies(1000, keptFrom(tcpRTOMin, 8000, 200000, 200000)),
	{linux.SOL_TCP, linux.TCP_DELACK_MAX_US}:        jiffies(1000, keptFrom(tcpDelayedAck, 8000, 200000, 200000)),
	{linux.SOL_TCP, linux.TCP_SAVE_SYN}:             kept(tcpSaveSyn, 0, 2),
	{linux.SOL_TCP, linux.TCP_TIMESTAMP}:            {get: tcpClock, set: repairOnly},

	{linux.SOL_UDP, linux.UDP_CORK}: keptBool(udpCork),
	{linux.SOL_UDP, linux.UDP_GRO}:  keptBool(udpGRO),

	{linux.SOL_UDP, linux.UDP_ENCAP}:          {get: constant(0).get, set: setEncap},
	{linux.SOL_UDP, linux.UDP_SEGMENT}:        kept(udpSegment, 0, 0xffff),
	{linux.SOL_UDP, linux.UDP_NO_CHECK6_TX}:   keptBool(udpNoCheckSend),
	{linux.SOL_UDP, linux.UDP_NO_CHECK6_RX}:   keptBool(udpNoCheckRecv),
	{linux.SOL_UDP, linux.UDPLITE_SEND_CSCOV}: readable((*Endpoint).isUDPLite, coverage(udpliteSend)),
	{linux.SOL_UDP, linux.UDPLITE_RECV_CSCOV}: readable((*Endpoint).isUDPLite, coverage(udpliteRecv)),
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

// deferAccept is as long as a number of the SYN-ACK's repetitions takes, in seconds: the
// first comes after one, each other after twice as long as the one before.
func deferAccept(e *Endpoint) (int, tcpip.Error) {
	return repetitions(int(e.small[tcpDefer].Load()))
}

func repetitions(n int) (seconds int, _ tcpip.Error) {
	for i := range n {
		seconds += min(1<<min(i, 7), maxRTO)
	}
	return seconds, nil
}

const (
	maxRTO         = 120 // of a repetition, in seconds
	maxRepetitions = 255
)

// setDeferAccept rounds up to a whole number of repetitions.
func setDeferAccept(e *Endpoint, v int) error {
	n := 0
	for ; n < maxRepetitions; n++ {
		if s, _ := repetitions(n); s >= v {
			break
		}
	}
	s, _ := repetitions(n)
	e.small[tcpDefer].Store(int32(n))
	o := tcpip.TCPDeferAcceptOption(time.Duration(s) * time.Second)
	return errno(e.ep().SetSockOpt(&o))
}

// jiffies is o rounded up to the ticks of Linux's clock, of which a millisecond, so many
// of o's units, is a quarter.
func jiffies(millisecond int, o intOption) intOption {
	set := o.set
	o.set = func(e *Endpoint, v int) error {
		tick := 4 * millisecond
		if v > 0 {
			v = (v + tick - 1) / tick * tick
		}
		return set(e, v)
	}
	return o
}

// setEncap is UDP_ENCAP: IPsec, which there is none of.
func setEncap(_ *Endpoint, v int) error {
	if v != 0 {
		return linux.ENOPROTOOPT
	}
	return nil
}

// coverage is how much of UDP-Lite's packets has a checksum: the header at least.
func coverage(s small) intOption {
	o := kept(s, 0, 0xffff)
	set := o.set
	o.set = func(e *Endpoint, v int) error {
		if v != 0 {
			v = max(8, min(v, 0xffff))
		}
		return set(e, v)
	}
	return o
}

// setMaxSeg is TCP_MAXSEG; 0 is the link's again.
func setMaxSeg(e *Endpoint, v int) error {
	if v == 0 {
		return nil
	}
	return number(tcpip.MaxSegOption, 88, 32767).set(e, v)
}

// setClamp is TCP_WINDOW_CLAMP; 0, no limit, for a closed socket only.
func setClamp(e *Endpoint, v int) error {
	if v == 0 {
		if e.state() != linux.TCP_CLOSE {
			return linux.EINVAL
		}
	} else {
		v = max(v, socket.MinRcvBuf/2)
	}
	e.small[tcpClamp].Store(int32(v))
	if v == 0 {
		v = socket.MaxBuffer
	}
	return errno(e.ep().SetSockOptInt(tcpip.TCPWindowClampOption, v))
}

// setFastopen is TCP_FASTOPEN's backlog, cut to net.core.somaxconn: EINVAL but for closed
// and listening sockets. Connections are opened the ordinary way.
func setFastopen(e *Endpoint, v int) error {
	if s := e.state(); v < 0 || s != linux.TCP_CLOSE && s != linux.TCP_LISTEN {
		return linux.EINVAL
	}
	e.small[tcpFastopen].Store(int32(min(int64(v), e.fam.net.Number("core/somaxconn", 0))))
	return nil
}

// setThinDupack is TCP_THIN_DUPACK, which nothing has heeded for long: it reads 0.
func setThinDupack(_ *Endpoint, v int) error {
	if v < 0 || v > 1 {
		return linux.EINVAL
	}
	return nil
}

// setRepair is TCP_REPAIR, which this stack does not let anybody turn on.
func setRepair(_ *Endpoint, v int) error {
	switch v {
	case -1, 0:
		return nil
	case 1:
		return linux.EPERM
	}
	return linux.EINVAL
}

// repairOnly sets an option that can be set in TCP_REPAIR only.
func repairOnly(*Endpoint, int) error { return linux.EPERM }

// tcpClock is TCP_TIMESTAMP: a clock of milliseconds.
func tcpClock(e *Endpoint) (int, tcpip.Error) {
	return int(uint32(e.fam.current().Clock().NowMonotonic().Milliseconds())), nil
}
