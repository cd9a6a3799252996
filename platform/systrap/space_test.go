package systrap

import "testing"

// TestSettled holds a space that has operations under way not to be settled.
func TestSettled(t *testing.T) {
	c := &Context{}
	s := &space{threads: map[*thread]*Context{{}: c}}
	settled := func(when string, want bool) {
		t.Helper()
		if s.Settled() != want {
			t.Errorf("%s: settled: %v", when, !want)
		}
	}
	settled("nothing queued", true)
	s.pending.Store(true)
	settled("queued, and nobody in the guest", true)
	c.inGuest.Store(true)
	settled("queued, and a thread in the guest", false)
	s.pending.Store(false)
	s.riding = true
	settled("sent with a reply", false)
	s.riding = false
	settled("done", true)
}
