package socket

import (
	"encoding/binary"

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
	if ok {
		if err := x.SetOption(c, level, name, val); err != linux.ENOPROTOOPT {
			return err
		}
	}
	return s.opts.set(c, name, val)
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
	if v, err := s.own(name); err != linux.ENOPROTOOPT {
		return v, err
	}
	if ok {
		if v, err := x.Option(c, level, name, size); err != linux.ENOPROTOOPT {
			return v, err
		}
	}
	return s.opts.get(name)
}

// own is the options that s itself knows.
func (s *Socket) own(name int32) ([]byte, error) {
	switch name {
	case linux.SO_TYPE:
		return IntBytes(int32(s.typ)), nil
	case linux.SO_DOMAIN:
		return IntBytes(int32(s.family)), nil
	case linux.SO_PROTOCOL:
		return IntBytes(s.protocol), nil
	case linux.SO_COOKIE:
		return binary.LittleEndian.AppendUint64(nil, s.Inode()), nil
	case linux.SO_NETNS_COOKIE:
		return binary.LittleEndian.AppendUint64(nil, 1), nil
	case linux.SO_ERROR:
		return IntBytes(int32(s.TakeError())), nil
	case linux.SO_PEERNAME:
		var a Addr
		if err := s.Name(&a, true); err != nil {
			return nil, linux.ENOTCONN
		}
		return a.Bytes(), nil
	}
	return nil, linux.ENOPROTOOPT
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
