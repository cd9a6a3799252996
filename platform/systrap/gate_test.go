package systrap

import (
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
)

// An interrupt at each of the gate's instructions leaves the registers as they
// were before the call, or as they are after it.
func TestInterruptInGate(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	r, err := p.regions.get(0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.regions.put(r)
	c := p.NewContext().(*Context)
	defer c.Release()
	const nr, rbx, back = 39, 0x1234, 0x7000
	c.thread = &thread{p: p, region: r}
	defer func() { c.thread = nil }()
	r.page.call = gateCall{rax: nr, rbx: rbx, rip: back}
	for ip := uint64(stubGate); ip < p.gate.end; ip++ {
		// What the gate has in these registers at ip.
		f := sigframe{signo: int32(interruptSignal), rip: ip, rax: nr, rbx: rbx, rcx: back, r11: 0x5555}
		if ip > stubGate {
			f.rbx, f.r11 = r.addr(), rbx
		}
		if ip > p.gate.saved {
			f.rax = 1
		}
		replied := arch.Regs{RIP: back, RAX: 7, RBX: rbx}
		regs := replied
		if c.inGate(&f, &regs) {
			t.Fatalf("at %#x: an interrupt that nobody wanted", ip)
		}
		if ip >= p.gate.waits {
			if replied.OrigRAX = ^uint64(0); regs != replied {
				t.Fatalf("after the call, at %#x: %+v", ip, regs)
			}
		} else if regs.RAX != nr || regs.RBX != rbx || regs.RIP != back-2 {
			t.Fatalf("before the call, at %#x: %+v", ip, regs)
		}
		for _, sig := range []unix.Signal{interruptSignal, unix.SIGSEGV} {
			c.interrupted.Store(true)
			f := sigframe{signo: int32(sig), rip: ip}
			if got := c.inGate(&f, &regs); got != (sig == interruptSignal) {
				t.Fatalf("signal %d at %#x happened: %v", sig, ip, got)
			}
		}
		c.interrupted.Store(false)
	}
}
