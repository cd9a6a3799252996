package kernel

import "testing"

func TestTaskCount(t *testing.T) {
	var c TaskCount
	c.add(1)
	for range 5 {
		if c.full() {
			t.Fatal("full without a limit")
		}
		c.add(1)
	}
	c.Limit = 4 // less than there are
	if !c.full() || c.Refused != 1 {
		t.Errorf("%+v", c)
	}
	c.add(-3)
	if c.full() {
		t.Errorf("%+v is full", c)
	}
	c.add(1)
	if !c.full() || c != (TaskCount{Now: 4, Peak: 6, Limit: 4, Refused: 2}) {
		t.Errorf("%+v", c)
	}
}

// Processors that the container has not got are no place for a task; one that has
// asked for no others may run on all of the container's.
func TestAffinityWithinContainer(t *testing.T) {
	x, _ := onCPUs(0, 1)
	c := x.tg.container
	for _, w := range []struct{ may, want int }{{1, 1}, {0, 0}, {3, 3}} {
		var s CPUSet
		s[0] = 1 << w.may
		c.cgroup.cpus.Store(&s)
		if got := x.Affinity(); got.Count() != 1 || !got.Has(w.want) {
			t.Errorf("container on %d: %x", w.may, got[0])
		}
	}
	c.cgroup.cpus.Store(nil)
	if got := x.Affinity(); got.Count() != 2 {
		t.Errorf("%x", got[0])
	}
}
