package mm

import (
	"sync/atomic"

	"garrison/platform/arch"
	"garrison/sentry/memfile"
)

// A sharedAnon is the memory of a MAP_SHARED|MAP_ANONYMOUS mapping and of its
// heirs by fork: Linux's nameless file on an internal tmpfs.
type sharedAnon struct {
	MappingSet
	env  *Env
	mem  memfile.Range
	refs atomic.Int64
}

func newSharedAnon(e *Env, n uint64) (*sharedAnon, error) {
	r, err := e.shared.Alloc(n)
	if err != nil {
		return nil, err
	}
	a := &sharedAnon{env: e, mem: r}
	a.refs.Store(1)
	return a, nil
}

func isAnonymous(f Mappable) bool { _, ok := f.(*sharedAnon); return ok }

// Pages implements Mappable.
func (a *sharedAnon) Pages(off, n uint64, _ arch.Access) (Pages, error) {
	if off >= a.mem.Len() {
		return Pages{}, nil // mremap(2) made the mapping longer than the file: SIGBUS
	}
	return Pages{Memory: a.env.memory, Off: a.mem.Start + off, Len: min(n, a.mem.Len()-off), Access: allAccess}, nil
}

// RemovePages implements Remover.
func (a *sharedAnon) RemovePages(off, n uint64) error {
	if off >= a.mem.Len() {
		return nil
	}
	n = min(n, a.mem.Len()-off)
	return a.env.memory.Clear(memfile.Range{Start: a.mem.Start + off, End: a.mem.Start + off + n})
}

// IncRef implements Identity.
func (a *sharedAnon) IncRef() { a.refs.Add(1) }

// DecRef implements Identity.
func (a *sharedAnon) DecRef() {
	if a.refs.Add(-1) == 0 {
		a.env.memory.DecRef(a.mem)
	}
}

// MappedName implements Identity.
func (a *sharedAnon) MappedName() MappedName {
	return MappedName{Dev: 1, Ino: a.mem.Start/arch.PageSize + 1, Path: "/dev/zero (deleted)"}
}
