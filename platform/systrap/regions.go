package systrap

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"garrison/platform/stub"
)

// regionsPerChunk is how many regions the sentry maps at a time.
const regionsPerChunk = 64

// regions hands out threads' regions: pieces of one memory file which the sentry
// maps whole, and stubs each its threads'.
type regions struct {
	file *os.File

	mu     sync.Mutex
	chunks [][]byte
	free   []int
}

func newRegions() (*regions, error) {
	fd, err := unix.MemfdCreate("stub-control", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("systrap: memfd_create: %w", err)
	}
	return &regions{file: os.NewFile(uintptr(fd), "stub-control")}, nil
}

// A region is one thread's: the context page, the alternate signal stack
// behind it, the page of solo operations, and names.
type region struct {
	slot  int // in the memory file
	index int // in the address space
	page  *page
	solo  *soloPage
	bytes []byte // without what follows
	names []byte
}

// offset is where the region is in the memory file.
func (r *region) offset() uint64 { return uint64(r.slot) * regionSize }

// addr is where the stub sees the region.
func (r *region) addr() uint64 { return uint64(regionAddr(r.index)) }

// get takes a free region, to be mapped at index in an address space. Its
// contents are whatever its last user left.
func (s *regions) get(index int) (region, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		if err := s.growLocked(); err != nil {
			return region{}, err
		}
	}
	slot := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	b := s.chunks[slot/regionsPerChunk][slot%regionsPerChunk*regionSize:][:regionSize:regionSize]
	return region{slot, index, pageOf(b), soloOf(b), b[:stackEnd:stackEnd], b[namesAt:][:stub.NamesSize:stub.NamesSize]}, nil
}

// put returns a region which no process maps any more.
func (s *regions) put(r region) {
	stub.ClearNames(r.names)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, r.slot)
}

func (s *regions) growLocked() error {
	const size = regionsPerChunk * regionSize
	made := len(s.chunks) * regionsPerChunk
	off := int64(made) * regionSize
	if err := unix.Ftruncate(int(s.file.Fd()), off+size); err != nil {
		return fmt.Errorf("systrap: grow control memory: %w", err)
	}
	b, err := unix.Mmap(int(s.file.Fd()), off, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("systrap: map control memory: %w", err)
	}
	s.chunks = append(s.chunks, b)
	for i := regionsPerChunk - 1; i >= 0; i-- {
		s.free = append(s.free, made+i)
	}
	return nil
}

func (s *regions) close() {
	for _, c := range s.chunks {
		_ = unix.Munmap(c)
	}
	s.file.Close()
}
