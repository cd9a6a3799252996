// Package mmtest is a platform without a processor, for tests of guest memory:
// it keeps the host's mappings as a table, and a test plays the guest by
// loading and storing through that table. What the table does not grant is a
// fault, as it would be on a real one.
package mmtest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/interval"
	"garrison/sentry/memfile"
)

// Facts are what a Platform says of itself, unless it is told otherwise.
var facts = platform.Facts{
	Name: "fake", User: []arch.Range{{Start: 0x10000, End: 0x7ffffffff000}}, MaxMaps: 65000, FPUSize: 512,
}

// A Platform is a platform.Platform that runs nothing.
type Platform struct {
	F      platform.Facts
	mu     sync.Mutex
	spaces []*AddressSpace // living; protected by mu
}

// New returns a Platform with the usual facts, which a test may change in F
// before it uses it.
func New() *Platform { return &Platform{F: facts} }

// NewAddressSpace implements platform.Platform.
func (p *Platform) NewAddressSpace() (platform.AddressSpace, error) {
	a := &AddressSpace{p: p}
	p.mu.Lock()
	p.spaces = append(p.spaces, a)
	p.mu.Unlock()
	return a, nil
}

// NewContext implements platform.Platform; there are none.
func (p *Platform) NewContext() platform.Context { return nil }

// Facts implements platform.Platform.
func (p *Platform) Facts() platform.Facts { return p.F }

// Release implements platform.Platform.
func (p *Platform) Release() {}

// Living is the number of address spaces not released.
func (p *Platform) Living() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.spaces)
}

// A Page is a stretch of one host mapping.
type Page struct {
	FD     int
	Off    uint64
	Access arch.Access
}

// Split implements interval.Value.
func (g Page) Split(r interval.Range[arch.Addr], at arch.Addr) Page {
	g.Off += uint64(at - r.Start)
	return g
}

// Join implements interval.Value.
func (g Page) Join(l, _ interval.Range[arch.Addr], o Page) (Page, bool) {
	return g, g.FD == o.FD && g.Access == o.Access && g.Off+uint64(l.Len()) == o.Off
}

// An AddressSpace is a table of host mappings.
type AddressSpace struct {
	p      *Platform
	mu     sync.Mutex
	pages  interval.Map[arch.Addr, Page] // protected by mu, as all below
	NoFork bool                          // Fork is to fail
	Ops    int                           // operations so far
	Log    []string                      // of them, if Logging
	Loud   bool
	dead   bool
}

func span(r arch.Range) interval.Range[arch.Addr] {
	return interval.Range[arch.Addr]{Start: r.Start, End: r.End}
}

func (a *AddressSpace) op(r arch.Range, format string, args ...any) {
	if a.dead {
		panic("mmtest: operation on a released address space")
	}
	if r.Len() == 0 || r.Start.Offset() != 0 || r.End.Offset() != 0 {
		panic(fmt.Sprintf("mmtest: range %x-%x", r.Start, r.End))
	}
	if !slices.ContainsFunc(a.p.F.User, func(u arch.Range) bool { return u.Covers(r) }) && format[0] != 'u' {
		panic(fmt.Sprintf("mmtest: range %x-%x is not the guest's", r.Start, r.End))
	}
	a.Ops++
	if a.Loud {
		a.Log = append(a.Log, fmt.Sprintf("%x-%x ", r.Start, r.End)+fmt.Sprintf(format, args...))
	}
}

// Map implements platform.AddressSpace.
func (a *AddressSpace) Map(at arch.Addr, f platform.File, off, n uint64, access arch.Access) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := arch.Range{Start: at, End: at + arch.Addr(n)}
	a.op(r, "map %d+%x %v", f.FD(), off, access)
	a.pages.Remove(span(r), nil)
	a.pages.Insert(span(r), Page{f.FD(), off, access})
	if a.pages.Len() > a.p.F.MaxMaps {
		panic("mmtest: more host mappings than MaxMaps")
	}
}

// Unmap implements platform.AddressSpace.
func (a *AddressSpace) Unmap(r arch.Range) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.op(r, "unmap")
	a.pages.Remove(span(r), nil)
}

// Protect implements platform.AddressSpace.
func (a *AddressSpace) Protect(r arch.Range, access arch.Access) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.op(r, "protect %v", access)
	if !a.pages.Covered(span(r)) {
		panic(fmt.Sprintf("mmtest: protecting a hole in %x-%x", r.Start, r.End))
	}
	a.pages.Update(span(r), func(_ interval.Range[arch.Addr], g *Page) { g.Access = access })
}

// Fork implements platform.AddressSpace.
func (a *AddressSpace) Fork(platform.Context) (platform.AddressSpace, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.NoFork {
		return nil, errors.New("mmtest: no fork")
	}
	n, err := a.p.NewAddressSpace()
	n.(*AddressSpace).pages = a.pages.Clone()
	return n, err
}

// Barrier implements platform.AddressSpace.
func (a *AddressSpace) Settled() bool { return true }

func (a *AddressSpace) Barrier(platform.Context) error { return nil }

// Release implements platform.AddressSpace.
func (a *AddressSpace) Release() {
	a.mu.Lock()
	a.dead = true
	a.pages.Clear()
	a.mu.Unlock()
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.p.spaces = slices.DeleteFunc(a.p.spaces, func(x *AddressSpace) bool { return x == a })
}

// Mappings is the number of host mappings.
func (a *AddressSpace) Mappings() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pages.Len()
}

// ErrFault is a guest access that the host's mappings do not allow.
var ErrFault = errors.New("fault")

// Access loads into b, or stores b, at at, within one page, as guest code
// would: ErrFault if the host's mappings do not grant it.
func (a *AddressSpace) Access(b []byte, at arch.Addr, write bool) error {
	a.mu.Lock()
	r, g, ok := a.pages.Lookup(at)
	a.mu.Unlock()
	want := arch.Read
	if write {
		want = arch.Write
	}
	if !ok || !g.Access.Has(want) {
		return ErrFault
	}
	off := int64(g.Off + uint64(at-r.Start))
	if !write {
		n, err := unix.Pread(g.FD, b, off)
		clear(b[max(n, 0):]) // the end of a file's last page
		return err
	}
	_, err := unix.Pwrite(g.FD, b, off)
	return err
}

// NewFile returns an empty page file; close it with File.Close.
func NewFile() (*memfile.File, error) {
	fd, err := unix.MemfdCreate("memory", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	ro, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return memfile.New(fd, ro)
}
