package hostinet

import (
	"cmp"
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// An Option is an option of the host's sockets that a guest may ask for.
type Option struct{ Level, Name int32 }

// A rule says how.
type rule struct {
	size int  // the most bytes of its value
	set  bool // it may be set, not only asked for
}

// number is an option that is an int and may be set.
var number = rule{4, true}

// sources is room for a filter of more sources than the host takes, in bytes.
const sources = 8 << 10

// rules is the options that are the host's to know. Of level SOL_SOCKET, socket.Options
// has those besides that are the sentry's, such as time-outs; what neither has is
// ENOPROTOOPT. Missing are those that take rights, run programs (SO_ATTACH_FILTER), or
// share memory with the host for longer than a call (SO_ZEROCOPY).
var rules = map[Option]rule{
	{linux.SOL_SOCKET, linux.SO_REUSEADDR}:        number,
	{linux.SOL_SOCKET, linux.SO_REUSEPORT}:        number,
	{linux.SOL_SOCKET, linux.SO_BROADCAST}:        number,
	{linux.SOL_SOCKET, linux.SO_DONTROUTE}:        number,
	{linux.SOL_SOCKET, linux.SO_SNDBUF}:           number,
	{linux.SOL_SOCKET, linux.SO_RCVBUF}:           number,
	{linux.SOL_SOCKET, linux.SO_KEEPALIVE}:        number,
	{linux.SOL_SOCKET, linux.SO_OOBINLINE}:        number,
	{linux.SOL_SOCKET, linux.SO_NO_CHECK}:         number,
	{linux.SOL_SOCKET, linux.SO_PRIORITY}:         number,
	{linux.SOL_SOCKET, linux.SO_RCVLOWAT}:         number,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMP}:        number,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMPNS}:      number,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMP_NEW}:    number,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMPNS_NEW}:  number,
	{linux.SOL_SOCKET, linux.SO_TIMESTAMPING}:     {8, true},
	{linux.SOL_SOCKET, linux.SO_TIMESTAMPING_NEW}: {8, true},
	{linux.SOL_SOCKET, linux.SO_RXQ_OVFL}:         number,
	{linux.SOL_SOCKET, linux.SO_PEEK_OFF}:         number,
	{linux.SOL_SOCKET, linux.SO_INCOMING_CPU}:     number,
	{linux.SOL_SOCKET, linux.SO_BINDTOIFINDEX}:    number,
	{linux.SOL_SOCKET, linux.SO_BINDTODEVICE}:     {linux.IFNAMSIZ, true},
	{linux.SOL_SOCKET, linux.SO_LINGER}:           {8, true},
	{linux.SOL_SOCKET, linux.SO_ACCEPTCONN}:       {4, false},
	{linux.SOL_SOCKET, linux.SO_SNDLOWAT}:         {4, false},
	{linux.SOL_SOCKET, linux.SO_MEMINFO}:          {36, false},

	{linux.SOL_IP, linux.IP_TOS}:                    number,
	{linux.SOL_IP, linux.IP_TTL}:                    number,
	{linux.SOL_IP, linux.IP_MINTTL}:                 number,
	{linux.SOL_IP, linux.IP_PKTINFO}:                number,
	{linux.SOL_IP, linux.IP_MTU_DISCOVER}:           number,
	{linux.SOL_IP, linux.IP_MTU}:                    {4, false},
	{linux.SOL_IP, linux.IP_RECVERR}:                number,
	{linux.SOL_IP, linux.IP_RECVTTL}:                number,
	{linux.SOL_IP, linux.IP_RECVTOS}:                number,
	{linux.SOL_IP, linux.IP_RECVORIGDSTADDR}:        number,
	{linux.SOL_IP, linux.IP_FREEBIND}:               number,
	{linux.SOL_IP, linux.IP_BIND_ADDRESS_NO_PORT}:   number,
	{linux.SOL_IP, linux.IP_LOCAL_PORT_RANGE}:       number,
	{linux.SOL_IP, linux.IP_UNICAST_IF}:             number,
	{linux.SOL_IP, linux.IP_MULTICAST_ALL}:          number,
	{linux.SOL_IP, linux.IP_MULTICAST_TTL}:          number,
	{linux.SOL_IP, linux.IP_MULTICAST_LOOP}:         number,
	{linux.SOL_IP, linux.IP_MULTICAST_IF}:           {12, true},
	{linux.SOL_IP, linux.IP_ADD_MEMBERSHIP}:         {12, true},
	{linux.SOL_IP, linux.IP_DROP_MEMBERSHIP}:        {12, true},
	{linux.SOL_IP, linux.IP_ADD_SOURCE_MEMBERSHIP}:  {12, true},
	{linux.SOL_IP, linux.IP_DROP_SOURCE_MEMBERSHIP}: {12, true},
	{linux.SOL_IP, linux.IP_BLOCK_SOURCE}:           {12, true},
	{linux.SOL_IP, linux.IP_UNBLOCK_SOURCE}:         {12, true},
	{linux.SOL_IP, linux.MCAST_JOIN_GROUP}:          {136, true},
	{linux.SOL_IP, linux.MCAST_LEAVE_GROUP}:         {136, true},
	{linux.SOL_IP, linux.MCAST_JOIN_SOURCE_GROUP}:   {264, true},
	{linux.SOL_IP, linux.MCAST_LEAVE_SOURCE_GROUP}:  {264, true},
	{linux.SOL_IP, linux.MCAST_BLOCK_SOURCE}:        {264, true},
	{linux.SOL_IP, linux.MCAST_UNBLOCK_SOURCE}:      {264, true},
	{linux.SOL_IP, linux.IP_MSFILTER}:               {sources, true},
	{linux.SOL_IP, linux.MCAST_MSFILTER}:            {sources, true},
	{linux.SOL_IP, linux.IP_PROTOCOL}:               {4, false},
	{linux.SOL_IP, linux.IP_OPTIONS}:                {40, false},

	{linux.SOL_IPV6, linux.IPV6_V6ONLY}:              number,
	{linux.SOL_IPV6, linux.IPV6_UNICAST_HOPS}:        number,
	{linux.SOL_IPV6, linux.IPV6_MINHOPCOUNT}:         number,
	{linux.SOL_IPV6, linux.IPV6_TCLASS}:              number,
	{linux.SOL_IPV6, linux.IPV6_DONTFRAG}:            number,
	{linux.SOL_IPV6, linux.IPV6_MTU_DISCOVER}:        number,
	{linux.SOL_IPV6, linux.IPV6_MTU}:                 number,
	{linux.SOL_IPV6, linux.IPV6_AUTOFLOWLABEL}:       number,
	{linux.SOL_IPV6, linux.IPV6_ADDR_PREFERENCES}:    number,
	{linux.SOL_IPV6, linux.IPV6_FREEBIND}:            number,
	{linux.SOL_IPV6, linux.IPV6_UNICAST_IF}:          number,
	{linux.SOL_IPV6, linux.IPV6_RECVERR}:             number,
	{linux.SOL_IPV6, linux.IPV6_RECVPKTINFO}:         number,
	{linux.SOL_IPV6, linux.IPV6_RECVHOPLIMIT}:        number,
	{linux.SOL_IPV6, linux.IPV6_RECVTCLASS}:          number,
	{linux.SOL_IPV6, linux.IPV6_PKTINFO}:             {20, true},
	{linux.SOL_IPV6, linux.IPV6_2292PKTINFO}:         number,
	{linux.SOL_IPV6, linux.IPV6_2292HOPLIMIT}:        number,
	{linux.SOL_IPV6, linux.IPV6_RECVORIGDSTADDR}:     number,
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_ALL}:       number,
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_IF}:        number,
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_HOPS}:      number,
	{linux.SOL_IPV6, linux.IPV6_MULTICAST_LOOP}:      number,
	{linux.SOL_IPV6, linux.IPV6_ADD_MEMBERSHIP}:      {20, true},
	{linux.SOL_IPV6, linux.IPV6_DROP_MEMBERSHIP}:     {20, true},
	{linux.SOL_IPV6, linux.MCAST_JOIN_GROUP}:         {136, true},
	{linux.SOL_IPV6, linux.MCAST_LEAVE_GROUP}:        {136, true},
	{linux.SOL_IPV6, linux.MCAST_JOIN_SOURCE_GROUP}:  {264, true},
	{linux.SOL_IPV6, linux.MCAST_LEAVE_SOURCE_GROUP}: {264, true},
	{linux.SOL_IPV6, linux.MCAST_BLOCK_SOURCE}:       {264, true},
	{linux.SOL_IPV6, linux.MCAST_UNBLOCK_SOURCE}:     {264, true},
	{linux.SOL_IPV6, linux.MCAST_MSFILTER}:           {sources, true},

	{linux.SOL_TCP, linux.TCP_NODELAY}:              number,
	{linux.SOL_TCP, linux.TCP_MAXSEG}:               number,
	{linux.SOL_TCP, linux.TCP_CORK}:                 number,
	{linux.SOL_TCP, linux.TCP_KEEPIDLE}:             number,
	{linux.SOL_TCP, linux.TCP_KEEPINTVL}:            number,
	{linux.SOL_TCP, linux.TCP_KEEPCNT}:              number,
	{linux.SOL_TCP, linux.TCP_SYNCNT}:               number,
	{linux.SOL_TCP, linux.TCP_LINGER2}:              number,
	{linux.SOL_TCP, linux.TCP_DEFER_ACCEPT}:         number,
	{linux.SOL_TCP, linux.TCP_WINDOW_CLAMP}:         number,
	{linux.SOL_TCP, linux.TCP_QUICKACK}:             number,
	{linux.SOL_TCP, linux.TCP_THIN_LINEAR_TIMEOUTS}: number,
	{linux.SOL_TCP, linux.TCP_THIN_DUPACK}:          number,
	{linux.SOL_TCP, linux.TCP_USER_TIMEOUT}:         number,
	{linux.SOL_TCP, linux.TCP_FASTOPEN}:             number,
	{linux.SOL_TCP, linux.TCP_NOTSENT_LOWAT}:        number,
	{linux.SOL_TCP, linux.TCP_INQ}:                  number,
	{linux.SOL_TCP, linux.TCP_TIMESTAMP}:            {4, false},
	{linux.SOL_TCP, linux.TCP_CONGESTION}:           {linux.TCP_CA_NAME_MAX, true},
	{linux.SOL_TCP, linux.TCP_INFO}:                 {512, false},
	{linux.SOL_TCP, linux.TCP_CC_INFO}:              {64, false},

	{linux.SOL_UDP, linux.UDP_CORK}:    number,
	{linux.SOL_UDP, linux.UDP_SEGMENT}: number,
	{linux.SOL_UDP, linux.UDP_GRO}:     number,

	{linux.SOL_UDPLITE, linux.UDPLITE_SEND_CSCOV}: number,
	{linux.SOL_UDPLITE, linux.UDPLITE_RECV_CSCOV}: number,
}

