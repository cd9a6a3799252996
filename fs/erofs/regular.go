package erofs

import (
	"sort"
	"sync"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/memfile"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A regular is a regular file. What of it lies in blocks of a host's file is mapped from
// there; the rest, a few bytes behind the inode, holes, and all of an image that is the
// guest's file, is copied to memory when somebody first maps the file.
type regular struct {
	file
	mm.MappingSet

	copying sync.Mutex // held while the copy is made
	mu      lock.Mutex[lock.FileData]
	runs    []piece       // protected by mu: where all is, in order; nil until it is mapped
	copied  memfile.Range // protected by mu: as long as the file
}

// A piece is a part of a file, of whole pages, from off on: at is where the image has it.
type piece struct {
	off, end uint64
	at       uint64
	copied   bool // or the copy
}

// Open implements vfs.Inode.
func (r *regular) Open(_ vfs.Ctx, flags linux.OpenFlags) (vfs.File, error) {
	if flags.Writable() {
		return nil, linux.EROFS
	}
	return openFile{r}, nil
}

// An openFile is an open regular file.
type openFile struct{ r *regular }

// Close implements vfs.File.
func (openFile) Close(vfs.Ctx) {}

// Read implements vfs.File.
func (o openFile) Read(c vfs.Ctx, dst usermem.Seq, off int64) (int64, error) {
	r := o.r
	if uint64(off) >= r.size {
		return 0, nil
	}
	n, err := r.m.readFile(c, &r.inode, dst.Take(int64(r.size)-off), uint64(off))
	if n > 0 {
		err = nil
	}
	return n, err
}

// Write implements vfs.File.
func (openFile) Write(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, linux.EBADF }

// Mmap implements vfs.Mapper.
func (o openFile) Mmap(c vfs.Ctx, _ vfs.MapSpec) (mm.Mappable, error) {
	r := o.r
	r.copying.Lock()
	defer r.copying.Unlock()
	r.mu.Lock()
	known := r.runs != nil
	r.mu.Unlock()
	if known || r.size == 0 {
		return r, nil
	}
	return r, r.layOut(c)
}

// maxCopied is how long a file may be that needs a copy, and maxPieces bounds what is kept
// of where its parts are: an image can say of a small file that it is large.
const (
	maxCopied = 1 << 42
	maxPieces = 1 << 16
)

// layOut finds where all of the file is, and copies what can't be mapped.
func (r *regular) layOut(c vfs.Ctx) (err error) {
	var runs []piece
	var copied memfile.Range
	defer func() {
		if err != nil && copied.Len() > 0 {
			r.m.mem.DecRef(copied)
		}
	}()
	for off := uint64(0); off < r.size; {
		x, err := r.m.find(c, &r.inode, off)
		if err != nil {
			return err
		}
		p := piece{off: off, end: pageUp(off + x.n), at: x.at}
		p.copied = x.hole || r.m.from.pages() == nil || x.at%arch.PageSize != 0 || p.end-off > r.m.size-x.at
		if last := len(runs) - 1; last >= 0 && runs[last].follows(&p) {
			runs[last].end = p.end
		} else {
			runs = append(runs, p)
		}
		if len(runs) > maxPieces || p.copied && r.size > maxCopied {
			return linux.ENOMEM
		}
		if p.copied && copied.Len() == 0 {
			if copied, err = r.m.pool.Alloc(r.size); err != nil {
				return err
			}
		}
		if p.copied && !x.hole {
			if err := r.copy(c, memfile.Range{Start: copied.Start + off, End: copied.Start + off + x.n}, off); err != nil {
				return err
			}
		}
		off += x.n
		if vfs.Killed(c) {
			return linux.EINTR
		}
	}
	r.mu.Lock()
	r.runs, r.copied = runs, copied
	r.mu.Unlock()
	return nil
}

// follows reports whether q is the continuation of p.
func (p *piece) follows(q *piece) bool {
	return p.copied == q.copied && (p.copied || p.at+(p.end-p.off) == q.at)
}

func pageUp(n uint64) uint64 { return (n + arch.PageMask) &^ arch.PageMask }

// copy copies what the file has from off on to a part of the page file.
func (r *regular) copy(c vfs.Ctx, to memfile.Range, off uint64) error {
	for to.Len() > 0 {
		b := r.m.mem.Bytes(to.Start, to.Len())
		if b == nil {
			return linux.ENOMEM
		}
		part := make([]byte, min(len(b), len(zeros)))
		if _, err := r.m.readFile(c, &r.inode, usermem.FromBytes(part), off); err != nil {
			return err
		}
		if n, ok := memfile.Copy(b, part); !ok || n < len(part) {
			return linux.ENOMEM
		}
		to.Start += uint64(len(part))
		off += uint64(len(part))
		if vfs.Killed(c) {
			return linux.EINTR
		}
	}
	return nil
}

// Pages implements mm.Mappable.
func (r *regular) Pages(off, n uint64, _ arch.Access) (mm.Pages, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := sort.Search(len(r.runs), func(i int) bool { return off < r.runs[i].end })
	if i == len(r.runs) {
		return mm.Pages{}, nil
	}
	p := &r.runs[i]
	out := mm.Pages{Len: min(n, p.end-off), Access: arch.Read | arch.Exec}
	if p.copied {
		out.Memory, out.Off = r.m.mem, r.copied.Start+off
	} else {
		h := r.m.from.pages()
		out.Host, out.Off, out.Version = h, p.at+off-p.off, h.version
	}
	return out, nil
}

// free gives the copy up.
func (r *regular) free() {
	r.mu.Lock()
	copied := r.copied
	r.runs, r.copied = nil, memfile.Range{}
	r.mu.Unlock()
	if copied.Len() > 0 {
		r.m.mem.DecRef(copied)
	}
}
