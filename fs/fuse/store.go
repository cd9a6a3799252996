package fuse

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/memfile"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// A store is the copy of a file that is mapped. It lies in segments of the page file,
// each twice as long as the one before, and is filled by chunks.
type store struct {
	mm.MappingSet
	i       *inode
	filling turn

	mu       lock.Mutex[lock.FileData]
	segments map[int]memfile.Range // protected by mu
	chunks   map[uint64]bool       // by number: there are bytes, and they are not old; protected by mu
	end      uint64                // of the file; protected by mu
}

const (
	chunkSize    = 64 << 10
	firstSegment = 256 << 10
	// maxMapped is how far into a file something can be mapped: the map of the page
	// file is not endless.
	maxMapped = 1 << 42
)

// segmentOf is the segment that off lies in, and where that begins and ends.
func segmentOf(off uint64) (n int, start, end uint64) {
	for end = firstSegment; off >= end; n++ {
		start, end = end, end*2
	}
	return n, start, end
}

func pageUp(n uint64) uint64 { return (n + arch.PageMask) &^ arch.PageMask }

// Mmap implements vfs.Mapper.
func (f *file) Mmap(c vfs.Ctx, s vfs.MapSpec) (mm.Mappable, error) {
	if s.Shared && (s.Access.Has(arch.Write) || f.how&linux.FOPEN_DIRECT_IO != 0) {
		return nil, linux.ENODEV
	}
	if t, ok := kernel.Caller(c); ok {
		c = t // a program is mapped with other rights, which a server need not know
	}
	x := &f.i.store
	if err := x.filling.begin(c); err != nil {
		return nil, err
	}
	defer x.filling.end()
	size, err := f.i.size(c, maxSize)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.end = uint64(size)
	x.mu.Unlock()
	end := uint64(size)
	if s.Len != 0 { // 0: all of a program
		end = min(end, s.Off+min(s.Len, maxMapped))
	}
	if s.Off < end && end > maxMapped {
		return nil, linux.ENOMEM
	}
	for at := s.Off / chunkSize * chunkSize; at < end; at += chunkSize {
		if err := x.fill(c, f, at); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// fill reads the chunk at off, if it is not there or old.
func (x *store) fill(c vfs.Ctx, f *file, off uint64) error {
	x.mu.Lock()
	fresh := x.chunks[off/chunkSize]
	x.mu.Unlock()
	if fresh {
		return nil
	}
	most, _ := f.i.m.limits()
	b := make([]byte, 0, chunkSize)
	for len(b) < chunkSize {
		want := min(most, chunkSize-len(b))
		part, err := f.readAt(c, int64(off)+int64(len(b)), want)
		if err != nil {
			return err
		}
		b = append(b, part...)
		if len(part) < want {
			break
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.putLocked(off, b[:chunkSize])
}

// putLocked makes the chunk at off, which need not be there, b.
func (x *store) putLocked(off uint64, b []byte) error {
	n, start, end := segmentOf(off)
	seg, ok := x.segments[n]
	if !ok {
		var err error
		if seg, err = x.i.m.pool.Alloc(end - start); err != nil {
			return err
		}
		if x.segments == nil {
			x.segments, x.chunks = map[int]memfile.Range{}, map[uint64]bool{}
		}
		x.segments[n] = seg
	}
	if !x.copyLocked(seg.Start+off-start, b) {
		return linux.ENOMEM
	}
	x.chunks[off/chunkSize] = true
	return nil
}

// copyLocked copies b to the page file.
func (x *store) copyLocked(at uint64, b []byte) bool {
	for len(b) > 0 {
		to := x.i.m.mem.Bytes(at, uint64(len(b)))
		if to == nil {
			return false
		}
		n, ok := memfile.Copy(to, b)
		if !ok || n == 0 {
			return false
		}
		at, b = at+uint64(n), b[n:]
	}
	return true
}

// Pages implements mm.Mappable. What no mmap(2) has read can't be read now.
func (x *store) Pages(off, n uint64, _ arch.Access) (mm.Pages, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if off >= pageUp(x.end) {
		return mm.Pages{}, nil
	}
	k, start, end := segmentOf(off)
	seg, ok := x.segments[k]
	to := min(off+n, end, pageUp(x.end))
	stop := off
	for stop < to {
		if _, there := x.chunks[stop/chunkSize]; !there {
			break
		}
		stop = min(to, (stop/chunkSize+1)*chunkSize)
	}
	if !ok || stop <= off {
		return mm.Pages{}, nil
	}
	return mm.Pages{Memory: x.i.m.mem, Off: seg.Start + off - start, Len: stop - off, Access: arch.Read | arch.Exec}, nil
}

// update writes to what is there of [off, off+len(b)), and takes what lies beyond the end
// that the file had.
func (x *store) update(off uint64, b []byte, had uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.chunks == nil {
		return
	}
	x.end = max(x.end, off+uint64(len(b)))
	for len(b) > 0 {
		at := off / chunkSize * chunkSize
		part := b[:min(uint64(len(b)), at+chunkSize-off)]
		n, start, _ := segmentOf(off)
		_, there := x.chunks[off/chunkSize]
		switch {
		case there:
			if !x.copyLocked(x.segments[n].Start+off-start, part) {
				delete(x.chunks, off/chunkSize)
			}
		case at >= had && off < maxMapped:
			whole := make([]byte, chunkSize)
			copy(whole[off-at:], part)
			_ = x.putLocked(at, whole) // without memory it is as if it had not been there
		}
		off, b = off+uint64(len(part)), b[len(part):]
	}
}

// age makes what is there of [start, end) be read anew by the next mmap(2).
func (x *store) age(start, end uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for k := range x.chunks {
		if k*chunkSize < end && start < (k+1)*chunkSize {
			x.chunks[k] = false
		}
	}
}

// resize follows the size of the file. What is cut off is gone from all mappings.
func (x *store) resize(size uint64) {
	x.mu.Lock()
	old := x.end
	x.end = size
	if x.chunks == nil {
		x.mu.Unlock()
		return
	}
	edge := min(old, size)
	if _, there := x.chunks[edge/chunkSize]; there && size > old {
		x.chunks[edge/chunkSize] = false
	}
	var cut []memfile.Range
	for k := range x.chunks {
		if at := k * chunkSize; size < old && at+chunkSize > size {
			n, start, _ := segmentOf(at)
			first := max(at, size)
			cut = append(cut, memfile.Range{Start: x.segments[n].Start + first - start, End: x.segments[n].Start + at + chunkSize - start})
			if at >= pageUp(size) {
				delete(x.chunks, k)
			}
		}
	}
	x.mu.Unlock()
	if size >= old {
		return
	}
	x.Invalidate(x, pageUp(size), pageUp(maxSize), true)
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range cut {
		x.copyLocked(r.Start, make([]byte, r.Len()))
	}
}

// free gives the copy up, which nobody maps.
func (x *store) free() {
	x.mu.Lock()
	all := x.segments
	x.segments, x.chunks = nil, nil
	x.mu.Unlock()
	for _, r := range all {
		x.i.m.mem.DecRef(r)
	}
}
