package futex

import (
	"sync"
	"testing"

	"garrison/sentry/wait"
)

type signal chan struct{}

func (s signal) Wake(*wait.Watch, wait.Events) {
	select {
	case s <- struct{}{}:
	default:
	}
}

func (s signal) sleep(w *Waiter) {
	x := &wait.Watch{To: s}
	w.Watch(x)
	for !w.Woken() {
		<-s
	}
	w.Unwatch(x)
}

func TestWakeCountsAndMatches(t *testing.T) {
	var tab Table
	var k Key
	ws := make([]Waiter, 4)
	for i := range ws {
		tab.Enqueue(&ws[i], k, 1<<i)
	}
	if n := tab.Wake(k, 10, 0b1010); n != 2 || ws[0].Woken() || !ws[1].Woken() || !ws[3].Woken() {
		t.Fatal(n)
	}
	if tab.Dequeue(&ws[1]) || !tab.Dequeue(&ws[0]) || tab.Dequeue(&ws[0]) {
		t.Fatal("Dequeue")
	}
	if n := tab.Wake(k, 0, Any); n != 0 {
		t.Fatal(n)
	}
	if n := tab.Wake(k, 10, Any); n != 1 || !ws[2].Woken() {
		t.Fatal(n)
	}
}

func TestRequeueSameKey(t *testing.T) {
	var tab Table
	var k Key
	ws := make([]Waiter, 5)
	for i := range ws {
		tab.Enqueue(&ws[i], k, Any)
	}
	if w, m := tab.Requeue(k, k, 1, 2); w != 1 || m != 2 {
		t.Fatal(w, m)
	}
	if n := tab.Wake(k, 10, Any); n != 4 {
		t.Fatal(n)
	}
}

func TestNoWakeIsLost(t *testing.T) {
	var tab Table
	var k Key
	const rounds = 2000
	var mu sync.Mutex
	word := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := make(signal, 1)
		var w Waiter
		for want := 1; want <= rounds; want++ {
			for {
				tab.Enqueue(&w, k, Any)
				mu.Lock()
				v := word
				mu.Unlock()
				if v >= want {
					tab.Dequeue(&w)
					break
				}
				s.sleep(&w)
			}
		}
	}()
	for range rounds {
		mu.Lock()
		word++
		mu.Unlock()
		tab.Wake(k, 1, Any)
	}
	<-done
}

func BenchmarkEnqueueDequeue(b *testing.B) {
	var tab Table
	var w Waiter
	var k Key
	for b.Loop() {
		tab.Enqueue(&w, k, Any)
		tab.Dequeue(&w)
	}
}
