package platformtest

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"garrison/platform"
	"garrison/platform/arch"
)

// testChaos lets several guests do everything at once, in random order.
func testChaos(t *testing.T, p platform.Platform) {
	end := time.Now().Add(400 * time.Millisecond)
	var all sync.WaitGroup
	for seed := range uint64(6) {
		all.Add(1)
		elsewhere(func() {
			defer all.Done()
			g := newGuest(t, p, codeRead...)
			g.data()[0] = byte(seed)
			c := &chaos{seed: byte(seed), end: end, random: rand.New(rand.NewPCG(seed, 1)), area: spareAt}
			c.live(g, 2)
			g.as.Release()
		})
	}
	all.Wait()
}

// chaos is the life of one guest thread and those that descend from it. What
// all of them read at dataAt is seed.
type chaos struct {
	seed   byte
	end    time.Time
	random *rand.Rand
	area   arch.Addr // 64 pages that no other thread of the space changes
}

// anyPage is one of the area.
func (c *chaos) anyPage() arch.Addr { return c.area + arch.Addr(c.random.IntN(64))*arch.PageSize }

// check runs g for one call, however often it is interrupted.
func (c *chaos) check(g *guest) {
	g.regs = startRegs()
	g.regs.RDI = dataAt
	for {
		switch ev := g.run(); ev.Kind {
		case platform.Interrupted:
			continue
		case platform.Syscall:
			if byte(g.regs.OrigRAX) != c.seed {
				g.t.Errorf("read %d, want %d", g.regs.OrigRAX, c.seed)
			}
			return
		default:
			g.t.Errorf("%+v at %#x", ev, g.regs.RIP)
			return
		}
	}
}

// live acts for g until the end, and releases its context.
func (c *chaos) live(g *guest, depth int) {
	defer g.c.Release()
	var descendants []func()
	c.check(g)
	for time.Now().Before(c.end) {
		switch c.random.IntN(8) {
		case 0:
			if depth > 0 && len(descendants) < 4 {
				descendants = append(descendants, c.descend(g, depth, c.random.IntN(2) == 0))
			}
		case 1:
			g.c.Interrupt()
		case 2:
			at := c.anyPage()
			g.as.Map(at, g.mem, dataOff, arch.PageSize, arch.Read|arch.Write)
			g.as.Protect(pages(at, 1), arch.Read)
		case 3:
			g.as.Unmap(pages(c.anyPage(), 1))
		case 4:
			if err := g.as.Barrier(g.c); err != nil {
				g.t.Error(err)
			}
		case 5:
			if err := g.as.Barrier(nil); err != nil {
				g.t.Error(err)
			}
		}
		c.check(g)
	}
	for _, wait := range descendants {
		wait()
	}
}

// descend starts a child of g, a thread or a process, and returns a function
// that waits for its end. Another goroutine keeps interrupting it.
func (c *chaos) descend(g *guest, depth int, thread bool) (wait func()) {
	child := &chaos{c.seed, c.end, rand.New(rand.NewPCG(c.random.Uint64(), 2)), 0}
	child.area = spareAt + arch.Addr(1+c.random.Uint32N(1<<20))<<18
	var h *guest
	if thread {
		h = g.spawn()
	} else {
		h = g.fork()
	}
	stop := make(chan bool)
	interrupts := elsewhere(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				h.c.Interrupt()
			}
		}
	})
	return elsewhere(func() {
		child.live(h, depth-1)
		close(stop)
		interrupts()
		if !thread {
			h.as.Release()
		}
	})
}
