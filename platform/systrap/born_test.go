package systrap

import (
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform"
)

// A thread that a bound one has made, in its own process or in a copy, is bound to the
// same processor without being told, and one that is elsewhere is told.
func TestBornBound(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	h := newHostile(t, p, testFileWith(t, 0x0f, 0x05, 0xeb, 0xfc), testFileWith(t)) // syscall; jmp back
	defer h.release()
	h.begin()
	if h.c.place.Bound() == 0 {
		t.Skip("only one processor")
	}
	check := func(what string, as platform.AddressSpace, apart bool) {
		t.Helper()
		n, err := h.c.Spawn(as)
		if err != nil {
			t.Fatal(err)
		}
		c := n.(*Context)
		if c.place.Bound() != h.c.place.Bound() {
			t.Errorf("%s is born on %d, not on %d", what, c.place.Bound()-1, h.c.place.Bound()-1)
		}
		done := make(chan error)
		go func() {
			regs := h.regs
			_, err := c.Switch(as, &regs)
			done <- err
			<-done
			c.Release()
			close(done)
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(c.thread.tid, &set); err != nil || set.Count() != 1 || !set.IsSet(int(c.place.Bound()-1)) {
			t.Errorf("%s may run on %v, not on %d: %v", what, set, c.place.Bound()-1, err)
		}
		if (c.place.Bound() != h.c.place.Bound()) != apart {
			t.Errorf("%s is on %d, its maker on %d", what, c.place.Bound()-1, h.c.place.Bound()-1)
		}
		done <- nil
		<-done
	}
	fork := func() *space {
		t.Helper()
		as, err := h.s.Fork(h.c)
		if err != nil {
			t.Fatal(err)
		}
		return as.(*space)
	}
	check("a copy", fork(), false)
	if p.cpus.Apart(&h.c.place) {
		check("a copy of one who is apart", fork(), true)
		p.cpus.Together(&h.c.place)
	}
	check("a thread", h.s, false)
}