// Options lists the options that the host is asked to set and to tell, in order.
func Options() (set, get []Option) {
	for o, r := range rules {
		get = append(get, o)
		if r.set {
			set = append(set, o)
		}
	}
	get = append(get, Option{linux.SOL_SOCKET, linux.SO_ERROR})
	for _, l := range [][]Option{set, get} {
		slices.SortFunc(l, func(a, b Option) int {
			return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Name, b.Name))
		})
	}
	return set, get
}

// SetOption implements socket.Optioner. The host is given no more of the value than it
// has to look at.
func (e *Endpoint) SetOption(_ vfs.Ctx, level, name int32, val []byte) error {
	o := Option{level, name}
	r, ok := rules[o]
	switch {
	case o == Option{linux.SOL_SOCKET, linux.SO_ZEROCOPY}:
		return linux.EOPNOTSUPP
	case o == Option{linux.SOL_TCP, linux.TCP_ULP} && e.stream:
		return linux.ENOENT // no module of that name (tls)
	case !ok || !r.set:
		return linux.ENOPROTOOPT
	}
	return errno(setsockopt(e.fd, level, name, val[:min(len(val), r.size)]))
}

// Option implements socket.Optioner.
func (e *Endpoint) Option(_ vfs.Ctx, level, name int32, size int) ([]byte, error) {
	return e.option(level, name, make([]byte, max(0, min(size, rules[Option{level, name}].size))))
}

