package vfs

import (
	"math"

	"garrison/sentry/limits"
	"garrison/sentry/linux"
)

// Seek is lseek(2).
func (d *FileDescription) Seek(c Ctx, off int64, whence int) (int64, error) {
	if d.IsPath() {
		return 0, linux.EBADF
	}
	if whence < linux.SEEK_SET || whence > linux.SEEK_HOLE {
		return 0, linux.EINVAL
	}
	if _, ok := d.file.(Seeker); d.stream && !ok {
		return 0, linux.ESPIPE
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.seek(c, off, whence)
	if err == nil {
		d.off.Store(n)
	}
	return n, err
}

// seek is where lseek(2) leads. d.mu is held.
func (d *FileDescription) seek(c Ctx, off int64, whence int) (int64, error) {
	if x, ok := d.file.(Seeker); ok {
		return x.Seek(c, d.off.Load(), off, whence)
	}
	size := int64(0)
	if whence >= linux.SEEK_END {
		if d.path.IsDir() {
			if whence > linux.SEEK_END {
				return 0, linux.EINVAL
			}
			size = math.MaxInt64
		} else {
			a, err := d.Attr(c)
			if err != nil {
				return 0, err
			}
			size = a.Size
		}
	}
	return SeekBySize(d.off.Load(), off, whence, size)
}

// SeekBySize is lseek(2) in a file of size bytes without holes.
func SeekBySize(cur, off int64, whence int, size int64) (int64, error) {
	base := int64(0)
	switch whence {
	case linux.SEEK_CUR:
		base = cur
	case linux.SEEK_END:
		base = size
	case linux.SEEK_DATA, linux.SEEK_HOLE:
		if off < 0 || off >= size {
			return 0, linux.ENXIO
		}
		if whence == linux.SEEK_HOLE {
			return size, nil
		}
		return off, nil
	}
	n := base + off
	if off > 0 && n < base {
		return 0, linux.EOVERFLOW
	}
	if n < 0 {
		return 0, linux.EINVAL
	}
	return n, nil
}

// List is getdents(2): it calls f for each entry from the offset on, "." and ".."
// first, until f returns false, and leaves the offset at the entry that did not fit.
// f is called with the offset locked: it must not touch guest memory.
func (d *FileDescription) List(c Ctx, f func(Dirent) bool) error {
	if d.IsPath() {
		return linux.EBADF
	}
	x, ok := d.file.(Lister)
	if !ok {
		return linux.ENOTDIR
	}
	if err := d.ask(c, linux.FAN_ACCESS_PERM); err != nil {
		return err
	}
	if d.path.d.deleted.Load() {
		return linux.ENOENT
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for off := d.off.Load(); off < FirstEntry; off = d.off.Add(1) {
		e := Dirent{Name: ".", Type: linux.DT_DIR, Next: off + 1}
		node := d.path.d
		if off == 1 {
			e.Name = ".."
			if up := node.place.Load().parent; up != nil && node != d.path.mnt.root {
				node = up
			}
		}
		var err error
		if e.Ino, err = InodeNumber(c, node.node); err != nil {
			return err
		}
		if !f(e) {
			return nil
		}
	}
	err := x.List(c, d.off.Load(), func(e Dirent) bool {
		if !f(e) {
			return false
		}
		d.off.Store(e.Next)
		return true
	})
	d.path.touch(c, d.Flags())
	d.notify(c, linux.FAN_ACCESS)
	return err
}

// InodeNumber is all that a listing needs to know of a directory: who removes a tree lists
// directories whose parents have just changed, and may be expensive to look at.
func InodeNumber(c Ctx, node Inode) (uint64, error) {
	a, err := BasicAttr(c, node)
	if err == nil && a.Ino == 0 {
		a, err = node.Attr(c)
	}
	return a.Ino, err
}

// Truncate is ftruncate(2). EINVAL if it is no regular file open for writing.
func (d *FileDescription) Truncate(c Ctx, size int64) error {
	f := d.Flags()
	switch {
	case f&linux.O_PATH != 0:
		return linux.EBADF
	case size < 0, d.path.d.typ != linux.S_IFREG, !f.Writable():
		return linux.EINVAL
	}
	if err := CheckSize(c, size); err != nil {
		return err
	}
	set := d.path.d.node.SetAttr
	if x, ok := d.file.(Truncater); ok {
		set = x.Truncate
	}
	if err := truncateBy(c, d.path.d.node, size, set); err != nil {
		return err
	}
	d.path.notify(c, linux.FAN_MODIFY)
	return nil
}

// CheckSize holds a file's new size against RLIMIT_FSIZE: EFBIG, with SIGXFSZ.
func CheckSize(c Ctx, size int64) error {
	if limit := c.Limit(limits.FSize); uint64(size) > limit {
		c.Raise(linux.SIGXFSZ)
		return linux.EFBIG
	}
	return nil
}

// CheckGrowth is CheckSize for fallocate(2) up to end as most filesystems have it: the
// limit is for what may change the size.
func CheckGrowth(c Ctx, mode uint32, end int64) error {
	if mode != 0 && mode != linux.FALLOC_FL_ZERO_RANGE {
		return nil
	}
	return CheckSize(c, end)
}

// truncate sets a file's size, and takes its set-id bits away.
func truncate(c Ctx, node Inode, size int64) error { return truncateBy(c, node, size, node.SetAttr) }

func truncateBy(c Ctx, node Inode, size int64, setAttr func(Ctx, *Attr, AttrMask) error) error {
	a, err := node.Attr(c)
	if err != nil {
		return err
	}
	if a.Mode&0o111 != 0 {
		stripCaps(c, node)
	}
	set, mask := Attr{Size: size}, SetSize
	if mode, ok := killPrivileges(c, &a); ok {
		set.Mode, mask = mode, mask|SetMode
	}
	err = setAttr(c, &set, mask)
	if err == nil && mask&SetMode == 0 && a.Mode&(linux.S_ISUID|linux.S_ISGID) != 0 {
		keepSetIDs(c, node, a.Mode.Perm())
	}
	return err
}

// Allocate is fallocate(2).
func (d *FileDescription) Allocate(c Ctx, mode uint32, off, n int64) error {
	switch {
	case d.IsPath():
		return linux.EBADF
	case off < 0 || n <= 0:
		return linux.EINVAL
	case !validAllocate(mode):
		return linux.EOPNOTSUPP
	case !d.Flags().Writable():
		return linux.EBADF
	case d.path.d.typ == linux.S_IFIFO:
		return linux.ESPIPE
	case d.path.IsDir():
		return linux.EISDIR
	case d.path.d.typ != linux.S_IFREG && d.path.d.typ != linux.S_IFBLK:
		return linux.ENODEV
	case off+n < 0:
		return linux.EFBIG
	}
	x, ok := d.file.(Allocater)
	if !ok {
		return linux.EOPNOTSUPP
	}
	err := x.Allocate(c, mode, off, n)
	if err == nil {
		d.notify(c, linux.FAN_MODIFY)
	}
	return err
}

// validAllocate reports whether mode is a combination that fallocate(2) knows.
func validAllocate(mode uint32) bool {
	const keep, punch, zero = linux.FALLOC_FL_KEEP_SIZE, linux.FALLOC_FL_PUNCH_HOLE, linux.FALLOC_FL_ZERO_RANGE
	switch mode {
	case 0, keep, punch | keep, zero, zero | keep, linux.FALLOC_FL_COLLAPSE_RANGE, linux.FALLOC_FL_INSERT_RANGE,
		linux.FALLOC_FL_UNSHARE_RANGE, linux.FALLOC_FL_UNSHARE_RANGE | keep:
		return true
	}
	return false
}

// Sync is fsync(2) or fdatasync(2). EINVAL for what can't be written back.
func (d *FileDescription) Sync(c Ctx, dataOnly bool) error {
	if d.IsPath() {
		return linux.EBADF
	}
	if x, ok := d.file.(Syncer); ok {
		return x.Sync(c, dataOnly)
	}
	switch d.path.d.typ {
	case linux.S_IFREG, linux.S_IFDIR:
		return nil
	}
	return linux.EINVAL
}
