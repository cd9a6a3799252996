package memfile

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	chunkShift = 30
	chunkSize  = 1 << chunkShift
	leafShift  = 10 // chunks in a leaf of the directory

	// maxWindows is how many chunks are mapped at most: half of what a host lets a
	// process map (vm.max_map_count). Go ends the process if it gets no mapping.
	maxWindows = 1 << 15
)

// A window is the first byte of the sentry's mapping of one chunk of the file.
// (Not an array: to slice one through a pointer, Go loads its first byte, which
// would allocate the chunk's first page.)
type window byte

type leaf [1 << leafShift]atomic.Pointer[window]

// A directory finds the windows of a file by offset. Windows are mapped when
// first needed and stay: chunks are large, and most are never touched.
type directory struct {
	leaves [maxOffset >> (chunkShift + leafShift)]atomic.Pointer[leaf]
	n      atomic.Int64 // windows that are mapped, or about to be
}

func (d *directory) slot(off uint64) *atomic.Pointer[window] {
	l := d.leaves[off>>(chunkShift+leafShift)].Load()
	if l == nil {
		l = new(leaf)
		if p := &d.leaves[off>>(chunkShift+leafShift)]; !p.CompareAndSwap(nil, l) {
			l = p.Load()
		}
	}
	return &l[off>>chunkShift&(1<<leafShift-1)]
}

// Bytes is the sentry's own mapping of [off, off+n), or of a prefix of it: a
// mapped chunk ends every GiB. Touching a page allocates memory; if there is none the
// access faults: use Copy rather than plain loads and stores, unless
// debug.SetPanicOnFault is set. The slice stays mapped until Close, but once
// the pages have no reference its content belongs to nobody. It is nil if the host can't map it.
func (f *File) Bytes(off, n uint64) []byte {
	s := f.windows.slot(off)
	w := s.Load()
	if w == nil {
		if w = f.mapChunk(s, off>>chunkShift<<chunkShift); w == nil {
			return nil
		}
	}
	at := off & (chunkSize - 1)
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(w), at)), min(n, chunkSize-at))
}

// ChunkStart is the offset of the chunk that holds off: Bytes may begin there
// and reach beyond off.
func ChunkStart(off uint64) uint64 { return off &^ (chunkSize - 1) }

// mapChunk maps the chunk at off. The file reaches at least to the chunk's end:
// sizes are powers of two, no smaller than a chunk.
func (f *File) mapChunk(s *atomic.Pointer[window], off uint64) *window {
	if f.windows.n.Add(1) > maxWindows {
		f.windows.n.Add(-1)
		return nil
	}
	p, err := unix.MmapPtr(f.fd, int64(off), nil, chunkSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		f.windows.n.Add(-1)
		return nil
	}
	// The sentry's core dump is not for guest data; an old kernel that can't is no harm.
	unix.Madvise(unsafe.Slice((*byte)(p), chunkSize), unix.MADV_DONTDUMP) //nolint:errcheck
	w := (*window)(p)                                                     // the kernel returned chunkSize bytes at p, outside Go's heap
	if !s.CompareAndSwap(nil, w) {
		unix.MunmapPtr(p, chunkSize) //nolint:errcheck // cannot fail on what was just mapped
		f.windows.n.Add(-1)
		w = s.Load()
	}
	return w
}

func (d *directory) unmap() {
	for i := range d.leaves {
		l := d.leaves[i].Load()
		if l == nil {
			continue
		}
		for j := range l {
			if w := l[j].Swap(nil); w != nil {
				unix.MunmapPtr(unsafe.Pointer(w), chunkSize) //nolint:errcheck // it is mapped
			}
		}
	}
}

// Load32 loads the aligned word at the start of b atomically; false if it faults.
func Load32(b []byte) (v uint32, ok bool) {
	return guarded(b, func(p *uint32) uint32 { return atomic.LoadUint32(p) })
}

// CompareAndSwap32 replaces the aligned word at the start of b by v if it is
// old, and returns what it was; false if it faults.
func CompareAndSwap32(b []byte, old, v uint32) (was uint32, ok bool) {
	return guarded(b, func(p *uint32) uint32 {
		for {
			if was := atomic.LoadUint32(p); was != old || atomic.CompareAndSwapUint32(p, old, v) {
				return was
			}
		}
	})
}

// guarded calls f on the word at the start of b, which must have 4 bytes and be aligned.
func guarded(b []byte, f func(*uint32) uint32) (v uint32, ok bool) {
	p := (*uint32)(unsafe.Pointer(unsafe.SliceData(b[:4])))
	ok = Guard(func() { v = f(p) })
	return v, ok
}

// mincore is mincore(2) of b, which begins with a page, in pages.
func mincore(b, pages []byte) syscall.Errno {
	_, _, e := syscall.Syscall(unix.SYS_MINCORE,
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(unsafe.Pointer(unsafe.SliceData(pages))))
	return e
}

func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
