package loop

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// maxDevices is how many there may be at a time.
const maxDevices = 256

// Config is what the devices of a kernel want to know.
type Config struct {
	// Allowed is an error unless c may open a device so, by the rules of its container.
	Allowed func(c vfs.Ctx, kind linux.FileMode, major, minor uint32, flags linux.OpenFlags) error
}

// A Set is all loop devices of a kernel.
type Set struct {
	Config
	bind sync.Mutex // held by who binds a device to a file: what lies on what does not change meanwhile

	mu       sync.Mutex
	devices  map[uint32]*device // protected by mu: by number
	sequence uint64             // protected by mu: how many bindings there have been
}

// Register makes loop devices known to s.
func Register(s *vfs.System, k Config) *Set {
	x := &Set{Config: k, devices: map[uint32]*device{}}
	s.RegisterDevice(linux.S_IFCHR, linux.LOOP_CTRL_MAJ, linux.LOOP_CTRL_MIN, control{x})
	s.RegisterDevice(linux.S_IFBLK, linux.LOOP_MAJOR, vfs.AnyMinor, blocks{x})
	s.RegisterDisks(x.info)
	return x
}

// list is the devices in the order of their numbers.
func (s *Set) list() []*device {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.devices), func(a, b *device) int { return cmp.Compare(a.n, b.n) })
}

// addLocked makes device n. EINVAL, EEXIST; ENOSPC if there are too many.
func (s *Set) addLocked(n uint32) (*device, error) {
	switch {
	case n >= linux.LOOP_MINORS:
		return nil, linux.EINVAL
	case s.devices[n] != nil:
		return nil, linux.EEXIST
	case len(s.devices) >= maxDevices:
		return nil, linux.ENOSPC
	}
	d := newDevice(s, n)
	s.devices[n] = d
	return d, nil
}

// add is LOOP_CTL_ADD: of the first number that is free if n is negative.
func (s *Set) add(n int32) (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := uint32(max(n, 0))
	for ; n < 0 && s.devices[at] != nil; at++ {
	}
	d, err := s.addLocked(at)
	if err != nil {
		return 0, err
	}
	return d.n, nil
}

// free is LOOP_CTL_GET_FREE: the first that is bound to nothing, which is made if all are.
func (s *Set) free() (uint32, error) {
	for _, d := range s.list() {
		if !d.taken() {
			return d.n, nil
		}
	}
	return s.add(-1)
}

// remove is LOOP_CTL_REMOVE. EINVAL, ENODEV; EBUSY if it is bound or open.
func (s *Set) remove(n int32) error {
	if n < 0 {
		return linux.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[uint32(n)]
	if d == nil {
		return linux.ENODEV
	}
	if !d.remove() {
		return linux.EBUSY
	}
	delete(s.devices, d.n)
	return nil
}

// open opens device n, which is made if there is none, as Linux does for who has a name for
// it. ENXIO if it can't be; EBUSY.
func (s *Set) open(n uint32, flags linux.OpenFlags) (*file, error) {
	s.mu.Lock()
	d := s.devices[n]
	if d == nil {
		var err error
		if d, err = s.addLocked(n); err != nil {
			s.mu.Unlock()
			return nil, linux.ENXIO
		}
	}
	s.mu.Unlock()
	f := &file{d: d, mode: flags & linux.O_ACCMODE, excl: flags&linux.O_EXCL != 0}
	f.direct.Store(flags&linux.O_DIRECT != 0)
	if err := d.open(f); err != nil {
		return nil, err
	}
	return f, nil
}

func (s *Set) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequence++
	return s.sequence
}

// blocks is /dev/loopN.
type blocks struct{ set *Set }

// Open implements vfs.Device.
func (b blocks) Open(c vfs.Ctx, p vfs.Path, flags linux.OpenFlags) (vfs.File, error) {
	a, err := p.Inode().Attr(c)
	if err != nil {
		return nil, err
	}
	n := linux.Minor(a.Rdev)
	if err := b.set.Allowed(c, linux.S_IFBLK, linux.LOOP_MAJOR, n, flags); err != nil {
		return nil, err
	}
	f, err := b.set.open(n, flags)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// control is /dev/loop-control.
type control struct{ set *Set }

// Open implements vfs.Device.
func (x control) Open(c vfs.Ctx, _ vfs.Path, flags linux.OpenFlags) (vfs.File, error) {
	if err := x.set.Allowed(c, linux.S_IFCHR, linux.LOOP_CTRL_MAJ, linux.LOOP_CTRL_MIN, flags); err != nil {
		return nil, err
	}
	return controlFile(x), nil
}

type controlFile struct{ set *Set }

// Read implements vfs.File.
func (controlFile) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Write implements vfs.File.
func (controlFile) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Close implements vfs.File.
func (controlFile) Close(vfs.Ctx) {}

// Stream implements vfs.Streamer.
func (controlFile) Stream() {}

// Ioctl implements vfs.Control.
func (f controlFile) Ioctl(_ vfs.Ctx, _ usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	var n uint32
	var err error
	switch cmd {
	case linux.LOOP_CTL_ADD:
		n, err = f.set.add(int32(arg))
	case linux.LOOP_CTL_REMOVE:
		err = f.set.remove(int32(arg))
	case linux.LOOP_CTL_GET_FREE:
		n, err = f.set.free()
	default:
		err = linux.ENOSYS
	}
	return uint64(n), err
}
