package vfs

import "testing"

// Deadlocks are found as far away as Linux looks for them, however many threads of each
// process wait: to go every way there is would take longer than the test.
func TestManyWait(t *testing.T) {
	const threads = 30
	var g lockGraph
	var owners []any
	for range maxHops + 2 {
		owners = append(owners, &FDTable{})
	}
	for i := range maxHops + 1 {
		for range threads {
			g.edges = append(g.edges, lockEdge{&lockWait{l: RecordLock{Owner: owners[i]}}, owners[i+1]})
		}
	}
	for i, o := range owners {
		if got, want := g.reaches(owners[0], o), i <= maxHops; got != want {
			t.Errorf("%d hops: %v, want %v", i, got, want)
		}
	}
	if g.reaches(owners[0], &FDTable{}) {
		t.Error("reaches who is waited for by nobody")
	}
}
