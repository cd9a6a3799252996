package loop

import (
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// Sizes of blocks: in which a device counts, and in which it is read ahead and flushed.
const (
	defaultBlock = linux.SectorSize
	maxBlock     = 64 << 10
	defaultSoft  = 4096
	defaultAhead = 256 // sectors
)

// A device is one loop device.
type device struct {
	set *Set
	n   uint32

	reads, writes counter

	mu        lock.Mutex[lock.Leaf]
	b         binding // protected by mu
	going     bool    // protected by mu: it is unbound when it is next closed, and can't be used until then
	gone      bool    // protected by mu: it has been removed
	openers   int     // protected by mu
	holder    any     // protected by mu: who has it for himself; nil: nobody
	claims    int     // protected by mu: how often
	protected bool    // protected by mu: nothing can be written, as it was last bound
	guarded   bool    // protected by mu: nor as BLKROSET says
	block     uint32  // protected by mu
	soft      uint32  // protected by mu
	ahead     uint64  // protected by mu: in sectors
	sequence  uint64  // protected by mu: of the last binding
	mapped    bool    // protected by mu: what it is bound to has been mapped
}

// A binding is what a device is bound to. Who uses it has a copy, and the file held.
type binding struct {
	file   *vfs.FileDescription // nil: nothing
	offset uint64               // where in the file the device begins
	limit  uint64               // how long it may be; 0: any length
	size   uint64               // how long it is, in whole sectors
	flags  uint32               // LO_FLAGS_*
	name   [linux.LO_NAME_SIZE]byte
	crypt  [linux.LO_NAME_SIZE]byte
	init   [2]uint64
}

// A counter is of the calls and bytes of one direction.
type counter struct{ calls, bytes atomic.Uint64 }

func (n *counter) add(bytes int64) {
	n.calls.Add(1)
	n.bytes.Add(uint64(max(bytes, 0)))
}

func (n *counter) count() vfs.DiskCount {
	return vfs.DiskCount{Calls: n.calls.Load(), Sectors: n.bytes.Load() >> linux.SectorShift}
}

func newDevice(s *Set, n uint32) *device {
	return &device{set: s, n: n, block: defaultBlock, soft: defaultSoft, ahead: defaultAhead}
}

// taken reports whether it is bound.
func (d *device) taken() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.file != nil
}

// remove makes it gone, unless somebody uses it.
func (d *device) remove() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone = d.b.file == nil && d.openers == 0
	return d.gone
}

// open counts f. ENXIO; EBUSY.
func (d *device) open(f *file) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone || d.going {
		return linux.ENXIO
	}
	if f.excl {
		if err := d.claimLocked(f); err != nil {
			return err
		}
	}
	d.openers++
	return nil
}

// close undoes open. What is to be unbound is so with the last.
func (d *device) close(c vfs.Ctx, f *file) {
	d.mu.Lock()
	if f.excl {
		d.unclaimLocked(f)
	}
	d.openers--
	var was *vfs.FileDescription
	if d.openers == 0 {
		d.soft = defaultSoft
		if d.going || d.b.flags&linux.LO_FLAGS_AUTOCLEAR != 0 {
			was = d.b.file
			d.b, d.going, d.block, d.mapped = binding{}, false, defaultBlock, false
		}
	}
	d.mu.Unlock()
	if was != nil {
		was.Release(c)
	}
}

// Claim implements vfs.Disk.
func (d *device) Claim(holder any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.claimLocked(holder)
}

func (d *device) claimLocked(holder any) error {
	if d.holder != nil && d.holder != holder {
		return linux.EBUSY
	}
	d.holder = holder
	d.claims++
	return nil
}

// Unclaim implements vfs.Disk.
func (d *device) Unclaim(holder any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unclaimLocked(holder)
}

func (d *device) unclaimLocked(holder any) {
	if d.holder != holder {
		return
	}
	if d.claims--; d.claims == 0 {
		d.holder = nil
	}
}

// foreignLocked reports whether somebody else than f has it for himself.
func (d *device) foreignLocked(f *file) bool { return d.holder != nil && d.holder != f }

// Number implements vfs.Disk.
func (d *device) Number() uint64 { return linux.Makedev(linux.LOOP_MAJOR, d.n) }

// Bytes implements vfs.Disk.
func (d *device) Bytes() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.size
}

// WriteProtected implements vfs.Disk.
func (d *device) WriteProtected() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.protectedLocked()
}

func (d *device) protectedLocked() bool { return d.protected || d.guarded }

// use is the binding for a moment: give the file back. ok is false if there is none, or it
// is about to end.
func (d *device) use() (b binding, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.b.file == nil || d.going {
		return binding{}, false
	}
	d.b.file.IncRef()
	return d.b, true
}

// change lets f edit the binding that was used as b, unless it has become another: EBUSY.
func (d *device) change(b *binding, f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.b.file != b.file || d.going {
		return linux.EBUSY
	}
	return f()
}
