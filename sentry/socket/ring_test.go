package socket

import (
	"bytes"
	"math/rand"
	"testing"
)

func TestRing(t *testing.T) {
	var r Ring
	rnd := rand.New(rand.NewSource(1))
	var model []byte
	for range 20000 {
		n := rnd.Intn(3000)
		if rnd.Intn(2) == 0 && r.Used()+n < 100000 {
			src := make([]byte, n)
			rnd.Read(src)
			a, b := r.Space(n)
			copy(b, src[copy(a, src):])
			r.Add(n)
			model = append(model, src...)
			continue
		}
		n = min(n, r.Used())
		a, b := r.Data(0, n)
		if got := append(bytes.Clone(a), b...); !bytes.Equal(got, model[:n]) {
			t.Fatal("the ring lost bytes")
		}
		r.Drop(n)
		model = model[n:]
		r.Shrink()
	}
}
