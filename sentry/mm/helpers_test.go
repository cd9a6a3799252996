package mm

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"testing"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/mm/mmtest"
)

const (
	page = arch.PageSize
	rw   = linux.PROT_READ | linux.PROT_WRITE
	anon = linux.MAP_PRIVATE | linux.MAP_ANONYMOUS
)

// A world is a container for tests.
type world struct {
	t   testing.TB
	p   *mmtest.Platform
	f   *memfile.File
	env *Env
	lim *limits.Set
}

func newWorld(t testing.TB) *world {
	t.Helper()
	f, err := mmtest.NewFile()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, p: mmtest.New(), f: f, lim: limits.NewSet()}
	w.env = NewEnv(w.p, f)
	t.Cleanup(f.Close)
	return w
}

// check is that nothing is left when all spaces have gone.
func (w *world) check() {
	w.t.Helper()
	w.env.Close()
	w.f.Settle()
	if n, err := w.f.Usage(); n != 0 || err != nil || w.p.Living() != 0 {
		w.t.Fatalf("%d bytes of memory leaked (%v), %d address spaces", n, err, w.p.Living())
	}
	if n := w.f.Reserved(); n != 0 {
		w.t.Fatalf("%d bytes of offsets leaked", n)
	}
}

func (w *world) space() *Space {
	w.t.Helper()
	s, err := New(w.env, w.lim)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) mmap(s *Space, o MMapOpts) arch.Addr {
	w.t.Helper()
	a, err := s.MMap(o)
	if err != nil {
		w.t.Fatalf("mmap %+v: %v", o, err)
	}
	return a
}

func host(s *Space) *mmtest.AddressSpace { return s.as.(*mmtest.AddressSpace) }

// A guest plays one thread.
type guest struct {
	s    *Space
	memo FaultMemo
	tell bool // the platform says what a fault wanted
}

// do loads or stores b as guest code would; it returns the signal it gets.
func (g *guest) do(b []byte, at arch.Addr, write bool) (linux.Signal, int32) {
	for range 40 {
		err := host(g.s).Access(b, at, write)
		if err == nil {
			return 0, 0
		}
		if err != mmtest.ErrFault {
			panic(err)
		}
		ev := platform.Event{Kind: platform.Fault, Addr: at, Signal: int32(linux.SIGSEGV), Code: linux.SEGV_ACCERR}
		if g.tell {
			ev.Trap, ev.Error = trapPageFault, 4
			if write {
				ev.Error |= pfWrite
			}
		}
		f := g.s.HandleFault(&ev, &g.memo)
		if !f.Resolved {
			return f.Signal, f.Code
		}
	}
	panic("faults for ever")
}

func (g *guest) load(t testing.TB, at arch.Addr) uint64 {
	t.Helper()
	var b [8]byte
	if s, _ := g.do(b[:], at, false); s != 0 {
		t.Fatalf("load at %x: %v", at, s)
	}
	return binary.LittleEndian.Uint64(b[:])
}

func (g *guest) store(t testing.TB, at arch.Addr, v uint64) {
	t.Helper()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	if s, _ := g.do(b[:], at, true); s != 0 {
		t.Fatalf("store at %x: %v", at, s)
	}
}

// wantSignal is that an access gets s with code.
func (g *guest) wantSignal(t testing.TB, at arch.Addr, write bool, s linux.Signal, code int32) {
	t.Helper()
	var b [8]byte
	if gs, gc := g.do(b[:], at, write); gs != s || gc != code {
		t.Fatalf("access at %x (write %v): signal %v code %d, want %v code %d", at, write, gs, gc, s, code)
	}
}

// A hostFile is a donated descriptor shown by a Mappable.
type hostFile struct {
	MappingSet
	f        *os.File
	readOnly bool
	version  Version
	refs     atomic.Int64
	ids      atomic.Int64
	synced   int
}

func newHostFile(t testing.TB, pages int) *hostFile {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	b := make([]byte, pages*page)
	for i := range pages {
		binary.LittleEndian.PutUint64(b[i*page:], uint64(1000+i))
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	return &hostFile{f: f}
}

func (h *hostFile) FD() int { return int(h.f.Fd()) }
func (h *hostFile) IncRef() { h.refs.Add(1) }
func (h *hostFile) DecRef() { h.refs.Add(-1) }

func (h *hostFile) Pages(off, n uint64, _ arch.Access) (Pages, error) {
	st, err := h.f.Stat()
	end := (uint64(st.Size()) + page - 1) &^ (page - 1)
	if err != nil || off >= end {
		return Pages{}, err
	}
	a := allAccess
	if h.readOnly {
		a = arch.Read | arch.Exec
	}
	return Pages{Host: h, Off: off, Len: min(n, end-off), Access: a, Version: h.version}, nil
}

func (h *hostFile) SyncPages(off, n uint64) error { h.synced++; return nil }

// identity is the Identity of h.
func (h *hostFile) identity() Identity { h.ids.Add(1); return fileID{h} }

type fileID struct{ h *hostFile }

func (i fileID) IncRef()                { i.h.ids.Add(1) }
func (i fileID) DecRef()                { i.h.ids.Add(-1) }
func (i fileID) MappedName() MappedName { return MappedName{Dev: 8, Ino: 42, Path: "/the/file"} }

// A tmpFile is a file in the page file, as tmpfs has it.
type tmpFile struct {
	MappingSet
	w    *world
	r    memfile.Range
	size uint64
}

func newTmpFile(w *world, pages uint64) *tmpFile {
	r, err := w.f.NewPool().Alloc(pages * page)
	if err != nil {
		w.t.Fatal(err)
	}
	return &tmpFile{w: w, r: r, size: pages * page}
}

func (f *tmpFile) Pages(off, n uint64, _ arch.Access) (Pages, error) {
	if off >= f.size {
		return Pages{}, nil
	}
	return Pages{Memory: f.w.f, Off: f.r.Start + off, Len: min(n, f.size-off), Access: allAccess}, nil
}

func (f *tmpFile) truncate(pages uint64) {
	old := f.size
	f.size = pages * page
	if f.size < old {
		f.Invalidate(f, f.size, ^uint64(0), true)
		f.w.f.Clear(memfile.Range{Start: f.r.Start + f.size, End: f.r.Start + old})
	}
}
