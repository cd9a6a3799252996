package proc

import (
	"encoding/binary"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// openMem opens /proc/pid/mem.
func openMem(p *process, c vfs.Ctx, _ linux.OpenFlags) (vfs.File, error) {
	if err := traced(p, c); err != nil {
		return nil, err
	}
	m := p.memory()
	if m == nil {
		return nil, linux.ESRCH
	}
	m.DecUsers() // the file does not keep the memory alive, it only remembers whose it is
	return &mem{m}, nil
}

// memChunk is how much one step moves.
const memChunk = 64 << 10

// A mem is the memory of a process as a file; after its execve or end it is empty.
type mem struct{ space *mm.Space }

// Read implements vfs.File.
func (f *mem) Read(_ vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	return f.move(dst.Len(), off, func(m usermem.Memory, at arch.Addr, done int64, buf []byte) (int, error) {
		n, err := m.CopyIn(buf, at)
		if n == 0 {
			return 0, readError(err)
		}
		return dst.Skip(done).CopyOut(buf[:n])
	})
}

// Write implements vfs.File.
func (f *mem) Write(_ vfs.Ctx, src usermem.Seq, off int64) (int64, error) {
	return f.move(src.Len(), off, func(m usermem.Memory, at arch.Addr, done int64, buf []byte) (int, error) {
		if _, err := src.Skip(done).CopyIn(buf); err != nil {
			return 0, err
		}
		n, err := m.CopyOut(at, buf)
		if n == 0 {
			return 0, readError(err)
		}
		return n, nil
	})
}

// readError is what an address that is not mapped is through the file: EIO.
func readError(err error) error {
	if err == linux.EFAULT {
		return linux.EIO
	}
	return err
}

// move calls step for a piece after the other, page by page so that what is there
// is moved before what is not stops it.
func (f *mem) move(n, off int64, step func(m usermem.Memory, at arch.Addr, done int64, buf []byte) (int, error)) (int64, error) {
	if !f.space.IncUsers() {
		return 0, nil
	}
	defer f.space.DecUsers()
	m := f.space.Forced()
	buf := make([]byte, min(n, memChunk))
	total := int64(0)
	for total < n {
		at := arch.Addr(off + total)
		size := min(n-total, int64(arch.PageSize-at.Offset()), memChunk)
		k, err := step(m, at, total, buf[:size])
		if total += int64(k); err != nil {
			if total > 0 {
				err = nil
			}
			return total, err
		}
		if int64(k) < size {
			break
		}
	}
	return total, nil
}

// Seek implements vfs.Seeker: every 64-bit offset is an address.
func (*mem) Seek(_ vfs.Ctx, cur, off int64, whence int) (int64, error) {
	switch whence {
	case linux.SEEK_SET:
		return off, nil
	case linux.SEEK_CUR:
		return cur + off, nil
	}
	return 0, linux.EINVAL
}

// Close implements vfs.File.
func (*mem) Close(vfs.Ctx) {}

// openPagemap opens /proc/pid/pagemap.
func openPagemap(p *process, c vfs.Ctx, _ linux.OpenFlags) (vfs.File, error) {
	if err := traced(p, c); err != nil {
		return nil, err
	}
	m := p.memory()
	if m == nil {
		return nil, linux.ESRCH
	}
	m.DecUsers()
	return &pagemap{m}, nil
}

// A pagemap has 64 bits for each page: whether it is there. Frame numbers are 0, as
// for those without CAP_SYS_ADMIN: there are none to tell.
type pagemap struct{ space *mm.Space }

// Bits of an entry, Documentation/admin-guide/mm/pagemap.rst.
const (
	pagemapFile    = 1 << 61
	pagemapPresent = 1 << 63
)

// Read implements vfs.File.
func (f *pagemap) Read(_ vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	if off%8 != 0 || dst.Len()%8 != 0 {
		return 0, linux.EINVAL
	}
	const entries = 4096
	first, n := uint64(off/8), uint64(min(dst.Len()/8, entries))
	limit := uint64(1) << (47 - arch.PageShift)
	if first >= limit || !f.space.IncUsers() {
		return 0, nil
	}
	defer f.space.DecUsers()
	n = min(n, limit-first)
	buf := make([]byte, n*8)
	want := arch.Range{Start: arch.Addr(first << arch.PageShift), End: arch.Addr((first + n) << arch.PageShift)}
	for _, r := range f.space.Regions(false) {
		part := r.Range.Intersect(want)
		if part.Len() == 0 {
			continue
		}
		in, err := f.space.Incore(part.Start, part.Len(), nil)
		if err != nil {
			continue // unmapped since
		}
		for i, b := range in {
			if b&1 == 0 {
				continue
			}
			e := uint64(pagemapPresent)
			if r.File || r.Shared {
				e |= pagemapFile
			}
			at := uint64(part.Start-want.Start)>>arch.PageShift + uint64(i)
			binary.LittleEndian.PutUint64(buf[at*8:], e)
		}
	}
	done, err := dst.CopyOut(buf)
	return int64(done), err
}

// Write implements vfs.File.
func (*pagemap) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EINVAL }

// Close implements vfs.File.
func (*pagemap) Close(vfs.Ctx) {}
