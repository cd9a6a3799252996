package ptrace

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/stub"
)

// slotsPerChunk is how many operations pages the sentry maps at a time.
const slotsPerChunk = 256

// slots hands out operations pages, with room for names behind each: parts of one
// memory file that the sentry has mapped writable, and that each space's stubs see
// read-only at stubOps.
type slots struct {
	file *os.File

	mu     sync.Mutex
	chunks [][]byte
	free   []int
	made   int
}

func newSlots() (*slots, error) {
	fd, err := unix.MemfdCreate("stub-control", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("ptrace: memfd_create: %w", err)
	}
	return &slots{file: os.NewFile(uintptr(fd), "stub-control")}, nil
}

// A slot is one operations page, and names.
type slot struct {
	index int
	page  []byte
	names []byte
}

const slotSize = arch.PageSize + stub.NamesSize

// offset is where the slot is in the memory file.
func (s slot) offset() int64 { return int64(s.index) * slotSize }

// capacity is how many calls fit.
const slotCapacity = arch.PageSize / 64

// set writes call number i.
func (s slot) set(i int, c stub.Call) {
	b := s.page[64*i:][:64]
	binary.LittleEndian.PutUint64(b, c.Nr)
	for n, a := range c.Args {
		binary.LittleEndian.PutUint64(b[8+8*n:], a)
	}
}

// get reads call number i back.
func (s slot) get(i int) (c stub.Call) {
	b := s.page[64*i:][:64]
	c.Nr = binary.LittleEndian.Uint64(b)
	for n := range c.Args {
		c.Args[n] = binary.LittleEndian.Uint64(b[8+8*n:])
	}
	return c
}

// get takes a free slot.
func (s *slots) get() (slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		if err := s.growLocked(); err != nil {
			return slot{}, err
		}
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	b := s.chunks[i/slotsPerChunk][i%slotsPerChunk*slotSize:][:slotSize]
	return slot{i, b[:arch.PageSize], b[arch.PageSize:]}, nil
}

// put returns a slot that no stub has mapped any more.
func (s *slots) put(v slot) {
	stub.ClearNames(v.names)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, v.index)
}

func (s *slots) growLocked() error {
	const size = slotsPerChunk * slotSize
	off := int64(len(s.chunks)) * size
	if err := unix.Ftruncate(int(s.file.Fd()), off+size); err != nil {
		return fmt.Errorf("ptrace: grow control memory: %w", err)
	}
	b, err := unix.Mmap(int(s.file.Fd()), off, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("ptrace: map control memory: %w", err)
	}
	s.chunks = append(s.chunks, b)
	for i := slotsPerChunk - 1; i >= 0; i-- {
		s.free = append(s.free, s.made+i)
	}
	s.made += slotsPerChunk
	return nil
}

func (s *slots) close() {
	for _, c := range s.chunks {
		_ = unix.Munmap(c)
	}
	s.file.Close()
}
