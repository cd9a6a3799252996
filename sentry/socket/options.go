package socket

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"

	"garrison/sentry/linux"
)

// What /proc/sys/net/core says of buffers, in bytes. SO_SNDBUF and SO_RCVBUF are
// doubled as Linux does, so that a maximum is reached at twice the limit.
const (
	DefaultBuffer = 212992  // rmem_default, wmem_default
	MaxBuffer     = 4 << 20 // rmem_max, wmem_max
	minSndBuf     = 4608
	MinRcvBuf     = 2304
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
	busyBudget     atomic.Int32
	bufLock        atomic.Int32
	incomingCPU    atomic.Int32
	ifindex        atomic.Int32
	txRehash       atomic.Int32
	pacing         atomic.Uint64 // bytes a second
	timestamping   atomic.Uint64 // struct so_timestamping
	txtime         atomic.Uint64 // struct sock_txtime
	timed          atomic.Bool   // it has been set
	net            *Network      // nil: the first user namespace's
}

// NewOptions is the options of a new socket of the network n.
func NewOptions(n *Network) *Options {
	o := &Options{net: n}
	o.sndbuf.Store(DefaultBuffer)
	o.rcvbuf.Store(DefaultBuffer)
	o.rcvlowat.Store(1)
	o.linger.Store(-1)
	o.peekOff.Store(-1)
	o.incomingCPU.Store(-1)
	o.txRehash.Store(1)
	o.pacing.Store(math.MaxUint64)
	o.Put(linux.SO_PASSRIGHTS, true)
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
	n.bufLock.Store(o.bufLock.Load())
	n.txRehash.Store(o.txRehash.Load())
	n.pacing.Store(o.pacing.Load())
	n.timestamping.Store(o.timestamping.Load())
	return n
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

// PeekOff is SO_PEEK_OFF, negative if off.
func (o *Options) PeekOff() int { return int(o.peekOff.Load()) }

// SetPeekOff sets what PeekOff returns.
func (o *Options) SetPeekOff(n int) { o.peekOff.Store(int32(n)) }

// MovePeekOff moves SO_PEEK_OFF, unless it is off: a peek that gave n bytes moves it on, and
// a read back.
func (o *Options) MovePeekOff(n int64, peek bool) {
	switch off := o.PeekOff(); {
	case off < 0:
	case peek:
		o.SetPeekOff(off + int(n))
	default:
		o.SetPeekOff(max(0, off-int(n)))
	}
}

// Linger is SO_LINGER: how many seconds close(2) lingers; ok is false if it is off.
func (o *Options) Linger() (seconds int32, ok bool) {
	n := o.linger.Load()
	return int32(max(n, 0)), n >= 0
}

// Mark is SO_MARK.
func (o *Options) Mark() uint32 { return o.mark.Load() }

// Timestamping is the flags of SO_TIMESTAMPING.
func (o *Options) Timestamping() uint32 { return uint32(o.timestamping.Load()) }

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
