package memfile

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// blocks is what the host says the file has, warm or not.
func blocks(t *testing.T, f *File) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		t.Fatal(err)
	}
	return uint64(st.Blocks) * 512
}

// written is a space of role that has written to n new pages, r.
func written(t *testing.T, f *File, role Role, n uint64) (h *Holder, a *Arena, r Range) {
	t.Helper()
	h = f.NewHolder()
	a, err := h.NewArena(1, role)
	if err != nil {
		t.Fatal(err)
	}
	r = Range{Start: a.Range().Start, End: a.Range().Start + n*page}
	if had, ok := a.AllocAt(r); !ok || len(had) != 0 {
		t.Fatal("a new arena has memory:", had, ok)
	}
	fill(t, f, r, 'x')
	return h, a, r
}

// left is what such a space leaves.
func left(t *testing.T, f *File, role Role, n uint64) Range {
	t.Helper()
	h, _, r := written(t, f, role, n)
	h.Close([]Range{r})
	return r
}

// TestWarm has an arena serve the next space of its role, and none other: its
// pages are zero when they are allocated, without having been given back.
func TestWarm(t *testing.T) {
	f := newFile(t)
	r := left(t, f, 7, 16)
	if n, _ := f.Usage(); n != 0 || blocks(t, f) != 16*page {
		t.Fatal("used:", n, "there:", blocks(t, f))
	}
	h := f.NewHolder()
	for _, role := range []Role{8, 7, 7} {
		a, err := h.NewArena(1, role)
		if err != nil {
			t.Fatal(err)
		}
		part := Range{Start: a.Range().Start + 4*page, End: a.Range().Start + 32*page}
		had, ok := a.AllocAt(part)
		if !ok {
			t.Fatal("no room")
		}
		if a.Range().Start != r.Start {
			if len(had) != 0 {
				t.Fatal("a new arena has memory:", had)
			}
			continue
		}
		if role != 7 {
			t.Fatal("an arena serves another role")
		}
		if len(had) != 1 || had[0] != (Range{Start: part.Start, End: r.End}) {
			t.Fatal("had:", had)
		}
		for _, b := range f.Bytes(part.Start, part.Len()) {
			if b != 0 {
				t.Fatal("not cleared")
			}
		}
		r = Range{} // it serves once
	}
	if r != (Range{}) {
		t.Fatal("not reused")
	}
	h.Close(nil)
}

// TestUntouched: pages that have memory from the beginning count when they are touched.
func TestUntouched(t *testing.T) {
	f := newFile(t)
	r := left(t, f, 7, 16)
	h := f.NewHolder()
	a, _ := h.NewArena(1, 7)
	if !allocated(a.AllocAt(r)) || a.Range().Start != r.Start {
		t.Fatal("not reused")
	}
	if n := f.Resident(r); n != 0 {
		t.Fatal("untouched, but resident:", n)
	}
	f.Bytes(r.Start+3*page, page)[100] = 1
	in := make([]byte, 16)
	if f.Incore(r, in); f.Resident(r) != page || in[3] != 1 || in[2] != 0 {
		t.Fatal("resident:", f.Resident(r), in)
	}
	if err := f.Populate(Range{Start: r.Start, End: r.Start + 2*page}); err != nil {
		t.Fatal(err)
	}
	if n := f.Resident(r); n != 3*page {
		t.Fatal("resident after Populate:", n)
	}
	h.Close([]Range{r})
}

// TestCool gives back what nobody has wanted for a while: warm arenas, and the rest
// of those that have an owner again.
func TestCool(t *testing.T) {
	f := newFile(t)
	r := left(t, f, 7, 16)
	left(t, f, 8, 4)
	h := f.NewHolder()
	a, _ := h.NewArena(1, 7)
	half := Range{Start: r.Start, End: r.Start + 8*page}
	if !allocated(a.AllocAt(half)) {
		t.Fatal("no room")
	}
	f.cool()
	if f.Flush(); blocks(t, f) != 20*page {
		t.Fatal("given back too early:", blocks(t, f))
	}
	f.mu.Lock()
	f.coolLocked(time.Now())
	f.mu.Unlock()
	if f.Flush(); blocks(t, f) != half.Len() {
		t.Fatal("there:", blocks(t, f))
	}
	if had, ok := a.AllocAt(Range{Start: half.End, End: r.End}); !ok || len(had) != 0 {
		t.Fatal("what was given back can't be allocated:", had, ok)
	}
	h.Close([]Range{r})
	f.Reclaim()
	if blocks(t, f) != 0 || f.uses.Len()+f.arenas.Len()+f.dirty.Len()+f.stale.Len()+f.lent.Len() != 0 {
		t.Fatal("left:", blocks(t, f), f.uses.Len(), f.arenas.Len(), f.dirty.Len(), f.stale.Len(), f.lent.Len())
	}
}

// TestNotKept: an arena is punched as before while a host call may still write to it, or
// Flush is at it.
func TestNotKept(t *testing.T) {
	f := newFile(t)
	h, _, r := written(t, f, 7, 4)
	f.Pin(r)
	h.Close([]Range{r})
	if len(f.warm) != 0 {
		t.Fatal("an arena that a host call uses is kept")
	}
	f.Unpin(r)

	h, _, r = written(t, f, 7, 4)
	f.DecRef(r)
	f.mu.Lock()
	work, _ := f.takeLocked() // as Flush does, which then punches it without the lock
	f.mu.Unlock()
	if len(work) == 0 {
		t.Fatal("nothing to flush")
	}
	h.Close(nil)
	if len(f.warm) != 0 {
		t.Fatal("an arena that is being punched is kept")
	}
}

// TestTakeClears: pages that a space has just given up are cleared when it takes them
// again, not given back.
func TestTakeClears(t *testing.T) {
	f := newFile(t)
	h, a, r := written(t, f, 7, 4)
	f.DecRef(r)
	had, ok := a.TakeAt(r)
	if !ok || len(had) != 1 || had[0] != r || f.Bytes(r.Start, 1)[0] != 0 || blocks(t, f) != r.Len() {
		t.Fatal(had, ok, f.Bytes(r.Start, 1)[0], blocks(t, f))
	}
	h.Close([]Range{r})
}

// TestInheritedAndForgotten: an arena that was warm once and is given back by another
// way than the cooler's leaves nothing to cool at offsets that others have by then.
func TestInheritedAndForgotten(t *testing.T) {
	f := newFile(t)
	r := left(t, f, 7, 16)
	h := f.NewHolder()
	if a, _ := h.NewArena(1, 7); a.Range().Start != r.Start {
		t.Fatal("not reused")
	}
	f.Pin(r)
	h.Close(nil) // not kept, as it is pinned
	f.Unpin(r)
	until := time.Now()
	f.Flush()
	if again := left(t, f, 8, 16); again != r {
		t.Fatal("the offsets do not serve again:", again)
	}
	f.mu.Lock()
	f.coolLocked(until)
	f.mu.Unlock()
	h = f.NewHolder()
	a, _ := h.NewArena(1, 8)
	if a.Range().Start != r.Start || !allocated(a.AllocAt(r)) {
		t.Fatal("a warm arena is not free")
	}
	h.Close([]Range{r})
}
