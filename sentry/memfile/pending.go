package memfile

import "garrison/platform"

// A File is the page file of one container.
type File struct{}

// New returns the File on the descriptor fd of an empty file on a tmpfs
// (memfd_create or the container's private mount), and on readOnly, a second
// description of the same file opened O_RDONLY. It owns both from then on.
func New(fd, readOnly int) (*File, error) { return nil, nil }

// FD implements platform.File: the descriptor for pages a guest may write.
func (f *File) FD() int { return -1 }

// ReadOnly is the platform.File through which pages that a guest must not
// write are mapped, so that no mprotect makes them writable.
func (f *File) ReadOnly() platform.File { return nil }

// IncRef adds a reference to each page of r, which all have one.
func (f *File) IncRef(r Range) {}

// DecRef gives up a reference to each page of r. The memory of pages without
// references goes back to the host a little later, in batches.
func (f *File) DecRef(r Range) {}

// Bytes is the sentry's own mapping of [off, off+n), or of a prefix of it: a
// mapped chunk ends every GiB. Touching it allocates memory; when there
// is none, or the page's last reference has gone, what it holds is undefined and an access may
// fault: use Copy, never plain loads and stores, unless the caller set
// debug.SetPanicOnFault.
func (f *File) Bytes(off, n uint64) []byte { return nil }

// Copy copies like the builtin, but survives a fault in either slice: then n is
// short and ok false (the file system is full).
func Copy(dst, src []byte) (n int, ok bool) { return 0, false }

// Usage is the number of bytes of memory that the file uses.
func (f *File) Usage() (uint64, error) { return 0, nil }

// Resident is the number of bytes of r that have memory.
func (f *File) Resident(r Range) uint64 { return 0 }

// Clear gives the memory of r, which is referenced, back to the host: its bytes are zero then.
func (f *File) Clear(r Range) error { return nil }

// Flush gives the memory of all pages without references back to the host now.
func (f *File) Flush() {}

// Close unmaps and closes f.
func (f *File) Close() {}

// An Arena is a reserved run of offsets.
type Arena struct{}

// NewArena reserves at least n bytes of offsets, none of which any living address space has mapped.
func (f *File) NewArena(n uint64) (*Arena, error) { return nil, nil }

// Range is the arena's offsets.
func (a *Arena) Range() Range { return Range{} }

// AllocAt allocates r, in a, with one reference to each page, all zero, without
// memory yet; false if part of it is in use or can't be used again yet.
func (a *Arena) AllocAt(r Range) bool { return false }

// Close gives the arena's offsets back when its last page is freed and the last
// space that mapped any has gone. Nothing may be allocated from it any more.
func (a *Arena) Close() {}

// A Pool allocates pages wherever they are: what a filesystem keeps its data in.
type Pool struct{}

// NewPool returns an empty Pool.
func (f *File) NewPool() *Pool { return nil }

// Alloc allocates n bytes (page aligned) with one reference to each page. They
// read as zero. Free with File.DecRef.
func (p *Pool) Alloc(n uint64) (Range, error) { return Range{}, nil }

// Close ends the pool; its allocated pages stay until they are freed.
func (p *Pool) Close() {}
