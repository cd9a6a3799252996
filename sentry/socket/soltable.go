package socket

import (
	"math"
	"sync/atomic"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// An intOption is an option of level SOL_SOCKET whose value is an int. set is nil if it
// can only be read, and get if it can only be set.
type intOption struct {
	get func(*Socket) int32
	set func(s *Socket, c vfs.Ctx, v int32) error
	of  func(*Socket) error // nil: every socket has it; otherwise what says that s has not
}

// intOptions is all of them, socket(7), but for those that the families know better.
var intOptions = map[int32]intOption{
	linux.SO_DEBUG:                 {get: flag(linux.SO_DEBUG).get, set: setDebug},
	linux.SO_REUSEADDR:             flag(linux.SO_REUSEADDR),
	linux.SO_DONTROUTE:             flag(linux.SO_DONTROUTE),
	linux.SO_BROADCAST:             flag(linux.SO_BROADCAST),
	linux.SO_KEEPALIVE:             flag(linux.SO_KEEPALIVE),
	linux.SO_OOBINLINE:             flag(linux.SO_OOBINLINE),
	linux.SO_NO_CHECK:              flag(linux.SO_NO_CHECK),
	linux.SO_BSDCOMPAT:             {get: zero, set: ignore},
	linux.SO_REUSEPORT:             {get: zero, set: reuseport},
	linux.SO_PASSCRED:              {get: flag(linux.SO_PASSCRED).get, set: flag(linux.SO_PASSCRED).set, of: passes(linux.AF_UNIX, linux.AF_NETLINK)},
	linux.SO_PASSSEC:               {get: flag(linux.SO_PASSSEC).get, set: flag(linux.SO_PASSSEC).set, of: passes(linux.AF_UNIX, linux.AF_NETLINK)},
	linux.SO_PASSPIDFD:             {get: flag(linux.SO_PASSPIDFD).get, set: flag(linux.SO_PASSPIDFD).set, of: passes(linux.AF_UNIX)},
	linux.SO_PASSRIGHTS:            {get: flag(linux.SO_PASSRIGHTS).get, set: flag(linux.SO_PASSRIGHTS).set, of: passes(linux.AF_UNIX)},
	linux.SO_TIMESTAMP:             stamp(linux.SO_TIMESTAMP),
	linux.SO_TIMESTAMPNS:           stamp(linux.SO_TIMESTAMPNS),
	linux.SO_TIMESTAMP_NEW:         stamp(linux.SO_TIMESTAMP_NEW),
	linux.SO_TIMESTAMPNS_NEW:       stamp(linux.SO_TIMESTAMPNS_NEW),
	linux.SO_RXQ_OVFL:              flag(linux.SO_RXQ_OVFL),
	linux.SO_WIFI_STATUS:           flag(linux.SO_WIFI_STATUS),
	linux.SO_NOFCS:                 flag(linux.SO_NOFCS),
	linux.SO_LOCK_FILTER:           {get: flag(linux.SO_LOCK_FILTER).get, set: lockFilter},
	linux.SO_SELECT_ERR_QUEUE:      flag(linux.SO_SELECT_ERR_QUEUE),
	linux.SO_RCVMARK:               flag(linux.SO_RCVMARK),
	linux.SO_RCVPRIORITY:           flag(linux.SO_RCVPRIORITY),
	linux.SO_ZEROCOPY:              {get: flag(linux.SO_ZEROCOPY).get, set: setZerocopy},
	linux.SO_SNDBUF:                {get: sndbuf.get, set: sndbuf.set},
	linux.SO_RCVBUF:                {get: rcvbuf.get, set: rcvbuf.set},
	linux.SO_SNDBUFFORCE:           {set: sndbuf.force},
	linux.SO_RCVBUFFORCE:           {set: rcvbuf.force},
	linux.SO_RCVLOWAT:              {get: func(s *Socket) int32 { return s.opts.rcvlowat.Load() }, set: setRcvlowat},
	linux.SO_SNDLOWAT:              {get: func(*Socket) int32 { return 1 }},
	linux.SO_PRIORITY:              {get: func(s *Socket) int32 { return int32(s.opts.priority.Load()) }, set: setPriority},
	linux.SO_MARK:                  {get: func(s *Socket) int32 { return int32(s.opts.mark.Load()) }, set: setMark},
	linux.SO_BUSY_POLL:             {get: func(s *Socket) int32 { return s.opts.busyPoll.Load() }, set: setBusyPoll},
	linux.SO_PREFER_BUSY_POLL:      {get: flag(linux.SO_PREFER_BUSY_POLL).get, set: preferBusyPoll},
	linux.SO_BUSY_POLL_BUDGET:      {set: setBusyBudget},
	linux.SO_BPF_EXTENSIONS:        {get: func(*Socket) int32 { return linux.SKF_AD_MAX }},
	linux.SO_INCOMING_CPU:          kept(func(o *Options) *atomic.Int32 { return &o.incomingCPU }, math.MinInt32, math.MaxInt32),
	linux.SO_INCOMING_NAPI_ID:      {get: zero},
	linux.SO_CNX_ADVICE:            {set: ignore},
	linux.SO_BINDTOIFINDEX:         kept(func(o *Options) *atomic.Int32 { return &o.ifindex }, 0, math.MaxInt32),
	linux.SO_BUF_LOCK:              kept(func(o *Options) *atomic.Int32 { return &o.bufLock }, 0, linux.SOCK_BUF_LOCK_MASK),
	linux.SO_RESERVE_MEM:           {get: zero, set: reserve},
	linux.SO_TXREHASH:              {get: func(s *Socket) int32 { return s.opts.txRehash.Load() }, set: setTxRehash, of: streams},
	linux.SO_ACCEPTCONN:            {get: zero},
	linux.SO_TYPE:                  {get: func(s *Socket) int32 { return int32(s.typ) }},
	linux.SO_DOMAIN:                {get: func(s *Socket) int32 { return int32(s.family) }},
	linux.SO_PROTOCOL:              {get: func(s *Socket) int32 { return s.protocol }},
	linux.SO_ERROR:                 {get: func(s *Socket) int32 { return int32(s.TakeError()) }},
	linux.SO_ATTACH_BPF:            {set: noProgram},
	linux.SO_DETACH_FILTER:         {set: func(*Socket, vfs.Ctx, int32) error { return linux.ENOENT }},
	linux.SO_DETACH_REUSEPORT_BPF:  {set: func(*Socket, vfs.Ctx, int32) error { return linux.EINVAL }},
	linux.SO_ATTACH_REUSEPORT_EBPF: {set: noProgram},
}

// flag is an option that is either on or off, and is kept in Options.
func flag(name int32) intOption {
	return intOption{
		get: func(s *Socket) int32 { return bit(s.opts.Has(name)) },
		set: func(s *Socket, _ vfs.Ctx, v int32) error { s.opts.Put(name, v != 0); return nil },
	}
}

// kept is an option from lo to hi that is kept in Options.
func kept(in func(*Options) *atomic.Int32, lo, hi int32) intOption {
	return intOption{
		get: func(s *Socket) int32 { return in(s.opts).Load() },
		set: func(s *Socket, _ vfs.Ctx, v int32) error {
			if v < lo || v > hi {
				return linux.EINVAL
			}
			in(s.opts).Store(v)
			return nil
		},
	}
}

// stamps are the options of which a socket has one at most.
var stamps = [...]int32{linux.SO_TIMESTAMP, linux.SO_TIMESTAMPNS, linux.SO_TIMESTAMP_NEW, linux.SO_TIMESTAMPNS_NEW}

// stamp is one of stamps. To turn any of them off turns them all off.
func stamp(name int32) intOption {
	o := flag(name)
	o.set = func(s *Socket, _ vfs.Ctx, v int32) error {
		for _, n := range stamps {
			s.opts.Put(n, n == name && v != 0)
		}
		return nil
	}
	return o
}

func zero(*Socket) int32                   { return 0 }
func ignore(*Socket, vfs.Ctx, int32) error { return nil }
func admin(c vfs.Ctx) bool                 { return c.Creds().Capable(auth.CapNetAdmin) }
func (s *Socket) inet() bool               { return s.family == linux.AF_INET || s.family == linux.AF_INET6 }

func bit(on bool) int32 {
	if on {
		return 1
	}
	return 0
}

// passes are options of the families that pass more than data.
func passes(families ...uint16) func(*Socket) error {
	return func(s *Socket) error {
		for _, f := range families {
			if s.family == f {
				return nil
			}
		}
		return linux.EOPNOTSUPP
	}
}

// streams are options of TCP.
func streams(s *Socket) error {
	if s.inet() && s.stream {
		return nil
	}
	return linux.EOPNOTSUPP
}

func setDebug(s *Socket, c vfs.Ctx, v int32) error {
	if v != 0 && !admin(c) {
		return linux.EACCES
	}
	s.opts.Put(linux.SO_DEBUG, v != 0)
	return nil
}

func reuseport(s *Socket, _ vfs.Ctx, v int32) error {
	if v != 0 {
		return linux.EOPNOTSUPP // inet's sockets know it themselves
	}
	return nil
}

// lockFilter is SO_LOCK_FILTER, which holds for good: EPERM.
func lockFilter(s *Socket, _ vfs.Ctx, v int32) error {
	if v == 0 && s.opts.Has(linux.SO_LOCK_FILTER) {
		return linux.EPERM
	}
	s.opts.Put(linux.SO_LOCK_FILTER, v != 0)
	return nil
}

func setZerocopy(s *Socket, _ vfs.Ctx, v int32) error {
	switch {
	case !s.inet() || s.protocol != linux.IPPROTO_TCP && s.protocol != linux.IPPROTO_UDP || s.typ == linux.SOCK_RAW:
		return linux.EOPNOTSUPP
	case v < 0 || v > 1:
		return linux.EINVAL
	}
	s.opts.Put(linux.SO_ZEROCOPY, v != 0)
	return nil
}

// A buffer is one of the two whose sizes are options.
type buffer struct {
	size  func(*Options) *atomic.Int32
	least int32
	lock  int32 // its bit of SO_BUF_LOCK
}

var (
	sndbuf = buffer{func(o *Options) *atomic.Int32 { return &o.sndbuf }, minSndBuf, linux.SOCK_SNDBUF_LOCK}
	rcvbuf = buffer{func(o *Options) *atomic.Int32 { return &o.rcvbuf }, MinRcvBuf, linux.SOCK_RCVBUF_LOCK}
)

func (b buffer) get(s *Socket) int32 { return b.size(s.opts).Load() }

// set is SO_SNDBUF or SO_RCVBUF.
func (b buffer) set(s *Socket, _ vfs.Ctx, v int32) error {
	return b.put(s, 2*int32(min(uint32(v), MaxBuffer)))
}

// force is SO_SNDBUFFORCE or SO_RCVBUFFORCE.
func (b buffer) force(s *Socket, c vfs.Ctx, v int32) error {
	if !admin(c) {
		return linux.EPERM
	}
	return b.put(s, 2*min(max(v, 0), 1<<30-1))
}

func (b buffer) put(s *Socket, n int32) error {
	b.size(s.opts).Store(max(b.least, n))
	s.opts.bufLock.Or(b.lock)
	return nil
}

// setRcvlowat caps TCP's at half of the largest buffer, or it could never be met.
func setRcvlowat(s *Socket, _ vfs.Ctx, v int32) error {
	if v < 0 {
		v = math.MaxInt32
	}
	if s.inet() && s.stream {
		v = min(v, MaxBuffer)
	}
	s.opts.rcvlowat.Store(max(v, 1))
	return nil
}

// overNetwork reports whether c may give packets what only administrators may.
func (s *Socket) overNetwork(c vfs.Ctx) bool {
	return s.net.Capable(c, auth.CapNetAdmin) || s.net.Capable(c, auth.CapNetRaw)
}

func setPriority(s *Socket, c vfs.Ctx, v int32) error {
	if err := s.mayHavePriority(c, v); err != nil {
		return err
	}
	s.opts.priority.Store(uint32(v))
	return nil
}

// mayHavePriority reports whether c may give packets a priority: EPERM.
func (s *Socket) mayHavePriority(c vfs.Ctx, v int32) error {
	if (v < 0 || v > 6) && !s.overNetwork(c) {
		return linux.EPERM
	}
	return nil
}

func setMark(s *Socket, c vfs.Ctx, v int32) error {
	if !s.overNetwork(c) {
		return linux.EPERM
	}
	s.opts.mark.Store(uint32(v))
	return nil
}

func setBusyPoll(s *Socket, c vfs.Ctx, v int32) error {
	switch {
	case v < 0:
		return linux.EINVAL
	case v > s.opts.busyPoll.Load() && !admin(c):
		return linux.EPERM
	}
	s.opts.busyPoll.Store(v)
	return nil
}

func preferBusyPoll(s *Socket, c vfs.Ctx, v int32) error {
	if v != 0 && !admin(c) {
		return linux.EPERM
	}
	s.opts.Put(linux.SO_PREFER_BUSY_POLL, v != 0)
	return nil
}

func setBusyBudget(s *Socket, c vfs.Ctx, v int32) error {
	switch {
	case v > s.opts.busyBudget.Load() && !admin(c):
		return linux.EPERM
	case v < 0 || v > math.MaxUint16:
		return linux.EINVAL
	}
	s.opts.busyBudget.Store(v)
	return nil
}

// reserve is SO_RESERVE_MEM: no socket's memory is accounted for.
func reserve(_ *Socket, _ vfs.Ctx, v int32) error {
	if v < 0 {
		return linux.EINVAL
	}
	return linux.EOPNOTSUPP
}

func setTxRehash(s *Socket, _ vfs.Ctx, v int32) error {
	if v < -1 || v > 1 {
		return linux.EINVAL
	}
	if v == -1 { // as net.core.txrehash has it
		v = 1
	}
	s.opts.txRehash.Store(v)
	return nil
}

// noProgram is for options whose value is a descriptor of a BPF program: no file is one.
func noProgram(_ *Socket, _ vfs.Ctx, fd int32) error {
	if fd < 0 {
		return linux.EBADF
	}
	return linux.EINVAL
}
