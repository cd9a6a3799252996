package bpf

import (
	"sync"
	"sync/atomic"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A Slot is where a socket has its program. The zero Slot has none.
type Slot struct {
	mu      sync.Mutex // for changing it
	program atomic.Pointer[Program]
}

// Program is the socket's program; ok is false if it has none.
func (s *Slot) Program() (p Program, ok bool) {
	if at := s.program.Load(); at != nil {
		return *at, true
	}
	return nil, false
}

// Inherit gives s what another socket has.
func (s *Slot) Inherit(from *Slot) { s.program.Store(from.program.Load()) }

// SetOption is SO_ATTACH_FILTER and SO_DETACH_FILTER of the socket that has o: EINVAL,
// EFAULT, ENOENT, and EPERM once SO_LOCK_FILTER is set. ENOPROTOOPT if name is neither.
func (s *Slot) SetOption(c vfs.Ctx, o *socket.Options, name int32, val []byte) error {
	var p *Program
	switch name {
	case linux.SO_ATTACH_FILTER:
		loaded, err := Load(c, o, val)
		if err != nil {
			return err
		}
		p = &loaded
	case linux.SO_DETACH_FILTER:
		if _, err := socket.Int(val); err != nil {
			return err
		}
	default:
		return linux.ENOPROTOOPT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case o.Has(linux.SO_LOCK_FILTER):
		return linux.EPERM
	case p == nil && s.program.Load() == nil:
		return linux.ENOENT
	}
	s.program.Store(p)
	return nil
}

// Load reads the program that val, a struct sock_fprog, points at, for the socket that has o:
// EINVAL, EFAULT, and EPERM once SO_LOCK_FILTER is set.
func Load(c vfs.Ctx, o *socket.Options, val []byte) (Program, error) {
	var f linux.SockFprog
	if len(val) != len(usermem.AsBytes(&f)) {
		return nil, linux.EINVAL
	}
	copy(usermem.AsBytes(&f), val)
	if o.Has(linux.SO_LOCK_FILTER) {
		return nil, linux.EPERM
	}
	if f.Len == 0 || f.Len > linux.BPF_MAXINSNS || f.Filter == 0 {
		return nil, linux.EINVAL
	}
	m, ok := c.(usermem.Memory)
	if !ok {
		return nil, linux.EFAULT
	}
	source, err := usermem.Ptr[linux.SockFilter](arch.Addr(f.Filter)).LoadSlice(m, int(f.Len))
	if err != nil {
		return nil, err
	}
	return New(source)
}
