package socket

import (
	"bytes"
	"testing"
)

func TestCmsgRoundTrip(t *testing.T) {
	w := WriteCmsgs(1000)
	w.Put(1, 2, []byte("abc"))
	w.Put(41, 50, make([]byte, 20))
	if w.Truncated() || len(w.Bytes()) != 24+40 {
		t.Fatal(len(w.Bytes()))
	}
	r := ReadCmsgs(w.Bytes())
	m, ok := r.Next()
	if !ok || m.Level != 1 || m.Type != 2 || string(m.Data) != "abc" {
		t.Fatal(m, ok)
	}
	m, ok = r.Next()
	if !ok || m.Level != 41 || len(m.Data) != 20 {
		t.Fatal(m, ok)
	}
	if _, ok := r.Next(); ok || r.Err() != nil {
		t.Fatal(r.Err())
	}
}

func TestCmsgTruncation(t *testing.T) {
	for room, want := range map[int]int{0: 0, 15: 0, 16: 16, 18: 18, 20: 20, 24: 24} {
		w := WriteCmsgs(room)
		w.Put(1, 1, make([]byte, 4))
		if len(w.Bytes()) != want || w.Truncated() != (room < 20) {
			t.Errorf("room %d: %d bytes, truncated %v", room, len(w.Bytes()), w.Truncated())
		}
	}
}

// FuzzCmsgs: any buffer is read without harm, and what was read is inside it.
func FuzzCmsgs(f *testing.F) {
	f.Add([]byte{20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 1, 0, 0, 0})
	f.Add([]byte{15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := ReadCmsgs(b)
		total := 0
		for {
			m, ok := r.Next()
			if !ok {
				break
			}
			if total += 16 + len(m.Data); total > len(b) || !bytes.Contains(b, m.Data) {
				t.Fatal("more than there was")
			}
		}
	})
}
