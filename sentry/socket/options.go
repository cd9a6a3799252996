package socket

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// What /proc/sys/net/core says of buffers, in bytes. SO_SNDBUF and SO_RCVBUF are
// doubled as Linux does, so that a maximum is reached at twice the limit.
const (
	DefaultBuffer = 212992  // rmem_default, wmem_default
	MaxBuffer     = 4 << 20 // rmem_max, wmem_max
	minSndBuf     = 4608
	minRcvBuf     = 2304
)

// Options is the options of level SOL_SOCKET that are only kept here, for the
// family to look at. Any goroutine may read and change them.
type Options struct {
	sndbuf, rcvbuf atomic.Int32
	sndtimeo       atomic.Int64 // nanoseconds; 0 for ever, negative not at all
	rcvtimeo       atomic.Int64
	flags          [2]atomic.Uint64 // bit n: option n, one of the booleans
	rcvlowat       atomic.Int32
	priority       atomic.Uint32
	mark           atomic.Uint32
	linger         atomic.Int64 // seconds, -1 is off
	peekOff        atomic.Int32 // -1 is off
	busyPoll       atomic.Int32
	net            *Network // nil: the first user namespace's
}

// NewOptions is the options of a new socket of the network n.
func NewOptions(n *Network) *Options {
	o := &Options{net: n}
	o.sndbuf.Store(DefaultBuffer)
	o.rcvbuf.Store(DefaultBuffer)
	o.rcvlowat.Store(1)
	o.linger.Store(-1)
	o.peekOff.Store(-1)
	return o
}

// Inherit is a copy, for a connection that comes from a listening socket.
func (o *Options) Inherit() *Options {
	n := NewOptions(o.net)
	n.sndbuf.Store(o.sndbuf.Load())
	n.rcvbuf.Store(o.rcvbuf.Load())
	n.sndtimeo.Store(o.sndtimeo.Load())
	n.rcvtimeo.Store(o.rcvtimeo.Load())
	for i := range n.flags {
		n.flags[i].Store(o.flags[i].Load())
	}
	n.rcvlowat.Store(o.rcvlowat.Load())
	n.priority.Store(o.priority.Load())
	n.mark.Store(o.mark.Load())
	n.linger.Store(o.linger.Load())
	return n
}

// booleans are the options that are either 0 or 1 and mean nothing here, by word of
// Options.flags.
var booleans = [2]uint64{
	1<<linux.SO_DEBUG | 1<<linux.SO_REUSEADDR | 1<<linux.SO_DONTROUTE | 1<<linux.SO_BROADCAST | 1<<linux.SO_KEEPALIVE |
		1<<linux.SO_OOBINLINE | 1<<linux.SO_NO_CHECK | 1<<linux.SO_PASSCRED | 1<<linux.SO_TIMESTAMP | 1<<linux.SO_TIMESTAMPNS |
		1<<linux.SO_PASSSEC | 1<<linux.SO_RXQ_OVFL | 1<<linux.SO_WIFI_STATUS | 1<<linux.SO_NOFCS | 1<<linux.SO_LOCK_FILTER |
		1<<linux.SO_SELECT_ERR_QUEUE | 1<<linux.SO_ZEROCOPY | 1<<linux.SO_TIMESTAMP_NEW,
	1<<(linux.SO_TIMESTAMPNS_NEW-64) | 1<<(linux.SO_PREFER_BUSY_POLL-64) | 1<<(linux.SO_RCVMARK-64) | 1<<(linux.SO_PASSPIDFD-64),
}

func isBoolean(name int32) bool {
	return name >= 0 && name < 128 && booleans[name/64]>>uint(name%64)&1 != 0
}

// Has reports whether one of the boolean options is set.
func (o *Options) Has(name int32) bool { return o.flags[name/64].Load()>>uint(name%64)&1 != 0 }

// Put sets a boolean option.
func (o *Options) Put(name int32, on bool) {
	bit := uint64(1) << uint(name%64)
	if on {
		o.flags[name/64].Or(bit)
	} else {
		o.flags[name/64].And(^bit)
	}
}

