package memfile

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

const page = arch.PageSize

func newFile(t testing.TB) *File {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	ro, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(fd, ro)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func fill(t *testing.T, f *File, r Range, c byte) {
	t.Helper()
	if n, ok := Copy(f.Bytes(r.Start, r.Len()), bytes.Repeat([]byte{c}, int(r.Len()))); !ok || uint64(n) != r.Len() {
		t.Fatal("copy", n, ok)
	}
}

func usage(t *testing.T, f *File) uint64 {
	t.Helper()
	f.Flush()
	n, err := f.Usage()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReuseByTheOwner(t *testing.T) {
	f := newFile(t)
	h := f.NewHolder()
	a, err := h.NewArena(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := Range{Start: a.Range().Start, End: a.Range().Start + 16*page}
	if !allocated(a.AllocAt(r)) || allocated(a.AllocAt(r)) {
		t.Fatal("alloc")
	}
	fill(t, f, r, 'x')
	if f.Resident(r) != r.Len() || !f.Exclusive(r, h) {
		t.Fatal("resident", f.Resident(r))
	}
	f.DecRef(r)
	if allocated(a.AllocAt(r)) {
		t.Fatal("allocated pages that were not punched")
	}
	if n := usage(t, f); n != 0 {
		t.Fatal("in use:", n)
	}
	if !allocated(a.AllocAt(r)) || f.Bytes(r.Start, 1)[0] != 0 {
		t.Fatal("not zero")
	}
	f.DecRef(r)
	h.Close(nil)
	f.Reclaim()
	if f.uses.Len() != 0 || f.arenas.Len() != 0 || f.dirty.Len() != 0 {
		t.Fatal("left:", f.uses.Len(), f.arenas.Len(), f.dirty.Len())
	}
}

func TestFork(t *testing.T) {
	f := newFile(t)
	h := f.NewHolder()
	a, _ := h.NewArena(1, 0)
	r := Range{Start: a.Range().Start, End: a.Range().Start + 4*page}
	a.AllocAt(r)
	fill(t, f, r, 'x')
	child := h.Fork([]Range{r})
	f.IncRef(r)
	if f.Exclusive(r, h) || f.Exclusive(r, child) {
		t.Fatal("shared pages are exclusive")
	}
	f.DecRef(r) // the child's copy went, but the child may still see it
	if f.Exclusive(r, h) {
		t.Fatal("exclusive while the child lives")
	}
	f.DecRef(r)
	f.Flush()
	if allocated(a.AllocAt(r)) {
		t.Fatal("reused what the child may see")
	}
	child.Close(nil)
	f.Flush()
	if !allocated(a.AllocAt(r)) || f.Bytes(r.Start, 1)[0] != 0 {
		t.Fatal("not reusable after the child's death")
	}
	grand := h.Fork([]Range{r})
	f.IncRef(r)
	f.DecRef(r)
	h.Close(nil) // the parent dies first
	if !f.Exclusive(r, grand) {
		t.Fatal("the only heir is not exclusive")
	}
	f.DecRef(r)
	f.Flush()
	if f.arenas.Len() != 1 {
		t.Fatal("the arena went while somebody may see it")
	}
	grand.Close(nil)
	f.Reclaim()
	if f.uses.Len() != 0 || f.arenas.Len() != 0 {
		t.Fatal("left:", f.uses.Len(), f.arenas.Len())
	}
}

// TestLate: what one gives up late stays, though another gives it up at once.
func TestLate(t *testing.T) {
	f := newFile(t)
	h := f.NewHolder()
	a, _ := h.NewArena(1, 0)
	r := Range{Start: a.Range().Start, End: a.Range().Start + page}
	a.AllocAt(r)
	fill(t, f, r, 'x')
	f.IncRef(r)
	settled := false
	f.DecRefLate(r, func() bool { return settled })
	f.DecRef(r)
	f.Flush()
	if f.Bytes(r.Start, 1)[0] != 'x' {
		t.Fatal("it has gone")
	}
	f.Settle()
	if f.Bytes(r.Start, 1)[0] != 'x' {
		t.Fatal("it has gone before the host was told")
	}
	settled = true
	f.Settle()
	if n := usage(t, f); n != 0 {
		t.Fatal(n, "bytes left")
	}
	h.Close(nil)
	f.Flush()
}

// TestForkOfWhatIsShown: a copy has no say in pages that the original no longer
// shows, unless the host has not proved that it does not.
func TestForkOfWhatIsShown(t *testing.T) {
	f := newFile(t)
	h := f.NewHolder()
	a, _ := h.NewArena(1, 0)
	r := Range{Start: a.Range().Start, End: a.Range().Start + 4*page}
	for _, unmapped := range []bool{false, true} {
		a.AllocAt(r)
		fill(t, f, r, 'x')
		f.DecRef(r)
		if unmapped {
			h.Unmapped(r)
		}
		child := h.Fork(nil)
		grand := child.Fork(nil)
		child.Close(nil)
		if allocated(a.TakeAt(r)) == unmapped {
			t.Fatal("unmapped:", unmapped, "but taken:", !unmapped)
		}
		if !unmapped && f.Bytes(r.Start, 1)[0] != 0 {
			t.Fatal("not zero")
		}
		if !unmapped {
			f.DecRef(r)
		}
		f.Flush()
		grand.Close(nil)
		h.Sure()
	}
	child := h.Fork(nil)
	if !allocated(a.TakeAt(r)) {
		t.Fatal("a copy counts for what is proved to be unmapped")
	}
	child.Close(nil)
	f.DecRef(r)
	h.Close(nil)
}

// TestTake: an owner can have at once what it has just given up, but nothing that
// somebody has, or that a host call uses.
func TestTake(t *testing.T) {
	f := newFile(t)
	h := f.NewHolder()
	a, _ := h.NewArena(1, 0)
	r := Range{Start: a.Range().Start, End: a.Range().Start + 4*page}
	half := Range{Start: r.Start, End: r.Start + 2*page}
	a.AllocAt(r)
	fill(t, f, r, 'x')
	f.DecRef(half)
	if allocated(a.AllocAt(half)) || allocated(a.TakeAt(r)) {
		t.Fatal("allocated what is in use")
	}
	f.Pin(half)
	if allocated(a.TakeAt(half)) {
		t.Fatal("took what is pinned")
	}
	f.Unpin(half)
	if !allocated(a.TakeAt(half)) || allocated(a.TakeAt(half)) {
		t.Fatal("taken:", false)
	}
	if b := f.Bytes(r.Start, 4*page); b[0] != 0 || b[2*page] != 'x' {
		t.Fatal("half of it is to be zero")
	}
	f.DecRefLate(half, func() bool { return true })
	if allocated(a.TakeAt(half)) {
		t.Fatal("took what others may read for a moment")
	}
	f.DecRef(Range{Start: half.End, End: r.End})
	h.Close(nil)
	f.Settle()
	if f.uses.Len() != 0 || f.arenas.Len() != 0 || f.dirty.Len() != 0 || f.dirtyN != 0 {
		t.Fatal("left:", f.uses.Len(), f.arenas.Len(), f.dirty.Len(), f.dirtyN)
	}
}

func TestPool(t *testing.T) {
	f := newFile(t)
	p := f.NewPool()
	var rs []Range
	for i := range 100 {
		r, err := p.Alloc(uint64(1+i%3) * page)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, f, r, byte(i))
		rs = append(rs, r)
	}
	big, err := p.Alloc(100 << 20)
	if err != nil || big.Len() != 100<<20 {
		t.Fatal(big, err)
	}
	h := f.NewHolder()
	h.Hold(rs[0])
	for i, r := range rs {
		if b := f.Bytes(r.Start, r.Len()); b[0] != byte(i) || b[len(b)-1] != byte(i) {
			t.Fatal("overlap")
		}
		f.DecRef(r)
	}
	f.DecRef(big)
	if n := usage(t, f); n != 0 {
		t.Fatal("in use:", n)
	}
	r, _ := p.Alloc(page)
	for _, o := range rs {
		if o.Overlaps(r) {
			t.Fatal("reused what a space may see")
		}
	}
	f.DecRef(r)
	p.Close()
	h.Close(nil)
	f.Reclaim()
	if f.uses.Len() != 0 || f.arenas.Len() != 0 {
		t.Fatal("left:", f.uses.Len(), f.arenas.Len())
	}
}

func TestPin(t *testing.T) {
	f := newFile(t)
	p := f.NewPool()
	r, _ := p.Alloc(4 * page)
	fill(t, f, r, 'x')
	f.Pin(Range{Start: r.Start + page, End: r.Start + 2*page})
	f.DecRef(r)
	f.Flush()
	if f.Bytes(r.Start+page, 1)[0] != 'x' {
		t.Fatal("punched a pinned page")
	}
	f.Unpin(Range{Start: r.Start + page, End: r.Start + 2*page})
	if n := usage(t, f); n != 0 {
		t.Fatal("in use:", n)
	}
}

func TestFault(t *testing.T) {
	f := newFile(t)
	p := f.NewPool()
	r, _ := p.Alloc(4 * page)
	b := f.Bytes(r.Start, r.Len())
	fill(t, f, r, 'x')
	if err := unix.Ftruncate(f.FD(), int64(r.Start+2*page)); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 4*page)
	if n, ok := Copy(dst, b[100:]); ok || n != 2*page-100 || dst[n-1] != 'x' {
		t.Fatal(n, ok)
	}
	if n, ok := Copy(b[3*page+8:], dst); ok || n != 0 {
		t.Fatal(n, ok)
	}
	if _, ok := Load32(b[3*page:]); ok {
		t.Fatal("load beyond the end")
	}
	if was, ok := CompareAndSwap32(b, 0x78787878, 7); !ok || was != 0x78787878 {
		t.Fatal(was, ok)
	}
	if v, ok := Load32(b); !ok || v != 7 {
		t.Fatal(v, ok)
	}
}

func TestIncore(t *testing.T) {
	f := newFile(t)
	r, _ := f.NewPool().Alloc(8 * page)
	for _, i := range []uint64{1, 2, 6} {
		f.Bytes(r.Start+i*page, 1)[0] = 1
	}
	v := make([]byte, 8)
	f.Incore(r, v)
	if !bytes.Equal(v, []byte{0, 1, 1, 0, 0, 0, 1, 0}) {
		t.Fatal(v)
	}
	if err := f.Clear(Range{Start: r.Start, End: r.Start + 2*page}); err != nil || f.Resident(r) != 2*page {
		t.Fatal(err, f.Resident(r))
	}
}

func BenchmarkCopy64(b *testing.B) {
	f := newFile(b)
	r, _ := f.NewPool().Alloc(page)
	m := f.Bytes(r.Start, 64)
	var buf [64]byte
	for b.Loop() {
		Copy(buf[:], m)
	}
}

func BenchmarkAllocFree64K(b *testing.B) {
	f := newFile(b)
	h := f.NewHolder()
	a, _ := h.NewArena(64<<20, 0)
	for b.Loop() {
		r, _, ok := a.Alloc(64 << 10)
		if !ok {
			f.Flush()
			continue
		}
		f.DecRef(r)
	}
}

// allocated is ok of AllocAt and TakeAt.
func allocated(_ []Range, ok bool) bool { return ok }

// A file that somebody has memory in stays open; one that is closed gives no more, for its
// descriptors are others' by then.
func TestCloseUnused(t *testing.T) {
	f := newFile(t)
	p := f.NewPool()
	r, err := p.Alloc(arch.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	if f.CloseUnused() {
		t.Fatal("closed in use")
	}
	f.DecRef(r)
	if !f.CloseUnused() {
		t.Fatal("not closed")
	}
	for _, n := range []uint64{arch.PageSize, poolOwn, arenaUnit} {
		if _, err := p.Alloc(n); err != linux.ENOMEM {
			t.Errorf("%d bytes of a closed file: %v", n, err)
		}
	}
	if f.Flush() {
		t.Error("gave something back")
	}
}
