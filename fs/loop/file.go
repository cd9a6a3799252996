package loop

import (
	"sync/atomic"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A file is an open device.
type file struct {
	d      *device
	mode   linux.OpenFlags // of O_ACCMODE
	excl   bool            // O_EXCL: nobody else may have the device for himself
	direct atomic.Bool     // O_DIRECT: whole blocks only
}

// Disk implements vfs.DiskFile.
func (f *file) Disk() vfs.Disk { return f.d }

// Close implements vfs.File.
func (f *file) Close(c vfs.Ctx) { f.d.close(c, f) }

// SetFlags implements vfs.FlagSetter.
func (f *file) SetFlags(_ vfs.Ctx, flags linux.OpenFlags) error {
	f.direct.Store(flags&linux.O_DIRECT != 0)
	return nil
}

// aligned reports whether n bytes at off can be moved as the file was opened.
func (f *file) aligned(off, n int64) bool {
	if !f.direct.Load() {
		return true
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return (off|n)&int64(f.d.block-1) == 0
}

// Read implements vfs.File. EIO where the file below has become shorter.
func (f *file) Read(c vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	if !f.aligned(off, dst.Len()) {
		return 0, linux.EINVAL
	}
	b, ok := f.d.use()
	if !ok || uint64(off) >= b.size {
		if ok {
			b.file.Release(c)
		}
		return 0, nil
	}
	defer b.file.Release(c)
	dst = dst.Take(int64(min(uint64(dst.Len()), b.size-uint64(off))))
	done, err := all(dst, func(part usermem.Seq, done int64) (int64, error) {
		return b.file.ReadAt(c, part, int64(b.offset)+off+done)
	})
	f.d.reads.add(done)
	return done, err
}

// Write implements vfs.File. EPERM, ENOSPC at the end.
func (f *file) Write(c vfs.Ctx, src usermem.Seq, off int64) (int64, error) {
	b, ok := f.d.use()
	if ok {
		defer b.file.Release(c)
	}
	switch {
	case f.d.WriteProtected():
		return 0, linux.EPERM
	case src.Len() == 0:
		return 0, nil
	case !ok || uint64(off) >= b.size:
		return 0, linux.ENOSPC
	case !f.aligned(off, src.Len()):
		return 0, linux.EINVAL
	}
	src = src.Take(int64(min(uint64(src.Len()), b.size-uint64(off))))
	done, err := all(src, func(part usermem.Seq, done int64) (int64, error) {
		return b.file.WriteWith(c, part, int64(b.offset)+off+done, linux.RWF_NOAPPEND)
	})
	f.d.writes.add(done)
	return done, err
}

// all calls move for what is left of s until that is nothing. Progress wins over an error;
// what makes no progress is EIO.
func all(s usermem.Seq, move func(part usermem.Seq, done int64) (int64, error)) (done int64, err error) {
	for s.Len() > 0 {
		n, err := move(s, done)
		done += n
		switch {
		case done > 0 && (err != nil || n == 0):
			return done, nil
		case err == linux.EBADF, err == nil && n == 0:
			return 0, linux.EIO
		case err != nil:
			return 0, err
		}
		s = s.Skip(n)
	}
	return done, nil
}

// Seek implements vfs.Seeker: not beyond the end, and there are no holes.
func (f *file) Seek(_ vfs.Ctx, cur, off int64, whence int) (int64, error) {
	size := int64(f.d.Bytes())
	if whence > linux.SEEK_END {
		return 0, linux.EINVAL
	}
	n, err := vfs.SeekBySize(cur, off, whence, size)
	if err != nil || n > size {
		return 0, linux.EINVAL
	}
	return n, nil
}

// Sync implements vfs.Syncer.
func (f *file) Sync(c vfs.Ctx, dataOnly bool) error {
	b, ok := f.d.use()
	if !ok {
		return nil
	}
	defer b.file.Release(c)
	return b.file.Sync(c, dataOnly)
}

// Allocate implements vfs.Allocater: what can be emptied is. EINVAL unless it is whole
// sectors of the device, EOPNOTSUPP to make room, which all of it has.
func (f *file) Allocate(c vfs.Ctx, mode uint32, off, n int64) error {
	size := int64(f.d.Bytes())
	if off >= size {
		return linux.EINVAL
	}
	if end := off + n; end > size {
		if mode&linux.FALLOC_FL_KEEP_SIZE == 0 {
			return linux.EINVAL
		}
		n = size - off
	}
	if (off|n)&(linux.SectorSize-1) != 0 {
		return linux.EINVAL
	}
	switch mode {
	case linux.FALLOC_FL_ZERO_RANGE, linux.FALLOC_FL_ZERO_RANGE | linux.FALLOC_FL_KEEP_SIZE,
		linux.FALLOC_FL_PUNCH_HOLE | linux.FALLOC_FL_KEEP_SIZE:
		return f.empty(c, off, n)
	}
	return linux.EOPNOTSUPP
}

var zeros [64 << 10]byte

// empty makes a part of the device zeros: holes, if the file below can have some. EPERM.
func (f *file) empty(c vfs.Ctx, off, n int64) error {
	err := f.punch(c, off, n)
	if err != linux.EOPNOTSUPP {
		return err
	}
	for n > 0 {
		done, err := f.Write(c, usermem.FromBytes(zeros[:min(n, int64(len(zeros)))]), off)
		if err != nil {
			return err
		}
		off, n = off+done, n-done
		if vfs.Killed(c) {
			return linux.EINTR
		}
	}
	return nil
}

// punch makes a part of the device holes. EOPNOTSUPP if there can't be any, EPERM.
func (f *file) punch(c vfs.Ctx, off, n int64) error {
	if f.d.WriteProtected() {
		return linux.EPERM
	}
	b, ok := f.d.use()
	if !ok {
		return linux.EIO
	}
	defer b.file.Release(c)
	const hole = linux.FALLOC_FL_PUNCH_HOLE | linux.FALLOC_FL_KEEP_SIZE
	return b.file.Allocate(c, hole, int64(b.offset)+off, n)
}

// Mmap implements vfs.Mapper: what is mapped is the file below, if the device begins where
// that does. ENODEV if not, and beyond the device's end, where the file may go on; EINVAL for mappings that could write what can't be written.
func (f *file) Mmap(c vfs.Ctx, s vfs.MapSpec) (mm.Mappable, error) {
	b, ok := f.d.use()
	if !ok {
		return nil, linux.ENODEV
	}
	defer b.file.Release(c)
	x, ok := b.file.File().(vfs.Mapper)
	end := (b.size + arch.PageMask) &^ arch.PageMask
	if !ok || b.offset != 0 || s.Off > end || s.Len > end-s.Off {
		return nil, linux.ENODEV
	}
	if s.Shared && s.Max.Has(arch.Write) && (f.d.WriteProtected() || !b.file.MaxAccess(true).Has(arch.Write)) {
		return nil, linux.EINVAL
	}
	// From here on the file below must stay, as the mapping has only this one.
	if err := f.d.change(&b, func() error { f.d.mapped = true; return nil }); err != nil {
		return nil, err
	}
	return x.Mmap(c, s)
}