// SndBuf is SO_SNDBUF and RcvBuf SO_RCVBUF as getsockopt(2) tells them.
func (o *Options) SndBuf() int { return int(o.sndbuf.Load()) }

// RcvBuf is SO_RCVBUF.
func (o *Options) RcvBuf() int { return int(o.rcvbuf.Load()) }

// SndTimeout is SO_SNDTIMEO: 0 waits for ever, negative not at all.
func (o *Options) SndTimeout() time.Duration { return time.Duration(o.sndtimeo.Load()) }

// RcvTimeout is SO_RCVTIMEO, likewise.
func (o *Options) RcvTimeout() time.Duration { return time.Duration(o.rcvtimeo.Load()) }

// RcvLowat is SO_RCVLOWAT.
func (o *Options) RcvLowat() int { return int(o.rcvlowat.Load()) }

// PeekOff is SO_PEEK_OFF, -1 if off; SetPeekOff moves it on.
func (o *Options) PeekOff() int { return int(o.peekOff.Load()) }

// SetPeekOff sets what PeekOff returns.
func (o *Options) SetPeekOff(n int) { o.peekOff.Store(int32(n)) }

// Linger is SO_LINGER: how many seconds close(2) lingers; ok is false if it is off.
func (o *Options) Linger() (seconds int32, ok bool) {
	n := o.linger.Load()
	return int32(max(n, 0)), n >= 0
}

// Mark is SO_MARK.
func (o *Options) Mark() uint32 { return o.mark.Load() }

// set changes an option of level SOL_SOCKET: ENOPROTOOPT, EINVAL, EDOM, EPERM.
func (o *Options) set(c vfs.Ctx, name int32, val []byte) error {
	switch name {
	case linux.SO_RCVTIMEO, linux.SO_RCVTIMEO_NEW:
		return setTimeout(&o.rcvtimeo, val)
	case linux.SO_SNDTIMEO, linux.SO_SNDTIMEO_NEW:
		return setTimeout(&o.sndtimeo, val)
	case linux.SO_LINGER:
		return o.setLinger(val)
	}
	v, err := Int(val)
	if err != nil {
		return err
	}
	switch {
	case name == linux.SO_DEBUG && v != 0 && !c.Creds().Capable(auth.CapNetAdmin):
		return linux.EACCES
	case isBoolean(name):
		o.Put(name, v != 0)
		return nil
	}
	return o.setInt(c, name, v)
}

func (o *Options) setInt(c vfs.Ctx, name, v int32) error {
	admin := c.Creds().Capable(auth.CapNetAdmin)
	over := func() bool { return o.net.Capable(c, auth.CapNetAdmin) || o.net.Capable(c, auth.CapNetRaw) }
	switch name {
	case linux.SO_SNDBUF:
		o.sndbuf.Store(max(minSndBuf, 2*int32(min(uint32(v), MaxBuffer))))
	case linux.SO_RCVBUF:
		o.rcvbuf.Store(max(minRcvBuf, 2*int32(min(uint32(v), MaxBuffer))))
	case linux.SO_SNDBUFFORCE, linux.SO_RCVBUFFORCE:
		if !admin {
			return linux.EPERM
		}
		b, least := &o.sndbuf, int32(minSndBuf)
		if name == linux.SO_RCVBUFFORCE {
			b, least = &o.rcvbuf, minRcvBuf
		}
		b.Store(max(least, 2*min(max(v, 0), 1<<30-1)))
	case linux.SO_RCVLOWAT:
		if v < 0 {
			v = 1<<31 - 1
		}
		o.rcvlowat.Store(max(v, 1))
	case linux.SO_PRIORITY:
		if (v < 0 || v > 6) && !over() {
			return linux.EPERM
		}
		o.priority.Store(uint32(v))
	case linux.SO_MARK:
		if !over() {
			return linux.EPERM
		}
		o.mark.Store(uint32(v))
	case linux.SO_BUSY_POLL:
		if v < 0 {
			return linux.EINVAL
		}
		if v > o.busyPoll.Load() && !admin {
			return linux.EPERM
		}
		o.busyPoll.Store(v)
	case linux.SO_TYPE, linux.SO_PROTOCOL, linux.SO_DOMAIN, linux.SO_ERROR:
		return linux.ENOPROTOOPT
	default:
		return linux.ENOPROTOOPT
	}
	return nil
}

