package fuse

import (
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Truncate implements vfs.Truncater: ftruncate(2), of which the server knows the open file.
func (f *file) Truncate(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	return f.i.setAttr(c, f, a, mask)
}

// Allocate implements vfs.Allocater.
func (f *file) Allocate(c vfs.Ctx, mode uint32, off, n int64) error {
	const known = linux.FALLOC_FL_KEEP_SIZE | linux.FALLOC_FL_PUNCH_HOLE | linux.FALLOC_FL_ZERO_RANGE
	m := f.i.m
	if mode&^known != 0 || !m.has(linux.FUSE_FALLOCATE) {
		return linux.EOPNOTSUPP
	}
	if err := vfs.CheckGrowth(c, mode, off+n); err != nil {
		return err
	}
	if err := f.i.writing.begin(c); err != nil {
		return err
	}
	defer f.i.writing.end()
	in := linux.FuseFallocateIn{FH: f.fh, Offset: uint64(off), Length: uint64(n), Mode: mode}
	_, err := m.call(c, ask(linux.FUSE_FALLOCATE, f.i.id, raw(in)))
	if m.lacks(linux.FUSE_FALLOCATE, err) {
		return linux.EOPNOTSUPP
	}
	if err != nil {
		return err
	}
	if mode&linux.FALLOC_FL_KEEP_SIZE == 0 {
		f.i.wrote(off+n, nil)
	}
	f.i.expire()
	f.i.store.age(uint64(off), uint64(off+n))
	return nil
}

// Seek implements vfs.Seeker.
func (f *file) Seek(c vfs.Ctx, cur, off int64, whence int) (int64, error) {
	m := f.i.m
	switch whence {
	case linux.SEEK_SET, linux.SEEK_CUR:
		return vfs.SeekBySize(cur, off, whence, 0)
	case linux.SEEK_DATA, linux.SEEK_HOLE:
		if !m.has(linux.FUSE_LSEEK) {
			break
		}
		in := linux.FuseLseekIn{FH: f.fh, Offset: uint64(off), Whence: uint32(whence)}
		o, err := callFor[linux.FuseLseekOut](m, c, ask(linux.FUSE_LSEEK, f.i.id, raw(in)))
		if m.lacks(linux.FUSE_LSEEK, err) {
			break
		}
		if err == nil && o.Offset > maxSize {
			err = linux.EINVAL
		}
		return int64(o.Offset), err
	}
	size, err := f.i.size(c, maxSize)
	if err != nil {
		return 0, err
	}
	return vfs.SeekBySize(cur, off, whence, size)
}

// CopyTo implements vfs.Copier: copy_file_range(2) between files of one server, which
// copies without showing the data to the kernel. EXDEV, EOPNOTSUPP: it must be read and
// written.
func (f *file) CopyTo(c vfs.Ctx, off int64, to vfs.File, at, n int64) (int64, error) {
	m := f.i.m
	out, ok := to.(*file)
	if !ok || out.i.m != m {
		return 0, linux.EXDEV
	}
	if !m.has(linux.FUSE_COPY_FILE_RANGE) {
		return 0, linux.EOPNOTSUPP
	}
	if err := out.i.writing.begin(c); err != nil {
		return 0, err
	}
	defer out.i.writing.end()
	n = min(n, 1<<31)
	in := linux.FuseCopyFileRangeIn{
		FHIn: f.fh, OffIn: uint64(off), NodeOut: out.i.id, FHOut: out.fh, OffOut: uint64(at), Len: uint64(n),
	}
	o, err := callFor[linux.FuseWriteOut](m, c, ask(linux.FUSE_COPY_FILE_RANGE, f.i.id, raw(in)))
	if m.lacks(linux.FUSE_COPY_FILE_RANGE, err) {
		return 0, linux.EOPNOTSUPP
	}
	if err == nil && int64(o.Size) > n {
		err = linux.EIO
	}
	if err != nil {
		return 0, err
	}
	out.i.wrote(at+int64(o.Size), nil)
	out.i.store.age(uint64(at), uint64(at+int64(o.Size)))
	return int64(o.Size), nil
}

// Ioctl implements vfs.Control.
func (f *file) Ioctl(c vfs.Ctx, mem usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	return f.i.ioctl(c, mem, linux.FuseIoctlIn{FH: f.fh, Cmd: cmd, Arg: arg})
}

// The parts of an ioctl's number, <asm-generic/ioctl.h>, and the answer's flag that wants
// more memory to be looked at.
const (
	iocSizeShift = 16
	iocSizeMask  = 1<<14 - 1
	iocWrite     = 1 << 30
	iocRead      = 1 << 31
	ioctlRetry   = 1 << 0
)

// ioctl asks the server: it sees the memory that cmd itself tells of, and no other.
func (i *inode) ioctl(c vfs.Ctx, mem usermem.Memory, in linux.FuseIoctlIn) (uint64, error) {
	m := i.m
	if !m.admits(c) {
		return 0, linux.EACCES
	}
	if !m.has(linux.FUSE_IOCTL) {
		return 0, linux.ENOTTY
	}
	n := uint64(in.Cmd >> iocSizeShift & iocSizeMask)
	at := usermem.Ptr[byte](in.Arg)
	var data []byte
	if in.Cmd&iocWrite != 0 && n != 0 {
		var err error
		if data, err = at.LoadSlice(mem, int(n)); err != nil {
			return 0, err
		}
	}
	in.InSize = uint32(len(data))
	if in.Cmd&iocRead != 0 {
		in.OutSize = uint32(n)
	}
	r := ask(linux.FUSE_IOCTL, i.id, raw(in), data)
	r.fixed, r.extra = sizeOf[linux.FuseIoctlOut](), int(in.OutSize)
	b, err := m.call(c, r)
	if m.lacks(linux.FUSE_IOCTL, err) {
		return 0, linux.ENOTTY
	}
	if err != nil {
		return 0, err
	}
	o := decode[linux.FuseIoctlOut](b)
	switch {
	case o.Flags&ioctlRetry != 0, o.Result <= -4096:
		return 0, linux.EIO
	case o.Result < 0:
		return 0, linux.Errno(-o.Result)
	}
	if b = b[r.fixed:]; len(b) != 0 {
		if err := at.StoreSlice(mem, b); err != nil {
			return 0, err
		}
	}
	return uint64(o.Result), nil
}