// option is an option's value, for which b is room; b may begin with what it is asked by.
func (e *Endpoint) option(level, name int32, b []byte) ([]byte, error) {
	if _, ok := rules[Option{level, name}]; !ok {
		if e.kind.Family == linux.AF_INET && !e.knows(level) {
			return nil, linux.EOPNOTSUPP
		}
		return nil, linux.ENOPROTOOPT
	}
	n, err := getsockopt(e.fd, level, name, b)
	if err != nil {
		return nil, errno(err)
	}
	return b[:min(n, len(b))], nil
}

// knows reports whether there are options of a level: IPv4 has another error where not.
func (e *Endpoint) knows(level int32) bool {
	switch level {
	case linux.SOL_SOCKET, linux.SOL_IP:
		return true
	case linux.SOL_TCP:
		return e.stream
	case linux.SOL_UDP, linux.SOL_UDPLITE:
		return !e.stream
	}
	return false
}

// Question implements socket.Asked: of filters of sources, which group they are of.
func (e *Endpoint) Question(level, name int32) int {
	if r := rules[Option{level, name}]; r.size == sources {
		return r.size
	}
	return 0
}

// Answer implements socket.Asked.
func (e *Endpoint) Answer(_ vfs.Ctx, level, name int32, question []byte) ([]byte, error) {
	return e.option(level, name, question)
}
