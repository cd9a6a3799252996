package platformtest

import (
	"runtime"
	"testing"

	"garrison/platform"
)

// hostTime is what the platform says of c.
func hostTime(t testing.TB, c platform.Context) (process int, guest, server int64) {
	t.Helper()
	x, ok := c.(platform.CPUTimer)
	if !ok {
		t.Fatalf("%T is no CPUTimer", c)
	}
	process, guest = x.GuestTime()
	return process, guest, x.ServerTime()
}

// testCPUTime: a guest's time grows while it computes, also as others see it, and
// that of all threads of a space is one; a copy has its own.
func testCPUTime(t *testing.T, p platform.Platform) {
	const enough = 20_000_000
	g := newGuest(t, p, codeSpin...)
	defer g.release()
	if process, _, server := hostTime(t, g.c); process != 0 || server != 0 {
		t.Errorf("process %d and %d ns of a server before the first Switch", process, server)
	}
	spin := func(g *guest) (process int, guest, server int64) {
		t.Helper()
		clear(g.data()[:2])
		g.regs.RIP, g.regs.RSI, g.regs.RDI = codeAt, dataAt, dataAt+1
		grown := elsewhere(func() {
			awaitByte(t, g.data(), 0, 1)
			_, began, _ := hostTime(t, g.c)
			for now := began; now-began < enough; runtime.Gosched() {
				_, now, _ = hostTime(t, g.c)
			}
			store8(g.data(), 1, 1)
		})
		g.syscall()
		grown()
		return hostTime(t, g.c)
	}
	process, guest, server := spin(g)
	if process == 0 || guest < enough || server == 0 {
		t.Errorf("process %d has run %d ns, its server %d", process, guest, server)
	}
	h := g.spawn()
	elsewhere(func() {
		defer h.c.Release()
		same, both, _ := spin(h)
		if same != process || both < guest+enough {
			t.Errorf("process %d has run %d ns by another thread's word, not %d more than %d", same, both, enough, guest)
		}
	})()
	if _, both, _ := hostTime(t, g.c); both < guest+enough {
		t.Errorf("%d ns with another thread's %d that has ended", both, enough)
	}
	child := g.fork()
	elsewhere(func() {
		defer child.release()
		if other, young, server := hostTime(t, child.c); other == process || young >= guest || server != 0 {
			t.Errorf("a copy of %d is process %d, and has run %d ns, its server %d", process, other, young, server)
		}
	})()
}