// get is the value of an option that o keeps: ENOPROTOOPT.
func (o *Options) get(name int32) ([]byte, error) {
	if isBoolean(name) {
		v := int32(0)
		if o.Has(name) {
			v = 1
		}
		return IntBytes(v), nil
	}
	switch name {
	case linux.SO_SNDBUF:
		return IntBytes(o.sndbuf.Load()), nil
	case linux.SO_RCVBUF:
		return IntBytes(o.rcvbuf.Load()), nil
	case linux.SO_RCVLOWAT:
		return IntBytes(o.rcvlowat.Load()), nil
	case linux.SO_SNDLOWAT:
		return IntBytes(1), nil
	case linux.SO_PRIORITY:
		return IntBytes(int32(o.priority.Load())), nil
	case linux.SO_MARK:
		return IntBytes(int32(o.mark.Load())), nil
	case linux.SO_BUSY_POLL:
		return IntBytes(o.busyPoll.Load()), nil
	case linux.SO_BSDCOMPAT, linux.SO_INCOMING_CPU, linux.SO_INCOMING_NAPI_ID, linux.SO_REUSEPORT,
		linux.SO_TIMESTAMPING, linux.SO_TIMESTAMPING_NEW, linux.SO_BINDTOIFINDEX, linux.SO_BUF_LOCK,
		linux.SO_RESERVE_MEM, linux.SO_TXTIME:
		return IntBytes(0), nil
	case linux.SO_RCVTIMEO, linux.SO_RCVTIMEO_NEW:
		return timeoutBytes(o.RcvTimeout()), nil
	case linux.SO_SNDTIMEO, linux.SO_SNDTIMEO_NEW:
		return timeoutBytes(o.SndTimeout()), nil
	case linux.SO_LINGER:
		s, on := o.Linger()
		v := linux.Linger{Seconds: s}
		if on {
			v.On = 1
		}
		return append(IntBytes(v.On), IntBytes(v.Seconds)...), nil
	}
	return nil, linux.ENOPROTOOPT
}

func (o *Options) setLinger(val []byte) error {
	if len(val) < 8 {
		return linux.EINVAL
	}
	if binary.LittleEndian.Uint32(val) == 0 {
		o.linger.Store(-1)
		return nil
	}
	o.linger.Store(int64(max(0, int32(binary.LittleEndian.Uint32(val[4:])))))
	return nil
}

// maxSeconds is where a time-out is so long that it never comes.
const maxSeconds = 1 << 33

// setTimeout stores a struct timeval: EDOM if its microseconds are none.
func setTimeout(to *atomic.Int64, val []byte) error {
	if len(val) < 16 {
		return linux.EINVAL
	}
	sec, usec := int64(binary.LittleEndian.Uint64(val)), int64(binary.LittleEndian.Uint64(val[8:]))
	switch {
	case usec < 0 || usec >= 1e6:
		return linux.EDOM
	case sec < 0:
		to.Store(-1)
	case sec >= maxSeconds:
		to.Store(0)
	default:
		to.Store(sec*1e9 + usec*1e3)
	}
	return nil
}

func timeoutBytes(d time.Duration) []byte {
	d = max(d, 0)
	b := binary.LittleEndian.AppendUint64(nil, uint64(d/time.Second))
	return binary.LittleEndian.AppendUint64(b, uint64(d%time.Second/time.Microsecond))
}

// Int is an option's value as an int: EINVAL if it is too short.
func Int(val []byte) (int32, error) {
	if len(val) < 4 {
		return 0, linux.EINVAL
	}
	return int32(binary.LittleEndian.Uint32(val)), nil
}

// IntBytes is an int as getsockopt(2) returns it.
func IntBytes(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }
