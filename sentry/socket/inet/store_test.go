package inet

import (
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
)

// TestStore: memory serves again once it was given back, and not before; and what is in use is
// not written to.
func TestStore(t *testing.T) {
	var s store
	defer s.release()
	a := s.take()
	if a.Size() != largeFrame {
		t.Fatal(a.Size())
	}
	at := a.BasePtr()
	a.CapLength(10)
	b := a.Clone()
	a.Release()
	if other := s.take(); other.BasePtr() == at {
		t.Fatal("memory was given to two")
	} else {
		other.Release()
	}
	b.Release()
	again := 0
	for range 2 { // there are two by now
		v := s.take()
		defer v.Release()
		if v.BasePtr() == at {
			again++
		}
		if v.Size() != largeFrame {
			t.Fatal(v.Size(), "is left of memory that a short frame was in")
		}
	}
	if again != 1 {
		t.Fatal("memory that was given back does not serve again")
	}
}

// TestStoreFull: what is too much to be kept is had all the same, and given back for good.
func TestStoreFull(t *testing.T) {
	var s store
	var all []*buffer.View
	for i := range maxKept + tries {
		v := s.take()
		v.AsSlice()[0] = byte(i) // as the host would
		all = append(all, v)
	}
	for i, v := range all {
		if v.AsSlice()[0] != byte(i) {
			t.Fatal(i, v.AsSlice()[0])
		}
		v.Release()
	}
	if len(s.kept) != maxKept {
		t.Fatal(len(s.kept))
	}
	s.release()
	if v := s.take(); v.Size() != largeFrame {
		t.Fatal(v.Size())
	}
	s.release()
}
