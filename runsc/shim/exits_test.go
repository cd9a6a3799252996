package shim

import (
	"testing"

	runc "github.com/containerd/go-runc"
)

// A process may have ended before anybody knows its pid; what ended before it
// was begun is another that had its pid.
func TestExits(t *testing.T) {
	x := &exits{early: map[int]runc.Exit{}, waiting: map[int]func(runc.Exit){}}
	got := make(chan int, 2)
	ended := func(e runc.Exit) { got <- e.Status }
	x.record(runc.Exit{Pid: 7, Status: 1})
	done := x.begin()
	x.record(runc.Exit{Pid: 8, Status: 2})
	x.expect(8, ended)
	x.expect(7, ended)
	done()
	if s := <-got; s != 2 {
		t.Errorf("8 ended with %d, want 2", s)
	}
	x.record(runc.Exit{Pid: 7, Status: 3})
	if s := <-got; s != 3 {
		t.Errorf("7 ended with %d, want 3", s)
	}
	if len(x.early) > 0 || len(x.waiting) > 0 {
		t.Errorf("kept %v, %d", x.early, len(x.waiting))
	}
}
