package vfs

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A System is the virtual filesystem of one kernel: what its mount namespaces
// share. Its methods may be called from any goroutine.
type System struct {
	clock func() linux.Timespec `save:"-"` // nil: the host's

	lastDev   atomic.Uint32 // minor numbers of anonymous devices
	lastMount atomic.Int64  // mount ids
	lastIno   atomic.Uint64 // inode numbers of anonymous files
	cookie    atomic.Uint32 // joins the two events of a rename (inotify)

	contexts contextSet
	mounts   mountTable
	dcache   dentryCache
	posix    lockGraph
	lastLock atomic.Uint64 // numbers locks by age

	leaseParams func() LeaseParams `save:"-"`
	maxQueued   func() int64       `save:"-"`
	internl     *Internal

	pipefs, sockfs, anonfs, nsfs *Mount // kernel-internal
	anonInode                    *AnonInode

	mu    sync.Mutex
	types map[string]*Type     // protected by mu
	fifos FIFOs                // protected by mu
	mem   MemFiles             // protected by mu
	disks func(Ctx) []DiskInfo `save:"-"` // protected by mu
	devs  map[devKey]Device
	fss   map[*Filesystem]struct{} // all that live; protected by mu

	settlers atomic.Pointer[[]Settler] // those of fss that put things off
}

type devKey struct {
	block        bool
	major, minor uint32
}

// AnyMinor registers a device for every minor number of its major.
const AnyMinor = ^uint32(0)

// New returns a System without types and devices, but for what vfs needs itself.
// clock is CLOCK_REALTIME for what happens outside any task; nil is the host's.
func New(clock func() linux.Timespec) *System {
	s := &System{clock: clock, types: map[string]*Type{}, devs: map[devKey]Device{}, fss: map[*Filesystem]struct{}{}}
	s.internl = &Internal{Who: auth.Root(nil), Clock: clock}
	s.mounts.init()
	s.dcache.init(defaultDentries)
	s.initAnonymous()
	return s
}

// Internal is the kernel itself as a caller.
func (s *System) Internal() Ctx { return s.internl }

// A Type makes filesystems; mount(2) finds it by name.
type Type struct {
	Name string
	// New returns the root inode of a new filesystem, held once.
	New func(Ctx, *NewArgs) (Inode, error)
	// Check says whether an option, seen by itself, is one of the type's (ErrNoParam)
	// and has a value that can be (EINVAL). nil: New alone decides.
	Check func(Option) error
	// Flags hold for every filesystem of the type.
	Flags TypeFlags
	// Owner, if not nil, is the user namespace that a filesystem which c mounts
	// belongs to, where that is not c's own: that of what it shows.
	Owner func(c Ctx) *auth.UserNamespace
	// Magic is what statfs(2) reports if the root does not say.
	Magic int64
}

// TypeFlags say what is special about a type of filesystem.
type TypeFlags uint32

const (
	// NeedsSource: "nodev" is not shown in /proc/filesystems.
	NeedsSource TypeFlags = 1 << iota
	// UserMount: may be mounted in a user namespace other than the first.
	UserMount
	// RevealsHost: shows what a more privileged mount namespace may have covered
	// (SB_I_USERNS_VISIBLE).
	RevealsHost
	// UserDevices: devices can be opened whoever mounted it.
	UserDevices
	// ReadOnly: nothing can ever be written, whatever is asked for.
	ReadOnly
	// Subtypes: "NAME.ANYTHING" is the type too, and shown so.
	Subtypes
	// OnDisk: the source may be a block device, which New finds open in NewArgs.Disk.
	OnDisk
)

// NewArgs is what mount(2) gives a Type.
type NewArgs struct {
	System  *System
	Source  string
	Options Options
	Flags   linux.MountFlags
	Disk    *FileDescription // not held; nil unless the source is a block device

	user   *auth.UserNamespace // that it is to belong to, if chosen
	chosen bool
}

