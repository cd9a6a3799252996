package wait

import "testing"

// A sleeper notes how it is woken.
type sleeper struct {
	q     *Queue
	woken int
	bad   bool
}

func (s *sleeper) Sleeps() {}

func (s *sleeper) Wake(w *Watch, _ Events) {
	s.woken++
	if !s.q.mu.TryLock() {
		s.bad = true
		return
	}
	s.q.mu.Unlock()
}

type counter int

func (c *counter) Wake(*Watch, Events) { *c++ }

// TestSleepers: they are woken when the queue is free, all of them or one.
func TestSleepers(t *testing.T) {
	var q Queue
	var s [9]sleeper
	var w [9]Watch
	var n counter
	x := Watch{Mask: Readable, To: &n}
	q.Watch(&x)
	for i := range s {
		s[i].q = &q
		w[i] = Watch{Mask: Readable, To: &s[i]}
		q.Watch(&w[i])
	}
	q.Notify(Writable)
	q.Notify(Readable)
	q.Notify(Hup)
	q.NotifyOne(Readable) // x comes first
	q.Unwatch(&x)
	q.NotifyOne(Readable)
	if n != 3 || s[0].woken != 3 {
		t.Fatal(n, s[0].woken)
	}
	for i := range s {
		if s[i].bad || i > 0 && s[i].woken != 2 {
			t.Fatal(i, s[i].woken, "in the queue's lock:", s[i].bad)
		}
		w[i].Exclusive = true
	}
	q.Notify(Readable)
	if s[0].woken != 4 || s[1].woken != 2 {
		t.Fatal("of those that want it alone, more than one was told")
	}
}
