package tmpfs

import (
	"math"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/memfile"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A regular is a regular file. It is a mm.Mappable.
type regular struct {
	inode
	mm.MappingSet

	// io is held while bytes are copied: for reading by those who need the pages
	// to stay, for writing by those who change the file, one at a time. Guest
	// memory is touched meanwhile, perhaps a mapping of this very file: the page
	// fault needs only mu.
	io lock.RWMutex[lock.Inode]

	data  data   // protected by mu; changed only with io held, but by page faults
	seals uint32 // F_SEAL_*; protected by mu
}

var (
	_ mm.Mappable = (*regular)(nil)
	_ mm.Remover  = (*regular)(nil)
	_ vfs.Sealer  = (*regular)(nil)
)

func newRegular(*filesystem) *regular { return &regular{seals: linux.F_SEAL_SEAL} }

// Drop implements vfs.Counted.
func (r *regular) Drop() { r.drop(r) }

// free gives the memory back. Nobody can reach the file any more.
func (r *regular) free() {
	r.mu.Lock()
	free := r.data.all(r.fs)
	r.mu.Unlock()
	for _, x := range free {
		r.fs.mem.DecRef(x)
	}
}

// Attr implements vfs.Inode.
func (r *regular) Attr(vfs.Ctx) (vfs.Attr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.attr
	a.Blocks = uint64(r.data.pages) * (arch.PageSize / 512)
	if r.data.mapped > 0 { // what is charged, guests may not have touched, and the other way round
		a.Blocks = uint64(r.data.blocks(r.fs.mem)) * (arch.PageSize / 512)
	}
	return a, nil
}

// SetAttr implements vfs.Inode.
func (r *regular) SetAttr(c vfs.Ctx, a *vfs.Attr, mask vfs.AttrMask) error {
	if mask&vfs.SetSize != 0 {
		if err := r.truncate(c, a.Size); err != nil {
			return err
		}
		mask &^= vfs.SetSize
	}
	if mask == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seals&linux.F_SEAL_EXEC != 0 && mask&vfs.SetMode != 0 && (r.attr.Mode^a.Mode)&0o111 != 0 {
		return linux.EPERM
	}
	r.setLocked(c, a, mask)
	return nil
}

func (r *regular) truncate(c vfs.Ctx, size int64) error {
	r.io.Lock()
	defer r.io.Unlock()
	r.mu.Lock()
	old := r.attr.Size
	if size < old && r.seals&linux.F_SEAL_SHRINK != 0 || size > old && r.seals&linux.F_SEAL_GROW != 0 {
		r.mu.Unlock()
		return linux.EPERM
	}
	r.attr.Size = size
	now := c.Now()
	r.attr.Mtime, r.attr.Ctime = now, now
	r.mu.Unlock()
	if size < old {
		r.zero(uint64(size), pageUp(uint64(size)))
		r.give(pageUp(uint64(size)), math.MaxInt64&^arch.PageMask, true)
	}
	return nil
}

func pageUp(n uint64) uint64 { return (n + arch.PageMask) &^ arch.PageMask }

// give takes the pages of [start, end), whole pages, away from the file, from all who
// map them, and gives them back, in this order. cows says that private copies go too.
func (r *regular) give(start, end uint64, cows bool) {
	r.mu.Lock()
	free, punch := r.data.drop(r.fs, start, end)
	r.mu.Unlock()
	r.Invalidate(r, start, end, cows)
	for _, x := range free {
		r.fs.mem.DecRef(x)
	}
	for _, x := range punch {
		r.fs.mem.Clear(x)
	}
}

// zero makes bytes [start, end) of one page zero, if they are data. io is held.
func (r *regular) zero(start, end uint64) {
	if start >= end {
		return
	}
	r.mu.Lock()
	n, _, _ := extentOf(start)
	e := r.data.at(n)
	data := e != nil && e.seek(r.fs.mem.Next, start, end, false) == start
	r.mu.Unlock()
	if data {
		memfile.Zero(r.fs.mem.Bytes(e.memory(start, end).Start, end-start))
	}
}

// Open implements vfs.Inode.
func (r *regular) Open(_ vfs.Ctx, f linux.OpenFlags) (vfs.File, error) {
	return &openFile{r, f.Writable()}, nil
}

// openFile is an open regular file.
type openFile struct {
	r        *regular
	writable bool
}

// Close implements vfs.File.
func (*openFile) Close(vfs.Ctx) {}

// zeros is what holes read as.
var zeros [arch.PageSize]byte

// Read implements vfs.File.
func (o *openFile) Read(_ vfs.Ctx, dst usermem.Seq, off int64) (total int64, err error) {
	r := o.r
	r.io.RLock()
	defer r.io.RUnlock()
	left := dst.Len()
	for left > 0 {
		b, n := r.piece(uint64(off), uint64(left))
		if n == 0 {
			break
		}
		var m int
		if b != nil {
			m, err = dst.CopyOut(b)
		} else {
			m, err = dst.CopyOut(zeros[:min(n, arch.PageSize)])
		}
		total, off, left = total+int64(m), off+int64(m), left-int64(m)
		if err != nil {
			break
		}
		if left > 0 {
			dst = dst.Skip(int64(m))
		}
	}
	if total > 0 {
		err = nil
	}
	return total, err
}

// piece is the kernel's view of what lies at off: at most n bytes, up to the end of the
// file. nil bytes are a hole.
func (r *regular) piece(off, n uint64) ([]byte, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if off >= uint64(r.attr.Size) {
		return nil, 0
	}
	n = min(n, uint64(r.attr.Size)-off)
	i, _, end := extentOf(off)
	n = min(n, end-off)
	e := r.data.at(i)
	if e == nil {
		return nil, n
	}
	n, data := e.run(r.fs.mem.Next, off, n)
	if !data {
		return nil, n
	}
	b := r.fs.mem.Bytes(e.mem.Start+off-e.start, n)
	return b, uint64(len(b))
}

// Write implements vfs.File.
func (o *openFile) Write(c vfs.Ctx, src usermem.Seq, off int64) (int64, error) {
	o.r.io.Lock()
	defer o.r.io.Unlock()
	return o.r.write(c, src, off)
}

// Append implements vfs.Appender.
func (o *openFile) Append(c vfs.Ctx, src usermem.Seq) (n, end int64, err error) {
	o.r.io.Lock()
	defer o.r.io.Unlock()
	o.r.mu.Lock()
	off := o.r.attr.Size
	o.r.mu.Unlock()
	n, err = o.r.write(c, src, off)
	return n, off + n, err
}

// write writes src at off. io is held.
func (r *regular) write(c vfs.Ctx, src usermem.Seq, off int64) (total int64, err error) {
	left := src.Len()
	if left == 0 {
		return 0, nil
	}
	for left > 0 {
		var b []byte
		if b, err = r.room(uint64(off), uint64(left)); len(b) == 0 {
			break
		}
		var m int
		m, err = src.CopyIn(b)
		total, off, left = total+int64(m), off+int64(m), left-int64(m)
		if err != nil {
			break
		}
		if left > 0 {
			src = src.Skip(int64(m))
		}
	}
	if total > 0 {
		now := c.Now()
		r.mu.Lock()
		r.attr.Size = max(r.attr.Size, off)
		r.attr.Mtime, r.attr.Ctime = now, now
		r.mu.Unlock()
		err = nil
	}
	return total, err
}

// room is the kernel's view of where at most n bytes at off are to be written.
func (r *regular) room(off, n uint64) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seals&(linux.F_SEAL_WRITE|linux.F_SEAL_FUTURE_WRITE) != 0 {
		return nil, linux.EPERM
	}
	if size := uint64(r.attr.Size); off+n > size && r.seals&linux.F_SEAL_GROW != 0 {
		// A write may go on to the end of the file's last page, as on Linux.
		if off >= size {
			return nil, linux.EPERM
		}
		n = size - off
	}
	_, _, end := extentOf(off)
	n = min(n, end-off)
	e, err := r.data.extent(r.fs, off)
	if err != nil {
		return nil, err
	}
	b := r.fs.mem.Bytes(e.mem.Start+off-e.start, n)
	if b == nil {
		return nil, linux.ENOMEM
	}
	if n, err = r.data.fill(r.fs, e, off, uint64(len(b))); n == 0 {
		return nil, err
	}
	e.written(off, n)
	return b[:n], nil
}