// RegisterType makes t known to mount(2).
func (s *System) RegisterType(t *Type) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.types[t.Name] = t
}

// Type finds a type by name; nil if there is none.
func (s *System) Type(name string) *Type {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.types[name]; t != nil {
		return t
	}
	base, sub, _ := strings.Cut(name, ".")
	if t := s.types[base]; t != nil && t.Flags&Subtypes != 0 && sub != "" {
		x := *t
		x.Name = name
		return &x
	}
	return nil
}

// Types is all types, by name, for /proc/filesystems.
func (s *System) Types() []*Type {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Type, 0, len(s.types))
	for _, t := range s.types {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Type) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// A Device makes open files for a device number, in whatever filesystem its inode
// lies.
type Device interface {
	// Open opens the device found at p (p.Inode() is its inode).
	Open(c Ctx, p Path, flags linux.OpenFlags) (File, error)
}

// RegisterDevice makes d the character (kind S_IFCHR) or block device of a number;
// minor may be AnyMinor.
func (s *System) RegisterDevice(kind linux.FileMode, major, minor uint32, d Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devs[devKey{kind == linux.S_IFBLK, major, minor}] = d
}

// Device finds a device: nil if there is none.
func (s *System) Device(kind linux.FileMode, major, minor uint32) Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := devKey{kind == linux.S_IFBLK, major, minor}
	if d := s.devs[k]; d != nil {
		return d
	}
	k.minor = AnyMinor
	return s.devs[k]
}

// FIFOs opens named pipes. fs/pipe is the one.
type FIFOs interface {
	// OpenFIFO opens the FIFO whose state lives in slot. It may wait for the
	// other end, with c.Block.
	OpenFIFO(c Ctx, slot *Slot, flags linux.OpenFlags) (File, error)
}

// RegisterFIFOs says what opens named pipes; ENXIO without it.
func (s *System) RegisterFIFOs(f FIFOs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fifos = f
}

// MemFiles makes files in memory that have no name. fs/memfd is the one.
type MemFiles interface {
	// Create is memfd_create(2).
	Create(c Ctx, name string, flags uint32) (*FileDescription, error)
	// Shared is a file of n bytes for memory that processes share.
	Shared(c Ctx, name string, n int64) (*FileDescription, error)
}

// RegisterMemFiles says what makes files in memory.
func (s *System) RegisterMemFiles(f MemFiles) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mem = f
}

// MemFiles is what makes files in memory; nil without it.
func (s *System) MemFiles() MemFiles {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mem
}

// Sync writes all filesystems back: sync(2).
func (s *System) Sync(c Ctx) {
	for _, fs := range s.filesystems() {
		fs.Sync(c)
	}
}

// Settle does at once what filesystems have put off for a moment. Unlike Sync it makes
// nothing durable.
func (s *System) Settle() {
	if all := s.settlers.Load(); all != nil {
		for _, x := range *all {
			x.Settle()
		}
	}
}

// listSettlersLocked is called when fss has changed.
func (s *System) listSettlersLocked() {
	var all []Settler
	for fs := range s.fss {
		if x, ok := fs.inode.(Settler); ok {
			all = append(all, x)
		}
	}
	s.settlers.Store(&all)
}

func (s *System) filesystems() []*Filesystem {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Filesystem, 0, len(s.fss))
	for fs := range s.fss {
		out = append(out, fs)
	}
	return out
}

// A Slot is a place on an inode for one object that those who open it share: the
// pipe behind a FIFO.
type Slot struct {
	mu    lock.Mutex[lock.Leaf]
	value any // protected by mu
	users int // protected by mu
}

// Acquire returns the slot's object, made by mk if nobody uses it, and counts one
// more user.
func (s *Slot) Acquire(mk func() any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		s.value = mk()
	}
	s.users++
	return s.value
}

// Release counts one user less; the object goes with the last.
func (s *Slot) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		s.value = nil
	}
}
