package interval

import (
	"math/rand/v2"
	"testing"
)

// val is an offset that runs with the key: pieces join where it is continuous.
type val struct{ tag, off uint64 }

func (v val) Split(r Range[uint64], at uint64) val { v.off += at - r.Start; return v }
func (v val) Join(l, _ Range[uint64], o val) (val, bool) {
	return v, v.tag == o.tag && v.off+l.Len() == o.off
}

const space = 4096

// model is the map said naively: one cell a key.
type model [space]val

func (m *model) check(t *testing.T, x *Map[uint64, val]) {
	t.Helper()
	n, prev := 0, Range[uint64]{}
	var pv val
	seen := [space]bool{}
	for r, v := range x.All() {
		if r.Start >= r.End || n > 0 && r.Start < prev.End {
			t.Fatalf("entries %v then %v", prev, r)
		}
		if _, ok := pv.Join(prev, r, v); ok && n > 0 && prev.End == r.Start {
			t.Fatalf("not joined: %v %v", prev, r)
		}
		for k := r.Start; k < r.End; k++ {
			seen[k] = true
			if want := (val{v.tag, v.off + k - r.Start}); m[k] != want {
				t.Fatalf("at %d: %v, want %v", k, want, m[k])
			}
		}
		n, prev, pv = n+1, r, v
	}
	if n != x.Len() {
		t.Fatalf("Len %d, counted %d", x.Len(), n)
	}
	for k, s := range seen {
		if !s && m[k].tag != 0 {
			t.Fatalf("%d is lost", k)
		}
	}
}

func (m *model) gap(within Range[uint64], n uint64, high bool) (uint64, bool) {
	best, ok, run := uint64(0), false, uint64(0)
	for k := within.Start; k < within.End; k++ {
		if run++; m[k].tag != 0 {
			run = 0
		}
		if run >= n {
			best, ok = k+1-n, true
			if !high {
				return best, ok
			}
		}
	}
	return best, ok
}

func run(t *testing.T, rnd *rand.Rand, steps int, maxLen uint64) {
	var x Map[uint64, val]
	m := &model{}
	for step := range steps {
		s := rnd.Uint64N(space - 1)
		r := Range[uint64]{s, min(space, s+1+rnd.Uint64N(maxLen))}
		switch rnd.IntN(4) {
		case 0, 1:
			x.Remove(r, nil)
			v := val{1 + rnd.Uint64N(2), r.Start}
			x.Insert(r, v)
			for k := r.Start; k < r.End; k++ {
				m[k] = val{v.tag, v.off + k - r.Start}
			}
		case 2:
			total := uint64(0)
			x.Remove(r, func(p Range[uint64], _ val) { total += p.Len() })
			for k := r.Start; k < r.End; k++ {
				if m[k].tag != 0 {
					total--
				}
				m[k] = val{}
			}
			if total != 0 {
				t.Fatal("told of wrong parts")
			}
		case 3:
			x.Update(r, func(_ Range[uint64], v *val) { v.tag = 3 - v.tag })
			for k := r.Start; k < r.End; k++ {
				if m[k].tag != 0 {
					m[k].tag = 3 - m[k].tag
				}
			}
		}
		if step%16 == 0 {
			m.check(t, &x)
		}
		n := 1 + rnd.Uint64N(20)
		w := Range[uint64]{rnd.Uint64N(space / 2), space - rnd.Uint64N(space/2)}
		for _, high := range []bool{false, true} {
			got, ok := x.LowestGap(w, n)
			if high {
				got, ok = x.HighestGap(w, n)
			}
			if want, wok := m.gap(w, n, high); ok != wok || ok && got != want {
				t.Fatalf("gap of %d in %v (high %v): %d %v, want %d %v", n, w, high, got, ok, want, wok)
			}
		}
		if rr, v, ok := x.Lookup(s); ok != (m[s].tag != 0) || ok && v.off+s-rr.Start != m[s].off {
			t.Fatalf("Lookup(%d): %v %v %v", s, rr, v, ok)
		}
		if x.Covered(r) != func() bool {
			for k := r.Start; k < r.End; k++ {
				if m[k].tag == 0 {
					return false
				}
			}
			return true
		}() {
			t.Fatalf("Covered(%v)", r)
		}
	}
	m.check(t, &x)
}

func TestModel(t *testing.T) {
	for _, maxLen := range []uint64{3, 9, 200} {
		run(t, rand.New(rand.NewPCG(1, maxLen)), 3000, maxLen)
	}
}

func FuzzModel(f *testing.F) {
	f.Add(uint64(1), uint64(5))
	f.Add(uint64(2), uint64(700))
	f.Fuzz(func(t *testing.T, seed, maxLen uint64) {
		run(t, rand.New(rand.NewPCG(seed, 7)), 200, 1+maxLen%space)
	})
}

func TestIter(t *testing.T) {
	var x Map[uint64, val]
	for i := range uint64(500) {
		x.Insert(Range[uint64]{i * 4, i*4 + 2}, val{i + 1, 0})
	}
	n := 0
	for it := x.Last(); it.Ok(); it.Prev() {
		n++
	}
	if n != 500 || x.Len() != 500 {
		t.Fatal(n, x.Len())
	}
	it := x.Find(3)
	if it.Range().Start != 4 {
		t.Fatal(it.Range())
	}
	if it.Prev(); it.Range().Start != 0 {
		t.Fatal(it.Range())
	}
	if it = x.Find(1 << 20); it.Ok() {
		t.Fatal("past the end")
	}
}

func BenchmarkFind(b *testing.B) {
	var x Map[uint64, val]
	for i := range uint64(10000) {
		x.Insert(Range[uint64]{i * 4, i*4 + 2}, val{i + 1, 0})
	}
	k := uint64(0)
	for b.Loop() {
		k = (k*7 + 13) % 40000
		x.Find(k)
	}
}

func BenchmarkInsertRemove(b *testing.B) {
	var x Map[uint64, val]
	for i := range uint64(10000) {
		x.Insert(Range[uint64]{i * 4, i*4 + 2}, val{i + 1, 0})
	}
	k := uint64(0)
	for b.Loop() {
		k = (k*7 + 13) % 40000 &^ 3
		x.Remove(Range[uint64]{k, k + 2}, nil)
		x.Insert(Range[uint64]{k, k + 2}, val{9, 0})
	}
}

func BenchmarkHighestGap(b *testing.B) {
	var x Map[uint64, val]
	for i := range uint64(10000) {
		x.Insert(Range[uint64]{1000 + i*4, 1000 + i*4 + 2}, val{i + 1, 0})
	}
	for b.Loop() {
		x.HighestGap(Range[uint64]{0, 41000}, 50)
	}
}
