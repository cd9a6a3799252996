package socket

import (
	"encoding/binary"
	"math"
	"strings"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// SetOption is setsockopt(2). val is what the guest gave, at most MaxOption bytes.
func (s *Socket) SetOption(c vfs.Ctx, level, name int32, val []byte) error {
	x, ok := s.proto.(Optioner)
	if level != linux.SOL_SOCKET {
		if !ok {
			return linux.EOPNOTSUPP
		}
		return x.SetOption(c, level, name, val)
	}
	if len(val) < 4 && name != linux.SO_BINDTODEVICE {
		return linux.EINVAL
	}
	if ok {
		if err := x.SetOption(c, level, name, val); err != linux.ENOPROTOOPT {
			return err
		}
	}
	if err := s.setStruct(c, name, val); err != linux.ENOPROTOOPT {
		return err
	}
	o := intOptions[name]
	if o.set == nil {
		return linux.ENOPROTOOPT
	}
	if o.of != nil {
		if err := o.of(s); err != nil {
			return err
		}
	}
	v, _ := Int(val)
	return o.set(s, c, v)
}

// setStruct sets an option of level SOL_SOCKET whose value is no int; ENOPROTOOPT if
// name is none of those.
func (s *Socket) setStruct(c vfs.Ctx, name int32, val []byte) error {
	switch name {
	case linux.SO_RCVTIMEO, linux.SO_RCVTIMEO_NEW:
		return setTimeout(&s.opts.rcvtimeo, val)
	case linux.SO_SNDTIMEO, linux.SO_SNDTIMEO_NEW:
		return setTimeout(&s.opts.sndtimeo, val)
	case linux.SO_LINGER:
		return s.opts.setLinger(val)
	case linux.SO_BINDTODEVICE:
		return s.bindToDevice(val)
	case linux.SO_MAX_PACING_RATE:
		s.opts.pacing.Store(long(val))
		return nil
	case linux.SO_TIMESTAMPING, linux.SO_TIMESTAMPING_NEW:
		return s.setTimestamping(val)
	case linux.SO_TXTIME:
		return s.setTxtime(c, val)
	case linux.SO_ATTACH_FILTER, linux.SO_ATTACH_REUSEPORT_CBPF:
		if len(val) != linux.SockFprogLen {
			return linux.EINVAL
		}
	}
	return linux.ENOPROTOOPT
}

// long is an unsigned long, or an int if the value has no room for more; -1 is the most
// of both.
func long(val []byte) uint64 {
	switch v := binary.LittleEndian.Uint32(val); {
	case len(val) >= 8:
		return binary.LittleEndian.Uint64(val)
	case v == math.MaxUint32:
		return math.MaxUint64
	default:
		return uint64(v)
	}
}

// bindToDevice is SO_BINDTODEVICE where the family has no use for it. ENODEV.
func (s *Socket) bindToDevice(val []byte) error {
	name, _, _ := strings.Cut(string(val[:min(len(val), linux.IFNAMSIZ-1)]), "\x00")
	if name == "" {
		s.opts.ifindex.Store(0)
		return nil
	}
	for _, l := range s.net.Interfaces().Links() {
		if l.Name == name {
			s.opts.ifindex.Store(l.Index)
			return nil
		}
	}
	return linux.ENODEV
}

// setTimestamping is SO_TIMESTAMPING's int, or struct so_timestamping. EINVAL.
func (s *Socket) setTimestamping(val []byte) error {
	v := binary.LittleEndian.Uint32(val)
	var clock uint32
	if len(val) >= 8 {
		clock = binary.LittleEndian.Uint32(val[4:])
	}
	state := linux.TCP_CLOSE
	if x, ok := s.proto.(interface{ TCPState() linux.TCPState }); ok {
		state = x.TCPState()
	}
	switch {
	case v&^linux.SOF_TIMESTAMPING_MASK != 0,
		v&linux.SOF_TIMESTAMPING_OPT_ID_TCP != 0 && v&linux.SOF_TIMESTAMPING_OPT_ID == 0,
		v&linux.SOF_TIMESTAMPING_OPT_ID != 0 && streams(s) == nil && (state == linux.TCP_CLOSE || state == linux.TCP_LISTEN),
		v&linux.SOF_TIMESTAMPING_OPT_STATS != 0 && v&linux.SOF_TIMESTAMPING_OPT_TSONLY == 0:
		return linux.EINVAL
	case v&linux.SOF_TIMESTAMPING_BIND_PHC != 0: // no device has a clock
		return linux.EOPNOTSUPP
	}
	s.opts.timestamping.Store(uint64(clock)<<32 | uint64(v))
	return nil
}

// setTxtime is SO_TXTIME's struct sock_txtime: EPERM for another clock than
// CLOCK_MONOTONIC without CAP_NET_ADMIN. No device here heeds the times.
func (s *Socket) setTxtime(c vfs.Ctx, val []byte) error {
	if len(val) != 8 {
		return linux.EINVAL
	}
	v := binary.LittleEndian.Uint64(val)
	switch clock := linux.ClockID(v); {
	case v>>32&^linux.SOF_TXTIME_FLAGS_MASK != 0:
		return linux.EINVAL
	case clock != linux.CLOCK_MONOTONIC && !s.net.Capable(c, auth.CapNetAdmin):
		return linux.EPERM
	case clock != linux.CLOCK_REALTIME && clock != linux.CLOCK_MONOTONIC && clock != linux.CLOCK_TAI:
		return linux.EINVAL
	}
	s.opts.txtime.Store(v)
	s.opts.timed.Store(true)
	return nil
}

// MaxOption is the most bytes of a value that SetOption is given.
const MaxOption = 64 << 10

// Option is getsockopt(2): the value, of which the caller sees the first size
// bytes.
func (s *Socket) Option(c vfs.Ctx, level, name int32, size int) ([]byte, error) {
	x, ok := s.proto.(Optioner)
	if level != linux.SOL_SOCKET {
		if !ok {
			return nil, linux.EOPNOTSUPP
		}
		return x.Option(c, level, name, size)
	}
	if ok {
		if v, err := x.Option(c, level, name, size); err != linux.ENOPROTOOPT {
			return v, err
		}
	}
	if v, err := s.structOption(c, name, size); err != linux.ENOPROTOOPT {
		return v, err
	}
	o := intOptions[name]
	if o.get == nil {
		return nil, linux.ENOPROTOOPT
	}
	if o.of != nil {
		if err := o.of(s); err != nil {
			return nil, err
		}
	}
	return IntBytes(o.get(s)), nil
}

// structOption is the value of an option of level SOL_SOCKET that is no int; ENOPROTOOPT
// if name is none of those.
func (s *Socket) structOption(c vfs.Ctx, name int32, size int) ([]byte, error) {
	switch name {
	case linux.SO_RCVTIMEO, linux.SO_RCVTIMEO_NEW:
		return timeoutBytes(s.opts.RcvTimeout()), nil
	case linux.SO_SNDTIMEO, linux.SO_SNDTIMEO_NEW:
		return timeoutBytes(s.opts.SndTimeout()), nil
	case linux.SO_LINGER:
		sec, on := s.opts.Linger()
		return append(IntBytes(bit(on)), IntBytes(sec)...), nil
	case linux.SO_BINDTODEVICE:
		return s.boundDevice(size)
	case linux.SO_MAX_PACING_RATE:
		if rate := s.opts.pacing.Load(); size < 8 {
			return IntBytes(int32(uint32(min(rate, math.MaxUint32)))), nil
		}
		return longBytes(s.opts.pacing.Load()), nil
	case linux.SO_TIMESTAMPING, linux.SO_TIMESTAMPING_NEW:
		return longBytes(s.opts.timestamping.Load()), nil
	case linux.SO_TXTIME:
		return longBytes(s.opts.txtime.Load()), nil
	case linux.SO_COOKIE:
		if size < 8 {
			return nil, linux.EINVAL
		}
		return longBytes(s.Inode()), nil
	case linux.SO_NETNS_COOKIE:
		if size != 8 {
			return nil, linux.EINVAL
		}
		return longBytes(1), nil
	case linux.SO_PEERCRED: // nobody
		return append(IntBytes(0), append(IntBytes(-1), IntBytes(-1)...)...), nil
	case linux.SO_PEERGROUPS, linux.SO_PEERPIDFD:
		return nil, linux.ENODATA
	case linux.SO_MEMINFO:
		return s.meminfo(c), nil
	case linux.SO_ATTACH_FILTER: // SO_GET_FILTER: none
		return nil, nil
	case linux.SO_PEERNAME:
		return s.peerName(size)
	}
	return nil, linux.ENOPROTOOPT
}

func longBytes(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

func (s *Socket) boundDevice(size int) ([]byte, error) {
	index := s.opts.ifindex.Load()
	if index == 0 {
		return nil, nil
	}
	if size < linux.IFNAMSIZ {
		return nil, linux.EINVAL
	}
	for _, l := range s.net.Interfaces().Links() {
		if l.Index == index {
			return append([]byte(l.Name), 0), nil
		}
	}
	return nil, linux.ENODEV
}

// peerName is SO_PEERNAME: EINVAL for who asks for more than an address has.
func (s *Socket) peerName(size int) ([]byte, error) {
	var a Addr
	if err := s.Name(&a, true); err != nil {
		return nil, linux.ENOTCONN
	}
	if a.Len() < size {
		return nil, linux.EINVAL
	}
	return a.Bytes(), nil
}

// meminfo is SO_MEMINFO, sock_diag(7)'s array: what is queued is not counted.
func (s *Socket) meminfo(c vfs.Ctx) []byte {
	b := make([]byte, 4*linux.SK_MEMINFO_VARS)
	for at, name := range map[int]int32{linux.SK_MEMINFO_RCVBUF: linux.SO_RCVBUF, linux.SK_MEMINFO_SNDBUF: linux.SO_SNDBUF} {
		v, _ := s.Option(c, linux.SOL_SOCKET, name, 4)
		copy(b[4*at:], v)
	}
	return b
}

// TakeError is SO_ERROR: the pending error, which it clears; 0 is none.
func (s *Socket) TakeError() linux.Errno {
	if f, ok := s.proto.(Failer); ok {
		if e, ok := f.TakeError().(linux.Errno); ok {
			return e
		}
	}
	return 0
}
