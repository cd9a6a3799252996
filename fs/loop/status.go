package loop

import (
	"math"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// take takes what i says of a binding, but for flags. EINVAL for ciphers, EOVERFLOW.
func (b *binding) take(i *linux.LoopInfo64) error {
	switch {
	case i.EncryptKeySize > linux.LO_KEY_SIZE, i.EncryptType != 0:
		return linux.EINVAL
	case i.Offset > math.MaxInt64, i.SizeLimit > math.MaxInt64:
		return linux.EOVERFLOW
	}
	b.offset, b.limit = i.Offset, i.SizeLimit
	b.name, b.crypt, b.init = i.FileName, i.CryptName, i.Init
	b.name[len(b.name)-1], b.crypt[len(b.crypt)-1] = 0, 0
	return nil
}

// setStatus is LOOP_SET_STATUS64. ENXIO.
func (f *file) setStatus(c vfs.Ctx, i *linux.LoopInfo64) error {
	old, ok := f.d.use()
	if !ok {
		return linux.ENXIO
	}
	defer old.file.Release(c)
	// What can be changed so, and what of it can be taken back.
	const settable, clearable = linux.LO_FLAGS_AUTOCLEAR | linux.LO_FLAGS_PARTSCAN, linux.LO_FLAGS_AUTOCLEAR
	b := old
	if err := b.take(i); err != nil {
		return err
	}
	b.flags = i.Flags&settable | old.flags&^clearable
	if b.flags&^old.flags&linux.LO_FLAGS_PARTSCAN != 0 {
		if err := b.partitions(c); err != nil {
			return err
		}
	}
	if b.offset != old.offset || b.limit != old.limit {
		var err error
		if b.size, err = length(c, &b); err != nil {
			return err
		}
	}
	return f.d.change(&old, func() error {
		if f.d.mapped && b.offset != old.offset {
			return linux.EBUSY // maps are of a file from its beginning on
		}
		f.d.b = b
		return nil
	})
}

// status is LOOP_GET_STATUS64. ENXIO.
func (f *file) status(c vfs.Ctx) (i linux.LoopInfo64, err error) {
	b, ok := f.d.use()
	if !ok {
		return i, linux.ENXIO
	}
	defer b.file.Release(c)
	a, err := b.file.Attr(c)
	if err != nil {
		return i, err
	}
	i = linux.LoopInfo64{
		Device: a.Dev, Inode: a.Ino, Offset: b.offset, SizeLimit: b.limit,
		Number: f.d.n, Flags: b.flags, FileName: b.name, CryptName: b.crypt, Init: b.init,
	}
	if a.Mode.Type() == linux.S_IFBLK {
		i.RDevice = a.Rdev
	}
	return i, nil
}

// widen is i as LOOP_SET_STATUS has it.
func widen(i *linux.LoopInfo) linux.LoopInfo64 {
	return linux.LoopInfo64{
		Number: uint32(i.Number), Device: i.Device, Inode: i.Inode, RDevice: i.RDevice,
		Offset: uint64(int64(i.Offset)), EncryptType: uint32(i.EncryptType), EncryptKeySize: uint32(i.EncryptKeySize),
		Flags: uint32(i.Flags), FileName: i.Name, EncryptKey: i.EncryptKey, Init: i.Init,
	}
}

// narrow is i as LOOP_GET_STATUS has it. EOVERFLOW.
func narrow(i *linux.LoopInfo64) (linux.LoopInfo, error) {
	if i.Offset > math.MaxInt32 {
		return linux.LoopInfo{}, linux.EOVERFLOW
	}
	return linux.LoopInfo{
		Number: int32(i.Number), Device: i.Device, Inode: i.Inode, RDevice: i.RDevice, Offset: int32(i.Offset),
		Flags: int32(i.Flags), Name: i.FileName, Init: i.Init,
	}, nil
}

// setOld and getOld are LOOP_SET_STATUS and LOOP_GET_STATUS.
func (f *file) setOld(c vfs.Ctx, m usermem.Memory, p usermem.Ptr[linux.LoopInfo]) error {
	i, err := p.Load(m)
	if err != nil {
		return err
	}
	wide := widen(&i)
	return f.setStatus(c, &wide)
}

func (f *file) getOld(c vfs.Ctx, m usermem.Memory, p usermem.Ptr[linux.LoopInfo]) error {
	wide, err := f.status(c)
	if err != nil {
		return err
	}
	i, err := narrow(&wide)
	if err != nil {
		return err
	}
	return p.Store(m, &i)
}

// setCapacity is LOOP_SET_CAPACITY: the device is as long as the file now allows. ENXIO.
func (f *file) setCapacity(c vfs.Ctx) error {
	b, ok := f.d.use()
	if !ok {
		return linux.ENXIO
	}
	defer b.file.Release(c)
	size, err := length(c, &b)
	if err != nil {
		return err
	}
	return f.d.change(&b, func() error { f.d.b.size = size; return nil })
}

// setDirect is LOOP_SET_DIRECT_IO, which makes no difference where nothing is cached. ENXIO.
func (f *file) setDirect(on bool) error {
	d := f.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.b.file == nil || d.going {
		return linux.ENXIO
	}
	d.b.flags &^= linux.LO_FLAGS_DIRECT_IO
	if on {
		d.b.flags |= linux.LO_FLAGS_DIRECT_IO
	}
	return nil
}

// setBlock is LOOP_SET_BLOCK_SIZE. EBUSY, ENXIO, EINVAL.
func (f *file) setBlock(n uint64) error {
	d := f.d
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.foreignLocked(f):
		return linux.EBUSY
	case d.b.file == nil || d.going:
		return linux.ENXIO
	case !validBlock(n):
		return linux.EINVAL
	}
	d.block = uint32(n)
	return nil
}

func validBlock(n uint64) bool {
	return n >= linux.SectorSize && n <= maxBlock && n&(n-1) == 0
}
