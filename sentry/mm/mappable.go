package mm

import (
	"sync/atomic"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/lock"
	"garrison/sentry/memfile"
)

// A Mappable is what mmap(2) of a file shows: a file's bytes as host memory.
// It must be comparable (a pointer): two mappings show the same file if and
// only if their Mappables are equal, and shared futexes are found by it.
//
// Every method is called with the space's Mappings lock held. It may take locks
// of the ranks FileData, Pages and Leaf, nothing else, and must not block: what
// Pages needs (a donated descriptor) was acquired before the Mappable was handed out.
// Embed a MappingSet to get AddMapping and RemoveMapping.
type Mappable interface {
	// Pages returns host memory that holds a prefix of the file's bytes
	// [off, off+n), n > 0, both page aligned, for access (of private mappings
	// only Read and Exec are asked: mm copies before a write). It may return
	// more than n. Len 0 or an error means that there is nothing at off: the
	// guest's access is a SIGBUS (linux.ENOMEM: the container is out of memory).
	//
	// mm maps the result in guests and uses it until it calls RemoveMapping
	// or the Mappable calls MappingSet.Invalidate.
	Pages(off, n uint64, access arch.Access) (Pages, error)

	// AddMapping tells that m.Space will show the file's bytes
	// [m.Offset, m.Offset+m.Range.Len()) at m.Range. An error refuses the
	// mapping, as a sealed memfd does with EPERM.
	AddMapping(m Mapping) error

	// RemoveMapping undoes AddMapping for all or part of a mapping.
	RemoveMapping(m Mapping)
}

// A Syncer is a Mappable whose shared mappings msync(2) must write back. It is
// called without locks, and may block. n may go beyond the end of the file.
type Syncer interface {
	SyncPages(off, n uint64) error
}

// A Remover is a Mappable that can punch holes (madvise MADV_REMOVE, as
// fallocate(2) with FALLOC_FL_PUNCH_HOLE). It is called without locks.
type Remover interface {
	RemovePages(off, n uint64) error
}

// A Mapping is one place where a file is shown.
type Mapping struct {
	Space    *Space
	Range    arch.Range
	Offset   uint64 // of Range.Start in the file
	Writable bool   // shared, and writable now or after an mprotect(2)
}

// Pages is a run of host memory.
type Pages struct {
	// Exactly one of Memory and Host is set. Memory is the container's page
	// file: the range is the Mappable's, and stays allocated until
	// after MappingSet.Invalidate. Host is a donated host descriptor.
	Memory *memfile.File
	Host   HostFile

	Off, Len uint64      // where in Memory or Host, page aligned; Len 0 is "nothing there"
	Access   arch.Access // the most that it may be mapped with: what Host's descriptor is open for

	// Version, if it is not zero, promises that Host has the same bytes wherever it is
	// the same: nobody has the file open for writing.
	Version Version
}

// A Version names what a host file holds, as fstat(2) tells it: comparable.
type Version struct {
	Dev, Ino, Size uint64
	Changed        int64 // nanoseconds, of the clock that the host stamps files by
}

// A HostFile is a host descriptor that guests map directly. It must be
// comparable. The descriptor stays open while there are references.
type HostFile interface {
	platform.File

	// IncRef and DecRef count references. IncRef is called under locks; DecRef
	// never is, and may close the descriptor.
	IncRef()
	DecRef()
}

// An Identity names the file a mapping shows and keeps it alive. A
// *vfs.FileDescription (or what stands for it) is one.
type Identity interface {
	// IncRef and DecRef count references. IncRef is called under locks; DecRef
	// never is, and may block.
	IncRef()
	DecRef()

	// MappedName is what /proc/pid/maps shows, called without locks of this package.
	MappedName() MappedName
}

// A MappedName is a mapping's file as /proc/pid/maps shows it.
type MappedName struct {
	Dev, Ino uint64
	Path     string // with " (deleted)" where that applies
}

// A MappingSet knows which spaces map a file. Embedded, it provides AddMapping
// and RemoveMapping of Mappable. The zero MappingSet is ready to use.
type MappingSet struct {
	mu       lock.Mutex[lock.Leaf]
	spaces   map[*Space]uint64 // bytes mapped; protected by mu
	writable uint64            // bytes of writable shared mappings; protected by mu
	n        atomic.Int64      // len(spaces), to be read without mu
}

// AddMapping implements Mappable.
func (m *MappingSet) AddMapping(x Mapping) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spaces == nil {
		m.spaces = make(map[*Space]uint64)
	}
	m.spaces[x.Space] += x.Range.Len()
	if x.Writable {
		m.writable += x.Range.Len()
	}
	m.n.Store(int64(len(m.spaces)))
	return nil
}

// RemoveMapping implements Mappable.
func (m *MappingSet) RemoveMapping(x Mapping) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spaces[x.Space] -= x.Range.Len(); m.spaces[x.Space] == 0 {
		delete(m.spaces, x.Space)
	}
	if x.Writable {
		m.writable -= x.Range.Len()
	}
	m.n.Store(int64(len(m.spaces)))
}

// Mapped reports whether any space maps the file.
func (m *MappingSet) Mapped() bool { return m.n.Load() != 0 }

// MappedWritable reports whether a shared mapping exists through which the file
// could be written (F_SEAL_WRITE is EBUSY then).
func (m *MappingSet) MappedWritable() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writable != 0
}

// Invalidate makes every space forget the host memory of file bytes
// [start, end) of file, the Mappable that embeds m: before it frees the memory
// (truncation, punched holes: first make Pages give nothing there, then
// Invalidate, then free) or when Pages would now answer otherwise (a copy-up).
// cows says that private copies go too, as truncation wants and a hole does not.
// The caller holds no lock of rank Mappings or below.
func (m *MappingSet) Invalidate(file Mappable, start, end uint64, cows bool) {
	if !m.Mapped() {
		return
	}
	m.mu.Lock()
	spaces := make([]*Space, 0, len(m.spaces))
	for s := range m.spaces {
		spaces = append(spaces, s)
	}
	m.mu.Unlock()
	for _, s := range spaces {
		s.invalidate(file, start, end, cows)
	}
}
