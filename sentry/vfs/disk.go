package vfs

import (
	"garrison/sentry/linux"
)

// A Disk is a block device. Its methods may be called from any goroutine.
type Disk interface {
	// Number is its device number, as linux.Makedev has it.
	Number() uint64
	// Bytes is how long it is now: 0 of one that is bound to nothing.
	Bytes() uint64
	// WriteProtected says that nothing can be written now.
	WriteProtected() bool
	// Claim makes holder (comparable) the one who has it for himself, for as often as
	// he claims it. EBUSY if somebody else has.
	Claim(holder any) error
	// Unclaim undoes one Claim.
	Unclaim(holder any)
}

// A DiskFile is an open block device.
type DiskFile interface {
	File
	Disk() Disk
}

// A DiskInfo is what /proc and /sys show of a block device.
type DiskInfo struct {
	Name           string
	Major, Minor   uint32
	Sectors        uint64 // of 512 bytes
	Sequence       uint64 // of what it is bound to, among all of the kernel
	BlockSize      uint32
	ReadAhead      uint32 // bytes
	WriteProtected bool
	Reads, Writes  DiskCount
	// Driver names the directory of what the driver has to say, if it says anything.
	Driver string
	Facts  []DiskFact
}

// A DiskFact is a file in that directory.
type DiskFact struct{ Name, Text string }

// A DiskCount is what was read, or written.
type DiskCount struct{ Calls, Sectors uint64 }

// RegisterDisks says what tells of the block devices there are, in the order of their
// numbers.
func (s *System) RegisterDisks(all func(Ctx) []DiskInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disks = all
}

// Disks is the block devices, as c sees them.
func (s *System) Disks(c Ctx) []DiskInfo {
	s.mu.Lock()
	all := s.disks
	s.mu.Unlock()
	if all == nil {
		return nil
	}
	return all(c)
}

// A Stacked root shows what lies in other filesystems: an overlay, an image in a file.
type Stacked interface {
	// Below is those, not held; they live as long as this one does.
	Below() []*Filesystem
}

// maxStack is how many filesystems may lie on one another, as on Linux: who reads a file
// of the topmost reads one of each.
const maxStack = 2

// Stack is how many filesystems fs lies on. One on a block device begins anew.
func (fs *Filesystem) Stack() int { return fs.stack }

// Below is the filesystems that fs lies on.
func (fs *Filesystem) Below() []*Filesystem {
	if x, ok := fs.inode.(Stacked); ok {
		return x.Below()
	}
	return nil
}

// Disk is the open block device that fs is on; nil if it is on none.
func (fs *Filesystem) Disk() *FileDescription {
	if fs.on == nil {
		return nil
	}
	return fs.on.file
}

func (fs *Filesystem) countStack() {
	for _, x := range fs.Below() {
		fs.stack = max(fs.stack, x.stack+1)
	}
}

// openDisk opens the block device that a.Source names for mount(2), whatever its
// permissions: nil if it is no block device. EINVAL without a name, EACCES on a mount
// without devices, ENXIO if there is no such device.
func openDisk(c Ctx, a *NewArgs) (*FileDescription, error) {
	if a.Source == "" {
		return nil, linux.EINVAL
	}
	p, err := Resolve(c, At{Name: a.Source})
	if err != nil {
		return nil, err
	}
	defer p.Drop()
	if p.d.typ != linux.S_IFBLK {
		return nil, nil
	}
	if !p.mayHaveDevices() {
		return nil, linux.EACCES
	}
	d, err := p.open(c, linux.O_RDONLY)
	if err != nil {
		return nil, err
	}
	if _, ok := d.file.(DiskFile); !ok {
		d.Release(c)
		return nil, linux.ENXIO
	}
	return d, nil
}

// onDisk is NewFilesystem of a type that may lie on a block device, if a names one, else
// nil. One that has been mounted from there already is the same again, EBUSY if it is to
// be another type's, or can't be written and is not to be so by a's flags; EACCES if the
// device can't be.
func (s *System) onDisk(c Ctx, t *Type, a *NewArgs) (*Filesystem, error) {
	d, err := openDisk(c, a)
	if d == nil || err != nil {
		return nil, err
	}
	defer d.Release(c)
	disk := d.file.(DiskFile).Disk()
	if fs := s.mountedFrom(disk); fs != nil {
		if fs.typ.Name == t.Name && fs.readOnly.Load() == (a.Flags&linux.MS_RDONLY != 0) {
			return fs, nil
		}
		defer fs.DecRef()
		if fs.typ.Name == t.Name && disk.WriteProtected() {
			return nil, linux.EACCES
		}
		return nil, linux.EBUSY
	}
	if a.Flags&linux.MS_RDONLY == 0 && disk.WriteProtected() {
		return nil, linux.EACCES
	}
	hold := new(diskHold)
	if err := disk.Claim(hold); err != nil {
		return nil, err
	}
	a.Disk = d
	root, err := t.New(c, a)
	if err != nil {
		disk.Unclaim(hold)
		return nil, err
	}
	d.IncRef()
	fs := s.newFilesystem(t, root, &diskUse{d, hold})
	fs.setReadOnly(a.Flags&linux.MS_RDONLY != 0)
	return fs, nil
}

// A diskUse is a filesystem's use of a block device, which it has claimed.
type diskUse struct {
	file *FileDescription // held
	hold *diskHold
}

// A diskHold is who has claimed a device for a filesystem.
type diskHold struct{ _ byte }

func (u *diskUse) disk() Disk { return u.file.file.(DiskFile).Disk() }

// mountedFrom finds the filesystem on a device, held; nil if there is none.
func (s *System) mountedFrom(disk Disk) *Filesystem {
	s.mu.Lock()
	defer s.mu.Unlock()
	for fs := range s.fss {
		if fs.on != nil && fs.on.disk() == disk && tryRef(&fs.refs) {
			return fs
		}
	}
	return nil
}

// leaveDisk gives the device up that fs was on.
func (fs *Filesystem) leaveDisk() {
	if fs.on == nil {
		return
	}
	fs.on.disk().Unclaim(fs.on.hold)
	fs.on.file.DecRef()
}
