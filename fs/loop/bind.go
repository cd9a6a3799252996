package loop

import (
	"slices"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// backing is the file that c has open as fd, held, for d to be bound to. EBADF, also for d
// itself; EINVAL if it is neither a regular file nor a loop device that is bound.
func (d *device) backing(c vfs.Ctx, fd uint32) (*vfs.FileDescription, error) {
	t, ok := kernel.Caller(c)
	if !ok {
		return nil, linux.EBADF
	}
	f, err := t.File(kernel.FD(int32(fd)))
	if err != nil {
		return nil, linux.EBADF
	}
	err = error(nil)
	if f.IsPath() {
		err = linux.EBADF
	} else if l, ok := f.File().(*file); ok {
		switch {
		case l.d == d:
			err = linux.EBADF
		case !l.d.taken():
			err = linux.EINVAL
		}
	} else if f.Path().Type() != linux.S_IFREG {
		err = linux.EINVAL
	}
	if err != nil {
		f.Release(c)
		return nil, err
	}
	return f, nil
}

// A search is for whether something lies on a device, whatever is between them. The set's
// bind is held, and what the search begins at, so that all that this lies on lives.
type search struct {
	d    *device
	seen map[any]bool // devices and filesystems that have been looked at
}

// lies reports whether f lies on d.
func (d *device) lies(f *vfs.FileDescription) bool {
	return (&search{d, map[any]bool{}}).file(f)
}

func (s *search) file(f *vfs.FileDescription) bool {
	l, ok := f.File().(*file)
	switch {
	case !ok:
		return s.filesystem(f.Path().Filesystem())
	case l.d == s.d:
		return true
	case s.seen[l.d]:
		return false
	}
	s.seen[l.d] = true
	l.d.mu.Lock()
	below := l.d.b.file
	l.d.mu.Unlock()
	return below != nil && s.file(below)
}

func (s *search) filesystem(fs *vfs.Filesystem) bool {
	if s.seen[fs] {
		return false
	}
	s.seen[fs] = true
	if f := fs.Disk(); f != nil && s.file(f) {
		return true
	}
	return slices.ContainsFunc(fs.Below(), s.filesystem)
}

// length is how many bytes a device has that shows b, in whole sectors.
func length(c vfs.Ctx, b *binding) (uint64, error) {
	size := uint64(0)
	if l, ok := b.file.File().(*file); ok {
		size = l.d.Bytes()
	} else {
		a, err := b.file.Attr(c)
		if err != nil {
			return 0, err
		}
		size = uint64(max(a.Size, 0))
	}
	size -= min(size, b.offset)
	if b.limit != 0 {
		size = min(size, b.limit)
	}
	return size &^ (linux.SectorSize - 1), nil
}

// configure binds f's device as k says: LOOP_SET_FD, LOOP_CONFIGURE.
func (f *file) configure(c vfs.Ctx, k *linux.LoopConfig) (err error) {
	back, err := f.d.backing(c, k.FD)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			back.Release(c)
		}
	}()
	d := f.d
	if !d.bindable(f) {
		return linux.EBUSY
	}
	const known = linux.LO_FLAGS_READ_ONLY | linux.LO_FLAGS_AUTOCLEAR | linux.LO_FLAGS_PARTSCAN | linux.LO_FLAGS_DIRECT_IO
	b := binding{file: back, flags: k.Info.Flags}
	if k.Info.Flags&^known != 0 {
		return linux.EINVAL
	}
	if err := b.take(&k.Info); err != nil {
		return err
	}
	if k.BlockSize != 0 && !validBlock(uint64(k.BlockSize)) {
		return linux.EINVAL
	}
	if !back.Flags().Writable() || f.mode == linux.O_RDONLY {
		b.flags |= linux.LO_FLAGS_READ_ONLY
	}
	if b.size, err = length(c, &b); err != nil {
		return err
	}
	if err := b.partitions(c); err != nil {
		return err
	}
	d.set.bind.Lock()
	defer d.set.bind.Unlock()
	if d.lies(back) {
		return linux.EBADF
	}
	return d.bindTo(f, &b, max(k.BlockSize, defaultBlock))
}

// bindable reports whether f could bind the device now.
func (d *device) bindable(f *file) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.file == nil && !d.foreignLocked(f)
}

// bindTo binds it: EBUSY if somebody else has.
func (d *device) bindTo(f *file, b *binding, block uint32) error {
	sequence := d.set.next()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.b.file != nil || d.foreignLocked(f) {
		return linux.EBUSY
	}
	d.b, d.block, d.sequence, d.mapped = *b, block, sequence, false
	d.protected = b.flags&linux.LO_FLAGS_READ_ONLY != 0
	return nil
}

// changeFD binds it to another file that is as long: LOOP_CHANGE_FD. ENXIO; EINVAL if it
// can be written; EBUSY if somebody maps the old one, whose memory must stay.
func (f *file) changeFD(c vfs.Ctx, fd uint32) error {
	back, err := f.d.backing(c, fd)
	if err != nil {
		return err
	}
	give := back // back, or what it takes the place of
	defer func() { give.Release(c) }()
	old, ok := f.d.use()
	if !ok {
		return linux.ENXIO
	}
	defer old.file.Release(c)
	if old.flags&linux.LO_FLAGS_READ_ONLY == 0 {
		return linux.EINVAL
	}
	b := old
	b.file = back
	if b.size, err = length(c, &b); err != nil {
		return err
	}
	was := old
	if was.size, err = length(c, &was); err != nil {
		return err
	}
	f.d.set.bind.Lock()
	defer f.d.set.bind.Unlock()
	if f.d.lies(back) {
		return linux.EBADF
	}
	if b.size != was.size {
		return linux.EINVAL
	}
	return f.d.change(&old, func() error {
		if f.d.mapped {
			return linux.EBUSY
		}
		f.d.b.file, give = back, old.file
		return nil
	})
}

// clear is LOOP_CLR_FD: at the last close. ENXIO.
func (f *file) clear() error {
	d := f.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.b.file == nil || d.going {
		return linux.ENXIO
	}
	d.b.flags |= linux.LO_FLAGS_AUTOCLEAR
	d.going = d.openers == 1
	return nil
}

// partitions is EINVAL if b is to show partitions and has some, as none are shown here.
func (b *binding) partitions(c vfs.Ctx) error {
	if b.flags&linux.LO_FLAGS_PARTSCAN == 0 {
		return nil
	}
	head := make([]byte, 2*linux.SectorSize)
	n, err := b.file.ReadAt(c, usermem.FromBytes(head), int64(b.offset))
	if err != nil {
		return linux.EIO
	}
	if tabled(head[:n]) {
		return linux.EINVAL
	}
	return nil
}

// tabled reports whether a disk that begins with b has a table of partitions: a GUID
// partition table, or a boot record with an entry that is one.
func tabled(b []byte) bool {
	const table, entry, entries, end = 446, 16, 4, 510
	if len(b) >= linux.SectorSize+8 && string(b[linux.SectorSize:][:8]) == "EFI PART" {
		return true
	}
	if len(b) < linux.SectorSize || b[end] != 0x55 || b[end+1] != 0xaa {
		return false
	}
	used := false
	for i := range entries {
		e := b[table+i*entry:][:entry]
		if e[0]&0x7f != 0 {
			return false // boot code: the record of a filesystem
		}
		used = used || e[4] != 0
	}
	return used
}
