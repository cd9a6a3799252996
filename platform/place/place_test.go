package place

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testCPUs is a placement over made-up processors, of pairs that are bound
// as given.
func testCPUs(processors int, bound ...int) *CPUs {
	c := &CPUs{settled: func() {}}
	for i := range processors {
		c.allowed = append(c.allowed, i)
	}
	for _, cpu := range bound {
		x := &Pair{Affinity: func(*unix.CPUSet) error { return nil }}
		x.cpu, x.hasHome = cpu, true
		x.bound.Store(int32(cpu) + 1)
		c.Add(x)
	}
	return c
}

// balance lets the pairs have used these shares of a period, and returns
// where each is to go, or -1.
func (c *CPUs) balance(shares ...float64) []int {
	demand := map[int]time.Duration{}
	var used []time.Duration
	for i, s := range shares {
		u := time.Duration(s * float64(period))
		used = append(used, u)
		demand[c.pairs[i].cpu] += u
	}
	c.balanceLocked(demand, used, period)
	var to []int
	for _, x := range c.pairs {
		to = append(to, int(x.want.Swap(0))-1)
	}
	return to
}

func TestBalance(t *testing.T) {
	for _, test := range []struct {
		name   string
		cpus   int
		bound  []int
		shares []float64
		mover  int // index, or -1
		to     int
	}{
		{"two that never wait", 2, []int{0, 0}, []float64{1, 0.9}, 1, 1},
		{"two that take turns", 2, []int{0, 0}, []float64{0.5, 0.5}, -1, 0},
		{"apart already", 2, []int{0, 1}, []float64{1, 1}, -1, 0},
		{"three on two", 2, []int{0, 0, 1}, []float64{1, 1, 1}, -1, 0},
		{"the other is busy", 2, []int{0, 0, 1}, []float64{0.8, 0.8, 0.7}, -1, 0},
		{"idle ones stay", 2, []int{0, 0, 0}, []float64{0.01, 0.9, 0.8}, 2, 1},
		{"the idlest of four", 4, []int{0, 0, 1, 2}, []float64{1, 1, 0.3, 0.2}, 0, 3},
	} {
		c := testCPUs(test.cpus, test.bound...)
		for i, to := range c.balance(test.shares...) {
			want := -1
			if i == test.mover {
				want = test.to
			}
			if to != want {
				t.Errorf("%s: context %d goes to %d, want %d", test.name, i, to, want)
			}
		}
	}
}

// TestTalk tells conversations from other work, also beside a neighbour, who
// makes many periods look like nothing but a long Switch.
func TestTalk(t *testing.T) {
	type tick struct {
		naps int64
		used time.Duration
	}
	for _, test := range []struct {
		name  string
		ticks []tick // over and over
		often bool
	}{
		{"a byte to and fro", []tick{{160, 3 * time.Millisecond}}, true},
		{"the same beside a neighbour", []tick{{160, 3 * time.Millisecond}, {1, period}}, true},
		{"long turns", []tick{{8, 3 * time.Millisecond}}, false},
		{"no sleep", []tick{{0, period}}, false},
		{"idle", []tick{{0, 0}}, false},
	} {
		x := &Pair{}
		for i := range 400 {
			now := test.ticks[i%len(test.ticks)]
			for range now.naps {
				x.Slept()
			}
			x.talk.tick(x.naps, now.used)
		}
		if got := x.talk.often(); got != test.often {
			t.Errorf("%s: in conversation: %v", test.name, got)
		}
	}
	over := &Pair{}
	over.talk.tick(160, 3*time.Millisecond)
	for range 50 {
		over.talk.tick(160, period)
	}
	if over.talk.often() {
		t.Error("a conversation goes on for ever")
	}
}

// TestConversationStays holds the balance, and Apart, to leave a conversation where
// it is, and to move others in its place.
func TestConversationStays(t *testing.T) {
	c := testCPUs(2, 0, 0)
	for _, x := range c.pairs {
		x.talk = talk{slept: 100, used: period}
	}
	if to := c.balance(0.7, 0.8); to[0] >= 0 || to[1] >= 0 {
		t.Errorf("the balance parts a conversation: to %v", to)
	}
	if c.Apart(c.pairs[0]) {
		t.Error("a guest in conversation goes apart")
	}
	c.pairs[1].talk = talk{}
	if to := c.balance(0.7, 0.8); to[0] >= 0 || to[1] != 1 {
		t.Errorf("beside a conversation, the other goes to processor %d", to[1])
	}
	if !c.Apart(c.pairs[1]) {
		t.Error("one that never sleeps does not go apart")
	}
}

// TestApartGivesWay holds who is apart to be told when another guest runs, and to make
// room when its own does not.
func TestApartGivesWay(t *testing.T) {
	c := testCPUs(2, 0, 0, 0)
	a, b := c.pairs[0], c.pairs[1]
	if !c.Apart(a) {
		t.Fatal("an idle machine has no processor to spare")
	}
	a.since = 1
	c.contest(a)
	if a.Contested() {
		t.Error("a guest contests its own processor")
	}
	if c.Apart(b) || !a.IsApart() {
		t.Error("a second guest goes apart while the first runs")
	}
	c.contest(b)
	if !a.Contested() {
		t.Error("who is apart is not told of another guest")
	}
	a.since = 0
	if !c.Apart(b) || a.IsApart() || a.bound.Load() != 1 || c.apart != 1 {
		t.Error("who is apart makes no room while its guest waits")
	}
	c.contest(a)
	c.Together(b)
	if c.contest(a); b.Contested() || c.whole.Load() != nil {
		t.Error("who is together again, or not running, is told of another guest")
	}
}

func TestRemove(t *testing.T) {
	c := testCPUs(3, 0, 0, 2)
	c.Remove(c.pairs[0])
	c.Remove(c.pairs[0])
	c.Remove(&Pair{Affinity: func(*unix.CPUSet) error { return nil }})
	if len(c.pairs) != 1 || c.pairs[0].index != 0 {
		t.Errorf("%d pairs are left", len(c.pairs))
	}
}

// A processor that is taken away is noticed when something is to be bound to
// it.
func TestLostProcessor(t *testing.T) {
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: its affinity is changed
		c := New(func() {})
		defer c.Stop()
		if c.off {
			t.Log("only one processor")
			return
		}
		have := len(c.allowed)
		const none = 1000
		c.allowed = append(c.allowed, none)
		x := &Pair{Affinity: func(*unix.CPUSet) error { return nil }}
		c.Add(x)
		x.cpu, x.hasHome = none, true
		c.Pin(x)
		if len(c.allowed) != have || x.cpu == none {
			t.Errorf("allowed %v, placed on %d", c.allowed, x.cpu)
		}
		var now unix.CPUSet
		if err := unix.SchedGetaffinity(0, &now); err != nil || now.Count() != 1 || !now.IsSet(x.cpu) {
			t.Errorf("thread is on %v, %v", now, err)
		}
		y := &Pair{Affinity: func(*unix.CPUSet) error { return nil }}
		y.Inherit(x)
		c.Remove(x)
		c.Add(y)
		c.Pin(y) // who serves the next there stays
		if err := unix.SchedGetaffinity(0, &now); err != nil || now.Count() != 1 || !now.IsSet(x.cpu) {
			t.Errorf("thread that serves another is on %v, %v", now, err)
		}
	}()
	<-done
}
