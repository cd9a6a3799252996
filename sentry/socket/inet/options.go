package inet

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// An optionKey names an option.
type optionKey struct{ level, name int32 }

// An intOption is an option whose value is an int. set is nil if it can only be read.
type intOption struct {
	get func(*Endpoint) (int, tcpip.Error)
	set func(*Endpoint, int) error
	tcp bool // of TCP sockets only
	udp bool // of UDP sockets only
}

// intOptions is all of them; special ones are in special.go.
var intOptions = map[optionKey]intOption{}

func init() {
	for _, t := range []map[optionKey]intOption{socketOptions, tcpOptions, ipOptions, ipv6Options} {
		for k, o := range t {
			intOptions[k] = o
		}
	}
}

// flag is an option kept by the stack as a boolean.
func flag(get func(*tcpip.SocketOptions) bool, set func(*tcpip.SocketOptions, bool)) intOption {
	return intOption{
		get: func(e *Endpoint) (int, tcpip.Error) { return bit(get(e.ep().SocketOptions())), nil },
		set: func(e *Endpoint, v int) error { set(e.ep().SocketOptions(), v != 0); return nil },
	}
}

// number is an option kept by the stack as an int from lo to hi.
func number(o tcpip.SockOptInt, lo, hi int) intOption {
	return intOption{
		get: func(e *Endpoint) (int, tcpip.Error) { return e.ep().GetSockOptInt(o) },
		set: func(e *Endpoint, v int) error {
			if v < lo || v > hi {
				return linux.EINVAL
			}
			return errno(e.ep().SetSockOptInt(o, v))
		},
	}
}

// kept is an option that makes no difference to this stack, from lo to hi, which is
// only remembered.
func kept(s small, lo, hi int) intOption {
	return intOption{
		get: func(e *Endpoint) (int, tcpip.Error) { return int(e.small[s].Load()), nil },
		set: func(e *Endpoint, v int) error {
			if v < lo || v > hi {
				return linux.EINVAL
			}
			e.small[s].Store(int32(v))
			return nil
		},
	}
}

// keptBool is kept for an option that is either on or off.
func keptBool(s small) intOption {
	o := kept(s, 0, 1)
	set := o.set
	o.set = func(e *Endpoint, v int) error { return set(e, bit(v != 0)) }
	return o
}

// constant is an option that always reads v and can't be changed.
func constant(v int) intOption {
	return intOption{get: func(*Endpoint) (int, tcpip.Error) { return v, nil }}
}

func onlyTCP(o intOption) intOption { o.tcp = true; return o }
func onlyUDP(o intOption) intOption { o.udp = true; return o }

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}

// A small is an option that is only remembered.
type small int

const (
	freebind small = iota
	noPort
	transparent
	tcpNodelay
	tcpFastopen
	tcpFastopenConnect
	tcpThinLinear
	tcpThinDupack
	tcpNotsent
	tcpInq
	tcpSaveSyn
	udpCork
	udpGRO
	udpliteSend
	udpliteRecv
	multicastAll
	multicastAll6
	dontfrag6
	flowlabel6
	addrPref6
	minTTL
	minHop6
	hopsMulticast6
	smalls
)

type smallOptions [smalls]atomic.Int32

// inherit copies what a listening socket has to a connection.
func (s *smallOptions) inherit(from *smallOptions) {
	for i := range s {
		s[i].Store(from[i].Load())
	}
}

// lookup finds an int option that e may have.
func (e *Endpoint) lookup(level, name int32) (intOption, bool) {
	if level == linux.SOL_IPV6 && e.kind.Family != linux.AF_INET6 {
		return intOption{}, false
	}
	o, ok := intOptions[optionKey{level, name}]
	return o, ok && (!o.tcp || e.isTCP()) && (!o.udp || e.isUDP())
}

// SetOption implements socket.Optioner.
func (e *Endpoint) SetOption(c vfs.Ctx, level, name int32, val []byte) error {
	if err := e.setSpecial(c, level, name, val); err != linux.ENOPROTOOPT {
		return err
	}
	o, ok := e.lookup(level, name)
	if !ok || o.set == nil {
		return linux.ENOPROTOOPT
	}
	v, err := socket.Int(val)
	if err != nil && level == linux.SOL_IP && len(val) > 0 {
		v, err = int32(val[0]), nil // of old, a char does
	}
	if err != nil {
		return err
	}
	if name == linux.IP_TRANSPARENT && level == linux.SOL_IP && !e.fam.net.Capable(c, auth.CapNetAdmin) && !e.fam.net.Capable(c, auth.CapNetRaw) {
		return linux.EPERM
	}
	return o.set(e, int(v))
}

// Option implements socket.Optioner.
func (e *Endpoint) Option(_ vfs.Ctx, level, name int32, size int) ([]byte, error) {
	if v, err := e.special(level, name, size); err != linux.ENOPROTOOPT {
		return v, err
	}
	o, ok := e.lookup(level, name)
	if !ok {
		return nil, e.unknown(level)
	}
	v, err := o.get(e)
	if err != nil {
		return nil, errno(err)
	}
	return socket.IntBytes(int32(v)), nil
}

// unknown is getsockopt(2)'s error for an option that is not there: IPv4 has another
// for a level that it does not know.
func (e *Endpoint) unknown(level int32) error {
	switch {
	case level == linux.SOL_SOCKET, level == linux.SOL_IP, e.kind.Family == linux.AF_INET6,
		level == linux.SOL_TCP && e.isTCP(),
		level == linux.SOL_UDP && e.isUDP(),
		level == linux.SOL_RAW && e.kind.Type == linux.SOCK_RAW:
		return linux.ENOPROTOOPT
	}
	return linux.EOPNOTSUPP
}