// Seek implements vfs.Seeker.
func (o *openFile) Seek(_ vfs.Ctx, cur, off int64, whence int) (int64, error) {
	o.r.mu.Lock()
	defer o.r.mu.Unlock()
	size := o.r.attr.Size
	if whence != linux.SEEK_DATA && whence != linux.SEEK_HOLE {
		return vfs.SeekBySize(cur, off, whence, size)
	}
	if off < 0 || off >= size {
		return 0, linux.ENXIO
	}
	n := o.r.data.next(o.r.fs.mem.Next, uint64(off), uint64(size), whence == linux.SEEK_HOLE)
	if whence == linux.SEEK_DATA && n >= uint64(size) {
		return 0, linux.ENXIO
	}
	return int64(n), nil
}

// Allocate implements vfs.Allocater.
func (o *openFile) Allocate(c vfs.Ctx, mode uint32, off, n int64) error {
	r := o.r
	r.io.Lock()
	defer r.io.Unlock()
	switch mode {
	case linux.FALLOC_FL_PUNCH_HOLE | linux.FALLOC_FL_KEEP_SIZE:
		r.mu.Lock()
		sealed := r.seals&(linux.F_SEAL_WRITE|linux.F_SEAL_FUTURE_WRITE) != 0
		r.mu.Unlock()
		if sealed {
			return linux.EPERM
		}
		r.punch(uint64(off), uint64(off+n))
	case 0, linux.FALLOC_FL_KEEP_SIZE: // as Linux has it, the limit is for both
		if err := vfs.CheckSize(c, off+n); err != nil {
			return err
		}
		if err := r.reserve(uint64(off), uint64(off+n)); err != nil {
			return err
		}
	default:
		return linux.EOPNOTSUPP
	}
	now := c.Now()
	r.mu.Lock()
	if mode == 0 {
		r.attr.Size = max(r.attr.Size, off+n)
	}
	r.attr.Mtime, r.attr.Ctime = now, now
	r.mu.Unlock()
	return nil
}

// punch makes [start, end) a hole. io is held.
func (r *regular) punch(start, end uint64) {
	from, to := pageUp(start), end&^arch.PageMask
	if from > to {
		r.zero(start, end) // within a page
		return
	}
	r.zero(start, from)
	r.zero(to, end)
	if from < to {
		r.give(from, to, false)
	}
}

// reserve charges the pages of [start, end): ENOSPC, and then none. io is held.
func (r *regular) reserve(start, end uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seals&linux.F_SEAL_GROW != 0 && end > uint64(r.attr.Size) {
		return linux.EPERM
	}
	need := r.data.lacks(r.fs, start, end)
	if need > 0 && (need > r.fs.most()-r.fs.pages.Load() || !r.fs.charge(need)) {
		return linux.ENOSPC
	}
	defer func() { r.fs.uncharge(need) }() // what is left
	for off := start; off < end; {
		_, _, next := extentOf(off)
		e, err := r.data.extent(r.fs, off)
		if err != nil {
			return err
		}
		need -= r.data.reserve(e, off, min(next, end))
		off = next
	}
	return nil
}

// Sync implements vfs.Syncer: memory needs no writing back.
func (*openFile) Sync(vfs.Ctx, bool) error { return nil }
